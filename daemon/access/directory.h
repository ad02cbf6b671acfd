/* Who may send: feeds and facilities of the configuration with the ids that the database gave them. A feed object stays where it is until the
 * daemon ends, and so does every text that it ever had: work in flight may hold both across a reload. */
#ifndef VB_ACCESS_DIRECTORY_H
#define VB_ACCESS_DIRECTORY_H

#include "base/config.h"
#include "base/metrics.h"
#include "net/tls.h"
#include "proto/hl7/profile.h"
#include "proto/view.h"

struct feed_counts;
struct feed_numbers;

struct feed {
	struct feed *next;
	int feed_id, facility_id;
	const char *name, *facility, *application, *sending_facility, *certificate, *charset;
	const struct hl7_profile *profile;	/* how its messages are read; as its texts, for as long as the directory */
	bool active;		/* in the current configuration */
	bool zbl;
	int64_t line_quantity, line_amount;	/* of its facility: pieces, fen */
	int64_t visit_amount, visit_day_amount;	/* the same; 0: no limit */
	int64_t mark;		/* newest MSH-7 or as_of of which everything before is durable; 0 none */
	int64_t seen;		/* when the newest message came that is durable; monotonic */
	struct feed_counts *counts;	/* of its messages, since they were last written (intake/counts.h); NULL: none yet. One piece of memory */
	struct feed_numbers *numbers;	/* the same of its sequence numbers; NULL: it has sent none */
	bool mark_moved;	/* one of the two, since they were last written */
	struct metric_series *messages_ok, *messages_error, *messages_ignored, *lines_posted;
};

struct directory;

struct directory *directory_new(struct metrics *metrics);
void directory_free(struct directory *d);

/* Takes a configuration and the ids that setup_apply returned for it (JSON). Returns 0, or -1 when the ids don't fit. */
int directory_apply(struct directory *d, const struct config *config, const char *ids_json) __attribute__((warn_unused_result));

/* How a sender of messages can be known, beside what its messages say. */
struct sender {
	const struct tls_identity *identity;	/* of its client certificate; NULL: none */
	bool msh_identity;			/* MSH-3 and 4 alone will do */
};

/* The feed that MSH-3 at MSH-4 name, whoever sends; NULL and *ret_reason = feed_unknown or facility_unknown. */
struct feed *directory_feed_of_header(const struct directory *d, struct view application, struct view facility, const char **ret_reason);
/* The feed of MSH-3 at MSH-4 from this sender; NULL and *ret_reason = feed_unknown, facility_unknown, certificate_required or feed_mismatch. A
 * certificate that is bound to feeds speaks for none but those. */
struct feed *directory_feed(const struct directory *d, struct view application, struct view facility, const struct sender *sender,
    const char **ret_reason);
/* Is the certificate some feed's? */
bool directory_knows(const struct directory *d, const struct tls_identity *identity);
/* Active ones only; NULL when there is none. */
struct feed *directory_feed_named(const struct directory *d, const char *name);
/* Also one that the settings no longer have: what it sent is still its. */
struct feed *directory_feed_by_id(const struct directory *d, int feed_id);
struct feed *directory_first(const struct directory *d);

#endif
