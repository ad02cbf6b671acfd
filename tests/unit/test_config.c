/* Settings: what is read, what is refused and in which words, and that no secret stays in memory or gets into an error. */
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/settings.h"
#include "check_main.h"

/* Every block that the settings' room gives back is looked at: the linker leads free here (--wrap). */
static const char secret_text[] = "s3cr3t-that-nobody-sees";
static volatile size_t blocks_with_secret;	/* the compiler thinks that free changes nothing */
static const void *watched;
static volatile bool watched_is_free;

void __real_free(void *p);
void __wrap_free(void *p);

void
__wrap_free(void *p)
{
	if (p != NULL && memmem(p, malloc_usable_size(p), secret_text, sizeof(secret_text) - 1) != NULL)
		blocks_with_secret++;
	watched_is_free = watched_is_free || (p != NULL && p == watched);
	__real_free(p);
}

/* Five lines, so that a test's own text begins with line 6. */
#define BASE "[database]\nconninfo = x\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n"
#define HOUSE BASE "[facility H01]\n"	/* from line 7 */
#define HEX64 "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"
#define TOKEN_TAIL "role = kiosk\nfacilities = *\n"
#define MERCHANT "[wechatpay m]\nmchid = 1\nappid = 1\nmerchant_serial = 1\nmerchant_key = k\nplatform_serial = 1\nplatform_public_key = p\napiv3_key = a\n"

static struct config *
parse(const char *text, size_t n, char error[512])
{
	error[0] = '\0';
	return config_parse_text("t.conf", (struct view){text, n}, error, 512);
}

static struct config *
must_parse(const char *text)
{
	char error[512];
	struct config *c = parse(text, strlen(text), error);

	ck_assert_msg(c != NULL, "refused: %s", error);
	return c;
}

START_TEST(defaults_are_these)
{
	struct config *c = must_parse(BASE "[facility H01]\n[feed f]\nfacility = H01\n[token t]\nsecret = 0123456789abcdef\n" TOKEN_TAIL
	    MERCHANT "notify_url = https://hospital.example\n");

	ck_assert_str_eq(c->database.conninfo, "x");
	ck_assert_str_eq(c->database.owner_conninfo, "");
	ck_assert_str_eq(c->database.schema, "hospital");
	ck_assert_str_eq(c->database.role, "visitbill");
	ck_assert_int_eq(c->database.hold_ms, 5000);
	ck_assert_int_eq(c->http.header_bytes, 16384);
	ck_assert_int_eq(c->http.body_bytes, 8388608);
	ck_assert_int_eq(c->http.first_byte_ms, 10000);
	ck_assert_int_eq(c->http.request_ms, 30000);
	ck_assert_int_eq(c->http.idle_ms, 75000);
	ck_assert_int_eq(c->http.io_ms, 30000);
	ck_assert_int_eq(c->mllp.frame_bytes, 16777216);
	ck_assert_int_eq(c->mllp.frame_messages, 10000);
	ck_assert_int_eq(c->mllp.first_byte_ms, 30000);
	ck_assert_int_eq(c->mllp.frame_ms, 60000);
	ck_assert_int_eq(c->mllp.idle_ms, 12 * 3600000);
	ck_assert_int_eq(c->mllp.io_ms, 60000);
	ck_assert_int_eq(c->limits.memory_bytes, 256 << 20);
	ck_assert_int_eq(c->limits.strangers_bytes, 32 << 20);
	ck_assert_int_eq(c->limits.output_bytes, 1 << 20);
	ck_assert_int_eq(c->limits.io_floor, 1000);
	ck_assert_int_eq(c->limits.failed_logins, 30);
	ck_assert_int_eq(c->limits.notifications, 60);
	ck_assert_str_eq(c->log.level, "info");
	ck_assert_int_eq(c->log.repeat_ms, 10000);
	ck_assert_int_eq(c->payment.lifetime_ms, 600000);
	ck_assert_int_eq(c->hospital.utc_offset, 8 * 3600);
	ck_assert_uint_eq(c->n_listens, 1);
	const struct config_listen *l = &c->listens[0];
	ck_assert_str_eq(l->name, "a");
	ck_assert_str_eq(l->address, "127.0.0.1:0");
	ck_assert_uint_eq(l->serves, SERVES_MLLP);
	ck_assert(!l->tls && !l->msh_identity && l->clients == CLIENTS_NONE);
	ck_assert_str_eq(l->certificate, "");
	ck_assert_str_eq(l->key, "");
	ck_assert_str_eq(l->client_ca, "");
	ck_assert_str_eq(l->revoked, "");
	ck_assert_str_eq(l->clients_text, "");
	ck_assert_str_eq(l->plain, "");
	ck_assert_int_eq(l->connections, 4000);
	ck_assert_int_eq(l->address_connections, 1000);
	ck_assert_uint_eq(c->n_facilities, 1);	/* a section without a key is one */
	ck_assert_str_eq(c->facilities[0].code, "H01");
	ck_assert_int_eq(c->facilities[0].grace_ms, 600000);
	ck_assert_int_eq(c->facilities[0].due_hours, 48);
	ck_assert_int_eq(c->facilities[0].outpatient_limit, 500000);
	ck_assert_int_eq(c->facilities[0].inpatient_limit, 1500000);
	ck_assert_int_eq(c->facilities[0].visit_amount, 0);
	ck_assert_int_eq(c->facilities[0].visit_day_amount, 0);
	ck_assert(c->feeds[0].waits && !c->feeds[0].zbl && !c->feeds[0].secret.is_set);
	ck_assert_str_eq(c->feeds[0].token, "");
	ck_assert_str_eq(c->feeds[0].certificate, "");
	ck_assert_str_eq(c->tokens[0].text, "");
	ck_assert_str_eq(c->tokens[0].facilities, "*");
	ck_assert_int_eq(c->tokens[0].role, ROLE_KIOSK);
	ck_assert_str_eq(c->merchants[0].api_url, "https://api.mch.weixin.qq.com");
	ck_assert_str_eq(c->merchants[0].notify_url, "https://hospital.example");
	config_release(c);
}
END_TEST

/* ------- what is refused, to the letter */

#define TLS "tls = yes\ncertificate = c\nkey = k\n"
#define ASKS "[listen q]\naddress = [::1]:1\nserves = feeds\n" TLS "client_ca = c\n"
#define LISTEN "[listen b]\naddress = 127.0.0.1:1\n"	/* serves and more from line 8 */

static const struct {
	const char *text, *error;
} refused[] = {
	/* lines */
	{BASE "nonsense\n", "t.conf:6: [listen a] the line has no =; a line does not continue the one above"},
	{BASE "[http]\n\n  more = x\n", "t.conf:8: [http] this is not a setting; an indented line does not continue the one above"},
	{BASE "[http]\n frob\n", "t.conf:7: [http] the line has no =; a line does not continue the one above"},
	{"a = b\n", "t.conf:1: a setting stands before the first section"},
	{"nonsense\n", "t.conf:1: the line has no =; a line does not continue the one above"},
	{BASE "[http]\nbody bytes = 1\n", "t.conf:7: [http] a setting's name has to be lower case letters, digits and _"},
	{BASE "[http]\n= 1\n", "t.conf:7: [http] a setting's name has to be lower case letters, digits and _"},
	{BASE "[http]\nfrob = 1\n", "t.conf:7: [http] frob is not a setting"},
	{BASE "[http]\nbody_bytes = 2M\n;\nbody_bytes = 3M\n", "t.conf:9: [http] body_bytes is set in line 7 already"},
	{BASE "[http]\nbody_bytes = 2M\n[mllp]\n[http]\nbody_bytes = 2M\n", "t.conf:10: [http] body_bytes is set in line 7 already"},
	{BASE "address = 127.0.0.1:1\n", "t.conf:6: [listen a] address is set in line 4 already"},
	{BASE "[http\n", "t.conf:6: a section is [KIND] or [KIND NAME], and ] is missing"},
	{BASE "[http] x = 1\n", "t.conf:6: there is text after the ] of a section"},
	{BASE "[htpt]\n", "t.conf:6: [htpt] is not a section"},
	{BASE "[]\n", "t.conf:6: this is not a section"},
	{BASE "[HTTP]\n", "t.conf:6: this is not a section"},
	{BASE "[http one]\n", "t.conf:6: section [http] has no name"},
	{BASE "[feed]\n", "t.conf:6: section [feed] needs a name, as in [feed NAME]"},
	{BASE "[feed  ]\n", "t.conf:6: section [feed] needs a name, as in [feed NAME]"},
	{BASE "[feed a b]\n", "t.conf:6: the name of a section [feed NAME] has to be 1 to 60 letters, digits, - _ or ."},
	{BASE "[feed 中]\n", "t.conf:6: the name of a section [feed NAME] has to be 1 to 60 letters, digits, - _ or ."},
	{BASE "[feed 1234567890123456789012345678901234567890123456789012345678901]\n",
	    "t.conf:6: the name of a section [feed NAME] has to be 1 to 60 letters, digits, - _ or ."},
	{BASE "[feed f]\napplication = \xFF\n", "t.conf:7: the line is not UTF-8"},
	{BASE "[feed f]\napplication = a\vb\n", "t.conf:7: the line holds a control character (0B)"},
	{BASE "[feed f]\rapplication = a\n", "t.conf:6: the line holds a control character (0D)"},
	/* keys that moved */
	{BASE "[http]\nlisten = 127.0.0.1:1\n",
	    "t.conf:7: [http] listen is now address in a section [listen NAME] with serves = feeds kiosk desk patient notify operations"},
	{BASE "[http]\nconnections = 1\n", "t.conf:7: [http] connections is now connections in each section [listen NAME]"},
	{BASE "[mllp]\nlisten = \n", "t.conf:7: [mllp] listen is now address in a section [listen NAME] with serves = mllp"},
	{BASE "[mllp]\nlisten_release2 = \n", "t.conf:7: [mllp] listen_release2 is now address in a section [listen NAME] with serves = mllp2"},
	{BASE "[mllp]\nconnections = 1\n", "t.conf:7: [mllp] connections is now connections in each section [listen NAME]"},
	/* values */
	{BASE "[database]\npool = +4\n", "t.conf:7: [database] pool has to be a whole number"},
	{BASE "[database]\npool = -4\n", "t.conf:7: [database] pool has to be a whole number"},
	{BASE "[database]\npool = 4 4\n", "t.conf:7: [database] pool has to be a whole number"},
	{BASE "[database]\npool = \n", "t.conf:7: [database] pool has to be a whole number"},
	{BASE "[database]\npool = 4K\n", "t.conf:7: [database] pool has to be a whole number"},
	{BASE "[database]\npool = 0x4\n", "t.conf:7: [database] pool has to be a whole number"},
	{BASE "[database]\npool = 9223372036854775808\n", "t.conf:7: [database] pool has to be a whole number"},
	{BASE "[database]\npool = 18446744073709551620\n", "t.conf:7: [database] pool has to be a whole number"},
	{BASE "[database]\npool = 65\n", "t.conf:7: [database] pool has to be from 1 to 64"},
	{BASE "[database]\npool = 0\n", "t.conf:7: [database] pool has to be from 1 to 64"},
	{BASE "[http]\nbody_bytes = 1k\n", "t.conf:7: [http] body_bytes has to be a number of bytes, or one with K, M or G"},
	{BASE "[http]\nbody_bytes = 1 K\n", "t.conf:7: [http] body_bytes has to be a number of bytes, or one with K, M or G"},
	{BASE "[http]\nbody_bytes = K\n", "t.conf:7: [http] body_bytes has to be a number of bytes, or one with K, M or G"},
	{BASE "[http]\nbody_bytes = 17179869185G\n", "t.conf:7: [http] body_bytes has to be a number of bytes, or one with K, M or G"},
	{BASE "[http]\nbody_bytes = 257M\n", "t.conf:7: [http] body_bytes has to be from 1K to 256M"},
	{BASE "[http]\nrequest_time = 999ms\n", "t.conf:7: [http] request_time has to be from 1s to 10m"},
	{BASE "[http]\nfirst_byte_time = 0s\n", "t.conf:7: [http] first_byte_time has to be from 1s to 10m"},
	{BASE "[http]\nrequest_time = 10\n", "t.conf:7: [http] request_time has to be a duration such as 250ms, 5s, 10m or 2h"},
	{BASE "[mllp]\nidle_time = 9223372036854775807h\n", "t.conf:7: [mllp] idle_time has to be a duration such as 250ms, 5s, 10m or 2h"},
	{BASE "[mllp]\nidle_time = 169h\n", "t.conf:7: [mllp] idle_time has to be from 1s to 168h"},
	{BASE "[mllp]\nprocessing = X\n", "t.conf:7: [mllp] processing has to be letters of P, T and D"},
	{BASE "[database]\nhold = 11m\n", "t.conf:7: [database] hold has to be from 0s to 10m"},
	{BASE "[limits]\nio_floor = 1000000001\n", "t.conf:7: [limits] io_floor has to be from 0 to 1000000000"},
	{BASE "[limits]\nfailed_logins = 0\n", "t.conf:7: [limits] failed_logins has to be from 1 to 1000000"},
	{BASE "[payment]\nlifetime = 59s\n", "t.conf:7: [payment] lifetime has to be from 1m to 24h"},
	{BASE "[hospital]\nutc_offset = +-1:30\n", "t.conf:7: [hospital] utc_offset has to be an offset such as +08:00"},
	{BASE "[hospital]\nutc_offset = +8:00\n", "t.conf:7: [hospital] utc_offset has to be an offset such as +08:00"},
	{BASE "[hospital]\nutc_offset = 08:00\n", "t.conf:7: [hospital] utc_offset has to be an offset such as +08:00"},
	{BASE "[hospital]\nutc_offset = +15:00\n", "t.conf:7: [hospital] utc_offset has to be an offset such as +08:00"},
	{BASE "[hospital]\nutc_offset = +08:60\n", "t.conf:7: [hospital] utc_offset has to be an offset such as +08:00"},
	{BASE "[hospital]\nutc_offset = +08:000\n", "t.conf:7: [hospital] utc_offset has to be an offset such as +08:00"},
	{HOUSE "outpatient_limit = -1.00\n", "t.conf:7: [facility H01] outpatient_limit has to be an amount such as 5000.00"},
	{HOUSE "outpatient_limit = 1.001\n", "t.conf:7: [facility H01] outpatient_limit has to be an amount such as 5000.00"},
	{HOUSE "[feed f]\nfacility = H01\nwaits = true\n", "t.conf:9: [feed f] waits has to be yes or no"},
	/* the whole */
	{"", "t.conf: [database] conninfo is required"},
	{"[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n[database]\n", "t.conf:4: [database] conninfo is required"},
	{"[database]\nconninfo = x\n", "t.conf: at least one section [listen NAME] is required"},
	{BASE "[database]\nschema = A\n", "t.conf:7: [database] schema has to be lower case letters, digits and _"},
	{BASE "[database]\nrole = 1a\n", "t.conf:7: [database] role has to be lower case letters, digits and _"},
	{BASE "[log]\nlevel = loud\n", "t.conf:7: [log] level has to be debug, info, warn or error"},
	{BASE "[limits]\nmemory = 95M\n", "t.conf:7: [limits] memory has to be at least six times [mllp] frame_bytes: what a message is made of counts, too"},
	{BASE "[limits]\nmemory = 99M\n[http]\nbody_bytes = 25M\n", "t.conf:7: [limits] memory has to be at least four times [http] body_bytes: what a body is made of counts, too"},
	{BASE "[mllp]\nframe_bytes = 1M\n[http]\nbody_bytes = 1M\n[limits]\nmemory = 31M\n", "t.conf:10: [limits] strangers may not be more than memory"},
	/* listeners */
	{BASE "[listen b]\nserves = mllp\n", "t.conf:6: [listen b] address is required"},
	{BASE LISTEN, "t.conf:6: [listen b] serves is required"},
	{BASE LISTEN "serves = kiosk fax\n",
	    "t.conf:8: [listen b] serves does not know fax: it is mllp, mllp2, or any of feeds kiosk desk patient notify operations"},
	{BASE LISTEN "serves = mllp mllp2\n", "t.conf:8: [listen b] serves has mllp and mllp2 alone: a port speaks one protocol"},
	{BASE LISTEN "serves = kiosk mllp\n", "t.conf:8: [listen b] serves has mllp and mllp2 alone: a port speaks one protocol"},
	{BASE LISTEN "serves = kiosk\ntls = yes\n", "t.conf:9: [listen b] tls needs certificate"},
	{BASE LISTEN "serves = kiosk\ntls = yes\ncertificate = c\n", "t.conf:9: [listen b] tls needs key"},
	{BASE LISTEN "serves = kiosk\ncertificate = c\n", "t.conf:9: [listen b] certificate needs tls = yes"},
	{BASE LISTEN "serves = kiosk\nkey = c\n", "t.conf:9: [listen b] key needs tls = yes"},
	{BASE LISTEN "serves = kiosk\nclient_ca = c\n", "t.conf:9: [listen b] client_ca needs tls = yes"},
	{BASE LISTEN "serves = kiosk\nrevoked = c\n", "t.conf:9: [listen b] revoked needs tls = yes"},
	{BASE LISTEN "serves = kiosk\nclients = some\n", "t.conf:9: [listen b] clients has to be none, optional or required"},
	{BASE LISTEN "serves = kiosk\nclients = optional\n", "t.conf:9: [listen b] clients needs client_ca"},
	{BASE LISTEN "serves = kiosk\n" TLS "clients = required\n", "t.conf:12: [listen b] clients needs client_ca"},
	{BASE LISTEN "serves = kiosk\n" TLS "revoked = r\n", "t.conf:12: [listen b] revoked needs client_ca"},
	{BASE LISTEN "serves = kiosk\n" TLS "clients = none\nclient_ca = c\n", "t.conf:13: [listen b] client_ca is not used with clients = none"},
	{BASE LISTEN "serves = kiosk\nplain = yes\n", "t.conf:9: [listen b] plain has to be empty or beyond loopback"},
	{BASE LISTEN "serves = kiosk\nconnections = 0\n", "t.conf:9: [listen b] connections has to be from 1 to 100000"},
	{BASE "[listen b]\naddress = 192.0.2.1:80\nserves = kiosk\n",
	    "t.conf:7: [listen b] address is plain text that others can read: it needs tls = yes, or plain = beyond loopback"},
	{BASE "[listen b]\naddress = 0.0.0.0:80\nserves = mllp\n",
	    "t.conf:7: [listen b] address is plain text that others can read: it needs tls = yes, or plain = beyond loopback"},
	{BASE "[listen b]\naddress = [::]:80\nserves = mllp\n",
	    "t.conf:7: [listen b] address is plain text that others can read: it needs tls = yes, or plain = beyond loopback"},
	{BASE "[listen b]\naddress = localhost:80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = 127.0.0.1\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = 127.0.0.1:\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = 127.0.0.1:65536\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = 127.0.0.1:+80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = 127.1:80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = :80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = ::1:80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = [::1:80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = [:80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = []:80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE "[listen b]\naddress = [127.0.0.1]:80\nserves = kiosk\n", "t.conf:7: [listen b] address has to be IPv4:port or [IPv6]:port"},
	{BASE LISTEN "serves = kiosk\n[listen c]\naddress = 127.0.0.1:1\nserves = desk\n", "t.conf:10: [listen c] address is that of [listen b] already"},
	{BASE "[listen b]\naddress = [::1]:1\nserves = kiosk\n[listen c]\naddress = [0:0::0:1]:1\nserves = desk\n",
	    "t.conf:10: [listen c] address is that of [listen b] already"},
	/* feeds */
	{HOUSE "[feed f]\n", "t.conf:7: [feed f] facility is required"},
	{HOUSE "[feed f]\nfacility = H77\n", "t.conf:8: [feed f] facility H77 has no section"},
	{HOUSE "[feed visitbill]\nfacility = H01\n", "t.conf:7: [feed visitbill] the name is taken by the daemon itself"},
	{HOUSE "[feed f]\nfacility = H01\ntoken = short\n", "t.conf:9: [feed f] token is shorter than 16 characters"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = subject CN=x\n",
	    "t.conf:9: [feed f] certificate is asked for by no listener that serves feeds: those have no client_ca"},
	{HOUSE "[token t]\ncertificate = subject CN=x\n" TOKEN_TAIL,
	    "t.conf:8: [token t] certificate is asked for by no listener that serves HTTP: those have no client_ca"},
	{HOUSE "[feed f]\nfacility = H01\ncharset = GB-18030\n", "t.conf:9: [feed f] charset has to be UTF-8, GB 18030-2000, GBK, GB2312, BIG-5 or 8859/1 to 8859/15"},
	{HOUSE "[feed f]\nfacility = H01\nvisit_no = PV1-19 PV1-20\n",
	    "t.conf:9: [feed f] visit_no has to be some of PV1-19, PID-18 and PV1-50, in the order in which they are looked at, then perhaps patient, or patient and a class"},
	{HOUSE "[feed f]\nfacility = H01\nwaits = no\ntypes = 1=CG 2=CX\n", "t.conf:10: [feed f] types has to be words FROM=TO, each FROM once and TO one of CG CD AJ PY CO"},
	{HOUSE "[feed f]\nfacility = H01\nline_id = MSH-10/FT1-1 FT1-2\n",
	    "t.conf:9: [feed f] line_id has to be FT1-2, FT1-23 or MSH-10/FT1-1, or some of them in order, MSH-10/FT1-1 last"},
	{HOUSE "[feed f]\nfacility = H01\napplication = A\n[feed g]\nfacility = H01\napplication = A\n",
	    "t.conf:12: [feed g] application is that of [feed f] at the same sending_facility already"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = CN=x\n", "t.conf:9: [feed f] certificate has to be fingerprint …, subject … or san …"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = subject  CN=x\n", "t.conf:9: [feed f] certificate has to have one blank after its first word"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = subject /CN=x\n",
	    "t.conf:9: [feed f] certificate has to be subject and the name as openssl x509 -subject -nameopt RFC2253 shows it, such as CN=lab,O=Hospital"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = subject cn=x\n",
	    "t.conf:9: [feed f] certificate has to be subject and the name as openssl x509 -subject -nameopt RFC2253 shows it, such as CN=lab,O=Hospital"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = san lab\n", "t.conf:9: [feed f] certificate has to be san and DNS:…, email:… or URI:…"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = subject\n", "t.conf:9: [feed f] certificate has to be fingerprint …, subject … or san …"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = fingerprint AB\n",
	    "t.conf:9: [feed f] certificate has to be fingerprint and the 64 hex digits of a SHA-256, which colons may part"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = fingerprint " HEX64 "0\n",
	    "t.conf:9: [feed f] certificate has to be fingerprint and the 64 hex digits of a SHA-256, which colons may part"},
	{HOUSE "[feed f]\nfacility = H01\ncertificate = fingerprint " HEX64 " g\n",
	    "t.conf:9: [feed f] certificate has to be fingerprint and the 64 hex digits of a SHA-256, which colons may part"},
	/* tokens */
	{HOUSE "[token t]\nrole = kiosk\nfacilities = *\n", "t.conf:7: [token t] secret or certificate is required"},
	{HOUSE "[token t]\nsecret = 0123456789abcde\n" TOKEN_TAIL, "t.conf:8: [token t] secret is shorter than 16 characters"},
	{HOUSE "[token t]\nsecret = 0123456789 abcdef\n" TOKEN_TAIL, "t.conf:8: [token t] secret may hold printable ASCII characters only, no blanks"},
	{HOUSE "[token t]\nsecret = 0123456789中abcdef\n" TOKEN_TAIL, "t.conf:8: [token t] secret may hold printable ASCII characters only, no blanks"},
	{HOUSE "[token t]\nsecret = sha256:" HEX64 "0\n" TOKEN_TAIL, "t.conf:8: [token t] secret has to be sha256: and 64 hex digits"},
	{HOUSE "[token t]\nsecret = sha256:g" HEX64 "\n" TOKEN_TAIL, "t.conf:8: [token t] secret has to be sha256: and 64 hex digits"},
	{HOUSE "[token t]\nsecret = 0123456789abcdef\nfacilities = *\n", "t.conf:7: [token t] role is required"},
	{HOUSE "[token t]\nsecret = 0123456789abcdef\nrole = king\nfacilities = *\n", "t.conf:9: [token t] role has to be kiosk, desk or ops"},
	{HOUSE "[token t]\nsecret = 0123456789abcdef\nrole = ops\n", "t.conf:7: [token t] facilities is required"},
	{HOUSE "[token t]\nsecret = 0123456789abcdef\nrole = ops\nfacilities =\n", "t.conf:10: [token t] facilities is required"},
	{HOUSE "[token t]\nsecret = 0123456789abcdef\nrole = ops\nfacilities = H01 H02\n", "t.conf:10: [token t] facilities H02 has no section"},
	{HOUSE "[token t]\nsecret = 0123456789abcdef\nrole = ops\nfacilities = H01 *\n", "t.conf:10: [token t] facilities * stands alone"},
	{HOUSE "[token t]\ncertificate = fingerprint\n" TOKEN_TAIL,
	    "t.conf:8: [token t] certificate has to be fingerprint and the 64 hex digits of a SHA-256, which colons may part"},
	{HOUSE "[feed t]\nfacility = H01\n[token t]\nsecret = 0123456789abcdef\n" TOKEN_TAIL,
	    "t.conf:9: [token t] a feed has the same name; a client's name is its own"},
	{HOUSE "[feed f]\nfacility = H01\ntoken = 0123456789abcdef\n[feed g]\nfacility = H01\ntoken = 0123456789abcdef\n",
	    "t.conf:12: [feed g] token is the same as that of [feed f]"},
	/* the same as SHA-256 and as itself */
	{HOUSE "[feed f]\nfacility = H01\ntoken = token-of-the-ward-1\n[token t]\n"
	    "secret = sha256:A30362065AC14D3F0DBCED7303040EFDC2CDD332659F5545FFD39D6F30A11883\n" TOKEN_TAIL,
	    "t.conf:11: [token t] secret is the same as that of [feed f]"},
	{HOUSE "[token s]\nsecret = 0123456789abcdef\n" TOKEN_TAIL "[token t]\nsecret = 0123456789abcdef\n" TOKEN_TAIL,
	    "t.conf:12: [token t] secret is the same as that of [token s]"},
	/* merchants */
	{BASE MERCHANT, "t.conf:6: [wechatpay m] notify_url is required"},
	{BASE MERCHANT "notify_url = https://h.example/\n", "t.conf:14: [wechatpay m] notify_url may not end with a slash"},
	{BASE MERCHANT "notify_url = ftp://h.example\n", "t.conf:14: [wechatpay m] notify_url has to be http:// or https:// and a host"},
	{BASE MERCHANT "notify_url = https://\n", "t.conf:14: [wechatpay m] notify_url has to be http:// or https:// and a host"},
	{BASE MERCHANT "notify_url = https:///x\n", "t.conf:14: [wechatpay m] notify_url has to be http:// or https:// and a host"},
	{BASE MERCHANT "notify_url = https://h.example/a b\n", "t.conf:14: [wechatpay m] notify_url may hold no blank"},
	{BASE MERCHANT "notify_url = https://h.example?x=1\n", "t.conf:14: [wechatpay m] notify_url may have no query and no fragment"},
	{BASE MERCHANT "notify_url = https://h.example\napi_url = http://c.example/\n", "t.conf:15: [wechatpay m] api_url may not end with a slash"},
};

START_TEST(wrong_settings_are_refused)
{
	char error[512];
	struct config *c = parse(refused[_i].text, strlen(refused[_i].text), error);

	ck_assert_ptr_null(c);
	ck_assert_str_eq(error, refused[_i].error);
}
END_TEST

/* ------- what is taken */

static const char *const taken[] = {
	"\xEF\xBB\xBF" BASE,
	"; comment\n# comment\n ; comment\n\t\n" BASE,
	"[database]\r\nconninfo = x\r\n[listen a]\r\naddress = 127.0.0.1:0\r\nserves = mllp\r\n",
	"[database]\nconninfo=x\n[ listen\ta ] ; comment\n  address =127.0.0.1:0 ; comment\n\tserves= mllp",
	BASE "[facility H01]\n[facility H01]\nname = 第一医院\n[http]\n[facility H01]\ngrace = 0s\n",
	BASE "[database]\npool = 0004\n",
	BASE "[http]\nheader_bytes = 1024\nbody_bytes = 64M\nrequest_time = 10m\nidle_time = 1h\n",
	BASE "[limits]\nmemory = 64G\nstrangers = 64G\nio_floor = 0\n",
	BASE "[log]\nrepeat = 0s\n[payment]\nlifetime = 60s\n",
	BASE "[hospital]\nutc_offset = -14:59\n",
	BASE "[listen b]\naddress = 127.0.0.1:0\nserves = mllp2\n",			/* port 0 may be there twice */
	BASE "[listen b]\naddress = 127.255.0.1:80\nserves = feeds kiosk desk patient notify operations\n",
	BASE "[listen b]\naddress = [::1]:80\nserves = feeds\n[listen c]\naddress = 127.0.0.1:80\nserves =\tdesk  kiosk\n",
	BASE "[listen b]\naddress = 0.0.0.0:443\nserves = kiosk\n" TLS,
	BASE "[listen b]\naddress = [::]:80\nserves = kiosk\nplain = beyond loopback\n",
	BASE "[listen b]\naddress = 192.0.2.1:443\nserves = mllp\n" TLS "client_ca = a\nrevoked = r\nclients = optional\nmsh_identity = yes\n",
	HOUSE ASKS "[feed f]\nfacility = H01\ncertificate = subject CN=lab, O=医院\n[feed g]\nfacility = H01\ncertificate = san dns:lab.example\n",
	HOUSE ASKS "[feed f]\nfacility = H01\ncertificate = fingerprint " HEX64 "\n",
	HOUSE ASKS "[feed f]\nfacility = H01\ncertificate = fingerprint 01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF\n",
	HOUSE "[feed f]\nfacility = H01\ntoken =\n[feed g]\nfacility = H01\ntoken =\n",	/* none is not one token twice */
	HOUSE ASKS "[token t]\ncertificate = subject CN=kiosk\n" TOKEN_TAIL,
	HOUSE "[feed f]\nfacility = H01\napplication = A\ncharset = gb 18030-2000\n[feed g]\nfacility = H01\napplication = A\nsending_facility = X\n",
	HOUSE "[facility H02]\n[token t]\nsecret = 0123456789abcdef\nrole = desk\nfacilities = H01\tH02\n",
	HOUSE "[token a-1_b.C]\nsecret = 0123456789abcdef\nrole = desk\nfacilities = H01\n",
	BASE MERCHANT "notify_url = https://h.example:8443/pay\napi_url = http://127.0.0.1:1\n",
};

START_TEST(right_settings_are_taken)
{
	config_release(must_parse(taken[_i]));
}
END_TEST

START_TEST(values_are_what_was_written)
{
	struct config *c = must_parse(BASE
	    "[facility H01]\nname = a;b ; not this\ngrace = 90s\noutpatient_limit = 12.5\n[http]\nbody_bytes = 3M\nheader_bytes = 2000\n[hospital]\nutc_offset = -03:30\n"
	    "[listen b]\naddress = [::1]:8443\nserves = kiosk notify\n" TLS "client_ca = a\nconnections = 7\naddress_connections = 3\n"
	    "[listen c]\naddress = [::1]:8444\nserves = mllp2\n" TLS "clients = none\n");

	ck_assert_str_eq(c->facilities[0].name, "a;b");
	ck_assert_int_eq(c->facilities[0].grace_ms, 90000);
	ck_assert_int_eq(c->facilities[0].outpatient_limit, 1250);
	ck_assert_int_eq(c->http.body_bytes, 3 << 20);
	ck_assert_int_eq(c->http.header_bytes, 2000);
	ck_assert_int_eq(c->hospital.utc_offset, -(3 * 3600 + 30 * 60));
	ck_assert_uint_eq(c->listens[1].serves, SERVES_KIOSK | SERVES_NOTIFY);
	ck_assert_int_eq(c->listens[1].clients, CLIENTS_REQUIRED);
	ck_assert_int_eq(c->listens[1].connections, 7);
	ck_assert_int_eq(c->listens[1].address_connections, 3);
	ck_assert_uint_eq(c->listens[2].serves, SERVES_MLLP2);
	ck_assert_int_eq(c->listens[2].clients, CLIENTS_NONE);
	config_release(c);
}
END_TEST

START_TEST(tokens_are_kept_as_their_hash)
{
	struct config *c = must_parse(HOUSE "[feed f]\nfacility = H01\ntoken = token-of-the-ward-1\n[token t]\n"
	    "secret = sha256:0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef\n" TOKEN_TAIL);
	static const unsigned char ward[32] = {0xa3, 0x03, 0x62, 0x06, 0x5a, 0xc1, 0x4d, 0x3f, 0x0d, 0xbc, 0xed, 0x73, 0x03, 0x04, 0x0e, 0xfd, 0xc2, 0xcd, 0xd3,
	    0x32, 0x65, 0x9f, 0x55, 0x45, 0xff, 0xd3, 0x9d, 0x6f, 0x30, 0xa1, 0x18, 0x83};

	ck_assert(c->feeds[0].secret.is_set && c->feeds[0].secret.was_plain);
	ck_assert_mem_eq(c->feeds[0].secret.sha256, ward, 32);
	ck_assert_str_eq(c->feeds[0].token, "");
	ck_assert(c->tokens[0].secret.is_set && !c->tokens[0].secret.was_plain);
	for (int i = 0; i < 32; i += 8)
		ck_assert_mem_eq(c->tokens[0].secret.sha256 + i, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	ck_assert_str_eq(c->tokens[0].text, "");
	unsigned char hash[32];
	config_hash_token("token-of-the-ward-1", 19, hash);
	ck_assert_mem_eq(hash, ward, 32);
	config_release(c);
}
END_TEST

/* ------- lengths and bytes */

static char *
repeated(const char *before, char c, size_t n, const char *after, size_t *ret_n)
{
	size_t b = strlen(before), a = strlen(after);
	char *text = malloc(b + n + a + 1);

	memcpy(text, before, b);
	memset(text + b, c, n);
	memcpy(text + b + n, after, a + 1);
	*ret_n = b + n + a;
	return text;
}

START_TEST(a_line_has_64_kib)
{
	char error[512];
	size_t n, key = strlen("owner_conninfo = ");

	char *text = repeated(BASE "[database]\nowner_conninfo = ", 'x', 65536 - key, "\n", &n);
	struct config *c = parse(text, n, error);
	ck_assert_msg(c != NULL, "%s", error);
	ck_assert_uint_eq(strlen(c->database.owner_conninfo), 65536 - key);
	config_release(c);
	free(text);
	text = repeated(BASE "[database]\nowner_conninfo = ", 'x', 65537 - key, "\n", &n);
	ck_assert_ptr_null(parse(text, n, error));
	ck_assert_str_eq(error, "t.conf:7: the line is longer than 65536 bytes");
	free(text);
}
END_TEST

START_TEST(a_nul_is_found_with_its_line)
{
	static const char text[] = BASE "[http]\nbody_bytes = 1\0M\n";
	char error[512];

	ck_assert_ptr_null(parse(text, sizeof(text) - 1, error));
	ck_assert_str_eq(error, "t.conf:7: the line holds a control character (00)");
}
END_TEST

START_TEST(a_token_has_500_characters)
{
	char error[512];
	size_t n;

	for (size_t length = 500; length <= 501; length++) {
		char *text = repeated(HOUSE "[token t]\nsecret = ", 'x', length, "\n" TOKEN_TAIL, &n);
		struct config *c = parse(text, n, error);
		ck_assert((c != NULL) == (length == 500));
		ck_assert_str_eq(error, length == 500 ? "" : "t.conf:8: [token t] secret is longer than 500 characters");
		config_release(c);
		free(text);
	}
}
END_TEST

/* ------- secrets */

/* Each has the secret somewhere; whether it is taken or refused, no error and no freed memory shows it. */
static const struct {
	const char *text;
	bool is_taken;
} with_secrets[] = {
	{"[database]\nconninfo = host=/x password=s3cr3t-that-nobody-sees\nowner_conninfo = s3cr3t-that-nobody-sees\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n", true},
	{HOUSE "[feed f]\nfacility = H01\ntoken = s3cr3t-that-nobody-sees\n[token t]\nsecret = another-s3cr3t-that-nobody-sees\n" TOKEN_TAIL, true},
	{HOUSE "[feed f]\nfacility = H01\ntoken = s3cr3t-that-nobody-sees blank\n", false},
	{HOUSE "[feed f]\nfacility = H01\ntoken = sha256:s3cr3t-that-nobody-sees\n", false},
	{HOUSE "[feed f]\nfacility = H01\ntoken s3cr3t-that-nobody-sees\n", false},
	{HOUSE "[feed f]\nfacility = H01\ntoken: s3cr3t-that-nobody-sees=\n", false},
	{HOUSE "[feed f]\nfacility = H01\ns3cr3t-that-nobody-sees\n", false},
	{HOUSE "[feed f]\nfacility = H01\ntoken =\n    s3cr3t-that-nobody-sees\n", false},
	{HOUSE "[feed s3cr3t-that-nobody-sees\n", false},
	{HOUSE "[s3cr3t-that-nobody-sees]\n", false},
	{HOUSE "[feed x] s3cr3t-that-nobody-sees\n", false},
	{HOUSE "[feed token = s3cr3t-that-nobody-sees]\n", false},
	{HOUSE "[feed f]\nfacility = H01\ntoken = s3cr3t-that-nobody-sees\ntoken = s3cr3t-that-nobody-sees\n", false},
	{HOUSE "[feed f]\nfacility = H01\ntoken = s3cr3t-that-nobody-sees\n[feed g]\nfacility = H01\ntoken = s3cr3t-that-nobody-sees\n", false},
	{HOUSE "[token t]\nsecret = s3cr3t-that-nobody-sees\n", false},
	{HOUSE "[token t]\nsecret = s3cr3t-that-nobody-sees\xFF\n", false},
	{"[database]\nconninfo = s3cr3t-that-nobody-sees\n", false},
	{"[database]\nconninfo = s3cr3t-that-nobody-sees\a\n", false},
};

static int
temporary(char path[64])
{
	snprintf(path, 64, "/tmp/test_config_XXXXXX");
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(secrets_are_wiped_and_never_said)
{
	char error[512] = "", path[64];
	int fd = temporary(path);
	const char *text = with_secrets[_i].text;

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	blocks_with_secret = 0;
	struct config *c = config_load(path, error, sizeof(error));
	unlink(path);
	ck_assert((c != NULL) == with_secrets[_i].is_taken);
	ck_assert_ptr_null(strstr(error, "s3cr3t"));
	config_release(c);
	config_release(parse(text, strlen(text), error));
	ck_assert_ptr_null(strstr(error, "s3cr3t"));
	ck_assert_uint_eq(blocks_with_secret, 0);
}
END_TEST

START_TEST(the_watch_on_free_sees_secrets)
{
	char *p = memory_text(secret_text, sizeof(secret_text) - 1);

	blocks_with_secret = 0;
	free(p);
	ck_assert_uint_eq(blocks_with_secret, 1);
}
END_TEST

/* ------- a snapshot's life */

START_TEST(the_last_holder_frees)
{
	struct config *c = must_parse(BASE);

	watched = c;
	watched_is_free = false;
	ck_assert_ptr_eq(config_hold(c), c);
	config_hold(c);
	config_release(c);
	config_release(c);
	ck_assert(!watched_is_free);
	ck_assert_str_eq(c->database.conninfo, "x");
	config_release(c);
	ck_assert(watched_is_free);
	config_release(NULL);
	watched = NULL;
}
END_TEST

START_TEST(fixed_differences_are_named)
{
	struct config *old = must_parse(HOUSE "[listen gone]\naddress = 127.0.0.1:1\nserves = desk\n");
	struct config *same = must_parse(HOUSE "[listen gone]\naddress = 127.0.0.1:1\nserves = desk\nmsh_identity = yes\n[log]\nlevel = warn\n[database]\nowner_conninfo = y\n");
	struct config *other = must_parse("[database]\nconninfo = y\n[http]\nbody_bytes = 1M\n[hospital]\nutc_offset = +00:00\n[limits]\noutput = 2M\n"
	    "[listen a]\naddress = 127.0.0.1:2\nserves = mllp\n[listen new]\naddress = 127.0.0.1:3\nserves = desk\n");
	char text[512], small[20];

	config_fixed_differences(old, same, text, sizeof(text));
	ck_assert_str_eq(text, "");
	config_fixed_differences(old, other, text, sizeof(text));
	ck_assert_str_eq(text, "database.conninfo http.body_bytes limits.output hospital.utc_offset listen.a.address listen.gone listen.new");
	config_fixed_differences(old, other, small, sizeof(small));
	ck_assert_str_eq(small, "database.conninfo h");
	config_release(old);
	config_release(same);
	config_release(other);
}
END_TEST

/* ------- files */

static char folder[64];

static void
make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/test_config_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
remove_folder(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

static void
put(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static struct config *
load(char error[512])
{
	char path[128];

	snprintf(path, sizeof(path), "%s/main.conf", folder);
	error[0] = '\0';
	return config_load(path, error, 512);
}

static void
mkdir_in_folder(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(conf_d_is_read_after_the_file)
{
	char error[512], expected[256];

	make_folder();
	put("main.conf", BASE "[http]\nbody_bytes = 1M\nheader_bytes = 2K\n[facility H01]\n");
	mkdir_in_folder("conf.d");
	put("conf.d/20.conf", "[http]\nbody_bytes = 3M\n[facility H02]\nname = zwei\n");
	put("conf.d/10.conf", "[http]\nbody_bytes = 2M\nidle_time = 5s\n[facility H01]\nname = eins\n");
	put("conf.d/B.conf", "[mllp]\nin_flight = 1\n");		/* bytes: B before a */
	put("conf.d/a.conf", "[mllp]\nin_flight = 2\n");
	put("conf.d/30.conf.bak", "nonsense");
	put("conf.d/.hidden.conf", "nonsense");
	put("conf.d/.conf", "nonsense");
	struct config *c = load(error);
	ck_assert_msg(c != NULL, "%s", error);
	ck_assert_int_eq(c->http.body_bytes, 3 << 20);
	ck_assert_int_eq(c->http.header_bytes, 2048);
	ck_assert_int_eq(c->http.idle_ms, 5000);
	ck_assert_int_eq(c->mllp.in_flight, 2);
	ck_assert_uint_eq(c->n_facilities, 2);
	ck_assert_str_eq(c->facilities[0].name, "eins");
	config_release(c);

	/* an error names its file, also one that only the whole shows */
	put("conf.d/30.conf", "[http]\n\nbody_bytes = 0\n");
	ck_assert_ptr_null(load(error));
	snprintf(expected, sizeof(expected), "%s/conf.d/30.conf:3: [http] body_bytes has to be from 1K to 256M", folder);
	ck_assert_str_eq(error, expected);
	put("conf.d/30.conf", "[limits]\nstrangers = 1G\n");
	ck_assert_ptr_null(load(error));
	snprintf(expected, sizeof(expected), "%s/conf.d/30.conf:2: [limits] strangers may not be more than memory", folder);
	ck_assert_str_eq(error, expected);
	put("conf.d/30.conf", "body_bytes = 1M\n");	/* a section ends with its file */
	ck_assert_ptr_null(load(error));
	snprintf(expected, sizeof(expected), "%s/conf.d/30.conf:1: a setting stands before the first section", folder);
	ck_assert_str_eq(error, expected);
	put("conf.d/30.conf", "");
	mkdir_in_folder("conf.d/40.conf");
	ck_assert_ptr_null(load(error));
	snprintf(expected, sizeof(expected), "%s/conf.d/40.conf: cannot be read: not a file", folder);
	ck_assert_str_eq(error, expected);
	remove_folder();
}
END_TEST

START_TEST(a_path_without_a_folder)
{
	char error[512];

	make_folder();
	put("main.conf", BASE);
	mkdir_in_folder("conf.d");
	put("conf.d/1.conf", "[http]\nbody_bytes = 2M\n");
	ck_assert_int_eq(chdir(folder), 0);
	struct config *c = config_load("main.conf", error, sizeof(error));
	ck_assert_int_eq(c->http.body_bytes, 2 << 20);
	config_release(c);
	ck_assert_int_eq(chdir("/"), 0);
	remove_folder();
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
	char error[512], expected[256];

	make_folder();
	ck_assert_ptr_null(load(error));
	snprintf(expected, sizeof(expected), "%s/main.conf: cannot be read: No such file or directory", folder);
	ck_assert_str_eq(error, expected);
	mkdir_in_folder("main.conf");
	ck_assert_ptr_null(load(error));
	snprintf(expected, sizeof(expected), "%s/main.conf: cannot be read: Is a directory", folder);
	ck_assert_str_eq(error, expected);
	remove_folder();

	make_folder();
	char *lines = malloc((4 << 20) + 2);
	memset(lines, '\n', (4 << 20) + 1);
	lines[(4 << 20) + 1] = '\0';
	memcpy(lines, BASE, strlen(BASE));
	put("main.conf", lines);
	ck_assert_ptr_null(load(error));
	snprintf(expected, sizeof(expected), "%s/main.conf: is larger than 4194304 bytes", folder);
	ck_assert_str_eq(error, expected);
	put("main.conf", lines + 1);		/* without the [, and one byte less */
	ck_assert_ptr_null(load(error));
	snprintf(expected, sizeof(expected), "%s/main.conf:1: the line has no =; a line does not continue the one above", folder);
	ck_assert_str_eq(error, expected);
	lines[4 << 20] = '\0';
	put("main.conf", lines);
	struct config *c = load(error);
	ck_assert_msg(c != NULL, "%s", error);
	config_release(c);
	free(lines);
	remove_folder();
}
END_TEST

/* The sample, with what is required filled in, is the defaults; uncommented, every row is a setting of its section. */
START_TEST(the_sample_is_true)
{
	char *sample = NULL, error[512], differences[256];
	size_t n = 0;
	FILE *f = open_memstream(&sample, &n);

	config_print_sample(f);
	fputs("[database]\nconninfo = x\n[listen a]\naddress = 127.0.0.1:0\nserves = mllp\n", f);
	fclose(f);
	struct config *c = parse(sample, n, error), *defaults = must_parse(BASE);
	ck_assert_msg(c != NULL, "%s", error);
	config_fixed_differences(defaults, c, differences, sizeof(differences));
	ck_assert_str_eq(differences, "");
	size_t rows = 0;
	for (char *line = strtok(sample, "\n"); line != NULL; line = strtok(NULL, "\n"))
		rows += line[0] != '[' && strstr(line, " =") != NULL && line[0] != ' ' && strncmp(line, "; ", 2) != 0;
	ck_assert_uint_eq(rows, n_settings + 3);	/* and the three lines from here */
	config_release(c);
	config_release(defaults);
	free(sample);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("config");

	tcase_add_test(run.tcase, defaults_are_these);
	check_add_rows(run, wrong_settings_are_refused, refused);
	check_add_rows(run, right_settings_are_taken, taken);
	tcase_add_test(run.tcase, values_are_what_was_written);
	tcase_add_test(run.tcase, tokens_are_kept_as_their_hash);
	tcase_add_test(run.tcase, a_line_has_64_kib);
	tcase_add_test(run.tcase, a_nul_is_found_with_its_line);
	tcase_add_test(run.tcase, a_token_has_500_characters);
	check_add_rows(run, secrets_are_wiped_and_never_said, with_secrets);
	tcase_add_test(run.tcase, the_watch_on_free_sees_secrets);
	tcase_add_test(run.tcase, the_last_holder_frees);
	tcase_add_test(run.tcase, fixed_differences_are_named);
	tcase_add_test(run.tcase, conf_d_is_read_after_the_file);
	tcase_add_test(run.tcase, a_path_without_a_folder);
	tcase_add_test(run.tcase, files_that_cannot_be_read);
	tcase_add_test(run.tcase, the_sample_is_true);
	return check_end(run);
}
