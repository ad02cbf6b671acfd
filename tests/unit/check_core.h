/* A core whose database is never there, and a listener of its own on loopback: enough for what is judged before a statement is sent. */
#ifndef VB_TESTS_CHECK_CORE_H
#define VB_TESTS_CHECK_CORE_H

#include <errno.h>
#include <fcntl.h>

#include "base/log.h"
#include "check_access.h"
#include "check_net.h"
#include "intake/booking.h"
#include "core/core.h"

struct core_world {
	struct core core;
	struct listener *listener;
	int fd;				/* the peer's */
	char text[262144];		/* what it has read */
	size_t n;
};

static void
core_world_open(struct core_world *w, const char *text)
{
	struct core *core = &w->core;

	memset(w, 0, sizeof(*w));
	w->fd = -1;
	log_set_level("error");
	signal(SIGPIPE, SIG_IGN);
	core->base = turn_base_new();
	core->config = house_settings(text);
	core->metrics = metrics_new();
	core->budget = (struct budget){.limit = 1 << 24, .strangers_limit = 1 << 22};
	core->shared = (struct conn_shared){core->base, &core->budget, turn_new(core->base, core->metrics)};
	core->peers = peers_new(core->base, 1000000);
	core->directory = directory_new(core->metrics);
	ck_assert_int_eq(directory_apply(core->directory, core->config, IDS), 0);
	core->tokens = tokens_new();
	tokens_set_known(core->tokens);
	core->servers = servers_new("host=/nonexistent", NULL, 0);
	core->database = (struct pg_config){.servers = core->servers, .schema = "hospital", .answer_ms = 5000, .connect_ms = 1000, .lock_ms = 1000};
	core->pool = pool_new(core->base, &core->database, "pool", 1, NULL, NULL);
	core->ops_pool = pool_new(core->base, &core->database, "ops", 1, NULL, NULL);
	core->booking = booking_new(core);
	core->configured = true;
}

static void
core_world_listen(struct core_world *w, listener_fn fn, void *arg)
{
	const struct listener_config config = {"a", "127.0.0.1:0", 100, 100, NULL, 0};

	w->listener = listener_new(w->core.base, &config, -1, w->core.peers, w->core.metrics, fn, arg);
	ck_assert_ptr_nonnull(w->listener);
	listener_begin(w->listener);
}

static void
core_world_run(struct core_world *w, int ms)
{
	struct timeval after = {ms / 1000, ms % 1000 * 1000};

	event_base_loopexit(w->core.base, &after);
	event_base_dispatch(w->core.base);
}

static void
core_world_connect(struct core_world *w)
{
	struct sockaddr_storage to;
	int len = sizeof(to);

	if (w->fd >= 0)
		close(w->fd);
	w->n = 0;
	w->text[0] = '\0';
	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(evutil_parse_sockaddr_port(listener_address(w->listener), (struct sockaddr *)&to, &len), 0);
	ck_assert_int_eq(connect(w->fd, (struct sockaddr *)&to, (socklen_t)len), 0);
	fcntl(w->fd, F_SETFL, O_NONBLOCK);
}

/* Reads what comes until it holds this text (NULL: until the other side closes), for five seconds at most. */
static void
core_world_await(struct core_world *w, const char *text)
{
	int64_t began = clock_monotonic();

	for (;;) {
		ssize_t n = read(w->fd, w->text + w->n, sizeof(w->text) - 1 - w->n);
		w->n += n > 0 ? (size_t)n : 0;
		w->text[w->n] = '\0';
		if (text != NULL ? strstr(w->text, text) != NULL : n == 0 || (n < 0 && errno != EAGAIN))
			return;
		ck_assert_msg(clock_monotonic() - began < 5000000, "\"%s\" did not come: %s", text != NULL ? text : "the end", w->text);
		core_world_run(w, 5);
	}
}

static void
core_world_close(struct core_world *w)
{
	struct core *core = &w->core;

	if (w->fd >= 0)
		close(w->fd);
	core_world_run(w, 30);
	if (w->listener != NULL)
		ck_assert_uint_eq(listener_count(w->listener), 0);
	ck_assert_uint_eq(core->budget.used, 0);
	listener_free(w->listener);
	booking_free(core->booking);
	pool_free(core->pool);
	pool_free(core->ops_pool);
	servers_free(core->servers);
	tokens_free(core->tokens);
	directory_free(core->directory);
	peers_free(core->peers);
	turn_free(core->shared.turn);
	metrics_free(core->metrics);
	event_base_free(core->base);
	config_release(core->config);
}

#endif
