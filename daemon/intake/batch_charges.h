/* A step of a batch with charge lines: one call of charges_post. */
#ifndef VB_INTAKE_BATCH_CHARGES
#define VB_INTAKE_BATCH_CHARGES

#include "intake/batch_items.h"
#include "intake/booking.h"

/* Which step a visit has reached. */
struct visit_mark {
	const struct visit_ref *visit;	/* NULL: free */
	uint64_t hash;
	unsigned step;			/* last one with something of this visit: even charges, odd events */
	unsigned charge_step;		/* step that `position` is of, plus one */
	uint32_t position;
	int32_t charges;		/* lines of this visit in that step, without reversals */
};

struct charge_step;

/* number: which step of the batch it is; items: the batch's, outlives the step; utc_offset: of the hospital, seconds east. */
struct charge_step *charge_step_new(unsigned number, struct item_table *items, int utc_offset);
void charge_step_free(struct charge_step *s);
void charge_step_reset(struct charge_step *s);
/* Line and visit live until the step is sent and its result has come. */
void charge_step_add(struct charge_step *s, struct visit_mark *m, struct booking_job *job, struct visit_ref *v, struct charge_line *l);
bool charge_step_is_empty(const struct charge_step *s);
/* Sends the call, if there is anything in the step. 0, or -1 when the connection takes nothing. */
int charge_step_send(struct charge_step *s, struct pg *pg) __attribute__((warn_unused_result));

#endif
