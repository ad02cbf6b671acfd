/* Reading replies in place; see reply.h. */
#include "reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum reply_result
reply_mllp(const char *p, size_t n, const char *expected, size_t expected_n, size_t *used)
{
	const char *end = memchr(p, '\x1c', n), *msa;

	if (n > 0 && p[0] != '\x0b')
		return REPLY_BAD;
	if (end == NULL || (size_t)(end - p) + 2 > n)
		return REPLY_MORE;
	*used = (size_t)(end - p) + 2;
	msa = memmem(p, (size_t)(end - p), "\rMSA|", 5);
	if (msa == NULL || end[1] != '\r' || (size_t)(end - msa) < 8 + expected_n + 1)
		return REPLY_BAD;
	if (memcmp(msa + 5, "AA|", 3) != 0 || memcmp(msa + 8, expected, expected_n) != 0)
		return REPLY_BAD;
	return msa[8 + expected_n] == '\r' || msa[8 + expected_n] == '|' ? REPLY_GOOD : REPLY_BAD;
}

bool
http_header_value(const char *p, const char *end, const char *name, char *to, size_t size)
{
	size_t k = strlen(name);

	while (p < end) {
		const char *stop = memmem(p, (size_t)(end + 2 - p), "\r\n", 2);
		if ((size_t)(stop - p) > k && strncasecmp(p, name, k) == 0 && p[k] == ':') {
			const char *value = p + k + 1;
			while (value < stop && *value == ' ')
				value++;
			if ((size_t)(stop - value) >= size)
				return false;
			memcpy(to, value, (size_t)(stop - value));
			to[stop - value] = '\0';
			return true;
		}
		p = stop + 2;
	}
	return false;
}

enum reply_result
reply_http(const char *p, size_t n, struct http_reply *ret)
{
	const char *end = n > 0 ? memmem(p, n, "\r\n\r\n", 4) : NULL;
	char length[20];
	bool has_length;

	if (end == NULL)
		return REPLY_MORE;
	if ((size_t)(end - p) < 12 || memcmp(p, "HTTP/1.1 ", 9) != 0)
		return REPLY_BAD;
	ret->status = (int)strtol(p + 9, NULL, 10);
	has_length = http_header_value(p, end, "content-length", length, sizeof(length));
	if (!has_length && ret->status != 204 && ret->status != 304)
		return REPLY_BAD;
	ret->body = end + 4;
	ret->body_n = has_length ? strtoul(length, NULL, 10) : 0;
	ret->used = (size_t)(end + 4 - p) + ret->body_n;
	return ret->used <= n ? REPLY_GOOD : REPLY_MORE;
}

enum reply_result
reply_http_judge(const char *p, size_t n, const char *contains, size_t *used)
{
	struct http_reply r;
	enum reply_result result = reply_http(p, n, &r);

	if (result != REPLY_GOOD)
		return result;
	*used = r.used;
	return r.status == 200 && memmem(r.body, r.body_n, contains, strlen(contains)) != NULL ? REPLY_GOOD : REPLY_BAD;
}

bool
json_find(const char *p, size_t n, const char *key, char *to, size_t size)
{
	size_t k = strlen(key);

	for (const char *at = p; (at = memmem(at, (size_t)(p + n - at), key, k)) != NULL; at += k) {
		const char *value = at + k + 1, *end;
		if (at == p || at[-1] != '"' || value >= p + n || value[-1] != '"')
			continue;
		while (value < p + n && (*value == ':' || *value == ' '))
			value++;
		if (value >= p + n || *value != '"' || (end = memchr(value + 1, '"', (size_t)(p + n - value - 1))) == NULL)
			return false;
		if ((size_t)(end - value - 1) >= size)
			return false;
		memcpy(to, value + 1, (size_t)(end - value - 1));
		to[end - value - 1] = '\0';
		return true;
	}
	return false;
}
