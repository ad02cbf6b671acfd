/* From the bytes of one HL7 message to a job for booking, and from the finished job to its acknowledgement. No sockets: the operator's replay of a
 * quarantined message goes the same way. */
#ifndef VB_INTAKE_MESSAGE
#define VB_INTAKE_MESSAGE

#include <sys/queue.h>

#include "base/turn.h"
#include "intake/booking.h"
#include "proto/hl7/acknowledgement.h"

struct message {
	struct booking_job job;		/* first: a job is a message */
	STAILQ_ENTRY(message) link;	/* its frame's */
	const struct config *settings;	/* held: the message ends by those it began with */
	struct hl7_header header;
	void *owner;			/* the session's frame, or the replay */
	struct message_reading *reading;	/* NULL: it is read */
	const char *stranger;		/* why its sender is no feed: a name of reason.h; NULL: it is one, or nothing can be told */
	bool short_of_memory;		/* so it is unavailable for that, and not for the database */
	bool trial;			/* only read: its reply proves no booking, and is in UTF-8 */
	bool ignored;			/* not for billing, by the feed's setting: accepted, and nothing else */
	bool finished;
	size_t counted;			/* of its memory, in the frame's account */
	enum booking_result result;
};

/* A feed_id of message_new. */
enum { MESSAGE_OF_NOBODY = -1 };

/* A message over the bytes, or over a copy of them where they are not lasting; everything else that it holds is in job.intake.arena. sender: how its
 * feed is known. feed_id > 0 takes that feed whatever MSH says (a replay keeps its sender); MESSAGE_OF_NOBODY none. What is wrong with it stands in the
 * intake's refusals. A large one has to be read first, by message_read; core and sender must outlive that. */
struct message *message_new(struct core *core, struct view bytes, bool lasting, const char *peer, const struct sender *sender, int feed_id);
/* Reads on until the turn has been long enough. True when all is read. */
bool message_read(struct message *m, const struct turn *turn);
void message_free(struct message *m);

/* Refuses it as a whole, whatever else is wrong with it. */
void message_refuse(struct message *m, const char *reason, const char *detail);
/* There is no memory for its body, only for its header. True when that alone says that it can never be booked: then it is refused for that. */
bool message_is_lost_cause(struct message *m);

/* True when the message is an acknowledgement itself: nothing is booked and nothing is answered. */
bool message_is_ack(const struct message *m);

/* What to send back: UTF-8 turned into the message's own character set. Either may be empty. brief: the verdict alone, without what is wrong. */
struct message_reply {
	struct view commit, application;
	enum ack_verdict verdict;
};
struct message_reply message_reply(struct message *m, bool brief);

#endif
