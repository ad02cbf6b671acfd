/* One question at a time, however many ask. */
#include "gauges.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

enum { PATIENCE_US = 300000 };

struct gauges {
	struct core *core;
	bool asked;
	LIST_HEAD(, gauges_waiter) waiters;
};

static void
set_gauge(struct core *core, const char *family, const char *help, const char *labels, int64_t value)
{
	metric_set(metrics_series(core->metrics, family, METRIC_GAUGE, help, labels), value);
}

static void
gauge_objects(struct core *core, struct json_object *doc, const char *key, const char *family, const char *help, const char *label)
{
	struct json_object *group;
	char labels[160];

	if (!json_object_object_get_ex(doc, key, &group))
		return;
	metrics_reset(core->metrics, family);
	json_object_object_foreach(group, name, n) {
		snprintf(labels, sizeof(labels), "%s=\"%s\"", label, name);
		set_gauge(core, family, help, labels, json_object_get_int64(n));
	}
}

/* What only the database knows. */
static void
gauges_of_database(struct core *core, const char *text)
{
	struct json_object *doc = json_tokener_parse(text), *list;
	char labels[160];

	if (doc == NULL)
		return;
	gauge_objects(core, doc, "visits", "visitbill_visits", "Visits by state.", "state");
	gauge_objects(core, doc, "quarantine", "visitbill_quarantine", "Unresolved quarantine entries by reason.", "reason");
	metrics_reset(core->metrics, "visitbill_payments");
	if (json_object_object_get_ex(doc, "payments", &list))
		for (size_t i = 0; i < json_object_array_length(list); i++) {
			struct json_object *p = json_object_array_get_idx(list, i);
			snprintf(labels, sizeof(labels), "channel=\"%s\",state=\"%s\"", json_object_get_string(json_object_object_get(p, "channel")),
			    json_object_get_string(json_object_object_get(p, "state")));
			set_gauge(core, "visitbill_payments", "Payments by channel and state.", labels, json_object_get_int64(json_object_object_get(p, "count")));
		}
	if (json_object_object_get_ex(doc, "feeds", &list))
		for (size_t i = 0; i < json_object_array_length(list); i++) {
			struct json_object *f = json_object_array_get_idx(list, i), *lag = json_object_object_get(f, "lag_seconds");
			if (lag == NULL)
				continue;
			snprintf(labels, sizeof(labels), "feed=\"%s\"", json_object_get_string(json_object_object_get(f, "feed")));
			set_gauge(core, "visitbill_feed_watermark_lag", "Seconds since a feed's watermark.", labels, json_object_get_int64(lag));
		}
	json_object_put(doc);
}

static void
waiter_end(struct gauges_waiter *w)
{
	LIST_REMOVE(w, link);
	event_free(w->patience);
	w->fn(w->arg);
}

static void
on_patience(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events;
	waiter_end(arg);
}

static void
on_status(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct gauges *g = arg;

	g->asked = false;
	if (outcome->verdict == PG_DONE && PQntuples(result) == 1)
		gauges_of_database(g->core, PQgetvalue(result, 0, 0));
	while (!LIST_EMPTY(&g->waiters))
		waiter_end(LIST_FIRST(&g->waiters));
}

struct gauges *
gauges_new(struct core *core)
{
	struct gauges *g = memory_new(sizeof(*g));

	g->core = core;
	LIST_INIT(&g->waiters);
	return g;
}

void
gauges_free(struct gauges *g)
{
	free(g);
}

void
gauges_refresh(struct gauges *g, struct gauges_waiter *w, void (*fn)(void *arg), void *arg)
{
	struct timeval patience = {0, PATIENCE_US};

	if (!g->asked)
		g->asked = pool_call(g->core->ops_pool, SQL_STATUS_DOC, NULL, 0, on_status, g) == 0;
	if (!g->asked) {
		fn(arg);
		return;
	}
	*w = (struct gauges_waiter){.gauges = g, .fn = fn, .arg = arg};
	w->patience = evtimer_new(g->core->base, on_patience, w);
	event_add(w->patience, &patience);
	LIST_INSERT_HEAD(&g->waiters, w, link);
}
