/* The settings: an INI file (and those of conf.d beside it) to an immutable, counted snapshot, by one table of settings (settings.c) with name, type,
 * default, bounds, whether a reload takes it, and a line of help. The annotated sample file conf/visitbilld.conf is printed from that table.
 * Whatever is in flight holds the snapshot that it began with: config_hold, config_release. No text in it is NULL. */
#ifndef VB_BASE_CONFIG_H
#define VB_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/hl7/profile.h"

struct config_facility {
	char *code;		/* the section's name: [facility H01] */
	char *name;
	int64_t grace_ms, late_grace_ms, due_hours;
	int64_t outpatient_limit, inpatient_limit;	/* fen */
	char *outpatient_close, *emergency_close, *inpatient_close;	/* discharge, "idle 4h", "daily 23:30" */
	int64_t line_quantity, line_amount;	/* pieces, fen: beyond them a line is not plausible */
	int64_t visit_amount, visit_day_amount;	/* fen: nor one that takes its visit, or that day of it, beyond them; 0: no limit */
};

/* A bearer token as it is kept: its SHA-256. */
struct config_secret {
	bool is_set;
	bool was_plain;			/* the file has the token itself: said at start and at reload */
	unsigned char sha256[32];
};

struct config_feed {
	char *name;		/* [feed clinic] */
	char *facility;
	char *application;	/* MSH-3; "*" any; empty for an API client */
	char *sending_facility;	/* MSH-4; "*" any; empty: the facility's code */
	char *token;		/* always empty: what the file has is wiped once it is read into secret */
	struct config_secret secret;
	char *certificate;	/* "fingerprint AA:BB:…", "subject CN=…", "san dns:…"; empty: none. Then the feed is accepted by no other way */
	char *charset;		/* for a blank MSH-18 */
	char *profile[PROFILE_KEYS];	/* how its messages are read: texts of hl7_profile_new */
	bool waits, zbl;
};

enum config_role { ROLE_KIOSK, ROLE_DESK, ROLE_OPS, ROLE_FEED };

struct config_token {
	char *name;		/* [token kiosk-1] */
	char *text;		/* secret = …: always empty, as config_feed.token. Not set where only a certificate is given */
	struct config_secret secret;
	char *certificate;	/* as config_feed.certificate */
	char *role_name;
	enum config_role role;
	char *facilities;	/* codes, blanks between; "*": all (has to be said) */
};

/* What a listener serves, as bits. */
enum config_serves {
	SERVES_MLLP = 1, SERVES_MLLP2 = 2,	/* alone: a port speaks MLLP or HTTP */
	SERVES_FEEDS = 4, SERVES_KIOSK = 8, SERVES_DESK = 16, SERVES_PATIENT = 32, SERVES_NOTIFY = 64, SERVES_OPERATIONS = 128,
	SERVES_HTTP = 252,
};

enum config_clients { CLIENTS_NONE, CLIENTS_OPTIONAL, CLIENTS_REQUIRED };	/* client certificates */

struct config_listen {
	char *name;		/* [listen feeds] */
	char *address;		/* host:port, [::1]:port; port 0: a free one */
	char *serves_text;	/* "mllp", or words of the HTTP ones, blanks between */
	unsigned serves;
	bool tls;
	char *certificate, *key;	/* PEM files; the certificate's file may hold its chain */
	char *client_ca, *revoked;	/* PEM files: authorities of client certificates; their revocation lists */
	char *clients_text;		/* none, optional, required; empty: required where client_ca is set, else none */
	enum config_clients clients;
	char *plain;			/* "" or "beyond loopback": plain text is spoken where others can read it */
	bool msh_identity;		/* MSH-3 and MSH-4 alone say who a feed is */
	int64_t connections;		/* most open ones on this listener */
	int64_t address_connections;	/* most open ones of one peer address */
};

struct config_merchant {
	char *name;		/* [wechatpay main] */
	char *mchid, *appid, *merchant_serial, *merchant_key, *platform_serial, *platform_public_key, *apiv3_key;	/* key: files */
	char *api_url, *notify_url;	/* no slash at the end: refused when read */
};

struct config {
	unsigned references;	/* config.c's own: plain, as one thread has all snapshots */
	struct { char *conninfo, *owner_conninfo, *schema, *role; int64_t pool, lanes, batch_lines, hold_ms, answer_ms, connect_ms; } database;
	struct { int64_t header_bytes, body_bytes, first_byte_ms, request_ms, idle_ms, io_ms; } http;
	struct {
		char *processing;
		int64_t frame_bytes, frame_messages, first_byte_ms, frame_ms, idle_ms, io_ms, message_lines, in_flight, queue_lines;
	} mllp;
	struct {
		int64_t memory_bytes;		/* frames, bodies and output of all peers together */
		int64_t strangers_bytes;	/* of it, for peers without a name */
		int64_t output_bytes;		/* what a peer has not taken yet: beyond it nothing more of its is read or begun */
		int64_t io_floor;		/* bytes a second that a peer takes or sends at least */
		int64_t failed_logins;		/* of an address, a minute */
		int64_t notifications;		/* refused ones of an address, a minute */
	} limits;
	struct { char *level; int64_t repeat_ms; } log;	/* repeat: a peer's refusals are one line in this time */
	struct { int64_t close_ms, payments_ms, replay_ms, drain_ms; } jobs;
	struct { int64_t lifetime_ms, channel_ms; } payment;
	struct { int64_t utc_offset; } hospital;	/* seconds east */
	struct config_facility *facilities;
	struct config_feed *feeds;
	struct config_token *tokens;
	struct config_merchant *merchants;
	struct config_listen *listens;
	size_t n_facilities, n_feeds, n_tokens, n_merchants, n_listens;
};

/* Reads and validates a file, then NAME.conf of the folder conf.d beside it in the order of their names (a later value wins). Returns a snapshot with one
 * holder, or NULL on any error, with what is wrong (file, line, setting; never a secret's value) in error. */
struct config *config_load(const char *path, char *error, size_t error_size) __attribute__((warn_unused_result));

/* One more, one less holder; the last one frees it and wipes its secrets. NULL is fine for release. */
const struct config *config_hold(const struct config *c);
void config_release(const struct config *c);

/* SHA-256 of a bearer token of n bytes, as config_secret keeps it. Compare in constant time. */
void config_hash_token(const char *token, size_t n, unsigned char ret_sha256[32]);

/* Names the settings in which two snapshots differ though a reload cannot change them, blanks between; empty when none. A setting of a
 * listener is listen.NAME.KEY; a listener that is new, or gone, listen.NAME. */
void config_fixed_differences(const struct config *old, const struct config *fresh, char *buf, size_t size);

/* What a reload cannot change stays as it was: gives the fresh snapshot, before anyone holds it, the old one's values of those settings. */
void config_keep_fixed(struct config *fresh, const struct config *old);

/* The annotated sample file. */
void config_print_sample(FILE *out);

#endif
