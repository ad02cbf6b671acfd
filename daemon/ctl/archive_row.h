/* The rows of an archive file: cells as COPY writes them, and what they add up to. */
#ifndef VB_CTL_ARCHIVE_ROW_H
#define VB_CTL_ARCHIVE_ROW_H

#include <json-c/json.h>

#include "archive_file.h"
#include "proto/arena.h"

enum { ARCHIVE_COLUMNS = 64 };

/* A row's cells, in memory of the arena; VIEW_NONE where null. Returns their number, -1 where there are more than ARCHIVE_COLUMNS. */
int archive_cells(struct arena *a, struct view row, struct view cells[ARCHIVE_COLUMNS]);

/* Which column has that name; -1: none. */
int archive_column(json_object *header, const char *name);

/* Reads all rows of a file that was just opened, and compares what they are and add up to with its header. Returns 0, or -1 after having said what is wrong. */
int archive_check(struct archive_reader *r, const char *path) __attribute__((warn_unused_result));

#endif
