/* All sessions: what they share, who waits for room, and the end. */
#include "server.h"

#include <stdlib.h>

#include "base/memory.h"
#include "intake/booking.h"
#include "feed/session.h"

/* Work was finished: who was paused and may go on does. */
static void
server_resume(void *arg)
{
	struct feed_server *server = arg;
	struct session *s, *next;

	for (s = TAILQ_FIRST(&server->paused); s != NULL && !server->draining; s = next) {
		next = TAILQ_NEXT(s, paused_link);
		session_resume(s);
	}
}

/* Certificates are judged again, a slice of the turn at a time: a session that was goes to the end of the list. */
static void
server_check(void *arg)
{
	struct feed_server *server = arg;
	struct session *s;

	while ((s = TAILQ_FIRST(&server->sessions)) != NULL && s->checked != server->checks) {
		if (turn_is_long(server->core->shared.turn)) {
			turn_later(server->core->shared.turn, &server->check, TURN_KNOWN);
			return;
		}
		s->checked = server->checks;
		TAILQ_REMOVE(&server->sessions, s, link);
		TAILQ_INSERT_TAIL(&server->sessions, s, link);
		if (s->conn != NULL)
			conn_check_certificate(mllp_conn_base(s->conn));
	}
}

static void
server_on_progress(void *arg)
{
	struct feed_server *server = arg;

	if (!TAILQ_EMPTY(&server->paused))
		turn_later(server->core->shared.turn, &server->progress, TURN_KNOWN);
}

struct feed_server *
feed_server_new(struct core *core)
{
	struct feed_server *s = memory_new(sizeof(*s));
	const struct config *c = core->config;

	s->core = core;
	s->limits.frame_bytes = (size_t)c->mllp.frame_bytes;
	s->limits.conn = (struct conn_limits){
		.input_bytes = 65536, .output_bytes = (size_t)c->limits.output_bytes, .first_byte_ms = (int)c->mllp.first_byte_ms,
		.part_ms = (int)c->mllp.frame_ms, .idle_ms = (int)c->mllp.idle_ms, .io_ms = (int)c->mllp.io_ms, .floor = c->limits.io_floor,
	};
	s->progress = (struct turn_task){.run = server_resume, .arg = s};
	s->check = (struct turn_task){.run = server_check, .arg = s};
	TAILQ_INIT(&s->sessions);
	TAILQ_INIT(&s->paused);
	s->bare = metrics_series(core->metrics, "visitbill_mllp_bare_ends_total", METRIC_COUNTER, "Connections whose frames end with 1C and no 0D.", "");
	s->junk = metrics_series(core->metrics, "visitbill_mllp_junk_bytes_total", METRIC_COUNTER, "Bytes outside of MLLP frames.", "");
	s->acks_in = metrics_series(core->metrics, "visitbill_mllp_acks_received_total", METRIC_COUNTER, "Acknowledgements that feeds sent us, commit blocks too.",
	    "");
	s->naks_in = metrics_series(core->metrics, "visitbill_mllp_naks_received_total", METRIC_COUNTER,
	    "Commit blocks that say that a feed could not keep our answer.", "");
	s->strangers = metrics_series(core->metrics, "visitbill_messages_total", METRIC_COUNTER, "Messages and requests of feeds by result.",
	    "feed=\"unknown\",result=\"error\"");
	s->open = metrics_series(core->metrics, "visitbill_connections", METRIC_GAUGE, "Open connections.", "kind=\"mllp\"");
	booking_on_progress(core->booking, server_on_progress, s);
	return s;
}

void
feed_server_free(struct feed_server *s)
{
	if (s == NULL)
		return;
	turn_forget(s->core->shared.turn, &s->progress);
	turn_forget(s->core->shared.turn, &s->check);
	free(s);
}

void
feed_server_accept(struct feed_server *s, evutil_socket_t fd, struct place *place, bool release2, bool msh_identity)
{
	session_new(s, fd, place, release2, msh_identity);
}

void
feed_server_drain(struct feed_server *server)
{
	struct session *s, *next;

	server->draining = true;
	for (s = TAILQ_FIRST(&server->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		session_drain(s);
	}
}

void
feed_server_check_certificates(struct feed_server *server)
{
	server->checks++;
	turn_later(server->core->shared.turn, &server->check, TURN_KNOWN);
}

unsigned
feed_server_connections(const struct feed_server *s)
{
	return s->connections;
}

size_t
feed_server_in_work(const struct feed_server *s)
{
	return s->in_work;
}
