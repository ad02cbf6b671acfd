/* One call at a time. What fails is said again after a second, and settings that change meanwhile at once. */
#include "setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_setup.h"
#include "base/log.h"
#include "base/memory.h"

struct setup {
	struct core *core;
	void (*on_applied)(void *arg);
	void *arg;
	struct event *again;
	bool in_flight, wanted;		/* wanted: asked for while one was in flight */
	char said[300];			/* why the last one failed, as the log was told; "": it did not */
};

static void
again_after(struct setup *s, int seconds)
{
	struct timeval delay = {seconds, 0};

	event_add(s->again, &delay);
}

/* It is tried again each second, and said once. */
static void
complain(struct setup *s, const char *sqlstate, const char *why)
{
	char text[sizeof(s->said)];

	snprintf(text, sizeof(text), "%s", why);
	if (strcmp(text, s->said) != 0)
		log_error("setup", "sqlstate=%s why=\"%s\"", sqlstate, why);
	memcpy(s->said, text, sizeof(text));
}

static void
on_done(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct setup *s = arg;

	s->in_flight = false;
	if (outcome->verdict != PG_DONE) {
		complain(s, outcome->sqlstate, outcome->message);
		again_after(s, 1);
		return;
	}
	/* settings that are new since it was sent have other feeds: these are not known yet, and nothing is wrong */
	if (directory_apply(s->core->directory, s->core->config, pool_value(result, "doc").p) != 0) {
		if (!s->wanted)
			log_error("setup", "why=\"the database does not know the feeds of the configuration\"");
		again_after(s, !s->wanted);
		return;
	}
	s->said[0] = '\0';
	s->core->configured = true;
	s->on_applied(s->arg);
	if (s->wanted)
		setup_apply(s);
}

void
setup_apply(struct setup *s)
{
	char *json;

	s->wanted = s->in_flight;
	if (s->in_flight)
		return;
	json = config_setup_json(s->core->config);
	struct pg_param params[] = {{view_of(json), false}};
	s->in_flight = pool_call(s->core->pool, SQL_SETUP_APPLY, params, 1, on_done, s) == 0;
	free(json);
	if (!s->in_flight)
		again_after(s, 1);
}

static void
on_again(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	setup_apply(arg);
}

struct setup *
setup_new(struct core *core, void (*on_applied)(void *arg), void *arg)
{
	struct setup *s = memory_new(sizeof(*s));

	s->core = core;
	s->on_applied = on_applied;
	s->arg = arg;
	s->again = evtimer_new(core->base, on_again, s);
	return s;
}

void
setup_free(struct setup *s)
{
	if (s == NULL)
		return;
	event_free(s->again);
	free(s);
}
