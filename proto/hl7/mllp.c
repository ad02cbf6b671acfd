/* MLLP framing. 0B, 1C 0D are the block characters of release 1 and 2 alike; 0B and 1C never occur inside GB 18030 or UTF-8 text. */
#include "mllp.h"

/* Is there the CR of the end block that was taken last? */
static size_t
skip_cr(struct mllp_scan *scan, struct view bytes)
{
	if (!scan->after_block)
		return 0;
	scan->after_block = false;
	if (*bytes.p == MLLP_CR)
		return 1;
	scan->bare++;
	return 0;
}

enum mllp_result
mllp_next(struct mllp_scan *scan, struct view bytes, struct view *ret_content, size_t *ret_junk, size_t *ret_used)
{
	*ret_junk = *ret_used = 0;
	if (bytes.n == 0) {
		scan->seen = 0;
		return MLLP_MORE;
	}
	const size_t skipped = skip_cr(scan, bytes);
	const char *end = bytes.p + bytes.n, *start = bytes.p + skipped;
	const char *sb = memchr(start, MLLP_SB, bytes.n - skipped);

	if (sb == NULL) {
		*ret_used = bytes.n;
		*ret_junk = bytes.n - skipped;
		scan->seen = 0;
		return MLLP_MORE;
	}
	const char *from = bytes.p + scan->seen;
	if (from <= sb)
		from = sb + 1;
	for (;;) {
		const char *eb = from < end ? memchr(from, MLLP_EB, (size_t)(end - from)) : NULL;
		const char *again = from < end ? memchr(from, MLLP_SB, (size_t)((eb != NULL ? eb : end) - from)) : NULL;

		if (again != NULL) {
			sb = again;
			from = sb + 1;
			continue;
		}
		*ret_junk = (size_t)(sb - start);
		if (eb == NULL) {
			*ret_used = (size_t)(sb - bytes.p);
			scan->seen = (size_t)(end - sb);
			return MLLP_MORE;
		}
		const bool ended = eb + 1 < end;	/* else the CR is on its way, or is not */
		*ret_content = (struct view){sb + 1, (size_t)(eb - sb - 1)};
		*ret_used = (size_t)(eb + 1 - bytes.p) + (ended && eb[1] == MLLP_CR);
		scan->after_block = !ended;
		scan->bare += ended && eb[1] != MLLP_CR;
		scan->seen = 0;
		return MLLP_FRAME;
	}
}

enum mllp_block
mllp_block_of(struct view content)
{
	if (content.n != 1)
		return MLLP_CONTENT;
	return content.p[0] == MLLP_ACK ? MLLP_COMMIT_ACK : content.p[0] == MLLP_NAK ? MLLP_COMMIT_NAK : MLLP_CONTENT;
}
