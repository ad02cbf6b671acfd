/* CSV (RFC 4180) in memory: quoted fields with "" for a quote, commas and line ends inside them, CRLF or LF, a byte order mark. */
#ifndef VB_CTL_CSV_H
#define VB_CTL_CSV_H

#include "proto/arena.h"
#include "proto/view.h"

enum { CSV_FIELDS = 64 };

struct csv {
	struct view rest;
	int line;		/* of the next byte, from 1 */
};

struct csv_record {
	struct view fields[CSV_FIELDS];
	size_t n;
	int line;		/* on which the record begins */
};

enum csv_result { CSV_RECORD, CSV_END, CSV_BAD };

void csv_begin(struct csv *csv, struct view text);

/* The next record that is not an empty line. Fields are views into the text, or copies in the arena where a quote was taken out.
 * On CSV_BAD the file cannot be read further: *ret_wrong says why, ret->line on which line and ret->n how many fields were fine. */
enum csv_result csv_next(struct csv *csv, struct arena *a, struct csv_record *ret, const char **ret_wrong) __attribute__((warn_unused_result));

#endif
