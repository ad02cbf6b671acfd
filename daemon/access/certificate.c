/* Comparing what was shown with what is meant. The certificate itself was verified by TLS before. */
#include "certificate.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool
fingerprint_is(const char *setting, const char *hex)
{
	for (; *setting != '\0'; setting++) {
		if (*setting == ':')
			continue;
		if (tolower((unsigned char)*setting) != *hex)
			return false;
		hex++;
	}
	return *hex == '\0';
}

/* One of the lines, whole; DNS names in any case (RFC 4343). */
static bool
names_have(const char *names, const char *name)
{
	size_t n = strlen(name);
	bool dns = strncasecmp(name, "DNS:", 4) == 0;

	while (*names != '\0') {
		size_t line = strcspn(names, "\n");
		if (line == n && (dns ? strncasecmp(names, name, n) : strncmp(names, name, n)) == 0)
			return true;
		names += line + (names[line] == '\n');
	}
	return false;
}

bool
certificate_matches(const char *setting, const struct tls_identity *identity)
{
	if (identity == NULL)
		return false;
	if (strncmp(setting, "fingerprint ", 12) == 0)
		return fingerprint_is(setting + 12, identity->fingerprint);
	if (strncmp(setting, "subject ", 8) == 0)
		return strcmp(setting + 8, identity->subject) == 0;
	if (strncmp(setting, "san ", 4) == 0)
		return names_have(identity->names, setting + 4);
	return false;
}
