/* For the operator: health, readiness, metrics. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/clock.h"
#include "core/booking.h"
#include "core/watch.h"

void
api_get_healthz(struct call *c)
{
	http_reply(c->request, 200, "text/plain", NULL, VIEW_LITERAL("ok\n"));
}

void
api_get_readyz(struct call *c)
{
	bool ready = c->core->configured && pool_is_ready(c->core->pool) && booking_is_available(c->core->booking) && !c->core->draining;

	http_reply(c->request, ready ? 200 : 503, "text/plain", ready ? NULL : "Retry-After: 2\r\n", ready ? VIEW_LITERAL("ready\n")
	    : c->core->draining ? VIEW_LITERAL("draining\n") : VIEW_LITERAL("waiting for the database\n"));
}

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
reply_metrics(struct call *c)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct core *core = c->core;

	set_gauge(core, "visitbill_database_up", "1 while connections are ready.", "", pool_is_ready(core->pool) && booking_is_available(core->booking));
	set_gauge(core, "visitbill_database_connections", "Ready connections of the pool.", "", pool_ready_count(core->pool));
	set_gauge(core, "visitbill_queue_lines", "Lines and events in work.", "", (int64_t)booking_weight(core->booking));
	set_gauge(core, "visitbill_queue_calls", "Database calls in flight outside the lanes.", "", (int64_t)pool_depth(core->pool));
	set_gauge(core, "visitbill_memory_bytes", "Memory that peers cause: frames, bodies, messages in work, output.", "of=\"all\"", (int64_t)core->budget.used);
	set_gauge(core, "visitbill_memory_bytes", "", "of=\"strangers\"", (int64_t)core->budget.strangers_used);
	set_gauge(core, "visitbill_memory_limit_bytes", "What it may be at most.", "of=\"all\"", (int64_t)core->budget.limit);
	set_gauge(core, "visitbill_memory_limit_bytes", "", "of=\"strangers\"", (int64_t)core->budget.strangers_limit);
	turn_report(core->shared.turn);
	set_gauge(core, "visitbill_streams", "Open event streams.", "", watch_count(core->watch));
	metrics_print(core->metrics, out);
	fclose(out);
	http_reply(c->request, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, (struct view){text, n});
	free(text);
}

static void
on_status(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct call *c = arg;

	if (outcome->verdict == PG_DONE && PQntuples(result) == 1)
		gauges_of_database(c->core, PQgetvalue(result, 0, 0));
	reply_metrics(c);
}

void
api_get_metrics(struct call *c)
{
	/* without the database the daemon's own figures still come */
	if (pool_call(c->core->ops_pool, SQL_STATUS_DOC, NULL, 0, on_status, c) != 0)
		reply_metrics(c);
}
