/* A hash table of addresses. An entry is dropped once it has no connection, its failures are forgotten and its refusals are logged. */
#include "peers.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "proto/hash.h"

enum { BUCKETS = 4096, MOST = 65536, SWEEP_SECONDS = 5, MINUTE_US = 60000000, KEY_BYTES = 16, TEXT = 1024, MAGIC = 0x70656572 };

/* One kind of event of one address. */
struct said {
	SLIST_ENTRY(said) link;
	const char *event;
	bool is_fault;
	int64_t logged_at;		/* when it was logged last, and how many since then were not */
	uint64_t unlogged;
};

struct peer {
	LIST_ENTRY(peer) link;
	struct peers *table;
	unsigned magic;
	unsigned char key[KEY_BYTES];	/* IPv4 as ::ffff:a.b.c.d */
	unsigned connections, at[PEER_SLOTS];	/* in all; at each listener */
	int64_t failed_us[PEER_LIMITS];	/* failures, each worth its part of a minute; drained by time */
	int64_t counted_at[PEER_LIMITS];
	SLIST_HEAD(, said) said;
};

LIST_HEAD(peer_list, peer);

struct peers {
	struct peer_list buckets[BUCKETS];
	struct peer *overflow;		/* for addresses that the table has no place for */
	size_t n;
	struct event *sweep;
	int64_t repeat_us;
};

void
peer_address_text(const struct sockaddr *sa, char ret[PEER_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(ret, PEER_TEXT, "%s:%u", host, ntohs(in->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(ret, PEER_TEXT, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		snprintf(ret, PEER_TEXT, "?");
	}
}

static void
key_of(const struct sockaddr *sa, unsigned char ret[KEY_BYTES])
{
	memset(ret, 0, KEY_BYTES);
	if (sa->sa_family == AF_INET) {
		ret[10] = ret[11] = 0xFF;
		memcpy(ret + 12, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
		bool mapped = IN6_IS_ADDR_V4MAPPED(a);
		memcpy(ret, a, mapped ? KEY_BYTES : 8);
	}
}

static void
key_text(const struct peer *peer, char ret[INET6_ADDRSTRLEN])
{
	static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};

	if (memcmp(peer->key, mapped, sizeof(mapped)) == 0)
		inet_ntop(AF_INET, peer->key + 12, ret, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, peer->key, ret, INET6_ADDRSTRLEN);
}

/* What is left of the failures after the time that has passed. */
static int64_t
left_of(const struct peer *peer, enum peer_limit limit)
{
	int64_t left = peer->failed_us[limit] - (clock_monotonic() - peer->counted_at[limit]);

	return left > 0 ? left : 0;
}

static void
log_unlogged(struct peer *peer, int64_t now)
{
	char text[INET6_ADDRSTRLEN];
	struct said *s;

	key_text(peer, text);
	SLIST_FOREACH(s, &peer->said, link) {
		if (s->unlogged == 0 || now - s->logged_at < peer->table->repeat_us)
			continue;
		const char *address = peer == peer->table->overflow ? "others" : text;
		if (s->is_fault)
			log_warn(s->event, "address=%s repeated=%llu", address, (unsigned long long)s->unlogged);
		else
			log_info(s->event, "address=%s repeated=%llu", address, (unsigned long long)s->unlogged);
		s->unlogged = 0;
		s->logged_at = now;
	}
}

static bool
is_quiet(const struct peer *peer, int64_t now)
{
	const struct said *s;

	SLIST_FOREACH(s, &peer->said, link)
		if (s->unlogged > 0 || now - s->logged_at < peer->table->repeat_us)
			return false;
	return true;
}

static void
peer_free(struct peer *peer)
{
	struct said *s;

	while ((s = SLIST_FIRST(&peer->said)) != NULL) {
		SLIST_REMOVE_HEAD(&peer->said, link);
		free(s);
	}
	peer->magic = 0;
	free(peer);
}

static void
on_sweep(evutil_socket_t fd, short events, void *arg)
{
	struct peers *p = arg;
	int64_t now = clock_monotonic();

	(void)fd, (void)events;
	log_unlogged(p->overflow, now);
	for (size_t b = 0; b < BUCKETS && p->n > 0; b++) {
		struct peer *peer = LIST_FIRST(&p->buckets[b]), *next;
		for (; peer != NULL; peer = next) {
			next = LIST_NEXT(peer, link);
			log_unlogged(peer, now);
			if (is_quiet(peer, now) && peer->connections == 0 && left_of(peer, PEER_LOGINS) == 0 && left_of(peer, PEER_NOTIFICATIONS) == 0) {
				LIST_REMOVE(peer, link);
				p->n--;
				peer_free(peer);
			}
		}
	}
}

static struct peer *
peer_new(struct peers *p)
{
	struct peer *peer = memory_new(sizeof(*peer));

	peer->magic = MAGIC;
	peer->table = p;
	return peer;
}

struct peers *
peers_new(struct event_base *base, int64_t repeat_us)
{
	struct peers *p = memory_new(sizeof(*p));
	struct timeval every = {SWEEP_SECONDS, 0};

	p->overflow = peer_new(p);
	p->repeat_us = repeat_us;
	p->sweep = event_new(base, -1, EV_PERSIST, on_sweep, p);
	event_add(p->sweep, &every);
	return p;
}

void
peers_free(struct peers *p)
{
	if (p == NULL)
		return;
	for (size_t b = 0; b < BUCKETS; b++) {
		struct peer *peer;
		while ((peer = LIST_FIRST(&p->buckets[b])) != NULL) {
			LIST_REMOVE(peer, link);
			peer_free(peer);
		}
	}
	peer_free(p->overflow);
	event_free(p->sweep);
	free(p);
}

void
peers_set_repeat(struct peers *p, int64_t repeat_us)
{
	p->repeat_us = repeat_us;
}

struct peer *
peer_enter(struct peers *p, const struct sockaddr *address, unsigned slot)
{
	unsigned char key[KEY_BYTES];
	struct peer *peer;

	key_of(address, key);
	struct peer_list *bucket = &p->buckets[hash_text((struct view){(const char *)key, KEY_BYTES}, 0) & (BUCKETS - 1)];
	LIST_FOREACH(peer, bucket, link)
		if (memcmp(peer->key, key, KEY_BYTES) == 0)
			break;
	if (peer == NULL && p->n >= MOST)
		peer = p->overflow;
	if (peer == NULL) {
		peer = peer_new(p);
		memcpy(peer->key, key, KEY_BYTES);
		LIST_INSERT_HEAD(bucket, peer, link);
		p->n++;
	}
	peer->connections++;
	peer->at[slot]++;
	return peer;
}

void
peer_leave(struct peer *peer, unsigned slot)
{
	assert(peer->magic == MAGIC);
	assert(peer->connections > 0 && peer->at[slot] > 0);
	peer->connections--;
	peer->at[slot]--;
}

unsigned
peer_connections(const struct peer *peer, unsigned slot)
{
	return peer->at[slot];
}

bool
peer_may_fail(const struct peer *peer, enum peer_limit limit, int64_t a_minute)
{
	assert(peer->magic == MAGIC);
	return left_of(peer, limit) + MINUTE_US / a_minute <= MINUTE_US;
}

void
peer_failed(struct peer *peer, enum peer_limit limit, int64_t a_minute)
{
	assert(peer->magic == MAGIC);
	peer->failed_us[limit] = left_of(peer, limit) + MINUTE_US / a_minute;
	peer->counted_at[limit] = clock_monotonic();
}

static struct said *
said_of(struct peer *peer, const char *event, bool is_fault)
{
	struct said *s;

	SLIST_FOREACH(s, &peer->said, link)
		if (strcmp(s->event, event) == 0)
			return s;
	s = memory_new(sizeof(*s));
	*s = (struct said){.event = event, .is_fault = is_fault, .logged_at = INT64_MIN / 2};
	SLIST_INSERT_HEAD(&peer->said, s, link);
	return s;
}

/* Writes the text, or counts that it was not written. False when it was only counted. */
static bool __attribute__((format(printf, 5, 0)))
is_due(struct peer *peer, const char *event, bool is_fault, char text[TEXT], const char *format, va_list args)
{
	struct said *s = said_of(peer, event, is_fault);
	int64_t now = clock_monotonic();
	size_t used;

	assert(peer->magic == MAGIC);
	if (now - s->logged_at < peer->table->repeat_us) {
		s->unlogged++;
		return false;
	}
	vsnprintf(text, TEXT, format, args);
	used = strlen(text);
	if (s->unlogged > 0)
		snprintf(text + used, TEXT - used, " repeated=%llu", (unsigned long long)s->unlogged);
	s->unlogged = 0;
	s->logged_at = now;
	return true;
}

void
peer_log(struct peer *peer, const char *event, const char *format, ...)
{
	char text[TEXT];
	va_list args;

	va_start(args, format);
	if (is_due(peer, event, true, text, format, args))
		log_warn(event, "%s", text);
	va_end(args);
}

void
peer_note(struct peer *peer, const char *event, const char *format, ...)
{
	char text[TEXT];
	va_list args;

	va_start(args, format);
	if (is_due(peer, event, false, text, format, args))
		log_info(event, "%s", text);
	va_end(args);
}
