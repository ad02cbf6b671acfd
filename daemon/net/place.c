/* The places of a listener's connections: those of strangers are in a list, oldest first, until they have a name. */
#include "listener_inside.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

enum { MAGIC = 0x706c6163 };

struct place {
	TAILQ_ENTRY(place) link;	/* among the listener's strangers, until it has a name */
	unsigned magic;
	struct listener *listener;
	struct peer *peer;
	bool named, leaving;
	void (*evict)(void *arg);
	void *arg;
	char text[PEER_TEXT];
};

bool
listener_evict(struct listener *l, const struct peer *of)
{
	struct place *p;

	TAILQ_FOREACH(p, &l->strangers, link)
		if (p->evict != NULL && (of == NULL || p->peer == of))
			break;
	if (p == NULL)
		return false;
	TAILQ_REMOVE(&l->strangers, p, link);
	p->leaving = true;
	metric_add(l->evicted, 1);
	p->evict(p->arg);
	return true;
}

struct place *
listener_place(struct listener *l, const struct sockaddr *address)
{
	struct place *p = memory_new(sizeof(*p));

	p->magic = MAGIC;
	p->listener = l;
	p->peer = peer_enter(l->peers, address, l->slot);
	peer_address_text(address, p->text);
	TAILQ_INSERT_TAIL(&l->strangers, p, link);
	l->count++;
	return p;
}

void
place_hold(struct place *p, void (*evict)(void *arg), void *arg)
{
	assert(p->magic == MAGIC);
	p->evict = evict;
	p->arg = arg;
}

void
place_name(struct place *p)
{
	assert(p->magic == MAGIC);
	if (p->named || p->leaving)
		return;
	p->named = true;
	TAILQ_REMOVE(&p->listener->strangers, p, link);
}

void
place_leave(struct place *p)
{
	assert(p->magic == MAGIC && p->listener->count > 0);
	if (!p->named && !p->leaving)
		TAILQ_REMOVE(&p->listener->strangers, p, link);
	p->listener->count--;
	peer_leave(p->peer, p->listener->slot);
	p->magic = 0;
	free(p);
}

struct listener *
place_listener(const struct place *p)
{
	return p->listener;
}

struct peer *
place_peer(const struct place *p)
{
	return p->peer;
}

const char *
place_text(const struct place *p)
{
	return p->text;
}
