/* For the operator: health, readiness, metrics. */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/clock.h"
#include "intake/booking.h"
#include "core/gauges.h"
#include "core/health.h"
#include "core/watch.h"

void
api_get_healthz(struct call *c)
{
	http_reply(c->request, 200, "text/plain", NULL, VIEW_LITERAL("ok\n"));
}

void
api_get_readyz(struct call *c)
{
	const struct core *core = c->core;
	const char *stopped = booking_is_stopped(core->booking);
	struct view why_not = VIEW_NONE;

	if (core->draining)
		why_not = VIEW_LITERAL("draining\n");
	else if (stopped != NULL)
		why_not = view_of(arena_printf(c->arena, "the database books no lines: %s\n", stopped));
	else if (!core->configured || !tokens_are_known(core->tokens) || !pool_is_ready(core->pool) || !booking_is_available(core->booking)
	    || !health_is_good(core->health))
		why_not = VIEW_LITERAL("the database does not book now\n");
	if (why_not.p == NULL)
		http_reply(c->request, 200, "text/plain", NULL, VIEW_LITERAL("ready\n"));
	else
		http_reply(c->request, 503, "text/plain", "Retry-After: 2\r\n", why_not);
}

static void
set_gauge(struct core *core, const char *family, const char *help, const char *labels, int64_t value)
{
	metric_set(metrics_series(core->metrics, family, METRIC_GAUGE, help, labels), value);
}

static void
reply_metrics(struct call *c)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct core *core = c->core;

	health_report(core->health, booking_is_stopped(core->booking) == NULL);
	set_gauge(core, "visitbill_database_connections", "Ready connections of the pool.", "", pool_ready_count(core->pool));
	set_gauge(core, "visitbill_queue_lines", "Lines and events in work.", "", (int64_t)booking_weight(core->booking));
	set_gauge(core, "visitbill_oldest_line_seconds", "How long the oldest line or event has waited, or nothing was booked though it was to be.", "", booking_oldest(core->booking));
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
on_gauges(void *arg)
{
	reply_metrics(arg);
}

void
api_get_metrics(struct call *c)
{
	struct gauges_waiter *w = arena_alloc(c->arena, sizeof(*w));

	gauges_refresh(c->core->gauges, w, on_gauges, c);
}
