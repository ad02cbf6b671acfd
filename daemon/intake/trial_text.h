/* One message that was only read, as JSON: trial.c's. */
#ifndef VB_INTAKE_TRIAL_TEXT
#define VB_INTAKE_TRIAL_TEXT

#include "intake/message.h"
#include "proto/text.h"

/* One object, begun, gone on with, ended. sender: the feed that its header names, NULL for none, for the reason why. Its acknowledgements are made in its arena. */
void trial_put_begin(struct text *t, struct message *m, const struct feed *sender, const char *why_stranger);
/* Its next n events, lines and entries of a price list, from *at on, which is 0 at first. True when all are there. */
bool trial_put_more(struct text *t, struct message *m, size_t *at, size_t n);
void trial_put_end(struct text *t, struct message *m);

#endif
