/* libqrencode makes the modules; this draws them. */
#include "qr.h"

#include <qrencode.h>
#include <string.h>

#include "text.h"

enum { QUIET = 4 };

static const char black_on_white[] = "\033[30;47m", plain[] = "\033[0m";

static bool
is_dark(const QRcode *qr, int x, int y)
{
	return x >= 0 && y >= 0 && x < qr->width && y < qr->width && (qr->data[y * qr->width + x] & 1) != 0;
}

int
qr_print(FILE *out, const char *text, int columns, bool color)
{
	static const char *const halves[] = {" ", "▄", "▀", "█"};	/* bit 1: the upper one is drawn, bit 0: the lower */
	QRcode *qr = text[0] != '\0' ? QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M) : NULL;

	if (qr == NULL)
		return -1;
	int indent = (columns - qr->width - 2 * QUIET) / 2;
	for (int y = -QUIET; y < qr->width + QUIET; y += 2) {
		text_repeat(out, " ", indent);
		fputs(color ? black_on_white : "", out);
		for (int x = -QUIET; x < qr->width + QUIET; x++) {
			/* an odd number of rows: below the last one there is nothing to draw */
			bool upper = is_dark(qr, x, y) == color, lower = is_dark(qr, x, y + 1) == color && y + 1 < qr->width + QUIET;
			fputs(halves[upper * 2 + lower], out);
		}
		fputs(color ? plain : "", out);
		putc('\n', out);
	}
	QRcode_free(qr);
	return 0;
}
