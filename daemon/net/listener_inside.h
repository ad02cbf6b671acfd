/* The inside of a listener, shared by listener.c (opening, accepting, closing) and place.c (who has a place), and by nobody else. */
#ifndef VB_NET_LISTENER_INSIDE_H
#define VB_NET_LISTENER_INSIDE_H

#include <sys/queue.h>

#include "listener.h"

enum { NAME_TEXT = 64 };

/* Why a connection is closed at once. */
enum refusal_of { OF_ADDRESS, OF_PLACES, OF_DESCRIPTORS, REFUSALS };

struct listener {
	struct evconnlistener *ev;	/* NULL: closed */
	struct event *later;		/* accepts again after an error; closes at the end of draining */
	struct peers *peers;
	listener_fn fn;
	void *arg;
	unsigned count, most, most_of_address, slot;
	bool draining, shown[2];
	int spare;			/* a descriptor to give up when there are no others */
	struct tls *tls;
	TAILQ_HEAD(, place) strangers;	/* oldest first */
	struct metrics *metrics;
	struct metric_series *refused[REFUSALS], *evicted;
	char name[NAME_TEXT], address[PEER_TEXT];
};

/* ------- place.c */

/* A place for a new connection, whose peer has no name yet. */
struct place *listener_place(struct listener *l, const struct sockaddr *address);
/* Sends the oldest stranger away, of this address only where one is named. False when there is none. */
bool listener_evict(struct listener *l, const struct peer *of);

#endif
