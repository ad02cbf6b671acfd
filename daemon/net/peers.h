/* What is known of each address that connects: how many connections it has, how often it was refused of late, and what of that was logged. An IPv6
 * address counts by its first 64 bits. The table is bounded: beyond it, addresses that are new share one place. */
#ifndef VB_NET_PEERS_H
#define VB_NET_PEERS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct peers;
struct peer;

enum { PEER_TEXT = 64, PEER_SLOTS = 16 };

/* What an address may do only so often a minute. */
enum peer_limit { PEER_LOGINS, PEER_NOTIFICATIONS, PEER_LIMITS };

/* repeat_us: each event of one address is one log line in this time. */
struct peers *peers_new(struct event_base *base, int64_t repeat_us);
void peers_free(struct peers *p);
void peers_set_repeat(struct peers *p, int64_t repeat_us);

/* The place of an address, for one more connection; given back with peer_leave. slot: where it is counted, below PEER_SLOTS: each listener has its own. */
struct peer *peer_enter(struct peers *p, const struct sockaddr *address, unsigned slot);
void peer_leave(struct peer *peer, unsigned slot);
unsigned peer_connections(const struct peer *peer, unsigned slot);

/* Is there room left for another failure of this kind, at so many a minute? */
bool peer_may_fail(const struct peer *peer, enum peer_limit limit, int64_t a_minute);
void peer_failed(struct peer *peer, enum peer_limit limit, int64_t a_minute);

/* Logs something that this address was refused, as a warning: at once, or as a count in the next line of the same event where there was one a short
 * while ago. The event is a constant; each has its own line a while. */
void peer_log(struct peer *peer, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same of something that is no fault (who comes and goes), as information. */
void peer_note(struct peer *peer, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "127.0.0.1:4711", "[::1]:4711". */
void peer_address_text(const struct sockaddr *address, char ret[PEER_TEXT]);

#endif
