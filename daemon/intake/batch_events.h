/* The other calls of a batch: visit events (with payments taken elsewhere), and what goes to quarantine. */
#ifndef VB_INTAKE_BATCH_EVENTS
#define VB_INTAKE_BATCH_EVENTS

#include "intake/booking.h"

struct event_step;

struct event_step *event_step_new(void);
void event_step_free(struct event_step *s);
void event_step_reset(struct event_step *s);
void event_step_add_event(struct event_step *s, const struct booking_job *job, struct visit_event *e);
void event_step_add_payment(struct event_step *s, const struct booking_job *job, const struct visit_ref *v, struct charge_line *l);
int event_step_send(struct event_step *s, struct pg *pg) __attribute__((warn_unused_result));

/* Sends the job's bytes and what is wrong in them. */
int park_send(const struct booking_job *job, struct pg *pg) __attribute__((warn_unused_result));

#endif
