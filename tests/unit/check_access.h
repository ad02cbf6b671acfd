/* A small hospital's settings and directory, for tests of access. */
#ifndef VB_TESTS_CHECK_ACCESS_H
#define VB_TESTS_CHECK_ACCESS_H

#include "access/directory.h"
#include "base/settings.h"
#include "check_main.h"

#define CLINIC_SUBJECT "CN=clinic,O=Hospital"
#define IDS "{\"facilities\": {\"H01\": 1, \"H02\": 2}, \"feeds\": {\"clinic\": 11, \"lab\": 12, \"any\": 13, \"api\": 14, \"both\": 15}}"

static const char house[] =
    "[database]\nconninfo = x\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\ntls = yes\ncertificate = c\nkey = k\nclient_ca = c\n"
    "[listen b]\naddress = 127.0.0.1:0\nserves = kiosk feeds\ntls = yes\ncertificate = c\nkey = k\nclient_ca = c\n[facility H01]\n[facility H02]\n"
    "[feed clinic]\nfacility = H01\napplication = CLINIC\ncertificate = subject " CLINIC_SUBJECT "\n"
    "[feed lab]\nfacility = H02\napplication = LAB\nsending_facility = LABS\n"
    "[feed any]\nfacility = H02\napplication = *\nsending_facility = *\n"
    "[feed api]\nfacility = H02\ntoken = feed-token-of-the-api\n"
    "[feed both]\nfacility = H01\ntoken = feed-token-of-both-kinds\ncertificate = san DNS:both.example\n"
    "[token kiosk]\nsecret = kiosk-token-12345\nrole = kiosk\nfacilities = H01 H02\n"
    "[token desk]\nsecret = desk-token-123456\nrole = desk\nfacilities = *\n"
    "[token card]\ncertificate = subject CN=card\nrole = ops\nfacilities = *\n"
    "[token twin]\ncertificate = subject CN=twin\nrole = kiosk\nfacilities = H01\n"
    "[token other-twin]\ncertificate = subject CN=twin\nrole = desk\nfacilities = H02\n";

static inline struct config *
house_settings(const char *text)
{
	char error[512] = "";
	struct config *c = config_parse_text("t.conf", (struct view){text, strlen(text)}, error, sizeof(error));

	ck_assert_msg(c != NULL, "%s", error);
	return c;
}

/* Whose certificate. Two at a time. */
static inline const struct tls_identity *
identity_of(const char *subject, const char *names)
{
	static struct tls_identity i[2];
	static char subjects[2][64], lines[2][64];
	static unsigned n;
	unsigned k = n++ % 2;

	snprintf(subjects[k], sizeof(subjects[k]), "%s", subject);
	snprintf(lines[k], sizeof(lines[k]), "%s", names);
	i[k] = (struct tls_identity){.fingerprint = "ff", .subject = subjects[k], .names = lines[k]};
	return &i[k];
}

#endif
