/* The deadlines of a connection. One timer minds all of them: it is armed for the earliest and looks when it fires, so that moving a deadline costs
 * nothing. */
#include "base/clock.h"
#include "net/conn_inside.h"

void
conn_arm(struct conn *c, int64_t at, int64_t now)
{
	if (c->armed != 0 && c->armed <= at)
		return;
	int64_t us = at > now ? at - now : 0;
	struct timeval wait = {us / 1000000, us % 1000000};
	c->armed = at;
	evtimer_add(c->timer, &wait);
}

static int64_t
wait_ms(const struct conn *c, enum conn_wait wait)
{
	const struct conn_limits *l = &c->limits;
	const int ms[] = {[CONN_FIRST] = l->first_byte_ms, [CONN_PART] = l->part_ms, [CONN_IDLE] = c->named ? l->idle_ms : l->part_ms, [CONN_WORK] = 0};

	return ms[wait];
}

void
conn_wait_for(struct conn *c, enum conn_wait wait)
{
	assert(c->magic == CONN_MAGIC);
	c->wait = wait;
	c->deadline = 0;
	if (wait_ms(c, wait) == 0)
		return;
	int64_t now = clock_monotonic();
	c->deadline = now + wait_ms(c, wait) * 1000;
	conn_arm(c, c->deadline, now);
}

void
conn_hurry(struct conn *c, int ms)
{
	int64_t now = clock_monotonic(), at = now + ms * INT64_C(1000);

	assert(c->magic == CONN_MAGIC);
	if (c->deadline != 0 && c->deadline <= at)
		return;
	c->deadline = at;
	conn_arm(c, at, now);
}

static void
conn_too_late(struct conn *c)
{
	static const char *const reasons[] = {
		[CONN_FIRST] = "nothing was sent", [CONN_PART] = "what had begun did not end in time", [CONN_IDLE] = "idle for too long",
	};

	c->deadline = 0;
	if (c->state == STATE_HANDSHAKE)
		conn_die(c, "the TLS handshake took too long");
	else if (c->state == STATE_LINGERING)
		conn_die(c, c->reason);
	else if (c->wait == CONN_PART && c->ops->on_late != NULL)
		c->ops->on_late(c->ctx);
	else
		conn_close(c, reasons[c->wait]);
}

/* The peer has had a window's time for the output that waits: did it take enough of it? */
static void
conn_check_io(struct conn *c, int64_t now)
{
	int64_t taken = conn_taken(c), least = c->limits.floor * c->limits.io_ms / 1000;

	if (taken - c->taken_before < (least > 0 ? least : 1)) {
		conn_die(c, taken == c->taken_before ? "the peer does not read" : "the peer reads too slowly");
		return;
	}
	c->taken_before = taken;
	c->io_check = now + c->limits.io_ms * INT64_C(1000);
}

void
conn_on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct conn *c = arg;
	int64_t now = clock_monotonic();

	(void)fd, (void)events;
	assert(c->magic == CONN_MAGIC);
	turn_begin(c->shared->turn);
	c->armed = 0;
	if (c->state == STATE_DEAD)
		return;
	if (c->starved)
		conn_count(c);
	if (c->io_check != 0 && now >= c->io_check)
		conn_check_io(c, now);
	if (c->state != STATE_DEAD && c->deadline != 0 && now >= c->deadline)
		conn_too_late(c);
	if (c->state == STATE_DEAD)
		return;
	if (c->io_check != 0)
		conn_arm(c, c->io_check, now);
	if (c->deadline != 0)
		conn_arm(c, c->deadline, now);
	if (c->starved)
		conn_arm(c, now + STARVED_US, now);
}
