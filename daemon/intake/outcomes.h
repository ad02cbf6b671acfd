/* What the outcomes of a job mean: what was not booked is refused, by the table of reasons, and every line is counted by how it ended. */
#ifndef VB_INTAKE_OUTCOMES
#define VB_INTAKE_OUTCOMES

#include "intake/booking.h"

struct part;

/* The part is committed: an outcome that is no booking becomes the refusal of its line, or of the message. */
void outcomes_apply(struct part *p);
/* Is there anything to put into quarantine? */
bool outcomes_have_refusals(const struct booking_job *job);
/* Counts the lines of a job that is done, by feed and outcome. */
void outcomes_count(struct metrics *metrics, const struct booking_job *job);

/* Did the line end well for its sender: posted, late, duplicate, held? */
bool charge_line_is_fine(const struct charge_line *line);

#endif
