/* One question at a time, however many ask. */
#include "gauges.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

enum { PATIENCE_US = 300000 };

struct gauges {
	struct core *core;
	bool asked;
	int64_t began;		/* monotonic, microseconds */
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

static const char *
text_of(struct json_object *object, const char *key)
{
	struct json_object *value = json_object_object_get(object, key);

	return value != NULL ? json_object_get_string(value) : "";
}

/* Seconds of the document as the microseconds that a family named …_seconds holds. */
static int64_t
age_of(struct json_object *object, const char *key)
{
	return json_object_get_int64(json_object_object_get(object, key)) * 1000000;
}

static void
gauge_payments(struct core *core, struct json_object *list)
{
	char labels[160];

	metrics_reset(core->metrics, "visitbill_payments");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *p = json_object_array_get_idx(list, i);
		snprintf(labels, sizeof(labels), "channel=\"%s\",state=\"%s\"", text_of(p, "channel"), text_of(p, "state"));
		set_gauge(core, "visitbill_payments", "Payments by channel and state.", labels, json_object_get_int64(json_object_object_get(p, "count")));
	}
}

static void
gauge_attempts(struct core *core, struct json_object *list)
{
	char labels[160];

	metrics_reset(core->metrics, "visitbill_payment_oldest_seconds");
	metrics_reset(core->metrics, "visitbill_payment_expired_seconds");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *a = json_object_array_get_idx(list, i);
		snprintf(labels, sizeof(labels), "channel=\"%s\",state=\"%s\"", text_of(a, "channel"), text_of(a, "state"));
		set_gauge(core, "visitbill_payment_oldest_seconds", "Age of the oldest attempt that has not ended.", labels, age_of(a, "oldest_seconds"));
		set_gauge(core, "visitbill_payment_expired_seconds", "How long ago the first attempt that has not ended should have.", labels,
		    age_of(a, "expired_seconds"));
	}
}

/* A feed that was never heard is silent since the daemon began. */
static void
gauge_feeds(struct gauges *g, struct json_object *list)
{
	struct core *core = g->core;
	char labels[240];

	metrics_reset(core->metrics, "visitbill_feed_watermark_lag");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *f = json_object_array_get_idx(list, i), *lag = json_object_object_get(f, "lag_seconds");
		snprintf(labels, sizeof(labels), "facility=\"%s\",feed=\"%s\",waits=\"%s\"", text_of(f, "facility"), text_of(f, "feed"),
		    json_object_get_boolean(json_object_object_get(f, "waits")) ? "yes" : "no");
		set_gauge(core, "visitbill_feed_watermark_lag", "Seconds since a feed's watermark; waits: bills wait for it.", labels,
		    lag != NULL ? json_object_get_int64(lag) : (clock_monotonic() - g->began) / 1000000);
	}
}

/* What only the database knows. */
static void
gauges_of_database(struct gauges *g, const char *text)
{
	struct core *core = g->core;
	struct json_object *doc = json_tokener_parse(text), *part;

	if (doc == NULL)
		return;
	gauge_objects(core, doc, "visits", "visitbill_visits", "Visits by state.", "state");
	gauge_objects(core, doc, "quarantine", "visitbill_quarantine", "Unresolved quarantine entries by reason.", "reason");
	gauge_objects(core, doc, "quarantine_facilities", "visitbill_quarantine_waiting", "Unresolved quarantine entries by facility.", "facility");
	set_gauge(core, "visitbill_quarantine_oldest_seconds", "How long the oldest unresolved quarantine entry has waited.", "",
	    age_of(doc, "quarantine_oldest_seconds"));
	set_gauge(core, "visitbill_unexplained_fen", "Captured money that the journal, bills and credit do not account for.", "",
	    json_object_get_int64(json_object_object_get(doc, "unexplained_fen")));
	if (json_object_object_get_ex(doc, "payments", &part))
		gauge_payments(core, part);
	if (json_object_object_get_ex(doc, "attempts", &part))
		gauge_attempts(core, part);
	if (json_object_object_get_ex(doc, "feeds", &part))
		gauge_feeds(g, part);
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
		gauges_of_database(g, pool_value(result, "doc").p);
	while (!LIST_EMPTY(&g->waiters))
		waiter_end(LIST_FIRST(&g->waiters));
}

struct gauges *
gauges_new(struct core *core)
{
	struct gauges *g = memory_new(sizeof(*g));

	g->core = core;
	g->began = clock_monotonic();
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
