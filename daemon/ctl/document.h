/* JSON documents that the database returns, and the words that the tool shows for names in them. */
#ifndef VB_CTL_DOCUMENT_H
#define VB_CTL_DOCUMENT_H

#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>

/* The document in the named column of row 0; NULL where that is null or not JSON. Free with json_object_put. */
json_object *document_of(const PGresult *r, const char *column);

/* A member as text; NULL where it is absent or null. Valid as long as the document. */
const char *document_text(json_object *o, const char *key);
json_object *document_member(json_object *o, const char *key);

/* An array of texts, blanks between, in buf; "" when it is empty. Returns buf. */
const char *document_join(json_object *array, char *buf, size_t size);

/* As indented JSON with a newline. */
void document_print(json_object *o, FILE *out);

/* 2026-01-15T08:00:00+08:00 as 2026-01-15 08:00 or, with seconds, 2026-01-15 08:00:00; NULL as "-". Returns buf. */
enum { DOCUMENT_TIME = 24 };
const char *document_time(const char *iso, bool seconds, char buf[DOCUMENT_TIME]);

/* Chinese words for kinds of bills, channels, classes and states of visits and bills; the name itself where there is none. */
const char *document_word(const char *name);

#endif
