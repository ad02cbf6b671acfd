/* The table of settings and of their sections. A new setting is one row here and one field in config.h. */
#include "settings.h"

#include <string.h>

#include "memory.h"

#define ONE(section, key, type, field, initial, min, max, reload, help) \
	{section, key, type, offsetof(struct config, field), 0, initial, min, max, reload, help}
#define OF(structure, section, key, type, field, initial, min, max, reload, help) \
	{section, key, type, offsetof(struct structure, field), 0, initial, min, max, reload, help}
#define TOKEN(structure, section, key, field, initial, help) \
	{section, key, SETTING_TOKEN, offsetof(struct structure, field), offsetof(struct structure, secret), initial, 0, 0, true, help}

#define PROFILE(key, which, initial, help) \
	{"feed", key, SETTING_TEXT, offsetof(struct config_feed, profile[which]), 0, initial, 0, 0, true, help}

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define KIB 1024
#define MIB (1024 * KIB)
#define GIB (1024LL * MIB)

const struct setting settings[] = {
	ONE("database", "conninfo", SETTING_SECRET, database.conninfo, NULL, 0, 0, false, "libpq connection string of the daemon's role; several hosts with commas: the writable one of the newest timeline is used"),
	ONE("database", "owner_conninfo", SETTING_SECRET, database.owner_conninfo, "", 0, 0, true,
	    "of the schema's owner, for visitbillctl migrate; empty: conninfo"),
	ONE("database", "schema", SETTING_TEXT, database.schema, "hospital", 0, 0, false, "one hospital is one schema: lower case letters, digits, _"),
	ONE("database", "role", SETTING_TEXT, database.role, "visitbill", 0, 0, false, "the daemon's role: it may read and call functions, not write tables"),
	ONE("database", "pool", SETTING_INT, database.pool, "4", 1, 64, false, "connections for reads, payments and jobs"),
	ONE("database", "lanes", SETTING_INT, database.lanes, "2", 1, 32, false, "connections that book charge lines, one batch in flight on each"),
	ONE("database", "batch_lines", SETTING_INT, database.batch_lines, "1000", 1, 20000, false, "most lines in a batch; a larger message goes alone"),
	ONE("database", "hold", SETTING_DURATION, database.hold_ms, "5s", 0, 10 * MINUTE, false,
	    "how long messages wait for a database that does not book them before they are answered \"send again\""),
	ONE("database", "answer_time", SETTING_DURATION, database.answer_ms, "5s", 500, 10 * MINUTE, false,
	    "what a server has not answered in this time is given up, ended there, and answered \"send again\""),
	ONE("database", "connect_time", SETTING_DURATION, database.connect_ms, "3s", 100, MINUTE, false,
	    "a server that does not let us in within this time is passed over for the next one of conninfo"),

	ONE("http", "header_bytes", SETTING_SIZE, http.header_bytes, "16K", KIB, MIB, false, "request line and header fields"),
	ONE("http", "body_bytes", SETTING_SIZE, http.body_bytes, "8M", KIB, 256 * MIB, false, "request body"),
	ONE("http", "first_byte_time", SETTING_DURATION, http.first_byte_ms, "10s", SECOND, 10 * MINUTE, false,
	    "from a connection's opening, its TLS handshake included, to the first byte of a request"),
	ONE("http", "request_time", SETTING_DURATION, http.request_ms, "30s", SECOND, 10 * MINUTE, false, "from a request's first byte to its last"),
	ONE("http", "idle_time", SETTING_DURATION, http.idle_ms, "75s", SECOND, HOUR, false, "between requests of a caller who is known; others have request_time"),
	ONE("http", "io_time", SETTING_DURATION, http.io_ms, "30s", SECOND, 10 * MINUTE, false, "a peer that does not read its answer is cut"),

	ONE("mllp", "processing", SETTING_TEXT, mllp.processing, "P", 0, 0, true, "processing ids (MSH-11) that are booked: P production, T training, D debugging"),
	ONE("mllp", "frame_bytes", SETTING_SIZE, mllp.frame_bytes, "16M", KIB, 256 * MIB, false, "largest frame"),
	ONE("mllp", "frame_messages", SETTING_INT, mllp.frame_messages, "10000", 1, 1000000, false, "most messages in a frame (HL7 batches)"),
	ONE("mllp", "first_byte_time", SETTING_DURATION, mllp.first_byte_ms, "30s", SECOND, 10 * MINUTE, false,
	    "from a connection's opening, its TLS handshake included, to the first byte of a frame"),
	ONE("mllp", "frame_time", SETTING_DURATION, mllp.frame_ms, "60s", SECOND, 10 * MINUTE, false, "from a frame's first byte to its last"),
	ONE("mllp", "idle_time", SETTING_DURATION, mllp.idle_ms, "12h", SECOND, 7 * 24 * HOUR, false,
	    "between frames of a feed that is known; others have frame_time"),
	ONE("mllp", "io_time", SETTING_DURATION, mllp.io_ms, "60s", SECOND, 10 * MINUTE, false, "a peer that does not read its acknowledgements is cut"),
	ONE("mllp", "message_lines", SETTING_INT, mllp.message_lines, "10000", 1, 100000, true, "most FT1 segments in a message"),
	ONE("mllp", "in_flight", SETTING_INT, mllp.in_flight, "256", 1, 10000, true, "messages of a connection in work; then it is not read"),
	ONE("mllp", "queue_lines", SETTING_INT, mllp.queue_lines, "50000", 100, 10000000, true, "lines in all lanes; beyond it no feed is read"),

	ONE("limits", "memory", SETTING_SIZE, limits.memory_bytes, "256M", MIB, 64 * GIB, true, "frames, bodies and output of all peers together"),
	ONE("limits", "strangers", SETTING_SIZE, limits.strangers_bytes, "32M", 64 * KIB, 64 * GIB, true, "of it, for peers that have not said who they are"),
	ONE("limits", "output", SETTING_SIZE, limits.output_bytes, "1M", 16 * KIB, GIB, false,
	    "answers that a peer has not taken; beyond it nothing more of its is read or begun"),
	ONE("limits", "io_floor", SETTING_INT, limits.io_floor, "1000", 0, 1000000000, false, "bytes a second that a peer takes at least of what waits for it; 0: none"),
	ONE("limits", "failed_logins", SETTING_INT, limits.failed_logins, "30", 1, 1000000, true, "of an address, a minute"),
	ONE("limits", "notifications", SETTING_INT, limits.notifications, "60", 1, 1000000, true, "refused payment notifications of an address, a minute"),

	ONE("log", "level", SETTING_TEXT, log.level, "info", 0, 0, true, "debug, info, warn or error"),
	ONE("log", "repeat", SETTING_DURATION, log.repeat_ms, "10s", 0, HOUR, true, "what is refused of a peer is one line, with a count, in this time"),

	ONE("jobs", "close", SETTING_DURATION, jobs.close_ms, "250ms", 10, MINUTE, true, "how often due visits are closed"),
	ONE("jobs", "payments", SETTING_DURATION, jobs.payments_ms, "1s", 10, MINUTE, true, "how often payments are looked at that nobody answered"),
	ONE("jobs", "replay", SETTING_DURATION, jobs.replay_ms, "1s", 10, MINUTE, true, "how often reversals are booked whose original has come"),
	ONE("jobs", "drain", SETTING_DURATION, jobs.drain_ms, "20s", 100, 10 * MINUTE, true, "SIGTERM: exit at the latest after this"),

	ONE("payment", "lifetime", SETTING_DURATION, payment.lifetime_ms, "10m", MINUTE, 24 * HOUR, true,
	    "an unpaid order is closed after this; the channel takes no less than a minute"),
	ONE("payment", "channel_time", SETTING_DURATION, payment.channel_ms, "10s", 100, 5 * MINUTE, true, "how long a channel may take to answer"),

	ONE("hospital", "utc_offset", SETTING_OFFSET, hospital.utc_offset, "+08:00", 0, 0, false, "of times that name no offset"),

	OF(config_listen, "listen", "address", SETTING_TEXT, address, NULL, 0, 0, false, "IPv4 address:port or [IPv6 address]:port; port 0: a free one"),
	OF(config_listen, "listen", "serves", SETTING_TEXT, serves_text, NULL, 0, 0, false,
	    "mllp or mllp2 (release 2, commit blocks) alone; or, over HTTP, any of feeds kiosk desk patient notify operations"),
	OF(config_listen, "listen", "tls", SETTING_BOOL, tls, "no", 0, 0, false, "TLS 1.2 or 1.3; needs certificate and key"),
	OF(config_listen, "listen", "certificate", SETTING_TEXT, certificate, "", 0, 0, true, "file, PEM: the server's certificate, and the chain after it"),
	OF(config_listen, "listen", "key", SETTING_TEXT, key, "", 0, 0, true, "file, PEM: its private key"),
	OF(config_listen, "listen", "client_ca", SETTING_TEXT, client_ca, "", 0, 0, true, "file, PEM: authorities that client certificates are of"),
	OF(config_listen, "listen", "revoked", SETTING_TEXT, revoked, "", 0, 0, true, "file, PEM: their revocation lists"),
	OF(config_listen, "listen", "clients", SETTING_TEXT, clients_text, "", 0, 0, true,
	    "client certificates: none, optional or required; empty: required where client_ca is set"),
	OF(config_listen, "listen", "plain", SETTING_TEXT, plain, "", 0, 0, false,
	    "beyond loopback: plain text is spoken at an address where others can read it and take a token from it"),
	OF(config_listen, "listen", "msh_identity", SETTING_BOOL, msh_identity, "no", 0, 0, true, "yes: MSH-3 and MSH-4 alone say which feed a peer is"),
	OF(config_listen, "listen", "connections", SETTING_INT, connections, "4000", 1, 100000, true,
	    "most open connections; beyond it one without a name makes room"),
	OF(config_listen, "listen", "address_connections", SETTING_INT, address_connections, "1000", 1, 100000, true,
	    "most open connections of one peer address"),

	OF(config_facility, "facility", "name", SETTING_TEXT, name, "", 0, 0, true, "shown on receipts and payment orders"),
	OF(config_facility, "facility", "grace", SETTING_DURATION, grace_ms, "10m", 0, 7 * 24 * HOUR, true, "a silent feed holds a bill back for this long"),
	OF(config_facility, "facility", "late_grace", SETTING_DURATION, late_grace_ms, "5m", 0, 7 * 24 * HOUR, true, "late lines gather for a supplementary bill"),
	OF(config_facility, "facility", "outpatient_close", SETTING_TEXT, outpatient_close, "discharge", 0, 0, true,
	    "what ends such a visit: a discharge alone; also \"idle 4h\" without a charge or an event, or \"daily 23:30\""),
	OF(config_facility, "facility", "emergency_close", SETTING_TEXT, emergency_close, "discharge", 0, 0, true, "the same for emergencies"),
	OF(config_facility, "facility", "inpatient_close", SETTING_TEXT, inpatient_close, "discharge", 0, 0, true, "the same for inpatients"),
	OF(config_facility, "facility", "due_hours", SETTING_INT, due_hours, "48", 1, 24 * 365, true, "a bill is due after this"),
	OF(config_facility, "facility", "outpatient_limit", SETTING_MONEY, outpatient_limit, "5000.00", 0, 0, true, "beyond it a visit is flagged, never refused"),
	OF(config_facility, "facility", "inpatient_limit", SETTING_MONEY, inpatient_limit, "15000.00", 0, 0, true, "the same for inpatients"),
	OF(config_facility, "facility", "line_quantity", SETTING_INT, line_quantity, "100000", 1, 999999999999, true,
	    "a line of more waits in quarantine until a person replays it"),
	OF(config_facility, "facility", "line_amount", SETTING_MONEY, line_amount, "2000000.00", 0, 0, true, "the same for its amount"),
	OF(config_facility, "facility", "visit_amount", SETTING_MONEY, visit_amount, "0.00", 0, 0, true,
	    "the same for a line that would take its visit's total beyond this; 0: no limit"),
	OF(config_facility, "facility", "visit_day_amount", SETTING_MONEY, visit_day_amount, "0.00", 0, 0, true,
	    "the same for what is charged on one day of a visit. Once the visit's total is beyond it, each of its lines costs a look at all of them"),

	OF(config_feed, "feed", "facility", SETTING_TEXT, facility, NULL, 0, 0, true, "the facility it belongs to"),
	OF(config_feed, "feed", "application", SETTING_TEXT, application, "", 0, 0, true, "MSH-3 of its messages; * any; empty: JSON only"),
	OF(config_feed, "feed", "sending_facility", SETTING_TEXT, sending_facility, "", 0, 0, true, "MSH-4 of its messages; * any; empty: the facility's code"),
	TOKEN(config_feed, "feed", "token", token, "", "bearer token for the JSON API: sha256:… or the token itself, as below"),
	OF(config_feed, "feed", "certificate", SETTING_TEXT, certificate, "", 0, 0, true,
	    "its client certificate: fingerprint <SHA-256>, subject <name> or san <name>; then it is accepted by no other way"),
	OF(config_feed, "feed", "charset", SETTING_TEXT, charset, "", 0, 0, true, "of messages whose MSH-18 is blank, e.g. GB 18030-2000; empty: UTF-8"),
	PROFILE("visit_no", PROFILE_VISIT_NO, "PV1-19 PID-18", 
	    "what numbers a visit: some of PV1-19, PID-18 and PV1-50, the first that is there; patient or patient inpatient last: lines without one go to the patient's one open visit (of that class)"),
	PROFILE("patient_no", PROFILE_PATIENT_NO, "first",
	    "which repetition of PID-3 and MRG-1 is the patient's number: first, type MR (CX.5) or authority HOSP (CX.4.1)"),
	PROFILE("line_id", PROFILE_LINE_ID, "FT1-2",
	    "what identifies a line in its visit, for ever: some of FT1-2, FT1-23 and MSH-10/FT1-1, the first that is there; the last for a feed that counts FT1-2 in each message"),
	PROFILE("code", PROFILE_CODE, "FT1-7", "an item's code: FT1-7, FT1-25, or both in order"),
	PROFILE("negative", PROFILE_NEGATIVE, "refuse", "a charge (CG) of a negative quantity or amount: refuse, or credit, which takes back the line of ZRV-1 or of its own id"),
	PROFILE("currencies", PROFILE_CURRENCIES, "CNY RMB", "currencies that mean yuan; none said means yuan, too"),
	PROFILE("types", PROFILE_TYPES, "", "its transaction types (FT1-6) in ours, CG CD AJ PY or CO, e.g. 1=CG 2=CD"),
	PROFILE("classes", PROFILE_CLASSES, "", "its patient classes (PV1-2) in ours, e.g. 1=outpatient 2=emergency 3=inpatient"),
	PROFILE("sexes", PROFILE_SEXES, "", "its sexes (PID-8) in those of table 0001, e.g. 1=M 2=F"),
	PROFILE("departments", PROFILE_DEPARTMENTS, "", "its departments (FT1-13, PV1-10) in names to show, e.g. 0201=内科 0305=检验科"),
	PROFILE("a40", PROFILE_A40, "patients", "what its ADT^A40 merges: patients, or visits by MRG-5 or MRG-3"),
	PROFILE("ignore", PROFILE_IGNORE, "", "messages that get AA and nothing else: MSH-9, blanks between, e.g. ORU ADT^A60"),
	OF(config_feed, "feed", "waits", SETTING_BOOL, waits, "yes", 0, 0, true, "bills wait for its watermark"),
	OF(config_feed, "feed", "zbl", SETTING_BOOL, zbl, "no", 0, 0, true, "a ZBL segment in each acknowledgement proves the booking"),

	TOKEN(config_token, "token", "secret", text, "", "sha256: and the 64 hex digits of the token's SHA-256; or the bearer token itself, 16 to 500 characters"),
	OF(config_token, "token", "certificate", SETTING_TEXT, certificate, "", 0, 0, true, "or a client certificate, as a feed's; one of the two is required"),
	OF(config_token, "token", "role", SETTING_TEXT, role_name, NULL, 0, 0, true, "kiosk, desk or ops"),
	OF(config_token, "token", "facilities", SETTING_TEXT, facilities, NULL, 0, 0, true, "facility codes that it may see, blanks between; * all"),

	OF(config_merchant, "wechatpay", "mchid", SETTING_TEXT, mchid, NULL, 0, 0, true, "merchant number"),
	OF(config_merchant, "wechatpay", "appid", SETTING_TEXT, appid, NULL, 0, 0, true, "application id"),
	OF(config_merchant, "wechatpay", "merchant_serial", SETTING_TEXT, merchant_serial, NULL, 0, 0, true, "serial number of the merchant's certificate"),
	OF(config_merchant, "wechatpay", "merchant_key", SETTING_TEXT, merchant_key, NULL, 0, 0, true, "file: the merchant's private key, PEM"),
	OF(config_merchant, "wechatpay", "platform_serial", SETTING_TEXT, platform_serial, NULL, 0, 0, true, "id of the platform's public key or certificate"),
	OF(config_merchant, "wechatpay", "platform_public_key", SETTING_TEXT, platform_public_key, NULL, 0, 0, true, "file: the platform's public key, PEM"),
	OF(config_merchant, "wechatpay", "apiv3_key", SETTING_TEXT, apiv3_key, NULL, 0, 0, true, "file: the 32 characters of the APIv3 key"),
	OF(config_merchant, "wechatpay", "api_url", SETTING_TEXT, api_url, "https://api.mch.weixin.qq.com", 0, 0, true, "base URL of the channel, no slash at its end"),
	OF(config_merchant, "wechatpay", "notify_url", SETTING_TEXT, notify_url, NULL, 0, 0, true,
	    "base URL at which the channel reaches POST /notify/wechatpay/NAME, no slash at its end"),
};
const size_t n_settings = sizeof(settings) / sizeof(settings[0]);

#define NAMED(kind, structure, array, count) {kind, true, offsetof(struct config, array), offsetof(struct config, count), sizeof(struct structure)}

const struct section sections[SECTIONS] = {
	{"database", false, 0, 0, 0}, {"http", false, 0, 0, 0}, {"mllp", false, 0, 0, 0}, {"limits", false, 0, 0, 0}, {"log", false, 0, 0, 0},
	{"jobs", false, 0, 0, 0}, {"payment", false, 0, 0, 0}, {"hospital", false, 0, 0, 0},
	NAMED("listen", config_listen, listens, n_listens),
	NAMED("facility", config_facility, facilities, n_facilities),
	NAMED("feed", config_feed, feeds, n_feeds),
	NAMED("token", config_token, tokens, n_tokens),
	NAMED("wechatpay", config_merchant, merchants, n_merchants),
};

static const struct {
	const char *section, *key, *instead;
} moved[] = {
	{"http", "listen", "is now address in a section [listen NAME] with serves = feeds kiosk desk patient notify operations"},
	{"http", "connections", "is now connections in each section [listen NAME]"},
	{"mllp", "listen", "is now address in a section [listen NAME] with serves = mllp"},
	{"mllp", "listen_release2", "is now address in a section [listen NAME] with serves = mllp2"},
	{"mllp", "connections", "is now connections in each section [listen NAME]"},
};

size_t
section_find(struct view kind)
{
	size_t i = 0;

	while (i < SECTIONS && !view_is(kind, sections[i].kind))
		i++;
	return i;
}

size_t
setting_find(const char *section, struct view key)
{
	size_t i = 0;

	while (i < n_settings && (strcmp(settings[i].section, section) != 0 || !view_is(key, settings[i].key)))
		i++;
	return i;
}

const char *
setting_moved(const char *section, struct view key)
{
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++)
		if (strcmp(moved[i].section, section) == 0 && view_is(key, moved[i].key))
			return moved[i].instead;
	return NULL;
}

size_t
section_count(const struct config *c, const struct section *s)
{
	size_t n = 1;

	if (s->named)
		memcpy(&n, (const char *)c + s->count, sizeof(n));
	return n;
}

/* The array's pointer is copied, as its type differs from kind to kind. */
static char *
section_array(const struct config *c, const struct section *s)
{
	char *array;

	memcpy(&array, (const char *)c + s->array, sizeof(array));
	return array;
}

void *
section_element(const struct config *c, const struct section *s, size_t i)
{
	if (!s->named)
		return (char *)(uintptr_t)c;
	char *array = section_array(c, s);
	return i > 0 ? array + i * s->size : array;	/* none: NULL */
}

size_t
section_add(struct config *c, const struct section *s, const char *name)
{
	size_t n = section_count(c, s), count = n + 1;
	char *array = memory_resize(section_array(c, s), count * s->size), *element = array + n * s->size;

	memcpy((char *)c + s->array, &array, sizeof(array));
	memcpy((char *)c + s->count, &count, sizeof(count));
	memset(element, 0, s->size);
	*(char **)(void *)element = memory_text(name, strlen(name));
	for (size_t i = 0; i < n_settings; i++)
		if (strcmp(settings[i].section, s->kind) == 0)
			setting_store_default(&settings[i], element);
	return n;
}
