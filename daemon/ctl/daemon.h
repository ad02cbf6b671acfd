/* Asking the running daemon over its own API, for what it alone can do. */
#ifndef VB_CTL_DAEMON_H
#define VB_CTL_DAEMON_H

#include <stddef.h>

#include "ctl.h"
#include "proto/view.h"

struct daemon_answer {
	long status;
	char *body;		/* NUL-terminated; free it with daemon_answer_free */
	size_t n;
};

/* POSTs the body to the path, with the operator's token, at the listener for the staff. Returns CTL_OK and the answer, whatever its status, or the exit status after
 * having said why there is none. */
int daemon_post(const struct ctl *c, const char *path, const char *content_type, struct view body, struct daemon_answer *ret);
void daemon_answer_free(struct daemon_answer *answer);

/* Says what a problem document says; returns CTL_FAILED. */
int daemon_problem(const struct daemon_answer *answer);

#endif
