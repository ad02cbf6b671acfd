/* The settings: an INI file to a struct, by one table of settings (config.c) with name, type, default, bounds, whether a reload takes it, and a
 * line of help. The annotated sample file conf/visitbilld.conf is printed from that table. */
#ifndef VB_BASE_CONFIG_H
#define VB_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config_facility {
	char *code;		/* the section's name: [facility H01] */
	char *name;
	int64_t grace_ms, late_grace_ms, due_hours;
	int64_t outpatient_limit, inpatient_limit;	/* fen */
};

struct config_feed {
	char *name;		/* [feed clinic] */
	char *facility;
	char *application;	/* MSH-3; "*" any; empty for an API client */
	char *sending_facility;	/* MSH-4; "*" any; empty: the facility's code */
	char *token;		/* bearer token of the JSON API; empty: none */
	char *charset;		/* for a blank MSH-18 */
	bool waits, zbl;
};

enum config_role { ROLE_KIOSK, ROLE_DESK, ROLE_OPS, ROLE_FEED };

struct config_token {
	char *name;		/* [token kiosk-1] */
	char *secret;
	char *role_name;
	enum config_role role;
	char *facilities;	/* codes, blanks between; empty: all */
};

struct config_merchant {
	char *name;		/* [wechatpay main] */
	char *mchid, *appid, *merchant_serial, *merchant_key, *platform_serial, *platform_public_key, *apiv3_key;	/* key: files */
	char *api_url, *notify_url;
};

struct config {
	struct { char *conninfo, *owner_conninfo, *schema, *role; int64_t pool, lanes, batch_lines, hold_ms; } database;
	struct {
		char *listen;
		int64_t connections, header_bytes, body_bytes, request_ms, idle_ms, io_ms;
	} http;
	struct {
		char *listen, *listen_release2, *processing;
		int64_t connections, frame_bytes, message_lines, in_flight, io_ms, queue_lines;
	} mllp;
	struct { char *level; } log;
	struct { int64_t close_ms, payments_ms, replay_ms, drain_ms; } jobs;
	struct { int64_t lifetime_ms, channel_ms; } payment;
	struct { int64_t utc_offset; } hospital;	/* seconds east */
	struct config_facility *facilities;
	struct config_feed *feeds;
	struct config_token *tokens;
	struct config_merchant *merchants;
	size_t n_facilities, n_feeds, n_tokens, n_merchants;
};

/* Reads and validates a file. Returns NULL on any error, with what is wrong (file, line, setting) in error. */
struct config *config_load(const char *path, char *error, size_t error_size);
void config_free(struct config *c);

/* Names the settings in which two configs differ though a reload cannot change them, blanks between; empty when none. */
void config_fixed_differences(const struct config *old, const struct config *fresh, char *buf, size_t size);

/* The annotated sample file. */
void config_print_sample(FILE *out);

#endif
