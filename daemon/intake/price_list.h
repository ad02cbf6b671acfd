/* Entries of the price list as a call of a batch: items_keep, and what became of each. */
#ifndef VB_INTAKE_PRICE_LIST
#define VB_INTAKE_PRICE_LIST

#include "intake/booking.h"

/* Sends the entries that are not refused. Outcomes become refusals of their entries. */
int price_list_send(struct booking_job *job, struct pg *pg) __attribute__((warn_unused_result));

/* Is there an entry that can be kept? */
bool price_list_has_work(const struct intake *in);
/* The message is refused where an entry was, for that one's reason: the others are kept, and a replay says all of them again. */
void price_list_apply(struct intake *in);

#endif
