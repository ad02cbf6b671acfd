/* Reading without booking: how a feed's messages would be read, line by line, and with which acknowledgement each would be answered, as far as reading alone can
 * tell. Nothing is booked or kept, no watermark moves, nothing is counted. */
#ifndef VB_INTAKE_TRIAL
#define VB_INTAKE_TRIAL

#include "base/turn.h"
#include "core/core.h"

struct trial;

/* Begins with the bytes: a message, several of them, or a batch, in MLLP frames or without. feed: whose they are read as, whatever their headers say; NULL: of the
 * feed that each header names, if it is in the scope. The bytes, the core and the scope must outlive it. */
struct trial *trial_begin(struct core *core, struct view bytes, struct feed *feed, const char *scope);
/* Goes on until the turn has been long enough. True at its end. */
bool trial_step(struct trial *t, const struct turn *turn);
/* The memory that it holds now, bytes. */
size_t trial_weight(const struct trial *t);
/* Once it is at its end: the answer, JSON as proto/openapi.yaml has it. The trial's. */
struct view trial_answer(struct trial *t);
void trial_free(struct trial *t);

#endif
