/* The task is requests at the cost of a copy: messages are written once, with room of fixed width where they differ from one to the next (ids, visit,
 * time), and rendering copies one and fills in the digits. A request is a DFT^P03 in an MLLP frame, or a POST /v1/charges. */
#ifndef VB_BENCH_TEMPLATE_H
#define VB_BENCH_TEMPLATE_H

#include "common.h"

enum { TAG_WIDTH = 6, SERIAL_WIDTH = 10, LINE_WIDTH = 12, VISIT_WIDTH = 7, TIME_WIDTH = 14, CONTROL_WIDTH = TAG_WIDTH + 1 + SERIAL_WIDTH };

enum template_kind { TEMPLATE_MLLP, TEMPLATE_HTTP };

struct template_options {
	enum template_kind kind;
	unsigned lines;			/* a request */
	const char *tag;		/* TAG_WIDTH characters: makes ids unique over runs */
	const char *visit_prefix;	/* a visit is this and VISIT_WIDTH digits */
	const char *facility, *application;
	const char *host, *token;	/* HTTP */
	unsigned feeds;			/* 0: application as it is; else it ends in three digits, 001 to feeds */
};

struct templates;

struct templates *templates_new(const struct template_options *o);
void templates_free(struct templates *t);

/* Appends request number serial, for that visit, to out. Ids come from the serial alone, so that a run's are unique. */
void templates_render(struct templates *t, struct buffer *out, uint64_t serial, uint64_t visit);

size_t templates_bytes(const struct templates *t);	/* of an average request */

#endif
