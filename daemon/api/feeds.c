/* Feeds for people: what one sent, and how messages of one would be read. */
#include "api/api.h"
#include "intake/trial.h"

enum { DAYS = 7, DAYS_MOST = 31 };

void
api_get_feed(struct call *c)
{
	int64_t days = api_query_number(c, "days", DAYS);

	if (days < 1 || days > DAYS_MOST) {
		api_problem(c, "field_invalid", "days is 1 to 31", "?days");
		return;
	}
	struct pg_param params[] = {api_text(c->params[0]), api_number(c, days), api_facilities(c)};
	api_reply_sql(c, SQL_FEED_DOC, params, 3, 200, "not_found");
}

/* ------- trials */

struct trial_call {
	struct call *call;
	struct trial *trial;
	struct turn_task again;		/* goes on in another turn */
	size_t held;			/* of the trial's memory, in the request's account */
};

/* True while the budget has the memory that the trial takes now. */
static bool
hold(struct trial_call *tc)
{
	size_t weight = trial_weight(tc->trial);

	if (weight <= tc->held)
		return true;
	size_t more = weight - tc->held;
	tc->held = weight;
	return http_request_hold(tc->call->request, more);
}

static void
on_trial(void *arg)
{
	struct trial_call *tc = arg;
	struct call *c = tc->call;
	struct turn *turn = c->core->shared.turn;

	bool over = trial_step(tc->trial, turn), affordable = hold(tc);
	if (!over && affordable) {
		tc->again = (struct turn_task){.run = on_trial, .arg = tc};
		turn_later(turn, &tc->again, TURN_KNOWN);
		return;
	}
	struct trial *trial = tc->trial;	/* the call goes with its answer */
	if (affordable)
		api_reply_json(c, 200, trial_answer(trial));
	else
		api_problem(c, "busy", "there is no memory for what the body holds now; send again", NULL);
	trial_free(trial);
}

/* A caller tries feeds of the facilities that it may see. "*": each message is of the feed that its header names. */
void
api_post_feed_try(struct call *c)
{
	bool any = view_is(c->params[0], "*");
	struct feed *feed = any ? NULL : directory_feed_named(c->core->directory, c->params[0].p);

	if (!any && (feed == NULL || !scope_has(c->who.scope, feed->facility))) {
		api_problem(c, "not_found", "no feed of that name", NULL);
		return;
	}
	if (c->request->body.n == 0) {
		api_problem(c, "field_missing", "the body is what a feed would send: a message, several, or a batch, in MLLP frames or without", NULL);
		return;
	}
	struct trial_call *tc = arena_alloc(c->arena, sizeof(*tc));
	tc->call = c;
	tc->trial = trial_begin(c->core, c->request->body, feed, c->who.scope);
	on_trial(tc);
}
