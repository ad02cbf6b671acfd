/* QR codes for the terminal. */
#ifndef VB_CTL_QR_H
#define VB_CTL_QR_H

#include <stdbool.h>
#include <stdio.h>

/* Prints the text as a QR code in half blocks, two modules a character, centered on `columns`, with the quiet zone of four modules that the
 * standard (ISO/IEC 18004) asks for. color: black on white by ANSI colours, whatever the terminal's are. Otherwise light modules are
 * drawn, as on a dark terminal. Returns 0, or -1 when the text does not fit into a QR code. */
int qr_print(FILE *out, const char *text, int columns, bool color) __attribute__((warn_unused_result));

#endif
