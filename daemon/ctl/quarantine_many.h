/* Entries of the quarantine by filter: the options that name them, and what a replay or a dismissal would be of. */
#ifndef VB_CTL_QUARANTINE_MANY_H
#define VB_CTL_QUARANTINE_MANY_H

#include <json-c/json.h>

#include "ctl.h"
#include "proto/arena.h"
#include "proto/json/quarantine.h"

/* The options as they were given; NULL where they were not. */
struct quarantine_words {
	const char *feed, *reason, *visit, *text, *day, *from, *until;
};
#define QUARANTINE_OPTIONS(w)						\
	{"--feed", NULL, &(w).feed}, {"--reason", NULL, &(w).reason}, {"--visit", NULL, &(w).visit}, {"--text", NULL, &(w).text},	\
	{"--day", NULL, &(w).day}, {"--from", NULL, &(w).from}, {"--until", NULL, &(w).until}
enum { QUARANTINE_N_OPTIONS = 7 };
#define QUARANTINE_FILTER "[--feed NAME] [--reason REASON] [--visit NO] [--text TEXT] [--day DATE | --from TIME --until TIME]"

struct quarantine_filter quarantine_filter_of(const struct quarantine_words *w);

/* The filter as SQL takes it, in the arena. Returns CTL_OK, or CTL_USAGE after having said what is wrong. */
int quarantine_filter_read(const struct ctl *c, const struct quarantine_filter *f, struct arena *a, const char **ret);

/* How many there are of each feed and reason, added up over the documents of quarantine_summary. */
struct quarantine_sum;
struct quarantine_sum *quarantine_sum_new(void);
void quarantine_sum_free(struct quarantine_sum *s);
/* Adds a document; returns the id that the next one is to be asked for, 0 at the end. */
int64_t quarantine_sum_add(struct quarantine_sum *s, json_object *doc);
int64_t quarantine_sum_total(const struct quarantine_sum *s);
/* Prints it, and the first few entries. */
void quarantine_sum_print(const struct quarantine_sum *s, FILE *out);

#endif
