/* The table of settings, and reading a file by it. A new setting is one row here and one field in config.h. */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "memory.h"
#include "proto/money.h"

enum setting_type { SETTING_TEXT, SETTING_SECRET, SETTING_INT, SETTING_BOOL, SETTING_DURATION, SETTING_MONEY, SETTING_OFFSET };

struct setting {
	const char *section;	/* "facility": a section with a name, [facility H01] */
	const char *key;
	enum setting_type type;
	size_t offset;
	const char *initial;	/* NULL: required */
	int64_t min, max;
	bool reloadable;
	const char *help;
};

#define ONE(section, key, type, field, initial, min, max, reload, help) \
	{section, key, type, offsetof(struct config, field), initial, min, max, reload, help}
#define OF(structure, section, key, type, field, initial, min, max, help) \
	{section, key, type, offsetof(struct structure, field), initial, min, max, true, help}

#define MINUTE 60000
#define KIB 1024

static const struct setting settings[] = {
	ONE("database", "conninfo", SETTING_SECRET, database.conninfo, NULL, 0, 0, false, "libpq connection string of the daemon's role"),
	ONE("database", "owner_conninfo", SETTING_SECRET, database.owner_conninfo, "", 0, 0, true,
	    "of the schema's owner, for visitbillctl migrate; empty: conninfo"),
	ONE("database", "schema", SETTING_TEXT, database.schema, "hospital", 0, 0, false, "one hospital is one schema: lower case letters, digits, _"),
	ONE("database", "role", SETTING_TEXT, database.role, "visitbill", 0, 0, false, "the daemon's role: it may read and call functions, not write tables"),
	ONE("database", "pool", SETTING_INT, database.pool, "4", 1, 64, false, "connections for reads, payments and jobs"),
	ONE("database", "lanes", SETTING_INT, database.lanes, "2", 1, 32, false, "connections that book charge lines, one batch in flight on each"),
	ONE("database", "batch_lines", SETTING_INT, database.batch_lines, "1000", 1, 20000, false, "most lines in a batch; a larger message goes alone"),
	ONE("database", "hold", SETTING_DURATION, database.hold_ms, "5s", 0, 10 * MINUTE, false,
	    "how long messages wait for a lost database before they are answered \"send again\""),
	ONE("http", "listen", SETTING_TEXT, http.listen, "127.0.0.1:8080", 0, 0, false, "address:port of the JSON API"),
	ONE("http", "connections", SETTING_INT, http.connections, "4000", 1, 100000, false, "most open connections; more wait to be accepted"),
	ONE("http", "header_bytes", SETTING_INT, http.header_bytes, "16384", KIB, 1024 * KIB, false, "request line and header fields"),
	ONE("http", "body_bytes", SETTING_INT, http.body_bytes, "8388608", KIB, 256 * 1024 * KIB, false, "request body"),
	ONE("http", "request_time", SETTING_DURATION, http.request_ms, "30s", 1000, 10 * MINUTE, false, "from a request's first byte to its last"),
	ONE("http", "idle_time", SETTING_DURATION, http.idle_ms, "75s", 1000, 60 * MINUTE, false, "between requests"),
	ONE("http", "io_time", SETTING_DURATION, http.io_ms, "30s", 1000, 10 * MINUTE, false, "a peer that does not read its answer is cut"),
	ONE("mllp", "listen", SETTING_TEXT, mllp.listen, "127.0.0.1:2575", 0, 0, false, "address:port for HL7 over MLLP release 1; empty: none"),
	ONE("mllp", "listen_release2", SETTING_TEXT, mllp.listen_release2, "", 0, 0, false, "address:port for MLLP release 2 (commit blocks); empty: none"),
	ONE("mllp", "processing", SETTING_TEXT, mllp.processing, "P", 0, 0, true, "processing ids (MSH-11) that are booked: P production, T training, D debugging"),
	ONE("mllp", "connections", SETTING_INT, mllp.connections, "4000", 1, 100000, false, "most open connections"),
	ONE("mllp", "frame_bytes", SETTING_INT, mllp.frame_bytes, "16777216", KIB, 256 * 1024 * KIB, false, "largest frame"),
	ONE("mllp", "message_lines", SETTING_INT, mllp.message_lines, "10000", 1, 100000, true, "most FT1 segments in a message"),
	ONE("mllp", "in_flight", SETTING_INT, mllp.in_flight, "256", 1, 10000, true, "messages of a connection in work; then it is not read"),
	ONE("mllp", "io_time", SETTING_DURATION, mllp.io_ms, "60s", 1000, 10 * MINUTE, false, "a peer that does not read its acknowledgements is cut"),
	ONE("mllp", "queue_lines", SETTING_INT, mllp.queue_lines, "50000", 100, 10000000, true, "lines in all lanes; beyond it no feed is read"),
	ONE("log", "level", SETTING_TEXT, log.level, "info", 0, 0, true, "debug, info, warn or error"),
	ONE("jobs", "close", SETTING_DURATION, jobs.close_ms, "250ms", 10, MINUTE, true, "how often due visits are closed"),
	ONE("jobs", "payments", SETTING_DURATION, jobs.payments_ms, "1s", 10, MINUTE, true, "how often payments are looked at that nobody answered"),
	ONE("jobs", "replay", SETTING_DURATION, jobs.replay_ms, "1s", 10, MINUTE, true, "how often reversals are booked whose original has come"),
	ONE("jobs", "drain", SETTING_DURATION, jobs.drain_ms, "20s", 100, 10 * MINUTE, true, "SIGTERM: exit at the latest after this"),
	ONE("payment", "lifetime", SETTING_DURATION, payment.lifetime_ms, "10m", 1000, 24 * 60 * MINUTE, true, "an unpaid order is closed after this"),
	ONE("payment", "channel_time", SETTING_DURATION, payment.channel_ms, "10s", 100, 5 * MINUTE, true, "how long a channel may take to answer"),
	ONE("hospital", "utc_offset", SETTING_OFFSET, hospital.utc_offset, "+08:00", 0, 0, true, "of times that say none"),

	OF(config_facility, "facility", "name", SETTING_TEXT, name, "", 0, 0, "shown on receipts and payment orders"),
	OF(config_facility, "facility", "grace", SETTING_DURATION, grace_ms, "10m", 0, 7 * 24 * 60 * MINUTE, "a silent feed holds a bill back for this long"),
	OF(config_facility, "facility", "late_grace", SETTING_DURATION, late_grace_ms, "5m", 0, 7 * 24 * 60 * MINUTE, "late lines gather for a supplementary bill"),
	OF(config_facility, "facility", "due_hours", SETTING_INT, due_hours, "48", 1, 24 * 365, "a bill is due after this"),
	OF(config_facility, "facility", "outpatient_limit", SETTING_MONEY, outpatient_limit, "5000.00", 0, 0, "beyond it a visit is flagged, never refused"),
	OF(config_facility, "facility", "inpatient_limit", SETTING_MONEY, inpatient_limit, "15000.00", 0, 0, "the same for inpatients"),

	OF(config_feed, "feed", "facility", SETTING_TEXT, facility, NULL, 0, 0, "the facility it belongs to"),
	OF(config_feed, "feed", "application", SETTING_TEXT, application, "", 0, 0, "MSH-3 of its messages; * any; empty: JSON only"),
	OF(config_feed, "feed", "sending_facility", SETTING_TEXT, sending_facility, "", 0, 0, "MSH-4 of its messages; * any; empty: the facility's code"),
	OF(config_feed, "feed", "token", SETTING_SECRET, token, "", 0, 0, "bearer token for the JSON API"),
	OF(config_feed, "feed", "charset", SETTING_TEXT, charset, "", 0, 0, "of messages whose MSH-18 is blank, e.g. GB 18030-2000; empty: UTF-8"),
	OF(config_feed, "feed", "waits", SETTING_BOOL, waits, "yes", 0, 0, "bills wait for its watermark"),
	OF(config_feed, "feed", "zbl", SETTING_BOOL, zbl, "no", 0, 0, "a ZBL segment in each acknowledgement proves the booking"),

	OF(config_token, "token", "secret", SETTING_SECRET, secret, NULL, 0, 0, "the bearer token, at least 16 characters"),
	OF(config_token, "token", "role", SETTING_TEXT, role_name, NULL, 0, 0, "kiosk, desk or ops"),
	OF(config_token, "token", "facilities", SETTING_TEXT, facilities, "", 0, 0, "facility codes it may see, blanks between; empty: all"),

	OF(config_merchant, "wechatpay", "mchid", SETTING_TEXT, mchid, NULL, 0, 0, "merchant number"),
	OF(config_merchant, "wechatpay", "appid", SETTING_TEXT, appid, NULL, 0, 0, "application id"),
	OF(config_merchant, "wechatpay", "merchant_serial", SETTING_TEXT, merchant_serial, NULL, 0, 0, "serial number of the merchant's certificate"),
	OF(config_merchant, "wechatpay", "merchant_key", SETTING_TEXT, merchant_key, NULL, 0, 0, "file: the merchant's private key, PEM"),
	OF(config_merchant, "wechatpay", "platform_serial", SETTING_TEXT, platform_serial, NULL, 0, 0, "id of the platform's public key or certificate"),
	OF(config_merchant, "wechatpay", "platform_public_key", SETTING_TEXT, platform_public_key, NULL, 0, 0, "file: the platform's public key, PEM"),
	OF(config_merchant, "wechatpay", "apiv3_key", SETTING_TEXT, apiv3_key, NULL, 0, 0, "file: the 32 characters of the APIv3 key"),
	OF(config_merchant, "wechatpay", "api_url", SETTING_TEXT, api_url, "https://api.mch.weixin.qq.com", 0, 0, "base URL of the channel"),
	OF(config_merchant, "wechatpay", "notify_url", SETTING_TEXT, notify_url, NULL, 0, 0, "where the channel reaches POST /notify/wechatpay/NAME"),
};
enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

struct reader {
	struct config *config;
	char *error;
	size_t error_size;
	bool seen[SETTINGS];
};

static bool
is_named(const char *section)
{
	return strcmp(section, "facility") == 0 || strcmp(section, "feed") == 0 || strcmp(section, "token") == 0 || strcmp(section, "wechatpay") == 0;
}

/* 250ms, 5s, 10m, 2h. */
static int
parse_duration(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	long long n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || n < 0 || n > 100000000)
		return -1;
	if (strcmp(end, "ms") == 0)
		*ret = n;
	else if (strcmp(end, "s") == 0)
		*ret = n * 1000;
	else if (strcmp(end, "m") == 0)
		*ret = n * MINUTE;
	else if (strcmp(end, "h") == 0)
		*ret = n * 60 * MINUTE;
	else
		return -1;
	return 0;
}

static int
parse_offset(const char *t, int64_t *ret)
{
	int hours, minutes, used = 0;
	char sign;

	if (sscanf(t, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || t[used] != '\0' || (sign != '+' && sign != '-')
	    || hours > 14 || minutes > 59)
		return -1;
	*ret = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return 0;
}

/* Stores a value into the struct at base; returns what is wrong, or NULL. */
static const char *
setting_store(const struct setting *s, void *base, const char *text)
{
	char *at = (char *)base + s->offset;
	int64_t n = 0;

	switch (s->type) {
	case SETTING_TEXT:
	case SETTING_SECRET: {
		char **old = (char **)(void *)at;
		memory_purge(*old);
		*old = memory_text(text, strlen(text));
		return NULL;
	}
	case SETTING_BOOL:
		if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
			return "is yes or no";
		*(bool *)at = text[0] == 'y';
		return NULL;
	case SETTING_INT: {
		char *end;
		errno = 0;
		n = strtoll(text, &end, 10);
		if (errno != 0 || end == text || *end != '\0')
			return "is a whole number";
		break;
	}
	case SETTING_DURATION:
		if (parse_duration(text, &n) != 0)
			return "is a duration such as 250ms, 5s, 10m or 2h";
		break;
	case SETTING_MONEY:
		if (decimal_parse(view_of(text), AMOUNT_DIGITS, &n) != DECIMAL_OK || n < 0)
			return "is an amount such as 5000.00";
		break;
	case SETTING_OFFSET:
		if (parse_offset(text, &n) != 0)
			return "is an offset such as +08:00";
		break;
	}
	if (s->max > 0 && (n < s->min || n > s->max))
		return "is out of its bounds";
	*(int64_t *)(void *)at = n;
	return NULL;
}

static void
set_defaults(const char *section, void *base)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(settings[i].section, section) == 0)
			setting_store(&settings[i], base, settings[i].initial != NULL ? settings[i].initial : "");
}

/* The element of a named section's array, made with its defaults where it is new. All four kinds begin with their name. */
static void *
named_element(struct config *c, const char *section, const char *name)
{
	struct { const char *section; void **array; size_t *n, size; } kinds[] = {
		{"facility", (void **)&c->facilities, &c->n_facilities, sizeof(struct config_facility)},
		{"feed", (void **)&c->feeds, &c->n_feeds, sizeof(struct config_feed)},
		{"token", (void **)&c->tokens, &c->n_tokens, sizeof(struct config_token)},
		{"wechatpay", (void **)&c->merchants, &c->n_merchants, sizeof(struct config_merchant)},
	};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (strcmp(kinds[k].section, section) != 0)
			continue;
		size_t size = kinds[k].size;
		for (size_t i = 0; i < *kinds[k].n; i++) {
			char *element = (char *)*kinds[k].array + i * size;
			if (strcmp(*(char **)(void *)element, name) == 0)
				return element;
		}
		*kinds[k].array = memory_resize(*kinds[k].array, (*kinds[k].n + 1) * size);
		char *element = (char *)*kinds[k].array + (*kinds[k].n)++ * size;
		memset(element, 0, size);
		*(char **)(void *)element = memory_text(name, strlen(name));
		set_defaults(section, element);
		return element;
	}
	return NULL;
}

static int
on_setting(void *arg, const char *section, const char *key, const char *value)
{
	struct reader *r = arg;
	char kind[64];
	const char *blank = strchr(section, ' ');
	void *base = r->config;

	snprintf(kind, sizeof(kind), "%.*s", blank != NULL ? (int)(blank - section) : (int)strlen(section), section);
	if (is_named(kind)) {
		if (blank == NULL || blank[1] == '\0') {
			snprintf(r->error, r->error_size, "section [%s] needs a name, as in [%s NAME]", section, section);
			return 0;
		}
		base = named_element(r->config, kind, blank + 1);
	}
	for (size_t i = 0; i < SETTINGS; i++) {
		if (strcmp(settings[i].section, kind) != 0 || strcmp(settings[i].key, key) != 0)
			continue;
		const char *wrong = setting_store(&settings[i], base, value);
		r->seen[i] = true;
		if (wrong == NULL)
			return 1;
		snprintf(r->error, r->error_size, "[%s] %s %s", section, key, wrong);
		return 0;
	}
	snprintf(r->error, r->error_size, "[%s] %s is not a setting", section, key);
	return 0;
}

static const char *
required_missing(const char *section, const void *base)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(settings[i].section, section) == 0 && settings[i].initial == NULL
		    && **(char *const *)(const void *)((const char *)base + settings[i].offset) == '\0')
			return settings[i].key;
	return NULL;
}

static bool
is_identifier(const char *s)
{
	return *s != '\0' && strlen(s) < 60 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s) && (*s < '0' || *s > '9');
}

static int
config_validate(struct config *c, char *error, size_t size)
{
	const char *missing;

#define INVALID(...) return snprintf(error, size, __VA_ARGS__), -1
	if ((missing = required_missing("database", c)) != NULL)
		INVALID("[database] %s is required", missing);
	if (!is_identifier(c->database.schema) || !is_identifier(c->database.role))
		INVALID("[database] schema and role are lower case letters, digits and _");
	if (!log_level_exists(c->log.level))
		INVALID("[log] level is debug, info, warn or error");
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct config_feed *f = &c->feeds[i];
		bool known = false;
		if ((missing = required_missing("feed", f)) != NULL)
			INVALID("[feed %s] %s is required", f->name, missing);
		for (size_t k = 0; k < c->n_facilities; k++)
			known = known || strcmp(c->facilities[k].code, f->facility) == 0;
		if (!known)
			INVALID("[feed %s] facility %s has no section", f->name, f->facility);
		if (f->token[0] != '\0' && strlen(f->token) < 16)
			INVALID("[feed %s] token is shorter than 16 characters", f->name);
		if (strcmp(f->name, "visitbill") == 0)
			INVALID("[feed visitbill] the name is taken by the daemon itself");
	}
	for (size_t i = 0; i < c->n_tokens; i++) {
		struct config_token *t = &c->tokens[i];
		if ((missing = required_missing("token", t)) != NULL)
			INVALID("[token %s] %s is required", t->name, missing);
		if (strlen(t->secret) < 16)
			INVALID("[token %s] secret is shorter than 16 characters", t->name);
		if (strcmp(t->role_name, "kiosk") == 0)
			t->role = ROLE_KIOSK;
		else if (strcmp(t->role_name, "desk") == 0)
			t->role = ROLE_DESK;
		else if (strcmp(t->role_name, "ops") == 0)
			t->role = ROLE_OPS;
		else
			INVALID("[token %s] role is kiosk, desk or ops", t->name);
	}
	for (size_t i = 0; i < c->n_merchants; i++)
		if ((missing = required_missing("wechatpay", &c->merchants[i])) != NULL)
			INVALID("[wechatpay %s] %s is required", c->merchants[i].name, missing);
#undef INVALID
	return 0;
}

struct config *
config_load(const char *path, char *error, size_t error_size)
{
	struct config *c = memory_new(sizeof(*c));
	struct reader r = {.config = c, .error = error, .error_size = error_size};
	char wrong[256] = "";

	for (size_t i = 0; i < SETTINGS; i++)
		if (!is_named(settings[i].section))
			setting_store(&settings[i], c, settings[i].initial != NULL ? settings[i].initial : "");
	r.error = wrong;
	r.error_size = sizeof(wrong);
	int line = ini_parse(path, on_setting, &r);
	if (line < 0)
		snprintf(error, error_size, "%s: cannot be read", path);
	else if (line > 0)
		snprintf(error, error_size, "%s:%d: %s", path, line, wrong[0] != '\0' ? wrong : "not a setting");
	else if (config_validate(c, wrong, sizeof(wrong)) != 0)
		snprintf(error, error_size, "%s: %s", path, wrong);
	else
		return c;
	config_free(c);
	return NULL;
}

static void
free_settings(const char *section, void *base)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(settings[i].section, section) == 0 && settings[i].type <= SETTING_SECRET)
			memory_purge(*(char **)(void *)((char *)base + settings[i].offset));
}

#define FREE_ARRAY(section, array, n)			\
	for (size_t i = 0; i < (n); i++) {		\
		free_settings(section, &(array)[i]);	\
		free(*(char **)(void *)&(array)[i]);	\
	}						\
	free(array)

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	FREE_ARRAY("facility", c->facilities, c->n_facilities);
	FREE_ARRAY("feed", c->feeds, c->n_feeds);
	FREE_ARRAY("token", c->tokens, c->n_tokens);
	FREE_ARRAY("wechatpay", c->merchants, c->n_merchants);
	for (size_t i = 0; i < SETTINGS; i++)
		if (!is_named(settings[i].section) && settings[i].type <= SETTING_SECRET)
			memory_purge(*(char **)(void *)((char *)c + settings[i].offset));
	free(c);
}

void
config_fixed_differences(const struct config *old, const struct config *fresh, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *s = &settings[i];
		const char *a = (const char *)old + s->offset, *b = (const char *)fresh + s->offset;
		bool text = s->type <= SETTING_SECRET;
		if (is_named(s->section) || s->reloadable)
			continue;
		if (text ? strcmp(*(char *const *)(const void *)a, *(char *const *)(const void *)b) != 0
		    : *(const int64_t *)(const void *)a != *(const int64_t *)(const void *)b)
			n += (size_t)snprintf(buf + n, size - n, "%s%s.%s", n > 0 ? " " : "", s->section, s->key);
		if (n >= size)
			return;
	}
}

void
config_print_sample(FILE *out)
{
	const char *section = "";

	fputs("; visitbilld: every setting, with its default. Lines that begin with ; are comments; a setting without a default\n"
	      "; is required. SIGHUP reloads the file; settings marked (restart) keep their old value until then.\n", out);
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *s = &settings[i];
		if (strcmp(section, s->section) != 0) {
			section = s->section;
			fprintf(out, "\n%s[%s%s]\n", is_named(section) ? "; as many of these as there are\n;" : "", section, is_named(section) ? " NAME" : "");
		}
		fprintf(out, "; %s%s\n%s%s = %s\n", s->help, s->reloadable ? "" : " (restart)",
		    is_named(section) || s->initial == NULL ? ";" : "", s->key, s->initial != NULL ? s->initial : "");
	}
}
