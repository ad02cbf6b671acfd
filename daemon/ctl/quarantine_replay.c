/* quarantine replay: asks the running daemon, over its own API, to book an entry again. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "daemon.h"
#include "document.h"
#include "proto/arena.h"

/* Resolved is what was asked for; an entry that still waits is a failure, with the reason why. */
static int
report(const char *id, const struct daemon_answer *answer)
{
	json_object *body = json_tokener_parse(answer->body);
	const char *outcome = document_text(body, "outcome"), *state = document_text(body, "state"), *detail = document_text(body, "detail");
	int status = CTL_FAILED;

	if (answer->status != 200 || outcome == NULL || state == NULL) {
		daemon_problem(answer);
	} else {
		printf("%s: %s, %s%s%s\n", id, outcome, state, detail != NULL ? ": " : "", detail != NULL ? detail : "");
		status = strcmp(state, "resolved") == 0 ? CTL_OK : CTL_FAILED;
	}
	json_object_put(body);
	return status;
}

int
ctl_quarantine_replay(const struct ctl *c, int argc, char **argv)
{
	const char *id;
	struct arena a = {0};
	struct daemon_answer answer;

	if (ctl_arguments(c, argc, argv, NULL, 0, &id, 1) != CTL_OK)
		return CTL_USAGE;
	if (*id == '\0' || strspn(id, "0123456789") != strlen(id))
		return ctl_usage(c, "%s is not a number of a quarantine entry", id);
	int status = daemon_post(c, arena_printf(&a, "/v1/quarantine/%s/replay", id), "application/json", VIEW_LITERAL("{}"), &answer);
	if (status == CTL_OK) {
		status = report(id, &answer);
		daemon_answer_free(&answer);
	}
	arena_free(&a);
	return status;
}
