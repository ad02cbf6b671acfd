/* One message that was only read, as JSON: trial.c's. */
#ifndef VB_INTAKE_TRIAL_TEXT
#define VB_INTAKE_TRIAL_TEXT

#include "intake/message.h"
#include "proto/text.h"

/* One object. sender: the feed that its header names, NULL for none, for the reason why. Its acknowledgements are made in its arena. */
void trial_put_message(struct text *t, struct message *m, const struct feed *sender, const char *why_stranger);

#endif
