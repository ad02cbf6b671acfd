/* An archive file: one partition, as gzip. `zcat FILE | head -1` is the header, a line of JSON; the rest is what PostgreSQL's COPY … TO STDOUT writes, a row a
 * line, in the order of the header's "columns". The header says what the content is and adds up to, and its SHA-256.
 *
 *   {"format": "visitbill archive 1", "schema": …, "schema_version": …, "relation": "charge", "part": …, "first_id": …, "last_id": …, "columns": [ … ],
 *    "sums": {"rows": …, "amount": … (fen), "subtotals": [ 14, fen ], "transfers": …} or {…, "accounts": {…: fen}}, "made_at": …, "made_by": …,
 *    "sha256": hex of all that follows this line}
 *
 * Times are with their offset, bytes as \x and hex digits (a backslash is doubled by COPY). Two gzip members: the header's is of a fixed size (blanks fill it
 * up), so that it can be written last, in its place. */
#ifndef VB_CTL_ARCHIVE_FILE_H
#define VB_CTL_ARCHIVE_FILE_H

#include <json-c/json.h>
#include <stddef.h>

#include "proto/view.h"

#define ARCHIVE_FORMAT "visitbill archive 1"

struct archive_writer;
struct archive_reader;

/* Begins the file, readable by its owner only; what is there of that name is emptied. NULL after having said why not. */
struct archive_writer *archive_create(const char *path);

/* Rows as COPY gives them, each with its newline. -1 after having said why not. */
int archive_write(struct archive_writer *w, const char *p, size_t n) __attribute__((warn_unused_result));

/* Adds the SHA-256 to the header and writes it, and everything through to the disk. -1 after having said why not; the writer is gone either way. */
int archive_finish_file(struct archive_writer *w, json_object *header) __attribute__((warn_unused_result));

/* Gives up; the file stays as it is. NULL is fine. */
void archive_abandon(struct archive_writer *w);

/* Opens a file and reads its header. NULL after having said why not. */
struct archive_reader *archive_open(const char *path);
void archive_close(struct archive_reader *r);

/* Valid as long as the reader. */
json_object *archive_header(const struct archive_reader *r);

/* The next row, without its newline, valid until the next call: 1; 0 at the end; -1 where the file is damaged, after having said how. */
int archive_next(struct archive_reader *r, struct view *ret) __attribute__((warn_unused_result));

/* At the end: whether the content has the header's SHA-256. -1 after having said that it has not. */
int archive_check_hash(struct archive_reader *r) __attribute__((warn_unused_result));

#endif
