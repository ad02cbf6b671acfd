/* token new, token revoke: who may call the daemon. The secret is made here, printed once and forgotten; the database keeps its SHA-256. */
#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "database.h"
#include "proto/arena.h"
#include "user.h"

enum { SECRET_BYTES = 32, SECRET_TEXT = 3 + 43 + 1, DIGEST_TEXT = 2 + 64 + 1 };

struct token_request {
	const char *name, *role, *facilities, *feed, *expires;
};

/* vb_ and 32 random bytes in base64url (RFC 4648 section 5) without padding; its SHA-256 as a bytea's text. Returns 0, or -1 where OpenSSL fails. */
static int
make_secret(char secret[SECRET_TEXT], char digest[DIGEST_TEXT])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char bytes[SECRET_BYTES + 1] = {0}, md[EVP_MAX_MD_SIZE];
	char *p = secret + 3;

	if (RAND_bytes(bytes, SECRET_BYTES) != 1)
		return -1;
	memcpy(secret, "vb_", 3);
	for (size_t bit = 0; bit < SECRET_BYTES * 8; bit += 6) {
		unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
		*p++ = letters[pair >> (10 - bit % 8) & 63];
	}
	*p = '\0';
	OPENSSL_cleanse(bytes, sizeof(bytes));
	if (EVP_Digest(secret, SECRET_TEXT - 1, md, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	memcpy(digest, "\\x", 3);
	for (size_t i = 0; i < 32; i++)
		snprintf(digest + 2 + i * 2, 3, "%02x", md[i]);
	return 0;
}

/* Blanks between codes to a text[] literal. A code that the settings do not have is said, and NULL returned; "" likewise. */
static const char *
scope_of(const struct config *config, struct arena *a, const char *codes)
{
	const char *text = "{";
	size_t found = 0;

	if (strcmp(codes, "*") == 0)
		return "{*}";
	for (codes += strspn(codes, " "); *codes != '\0'; codes += strspn(codes, " "), found++) {
		size_t n = strcspn(codes, " "), i = 0;
		while (i < config->n_facilities && !view_is((struct view){codes, n}, config->facilities[i].code))
			i++;
		if (i == config->n_facilities) {
			ctl_failed("the settings have no facility %.*s", (int)n, codes);
			return NULL;
		}
		text = arena_printf(a, "%s%s\"", text, found > 0 ? "," : "");
		for (size_t k = 0; k < n; k++)
			text = arena_printf(a, "%s%s%c", text, codes[k] == '"' || codes[k] == '\\' ? "\\" : "", codes[k]);
		text = arena_printf(a, "%s\"", text);
		codes += n;
	}
	if (found > 0)
		return arena_printf(a, "%s}", text);
	ctl_failed("say which --facilities, or \"*\" for all");
	return NULL;
}

/* What is wrong with the words, or NULL. A feed's token has its feed's facility for scope. */
static const char *
request_check(const struct config *config, struct token_request *r)
{
	static const char *const roles[] = {"kiosk", "desk", "ops", "feed"};
	size_t i = 0;

	if (r->name[0] == '\0' || strlen(r->name) > 64 || strpbrk(r->name, "\" \\\t\n") != NULL)
		return "a name has 1 to 64 bytes, no blank, quote or backslash";
	while (i < 4 && (r->role == NULL || strcmp(r->role, roles[i]) != 0))
		i++;
	if (i == 4)
		return "say --role kiosk, desk, ops or feed";
	for (i = 0; i < config->n_tokens; i++)
		if (strcmp(config->tokens[i].name, r->name) == 0)
			return "the settings file has a token of that name";
	if (strcmp(r->role, "feed") != 0)
		return r->feed != NULL ? "--feed is for --role feed" : r->facilities == NULL ? "say which --facilities, or \"*\" for all" : NULL;
	for (i = 0; i < config->n_feeds; i++)
		if (r->feed != NULL && strcmp(config->feeds[i].name, r->feed) == 0)
			break;
	if (i == config->n_feeds)
		return r->feed == NULL ? "say which --feed" : "the settings have no such feed";
	if (config->feeds[i].certificate[0] != '\0')
		return "the feed has a certificate, and is accepted by no other way";
	if (r->facilities != NULL && strcmp(r->facilities, config->feeds[i].facility) != 0)
		return "a feed's token is for its feed's facility";
	r->facilities = config->feeds[i].facility;
	return NULL;
}

/* 90d counts from now; a date is the last day, at the hospital's offset. NULL where it is neither. */
static const char *
expiry_sql(const char *expires)
{
	size_t digits = strspn(expires, "0123456789");

	if (digits > 0 && digits < 6 && strcmp(expires + digits, "d") == 0)
		return "now() + $6::interval";
	for (size_t i = 0; i < 10; i++)
		if (i == 4 || i == 7 ? expires[i] != '-' : !isdigit((unsigned char)expires[i]))
			return NULL;
	return expires[10] == '\0' ? "($6::date + 1)::timestamptz" : NULL;
}

static int
token_make(const struct ctl *c, PGconn *db, const struct token_request *r, const char *scope, const char *expiry)
{
	char secret[SECRET_TEXT], digest[DIGEST_TEXT];
	struct arena a = {0};

	if (make_secret(secret, digest) != 0)
		return ctl_failed("no random numbers");
	const char *values[] = {r->name, digest, r->role, scope, r->feed, r->expires, user_name(&a)};
	PGresult *result = database_query(db, arena_printf(&a, "select token_new($1, $2, $3, $4, $5, %s, $7)", expiry), 7, values);
	const char *outcome = result != NULL ? PQgetvalue(result, 0, 0) : "";
	int status = CTL_FAILED;

	if (strcmp(outcome, "done") == 0 && database_commit(db) == 0) {
		puts(secret);
		fprintf(stderr, "visitbillctl: this is token %s; it is not shown again\n", r->name);
		status = CTL_OK;
	} else if (strcmp(outcome, "name_taken") == 0) {
		ctl_failed("there is a token %s, or was: its name stays its own", r->name);
	} else if (strcmp(outcome, "expired") == 0) {
		status = ctl_usage(c, "--expires %s is over", r->expires);
	} else if (outcome[0] != '\0' && strcmp(outcome, "done") != 0) {
		ctl_failed("token_new: %s", outcome);
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	PQclear(result);
	arena_free(&a);
	return status;
}

int
ctl_token_new(const struct ctl *c, int argc, char **argv)
{
	struct token_request r = {0};
	const struct ctl_option options[] = {
		{"--role", NULL, &r.role}, {"--facilities", NULL, &r.facilities}, {"--feed", NULL, &r.feed}, {"--expires", NULL, &r.expires},
	};
	const char *wrong, *expiry = "$6::timestamptz";
	struct arena a = {0};

	if (ctl_arguments(c, argc, argv, options, 4, &r.name, 1) != CTL_OK)
		return CTL_USAGE;
	if ((wrong = request_check(c->config, &r)) != NULL)
		return ctl_usage(c, "%s", wrong);
	if (r.expires != NULL && (expiry = expiry_sql(r.expires)) == NULL)
		return ctl_usage(c, "--expires %s is neither days, as in 90d, nor a date, as in 2027-01-31", r.expires);
	const char *scope = scope_of(c->config, &a, r.facilities);
	PGconn *db = scope != NULL ? database_open(c, DATABASE_OWNER_WRITE) : NULL;
	int status = db != NULL ? token_make(c, db, &r, scope, expiry) : CTL_FAILED;
	PQfinish(db);
	arena_free(&a);
	return status;
}

static int
token_end(PGconn *db, const char *name)
{
	struct arena a = {0};
	const char *values[] = {name, user_name(&a)};
	PGresult *r = database_query(db, "select token_revoke($1, $2)", 2, values);
	const char *outcome = r != NULL ? PQgetvalue(r, 0, 0) : "";
	int status = CTL_FAILED;

	if (strcmp(outcome, "done") == 0 && database_commit(db) == 0) {
		printf("%s: revoked\n", name);
		status = CTL_OK;
	} else if (strcmp(outcome, "repeated") == 0) {
		ctl_failed("token %s is revoked already", name);
	} else if (strcmp(outcome, "token_unknown") == 0) {
		ctl_failed("the database has no token %s", name);
	}
	PQclear(r);
	arena_free(&a);
	return status;
}

int
ctl_token_revoke(const struct ctl *c, int argc, char **argv)
{
	const char *name;

	if (ctl_arguments(c, argc, argv, NULL, 0, &name, 1) != CTL_OK)
		return CTL_USAGE;
	for (size_t i = 0; i < c->config->n_tokens; i++)
		if (strcmp(c->config->tokens[i].name, name) == 0)
			return ctl_failed("token %s is of the settings file: take [token %s] out and reload", name, name);
	PGconn *db = database_open(c, DATABASE_OWNER_WRITE);
	int status = db != NULL ? token_end(db, name) : CTL_FAILED;
	PQfinish(db);
	return status;
}
