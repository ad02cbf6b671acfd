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

struct daemon_ready {
	const char *address;	/* of the listener that was asked, the settings' */
	long status;		/* 0: nobody answers */
	char said[100];
};

/* Asks /readyz at the listener for operations. Returns 0, or -1 where none of plain text serves it. */
int daemon_ask_ready(const struct ctl *c, struct daemon_ready *ret) __attribute__((warn_unused_result));

/* Says what a problem document says; returns CTL_FAILED. */
int daemon_problem(const struct daemon_answer *answer);

#endif
