/* The HTTP connections: one client each, from the listener to its end. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

enum { STATUS_FIRST = 100, STATUSES = 500 };

struct client {
	TAILQ_ENTRY(client) link;
	struct api *api;
	struct http_conn *conn;
	unsigned serves, checked;	/* checked: its certificate, by the api's count */
	bool busy;
};

struct api {
	struct core *core;
	struct http_limits limits;
	TAILQ_HEAD(, client) clients;
	unsigned n_clients, checks;	/* checks: reloads whose authorities or lists certificates are judged by */
	struct turn_task check;
	size_t in_work;
	struct metric_series *connections, *seconds, *by_status[STATUSES];
};

static void
client_set_busy(struct client *client, bool busy)
{
	if (client->busy == busy)
		return;
	client->busy = busy;
	if (busy)
		client->api->in_work++;
	else
		client->api->in_work--;
}

static int64_t
on_header(void *ctx, struct http_request *r)
{
	struct client *client = ctx;

	return api_judge(client->api->core, r, client->serves);
}

static void
on_request(void *ctx, struct http_request *r)
{
	client_set_busy(ctx, true);
	api_handle(r);
}

static void
on_malformed(void *ctx, struct http_request *r, const char *reason, const char *detail)
{
	struct client *client = ctx;

	client_set_busy(client, true);
	api_malformed(client->api->core, r, reason, detail);
}

/* Of requests with this status; made when it is first answered. */
static struct metric_series *
series_of(struct api *api, int status)
{
	char labels[40];

	assert(status >= STATUS_FIRST && status < STATUS_FIRST + STATUSES);
	struct metric_series **s = &api->by_status[status - STATUS_FIRST];
	if (*s == NULL) {
		snprintf(labels, sizeof(labels), "status=\"%d\"", status);
		*s = metrics_series(api->core->metrics, "visitbill_http_requests_total", METRIC_COUNTER, "HTTP requests by status.", labels);
	}
	return *s;
}

static void
on_replied(void *ctx, const struct http_request *r, int status)
{
	struct client *client = ctx;
	int64_t took = clock_monotonic() - r->started;

	client_set_busy(client, false);
	metric_add(series_of(client->api, status), 1);
	metric_observe(client->api->seconds, took);
	/* no path: it holds visit numbers */
	log_debug("http", "peer=%s method=%.*s status=%d us=%lld", r->peer, (int)r->method.n, r->method.p, status, (long long)took);
}

static void
on_close(void *ctx, const char *reason)
{
	struct client *client = ctx;

	log_debug("http.closed", "peer=%s why=\"%s\"", conn_peer_text(http_conn_base(client->conn)), reason);
	client_set_busy(client, false);
	TAILQ_REMOVE(&client->api->clients, client, link);
	client->api->n_clients--;
	metric_add(client->api->connections, -1);
	free(client);
}

static const struct http_ops client_ops = {on_header, on_request, on_malformed, on_replied, on_close};

static struct client *
client_new(struct api *api, unsigned serves)
{
	struct client *client = memory_new(sizeof(*client));

	client->api = api;
	client->serves = serves;
	client->checked = api->checks;
	TAILQ_INSERT_TAIL(&api->clients, client, link);
	api->n_clients++;
	metric_add(api->connections, 1);
	return client;
}

void
api_accept(struct api *api, evutil_socket_t fd, struct place *place, unsigned serves)
{
	struct client *client = client_new(api, serves);

	client->conn = http_conn_new(&api->core->shared, fd, place, &api->limits, &client_ops, client);
	if (client->conn != NULL)
		return;
	TAILQ_REMOVE(&api->clients, client, link);
	api->n_clients--;
	metric_add(api->connections, -1);
	free(client);
}

void
api_accept_on(struct api *api, struct bufferevent *bev, unsigned serves)
{
	struct client *client = client_new(api, serves);

	client->conn = http_conn_new_on(&api->core->shared, bev, &api->limits, &client_ops, client);
}

/* Certificates are judged again, a slice of the turn at a time: a client that was goes to the end of the list. */
static void
api_check(void *arg)
{
	struct api *api = arg;
	struct client *client;

	while ((client = TAILQ_FIRST(&api->clients)) != NULL && client->checked != api->checks) {
		if (turn_is_long(api->core->shared.turn)) {
			turn_later(api->core->shared.turn, &api->check, TURN_KNOWN);
			return;
		}
		client->checked = api->checks;
		TAILQ_REMOVE(&api->clients, client, link);
		TAILQ_INSERT_TAIL(&api->clients, client, link);
		conn_check_certificate(http_conn_base(client->conn));
	}
}

struct api *
api_new(struct core *core)
{
	struct api *api = memory_new(sizeof(*api));
	const struct config *c = core->config;

	api->core = core;
	TAILQ_INIT(&api->clients);
	api->check = (struct turn_task){.run = api_check, .arg = api};
	api->limits.header_bytes = (size_t)c->http.header_bytes;
	api->limits.conn = (struct conn_limits){
		.input_bytes = 65536, .output_bytes = (size_t)c->limits.output_bytes, .first_byte_ms = (int)c->http.first_byte_ms,
		.part_ms = (int)c->http.request_ms, .idle_ms = (int)c->http.idle_ms, .io_ms = (int)c->http.io_ms, .floor = c->limits.io_floor,
	};
	api->connections = metrics_series(core->metrics, "visitbill_connections", METRIC_GAUGE, "Open connections.", "kind=\"http\"");
	api->seconds = metrics_series(core->metrics, "visitbill_http_seconds", METRIC_HISTOGRAM, "From a request's header to its answer.", "");
	return api;
}

void
api_free(struct api *api)
{
	turn_forget(api->core->shared.turn, &api->check);
	free(api);
}

void
api_drain(struct api *api)
{
	struct client *client, *next;

	for (client = TAILQ_FIRST(&api->clients); client != NULL; client = next) {
		next = TAILQ_NEXT(client, link);
		http_conn_drain(client->conn);
	}
}

void
api_check_certificates(struct api *api)
{
	api->checks++;
	turn_later(api->core->shared.turn, &api->check, TURN_KNOWN);
}

size_t
api_in_work(const struct api *api)
{
	return api->in_work;
}

unsigned
api_connections(const struct api *api)
{
	return api->n_clients;
}
