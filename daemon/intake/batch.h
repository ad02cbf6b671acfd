/* A batch: the parts that a lane sends as one transaction, laid out as the array parameters of charges_post and visit_events. */
#ifndef VB_INTAKE_BATCH
#define VB_INTAKE_BATCH

#include "intake/booking.h"

enum part_kind { PART_LINES, PART_EVENT, PART_ITEMS, PART_PARK };

/* A part of a job that goes to one lane: the lines of one visit, the event, the entries of a price list, or what was refused. Lives in the job's arena. */
struct part {
	struct lane_item item;		/* first: a lane_item is a part */
	struct booking_job *job;
	enum part_kind kind;
	size_t first, n;		/* of the intake's lines; first: which event */
	uint64_t hash;			/* of the visit */
	bool moved;			/* from a lane to another one */
};

struct batch;

/* utc_offset: of the hospital, seconds east, as the lanes' connections have it. */
struct batch *batch_new(struct booking *owner, int utc_offset);
void batch_free(struct batch *b);

/* Marshals the parts and sends the calls, without the commit. Outcomes are written into the intakes once it is committed. A visit's events and
 * lines keep their order: the batch is cut into steps, charges and events by turns, and what follows something of the same visit
 * goes to the same step or a later one. Returns 0, or -1 when the connection takes nothing. */
int batch_send(struct batch *b, struct pg *pg, struct lane_list *parts);

struct booking *batch_owner(const struct batch *b);

#endif
