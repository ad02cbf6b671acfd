/* Booking: what became of a message. An intake (proto/intake.h) is handed in, its parts go to the lanes of their visits, and the caller is told when
 * every line and event has a durable outcome: booked, or in quarantine with its bytes and the reason. */
#ifndef VB_INTAKE_BOOKING
#define VB_INTAKE_BOOKING

#include "core/core.h"
#include "proto/intake.h"

enum booking_result {
	BOOKING_DONE,		/* everything has its outcome, durably */
	BOOKING_UNAVAILABLE,	/* the database is away: nothing is promised, send again */
};

/* One message in work. Made by the caller with room of its own after it (embed it), owned by it again once done is called. */
struct booking_job {
	struct intake intake;
	struct feed *feed;		/* NULL: unknown; then everything is refused already */
	const char *content_type;	/* hl7 or json */
	struct view operation;		/* "hl7", or a request's method and path: what a replay does again */
	struct view bytes;		/* as received; in the intake's arena or living as long */
	const char *peer;
	struct refusal also;		/* of the message as a whole, beside the intake's; reason NULL: nothing */
	bool replay;			/* of quarantined bytes: what is refused again is not kept again */
	bool released;			/* by a person: the limits of what is plausible do not hold */
	void (*done)(struct booking_job *job, enum booking_result result);
	/* the booking's own */
	int64_t came;			/* when it was submitted; monotonic */
	size_t pending;
	bool unavailable, parked;
	size_t weight;
};

struct booking *booking_new(struct core *core);
void booking_free(struct booking *b);

/* Starts. The intake's visits must have their facility_id. done is never called from inside this. */
void booking_submit(struct booking *b, struct booking_job *job);

/* True when at least one lane can reach the database. While it is false, feeds are answered "send again" at once. */
bool booking_is_available(const struct booking *b);
/* A feed books at its own facility only: its visits get the facility's id, and what names another one is refused with a JSON pointer. */
void booking_bind(struct intake *in, const struct feed *feed);

/* Why nothing has been booked for longer than the hold though it was to be, in the database's words; NULL: it books, or nobody has asked lately. (Visits that
 * somebody else has locked stop nobody else.) Valid until the loop turns. */
const char *booking_is_stopped(const struct booking *b);

/* How long the oldest part in work has waited, or nothing was booked though it was to be, whichever is longer: microseconds; 0 where nothing waits. Who is told
 * to come again does not wait, but is not booked either. */
int64_t booking_oldest(const struct booking *b);
/* Lines and events in work: the measure for back-pressure. */
size_t booking_weight(const struct booking *b);
/* Called whenever work was finished, so that paused feeds can be resumed. */
void booking_on_progress(struct booking *b, void (*fn)(void *arg), void *arg);

#endif
