/* Who may send: feeds and facilities of the configuration with the ids that the database gave them. A feed object stays where it is until the
 * daemon ends, so work in flight may hold one across a reload. */
#ifndef VB_ACCESS_DIRECTORY_H
#define VB_ACCESS_DIRECTORY_H

#include "base/config.h"
#include "base/metrics.h"
#include "proto/view.h"

struct feed {
	struct feed *next;
	int feed_id, facility_id;
	char *name, *facility, *application, *sending_facility, *charset;
	struct config_secret secret;
	char *past_facility;	/* before the last reload that changed it */
	bool active;		/* in the current configuration */
	bool zbl;
	int64_t mark;		/* newest MSH-7 or as_of of which everything before is durable; 0 none */
	bool mark_moved;	/* since it was last written */
	struct metric_series *messages_ok, *messages_error, *lines_posted;
};

struct directory;

struct directory *directory_new(struct metrics *metrics);
void directory_free(struct directory *d);

/* Takes a configuration and the ids that setup_apply returned for it (JSON). Returns 0, or -1 when the ids don't fit. */
int directory_apply(struct directory *d, const struct config *config, const char *ids_json) __attribute__((warn_unused_result));

/* The feed of MSH-3 at MSH-4; NULL and *ret_reason = feed_unknown or facility_unknown. */
struct feed *directory_feed(const struct directory *d, struct view application, struct view facility, const char **ret_reason);
/* The feed of a bearer token, compared in constant time; NULL when there is none. */
struct feed *directory_feed_by_token(const struct directory *d, struct view token);
struct feed *directory_feed_by_id(const struct directory *d, int feed_id);
/* The id of a facility code; 0 when it is not configured. */
int directory_facility(const struct directory *d, struct view code);
struct feed *directory_first(const struct directory *d);

/* Constant time: the length may show, the content does not. */
bool secret_equal(struct view given, const struct config_secret *secret);

#endif
