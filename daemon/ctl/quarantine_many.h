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

/* What is to be done with all that a filter means. Each call returns a document of so many entries, behind the one of the id after (0: from the beginning), or
 * NULL after having said what is wrong: */
struct quarantine_deed {
	const char *done;						/* "replayed" */
	json_object *(*ask)(void *arg, int64_t after);			/* of the summary: what it would be of */
	int (*all)(void *arg, int64_t of);				/* does it to all of them, of which there are so many; returns CTL_OK or CTL_FAILED */
};
/* Adds the summary up and prints it with the first few entries; with yes it is done, too. Returns CTL_OK or CTL_FAILED. */
int quarantine_many(const struct quarantine_deed *deed, void *arg, bool yes);

#endif
