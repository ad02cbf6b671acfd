/* What feeds sent, for people: messages by type and outcome, and sequence numbers (MSH-13). Counted in memory, added to the database every second.
 * Lost is what a daemon that dies had not yet told, and a second of counts where the connection breaks before the database has answered; numbers are
 * told again then, no harm done. Of numbers a second's are 1,024 ranges a feed at most; beyond that some are told as not known, never as a gap.
 * Lines are counted where they are booked. */
#ifndef VB_INTAKE_COUNTS
#define VB_INTAKE_COUNTS

#include "base/job.h"
#include "core/core.h"
#include "intake/message.h"

/* The message of a known feed has its outcome, and is about to be answered so. */
void counts_note_message(const struct message *m);
/* The same of a request; type: "POST /v1/charges", a constant of 31 bytes at most. */
void counts_note_request(const struct booking_job *job, const char *type, enum booking_result result);

/* Adds what was counted since the last time. */
void counts_run(struct core *core, job_over_fn over, void *job);
/* Is there something to add? */
bool counts_pending(const struct core *core);

#endif
