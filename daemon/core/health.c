/* One beat at a time: one that does not come back is given up with its connection, after the answer time. */
#include "health.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

enum { LEAST_US = 3000000 };	/* a beat that fails, and the next one late, is no outage, however short the hold is */

struct health {
	struct core *core;
	struct event *timer;
	bool in_flight, is_good;
	int64_t beat_at;		/* of the last one that was committed; monotonic, microseconds; 0: none was */
	struct metric_series *up, *age;
};

static void
health_judge(struct health *h)
{
	int64_t hold = h->core->config->database.hold_ms * 1000, age = clock_monotonic() - h->beat_at;
	bool good = h->beat_at > 0 && age <= (hold > LEAST_US ? hold : LEAST_US);

	if (h->is_good && !good)
		log_error("db.silent", "why=\"no heartbeat was committed for %lld ms\"", (long long)age / 1000);
	else if (good && !h->is_good)
		log_info("db.good", "server=%s", servers_name(h->core->servers, servers_ours(h->core->servers)));
	h->is_good = good;
}

static void
on_beat(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	enum { STANDBYS, LAG };
	struct health *h = arg;
	struct metrics *m = h->core->metrics;

	h->in_flight = false;
	if (outcome->verdict != PG_DONE) {
		if (outcome->verdict == PG_FAILED)
			log_warn("db.beat", "sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
		return;
	}
	h->beat_at = clock_monotonic();
	health_judge(h);
	metric_set(metrics_series(m, "visitbill_standbys", METRIC_GAUGE, "Standbys that stream from our server.", ""), atol(PQgetvalue(result, 0, STANDBYS)));
	metrics_reset(m, "visitbill_standby_lag_seconds");
	if (!PQgetisnull(result, 0, LAG))
		metric_set(metrics_series(m, "visitbill_standby_lag_seconds", METRIC_GAUGE, "How far the last standby is behind.", ""), atoll(PQgetvalue(result, 0, LAG)));
}

static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct health *h = arg;

	(void)fd, (void)events;
	health_judge(h);
	if (!h->in_flight && h->core->configured)
		h->in_flight = pool_call(h->core->ops_pool, SQL_BEAT, NULL, 0, on_beat, h) == 0;
}

struct health *
health_new(struct core *core)
{
	struct health *h = memory_new(sizeof(*h));
	struct timeval every = {1, 0};

	h->core = core;
	h->up = metrics_series(core->metrics, "visitbill_database_up", METRIC_GAUGE, "1 while the database commits and books lines.", "");
	h->age = metrics_series(core->metrics, "visitbill_heartbeat_age_seconds", METRIC_GAUGE, "Since the last heartbeat that was committed.", "");
	h->timer = event_new(core->base, -1, EV_PERSIST, on_timer, h);
	event_add(h->timer, &every);
	return h;
}

void
health_free(struct health *h)
{
	if (h == NULL)
		return;
	event_free(h->timer);
	free(h);
}

void
health_begin(struct health *h)
{
	event_active(h->timer, EV_TIMEOUT, 0);
}

bool
health_is_good(const struct health *h)
{
	return h->is_good;
}

void
health_report(struct health *h, bool books)
{
	const struct core *core = h->core;
	char labels[200];

	health_judge(h);
	metric_set(h->up, h->is_good && pool_is_ready(core->pool) && books);
	metric_set(h->age, h->beat_at > 0 ? clock_monotonic() - h->beat_at : 0);
	metrics_reset(core->metrics, "visitbill_database_server");
	for (size_t i = 0; i < servers_count(core->servers); i++) {
		snprintf(labels, sizeof(labels), "server=\"%s\"", servers_name(core->servers, i));
		metric_set(metrics_series(core->metrics, "visitbill_database_server", METRIC_GAUGE, "1 for the server that is ours.", labels),
		    i == servers_ours(core->servers));
	}
}
