/* Text as a terminal shows it: how many columns it takes, cut and padded to columns. Chinese characters take two. What a feed sent is data: control
 * characters and broken UTF-8 are shown as U+FFFD, so that no name can move the cursor. */
#ifndef VB_CTL_TEXT_H
#define VB_CTL_TEXT_H

#include <stdio.h>

#include "proto/view.h"

enum text_align { TEXT_LEFT, TEXT_RIGHT, TEXT_CENTER };

/* Once, at start: takes the C library's table of widths, or our own where it has no UTF-8 locale. */
void text_init(void);

int text_width(struct view text);

/* Writes exactly `columns` columns: cut with … where it is longer, else padded with blanks. */
void text_put(FILE *out, struct view text, int columns, enum text_align align);

/* Writes the text, uncut. */
void text_put_all(FILE *out, struct view text);

/* The character n times. */
void text_repeat(FILE *out, const char *character, int n);

/* Columns of the terminal that `out` is; 0 when it is none. */
int text_terminal_columns(FILE *out);

#endif
