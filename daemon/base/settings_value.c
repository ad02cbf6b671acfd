/* One value: its text to its field, and back to nothing. No error here says the value itself. */
#include "settings.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

#include "log.h"
#include "memory.h"
#include "proto/digits.h"
#include "proto/money.h"

enum { TOKEN_LEAST = 16, TOKEN_MOST = 500, SHA256_HEX = 64 };

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest first. */
static const struct unit time_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}, {NULL, 0}};
static const struct unit plain_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *
units_of(enum setting_type type)
{
	return type == SETTING_DURATION ? time_units : type == SETTING_SIZE ? size_units : plain_units;
}

/* Digits, then one of the units and nothing else. No sign and no blank. */
static int
parse_number(const char *text, const struct unit *units, int64_t *ret)
{
	int64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
			return -1;
	if (p == text)
		return -1;
	while (units->name != NULL && strcmp(p, units->name) != 0)
		units++;
	return units->name == NULL || __builtin_mul_overflow(n, units->factor, ret) ? -1 : 0;
}

/* In the largest unit that leaves no rest. */
static int
print_number(char *buf, size_t size, const struct unit *units, int64_t n)
{
	while (n % units->factor != 0 || (n == 0 && units->factor > 1000))
		units++;
	return snprintf(buf, size, "%" PRId64 "%s", n / units->factor, units->name);
}

/* ±HH:MM, to the letter. */
static int
parse_offset(const char *t, int64_t *ret)
{
	static const char shape[] = "s00:00";

	if (strlen(t) != sizeof(shape) - 1 || (t[0] != '+' && t[0] != '-') || t[3] != ':')
		return -1;
	for (size_t i = 1; i < sizeof(shape) - 1; i++)
		if (shape[i] == '0' && (t[i] < '0' || t[i] > '9'))
			return -1;
	int hours = (t[1] - '0') * 10 + t[2] - '0', minutes = (t[4] - '0') * 10 + t[5] - '0';
	if (hours > 14 || minutes > 59)
		return -1;
	*ret = (hours * 3600 + minutes * 60) * (t[0] == '-' ? -1 : 1);
	return 0;
}

void
config_hash_token(const char *token, size_t n, unsigned char ret_sha256[32])
{
	static EVP_MD *sha256;		/* looked up once: it is asked for at each request, and a fetch costs more than the hash */

	if (sha256 == NULL)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (sha256 == NULL || EVP_Digest(token, n, ret_sha256, NULL, sha256, NULL) != 1)
		fatal("no digest");
}

static const char *
parse_token(const char *text, struct config_secret *ret)
{
	struct config_secret secret = {.is_set = true};
	size_t n = strlen(text);

	if (n == 0) {
		*ret = (struct config_secret){0};
		return NULL;
	}
	if (strncmp(text, "sha256:", 7) == 0) {
		const char *hex = text + 7;
		if (strlen(hex) != SHA256_HEX)
			return "has to be sha256: and 64 hex digits";
		for (size_t i = 0; i < SHA256_HEX; i++) {
			int digit = digit_hex(hex[i]);
			if (digit < 0)
				return "has to be sha256: and 64 hex digits";
			secret.sha256[i / 2] = (unsigned char)(secret.sha256[i / 2] << 4 | digit);
		}
		*ret = secret;
		return NULL;
	}
	if (n < TOKEN_LEAST)
		return "is shorter than 16 characters";
	if (n > TOKEN_MOST)
		return "is longer than 500 characters";
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return "may hold printable ASCII characters only, no blanks";
	config_hash_token(text, n, secret.sha256);
	secret.was_plain = true;
	*ret = secret;
	return NULL;
}

static void
store_text(const struct setting *s, void *base, const char *text)
{
	char **field = (char **)(void *)((char *)base + s->offset);

	memory_purge(*field);
	*field = memory_text(text, strlen(text));
}

static const char *
store_number(const struct setting *s, void *base, const char *text, char buf[96])
{
	const struct unit *units = units_of(s->type);
	int64_t n = 0;

	switch (s->type) {
	case SETTING_MONEY:
		if (decimal_parse(view_of(text), AMOUNT_DIGITS, &n) != DECIMAL_OK || n < 0)
			return "has to be an amount such as 5000.00";
		break;
	case SETTING_OFFSET:
		if (parse_offset(text, &n) != 0)
			return "has to be an offset such as +08:00";
		break;
	default:
		if (parse_number(text, units, &n) != 0)
			return s->type == SETTING_DURATION ? "has to be a duration such as 250ms, 5s, 10m or 2h"
			    : s->type == SETTING_SIZE ? "has to be a number of bytes, or one with K, M or G" : "has to be a whole number";
		break;
	}
	if (s->max > 0 && (n < s->min || n > s->max)) {
		size_t used = (size_t)snprintf(buf, 96, "has to be from ");
		used += (size_t)print_number(buf + used, 96 - used, units, s->min);
		used += (size_t)snprintf(buf + used, 96 - used, " to ");
		print_number(buf + used, 96 - used, units, s->max);
		return buf;
	}
	*(int64_t *)(void *)((char *)base + s->offset) = n;
	return NULL;
}

const char *
setting_store(const struct setting *s, void *base, const char *text, char buf[96])
{
	switch (s->type) {
	case SETTING_TEXT:
	case SETTING_SECRET:
		store_text(s, base, text);
		return NULL;
	case SETTING_TOKEN:
		store_text(s, base, "");
		return parse_token(text, (struct config_secret *)(void *)((char *)base + s->second));
	case SETTING_BOOL:
		if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
			return "has to be yes or no";
		*(bool *)((char *)base + s->offset) = text[0] == 'y';
		return NULL;
	default:
		return store_number(s, base, text, buf);
	}
}

void
setting_store_default(const struct setting *s, void *base)
{
	char buf[96];

	if (setting_store(s, base, s->initial != NULL ? s->initial : "", buf) != NULL)
		fatal("the default of %s.%s is wrong", s->section, s->key);
}

void
setting_clear(const struct setting *s, void *base)
{
	if (!setting_is_text(s))
		return;
	char **field = (char **)(void *)((char *)base + s->offset);
	memory_purge(*field);
	*field = NULL;
	if (s->type == SETTING_TOKEN)
		explicit_bzero((char *)base + s->second, sizeof(struct config_secret));
}

const char *
setting_text(const struct setting *s, const void *base)
{
	return *(char *const *)(const void *)((const char *)base + s->offset);
}

bool
setting_is_equal(const struct setting *s, const void *a, const void *b)
{
	const char *x = (const char *)a + s->offset, *y = (const char *)b + s->offset;

	if (setting_is_text(s))
		return strcmp(setting_text(s, a), setting_text(s, b)) == 0;
	return memcmp(x, y, s->type == SETTING_BOOL ? sizeof(bool) : sizeof(int64_t)) == 0;
}
