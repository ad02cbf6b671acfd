/* Judging what was read as a whole: what is required, what has to fit together, and what is told from texts (roles). Listeners are
 * config_check_listen.c's. */
#include "settings.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "proto/hl7/charset.h"

#define WRONG(...) return reading_wrong(r, __VA_ARGS__)

enum { WORD_SHOWN = 60 };

struct view
next_word(const char **text)
{
	const char *p = *text + strspn(*text, " \t");
	size_t n = strcspn(p, " \t");

	*text = p + n;
	return (struct view){p, n};
}

static int
check_required(struct reading *r)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		const struct section *section = &sections[section_find(view_of(s->section))];
		for (size_t k = 0; s->initial == NULL && k < section_count(r->config, section); k++)
			if (setting_text(s, section_element(r->config, section, k))[0] == '\0')
				WRONG(s->section, k, s->key, "is required");
	}
	return 0;
}

static bool
is_identifier(const char *s)
{
	return *s != '\0' && strlen(s) < 60 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s) && (*s < '0' || *s > '9');
}

/* The sections that there is one of. */
static int
check_single(struct reading *r)
{
	const struct config *c = r->config;

	if (!is_identifier(c->database.schema))
		WRONG("database", 0, "schema", "has to be lower case letters, digits and _");
	if (!is_identifier(c->database.role))
		WRONG("database", 0, "role", "has to be lower case letters, digits and _");
	if (!log_level_exists(c->log.level))
		WRONG("log", 0, "level", "has to be debug, info, warn or error");
	if (strspn(c->mllp.processing, "PTD") != strlen(c->mllp.processing) || c->mllp.processing[0] == '\0')
		WRONG("mllp", 0, "processing", "has to be letters of P, T and D");
	if (c->limits.memory_bytes < 6 * c->mllp.frame_bytes)
		WRONG("limits", 0, "memory", "has to be at least six times [mllp] frame_bytes: what a message is made of counts, too");
	if (c->limits.memory_bytes < 4 * c->http.body_bytes)
		WRONG("limits", 0, "memory", "has to be at least four times [http] body_bytes: what a body is made of counts, too");
	if (c->limits.strangers_bytes > c->limits.memory_bytes)
		WRONG("limits", 0, "strangers", "may not be more than memory");
	return 0;
}

static bool
has_facility(const struct config *c, struct view code)
{
	for (size_t i = 0; i < c->n_facilities; i++)
		if (view_is(code, c->facilities[i].code))
			return true;
	return false;
}

/* Does it begin like a distinguished name (RFC 4514): a type in capitals, or its numbers, and =? */
static bool
is_name(const char *text)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.");

	return n > 0 && text[n] == '=' && (text[0] < 'a' || text[0] > 'z' || n > 3);
}

/* Like an alternative name, as TLS shows it to us? */
static bool
is_alternative(const char *text)
{
	return (strncasecmp(text, "DNS:", 4) == 0 && text[4] != '\0') || (strncmp(text, "email:", 6) == 0 && text[6] != '\0')
	    || (strncmp(text, "URI:", 4) == 0 && text[4] != '\0');
}

/* What is wrong with the description of a client certificate, or NULL. */
static const char *
certificate_wrong(const char *text)
{
	const char *rest = text;
	struct view kind = next_word(&rest);
	size_t digits = 0;

	if (rest[0] != '\0' && (rest[0] != ' ' || rest[1] == ' ' || rest[1] == '\t'))
		return "has to have one blank after its first word";
	rest += rest[0] != '\0';
	if (view_is(kind, "fingerprint")) {
		for (const char *p = rest; *p != '\0'; p++) {
			if (strchr("0123456789abcdefABCDEF", *p) != NULL)
				digits++;
			else if (*p != ':')
				digits = SIZE_MAX / 2;
		}
		return digits == 64 ? NULL : "has to be fingerprint and the 64 hex digits of a SHA-256, which colons may part";
	}
	if (*rest == '\0')
		return "has to be fingerprint …, subject … or san …";
	if (view_is(kind, "subject"))
		return is_name(rest) ? NULL : "has to be subject and the name as openssl x509 -subject -nameopt RFC2253 shows it, such as CN=lab,O=Hospital";
	if (view_is(kind, "san"))
		return is_alternative(rest) ? NULL : "has to be san and DNS:…, email:… or URI:…";
	return "has to be fingerprint …, subject … or san …";
}

/* Does a listener that serves one of these ask for client certificates? */
static bool
is_asked_for(const struct config *c, unsigned serves)
{
	for (size_t i = 0; i < c->n_listens; i++)
		if ((c->listens[i].serves & serves) != 0 && c->listens[i].clients != CLIENTS_NONE)
			return true;
	return false;
}

/* A header means one feed. */
static bool
is_same_sender(const struct config_feed *a, const struct config_feed *b)
{
	const char *at = a->sending_facility[0] != '\0' ? a->sending_facility : a->facility;

	return a->application[0] != '\0' && strcmp(a->application, b->application) == 0
	    && strcmp(at, b->sending_facility[0] != '\0' ? b->sending_facility : b->facility) == 0;
}

static int
check_feeds(struct reading *r)
{
	const struct config *c = r->config;

	for (size_t i = 0; i < c->n_feeds; i++) {
		const struct config_feed *f = &c->feeds[i];
		const char *wrong = f->certificate[0] != '\0' ? certificate_wrong(f->certificate) : NULL;
		if (strcmp(f->name, "visitbill") == 0)
			WRONG("feed", i, NULL, "the name is taken by the daemon itself");
		if (!has_facility(c, view_of(f->facility)))
			WRONG("feed", i, "facility", "%.*s has no section", WORD_SHOWN, f->facility);
		if (wrong != NULL)
			WRONG("feed", i, "certificate", "%s", wrong);
		/* without an application it speaks JSON alone */
		if (f->certificate[0] != '\0' && !is_asked_for(c, f->application[0] != '\0' ? SERVES_MLLP | SERVES_MLLP2 | SERVES_FEEDS : SERVES_FEEDS))
			WRONG("feed", i, "certificate", "is asked for by no listener that serves %s: those have no client_ca",
			    f->application[0] != '\0' ? "mllp, mllp2 or feeds" : "feeds");
		if (f->charset[0] != '\0' && !hl7_charset_is_known(view_of(f->charset)))
			WRONG("feed", i, "charset", "has to be UTF-8, GB 18030-2000, GBK, GB2312, BIG-5 or 8859/1 to 8859/15");
		for (int k = 0; k < PROFILE_KEYS; k++)
			if ((wrong = hl7_profile_complaint((enum hl7_profile_key)k, f->profile[k])) != NULL)
				WRONG("feed", i, hl7_profile_key((enum hl7_profile_key)k), "%s", wrong);
		for (size_t k = 0; k < i; k++)
			if (is_same_sender(f, &c->feeds[k]))
				WRONG("feed", i, "application", "is that of [feed %s] at the same sending_facility already", c->feeds[k].name);
	}
	return 0;
}

/* "discharge", "idle 4h", "daily 23:30". */
static bool
is_close_rule(const char *text)
{
	if (strncmp(text, "idle ", 5) == 0) {
		size_t digits = strspn(text + 5, "0123456789");
		const char *unit = text + 5 + digits;
		return digits > 0 && digits < 7 && strspn(text + 5, "0") < digits && strchr("smh", unit[0]) != NULL && unit[0] != '\0' && unit[1] == '\0';
	}
	if (strncmp(text, "daily ", 6) == 0) {
		const char *t = text + 6;
		return strlen(t) == 5 && t[2] == ':' && strspn(t, "0123456789") == 2 && strspn(t + 3, "0123456789") == 2 && strncmp(t, "24", 2) < 0
		    && t[3] < '6';
	}
	return strcmp(text, "discharge") == 0;
}

static int
check_closing(struct reading *r)
{
	static const char wrong[] = "has to be discharge, idle and a time such as 4h, or daily and a time of day such as 23:30";
	const struct config *c = r->config;

	for (size_t i = 0; i < c->n_facilities; i++) {
		const struct config_facility *f = &c->facilities[i];
		if (!is_close_rule(f->outpatient_close))
			WRONG("facility", i, "outpatient_close", "%s", wrong);
		if (!is_close_rule(f->emergency_close))
			WRONG("facility", i, "emergency_close", "%s", wrong);
		if (!is_close_rule(f->inpatient_close))
			WRONG("facility", i, "inpatient_close", "%s", wrong);
	}
	return 0;
}

/* "*", or codes of facilities. */
static int
check_facilities(struct reading *r, size_t token)
{
	const struct config *c = r->config;
	const char *rest = c->tokens[token].facilities;

	if (strcmp(rest, "*") == 0)
		return 0;
	for (struct view code; (code = next_word(&rest)).n > 0;) {
		if (view_is(code, "*"))
			WRONG("token", token, "facilities", "* stands alone");
		if (!has_facility(c, code))
			WRONG("token", token, "facilities", "%.*s has no section", code.n < WORD_SHOWN ? (int)code.n : WORD_SHOWN, code.p);
	}
	return 0;
}

static int
check_tokens(struct reading *r)
{
	static const char *const roles[] = {[ROLE_KIOSK] = "kiosk", [ROLE_DESK] = "desk", [ROLE_OPS] = "ops"};
	struct config *c = r->config;

	for (size_t i = 0; i < c->n_tokens; i++) {
		struct config_token *t = &c->tokens[i];
		const char *wrong = t->certificate[0] != '\0' ? certificate_wrong(t->certificate) : NULL;
		size_t role = 0;
		if (!t->secret.is_set && t->certificate[0] == '\0')
			WRONG("token", i, NULL, "secret or certificate is required");
		if (wrong != NULL)
			WRONG("token", i, "certificate", "%s", wrong);
		while (role < sizeof(roles) / sizeof(roles[0]) && strcmp(roles[role], t->role_name) != 0)
			role++;
		if (role == sizeof(roles) / sizeof(roles[0]))
			WRONG("token", i, "role", "has to be kiosk, desk or ops");
		t->role = (enum config_role)role;
		if (t->certificate[0] != '\0' && !is_asked_for(c, SERVES_HTTP))
			WRONG("token", i, "certificate", "is asked for by no listener that serves HTTP: those have no client_ca");
		if (check_facilities(r, i) != 0)
			return -1;
		for (size_t k = 0; k < c->n_feeds; k++)
			if (strcmp(c->feeds[k].name, t->name) == 0)
				WRONG("token", i, NULL, "a feed has the same name; a client's name is its own");
	}
	return 0;
}

static bool
is_same_secret(const struct config_secret *a, const struct config_secret *b)
{
	return a->is_set && b->is_set && CRYPTO_memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

/* One token is one client. */
static int
check_secrets_differ(struct reading *r)
{
	const struct config *c = r->config;

	for (size_t i = 0; i < c->n_feeds; i++)
		for (size_t k = 0; k < i; k++)
			if (is_same_secret(&c->feeds[i].secret, &c->feeds[k].secret))
				WRONG("feed", i, "token", "is the same as that of [feed %s]", c->feeds[k].name);
	for (size_t i = 0; i < c->n_tokens; i++) {
		for (size_t k = 0; k < c->n_feeds; k++)
			if (is_same_secret(&c->tokens[i].secret, &c->feeds[k].secret))
				WRONG("token", i, "secret", "is the same as that of [feed %s]", c->feeds[k].name);
		for (size_t k = 0; k < i; k++)
			if (is_same_secret(&c->tokens[i].secret, &c->tokens[k].secret))
				WRONG("token", i, "secret", "is the same as that of [token %s]", c->tokens[k].name);
	}
	return 0;
}

/* What is wrong with a base URL, to which a path is appended, or NULL. */
static const char *
base_url_wrong(const char *url)
{
	size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;

	if (scheme == 0 || url[scheme] == '\0' || url[scheme] == '/')
		return "has to be http:// or https:// and a host";
	if (strpbrk(url, " \t") != NULL)
		return "may hold no blank";
	if (strpbrk(url, "?#") != NULL)
		return "may have no query and no fragment";
	return url[strlen(url) - 1] == '/' ? "may not end with a slash" : NULL;
}

static int
check_merchants(struct reading *r)
{
	const struct config *c = r->config;

	for (size_t i = 0; i < c->n_merchants; i++) {
		const char *wrong;
		if ((wrong = base_url_wrong(c->merchants[i].api_url)) != NULL)
			WRONG("wechatpay", i, "api_url", "%s", wrong);
		if ((wrong = base_url_wrong(c->merchants[i].notify_url)) != NULL)
			WRONG("wechatpay", i, "notify_url", "%s", wrong);
	}
	return 0;
}

int
config_check(struct reading *r)
{
	if (check_required(r) != 0 || check_single(r) != 0 || config_check_listens(r) != 0 || check_closing(r) != 0 || check_feeds(r) != 0 || check_tokens(r) != 0
	    || check_secrets_differ(r) != 0 || check_merchants(r) != 0)
		return -1;
	return 0;
}
