/* Client certificates against the settings. */
#include "check_main.h"

#include "access/certificate.h"

static char subject[] = "CN=clinic,O=市立医院", names[] = "DNS:clinic.example\nemail:it@clinic.example\nURI:urn:clinic:A\n";
static const struct tls_identity identity = {
	.fingerprint = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", .subject = subject, .names = names,
};

static const struct { const char *setting; bool fits; } rows[] = {
	{"fingerprint 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", true},
	{"fingerprint 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF", true},
	{"fingerprint 00112233445566778899aabbccddeeff00112233445566778899aabbccddeef", false},		/* a beginning of it */
	{"fingerprint 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0", false},
	{"fingerprint 10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", false},
	{"fingerprint ", false},
	{"fingerprint :", false},
	{"subject CN=clinic,O=市立医院", true},
	{"subject CN=clinic", false},		/* whole */
	{"subject CN=clinic,O=市立医院,C=CN", false},
	{"subject cn=clinic,o=市立医院", false},
	{"san DNS:clinic.example", true},
	{"san dns:CLINIC.example", true},	/* names of the DNS have no case */
	{"san DNS:clinic", false},
	{"san DNS:clinic.example.org", false},
	{"san DNS:linic.example", false},
	{"san email:it@clinic.example", true},
	{"san email:IT@clinic.example", false},
	{"san URI:urn:clinic:A", true},
	{"san URI:urn:clinic:a", false},
	{"san clinic.example", false},		/* with its kind */
	{"san ", false},
	{"clinic", false},
	{"", false},
};

START_TEST(test_matches)
{
	ck_assert_int_eq(certificate_matches(rows[_i].setting, &identity), rows[_i].fits);
	ck_assert(!certificate_matches(rows[_i].setting, NULL));
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("certificate");

	check_add_rows(run, test_matches, rows);
	return check_end(run);
}
