/* What the protocol above says of a connection, and asks. */
#include "base/clock.h"
#include "net/conn_inside.h"

void
conn_pause(struct conn *c)
{
	assert(c->magic == CONN_MAGIC);
	c->paused = true;
	if (c->state != STATE_DEAD)
		conn_update_reading(c);
}

void
conn_resume(struct conn *c)
{
	assert(c->magic == CONN_MAGIC);
	if (!c->paused)
		return;
	c->paused = false;
	if (c->state == STATE_DEAD)
		return;
	conn_update_reading(c);
	conn_again(c);
}

void
conn_again(struct conn *c)
{
	turn_later(c->shared->turn, &c->again, c->named ? TURN_KNOWN : TURN_STRANGER);
}

bool
conn_hold(struct conn *c, size_t bytes)
{
	size_t before = c->held;

	assert(c->magic == CONN_MAGIC);
	c->held = bytes;
	if (conn_count(c))
		return true;
	c->held = before;
	return false;
}

void
conn_name(struct conn *c)
{
	assert(c->magic == CONN_MAGIC);
	if (c->named)
		return;
	c->named = true;
	account_name(&c->account);
	if (c->place != NULL)
		place_name(c->place);
}

bool
conn_has_ended(const struct conn *c)
{
	return c->eof;
}

bool
conn_is_named(const struct conn *c)
{
	return c->named;
}

bool
conn_is_clogged(const struct conn *c)
{
	return c->clogged;
}

bool
conn_is_dead(const struct conn *c)
{
	assert(c->magic == CONN_MAGIC);
	return c->state == STATE_DEAD;
}

bool
conn_was_cut(const struct conn *c)
{
	assert(c->magic == CONN_MAGIC);
	return c->cut;
}

bool
conn_is_open(const struct conn *c)
{
	assert(c->magic == CONN_MAGIC);
	return c->state == STATE_OPEN;
}

struct evbuffer *
conn_input(struct conn *c)
{
	return bufferevent_get_input(c->bev);
}

struct peer *
conn_peer(const struct conn *c)
{
	return c->place != NULL ? place_peer(c->place) : NULL;
}

const char *
conn_peer_text(const struct conn *c)
{
	return c->place != NULL ? place_text(c->place) : "memory";
}

struct budget *
conn_budget(const struct conn *c)
{
	return c->shared->budget;
}

struct turn *
conn_turn(const struct conn *c)
{
	return c->shared->turn;
}

const struct tls_identity *
conn_identity(const struct conn *c)
{
	return c->identity;
}

void
conn_check_certificate(struct conn *c)
{
	assert(c->magic == CONN_MAGIC);
	if (c->ssl != NULL && c->place != NULL && c->state == STATE_OPEN && !tls_still_accepts(listener_tls(place_listener(c->place)), c->ssl))
		conn_die(c, "the client's certificate is no longer valid");
}
