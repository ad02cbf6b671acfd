/* TLS of a listener: what is loaded and why not, who is accepted and as whom, what a revocation list changes, and resumption. */
#include "check_tls.h"

#include <time.h>

#include "net/tls.h"

static struct issued authority, stranger, server, client, late, foreign;

static const struct tls_files *
files(enum tls_clients clients, bool revoked)
{
	static struct tls_files f;
	static char certificate[128], key[128], ca[128], list[128];

	snprintf(certificate, sizeof(certificate), "%s", tls_file("server.pem"));
	snprintf(key, sizeof(key), "%s", tls_file("server.key"));
	snprintf(ca, sizeof(ca), "%s", tls_file("ca.pem"));
	snprintf(list, sizeof(list), "%s", tls_file("revoked.pem"));
	f = (struct tls_files){certificate, key, clients != TLS_CLIENTS_NONE ? ca : "", revoked ? list : "", clients};
	return &f;
}

static void
setup(void)
{
	tls_folder[0] = '\0';
	authority = tls_issue(NULL, "Hospital", "Authority", NULL, NULL, 30 * TLS_DAY);
	stranger = tls_issue(NULL, "Somebody", "Authority", NULL, NULL, 30 * TLS_DAY);
	server = tls_issue(&authority, "Hospital", "visitbill.example", "DNS:visitbill.example", "serverAuth", 10 * TLS_DAY);
	client = tls_issue(&authority, "市立医院", "clinic", "DNS:clinic.example,email:it@clinic.example,URI:urn:clinic", "clientAuth", 10 * TLS_DAY);
	late = tls_issue(&authority, "Hospital", "late", NULL, "clientAuth", -TLS_DAY);
	foreign = tls_issue(&stranger, "Hospital", "clinic", NULL, "clientAuth", 10 * TLS_DAY);
	tls_write("server.pem", &server, false);
	tls_write("server.key", &server, true);
	tls_write("ca.pem", &authority, false);
	tls_write_revoked("revoked.pem", &authority, NULL, 5 * TLS_DAY);
}

static void
teardown(void)
{
	char command[100];
	struct issued *all[] = {&authority, &stranger, &server, &client, &late, &foreign};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tls_issued_free(all[i]);
	snprintf(command, sizeof(command), "rm -r %s", tls_folder);
	ck_assert_int_eq(system(command), 0);
}

static struct tls *
load(enum tls_clients clients, bool revoked)
{
	char error[200] = "";
	struct tls *t = tls_new(files(clients, revoked), error, sizeof(error));

	ck_assert_msg(t != NULL, "%s", error);
	return t;
}

struct session {
	SSL_CTX *ctx;
	SSL *server, *client;
	bool shaken;
};

static struct session
shake(struct tls *t, const struct issued *as, int most_version, SSL_SESSION *resumed)
{
	struct session s = {SSL_CTX_new(TLS_client_method()), tls_accept(t), NULL, false};

	SSL_CTX_set_min_proto_version(s.ctx, TLS1_VERSION);
	SSL_CTX_set_security_level(s.ctx, 0);	/* so that it is the server who refuses old versions */
	if (most_version != 0)
		SSL_CTX_set_max_proto_version(s.ctx, most_version);
	s.client = SSL_new(s.ctx);
	if (as != NULL) {
		SSL_use_certificate(s.client, as->certificate);
		SSL_use_PrivateKey(s.client, as->key);
	}
	if (resumed != NULL)
		SSL_set_session(s.client, resumed);
	s.shaken = tls_shake(s.server, s.client);
	return s;
}

static void
session_end(struct session *s)
{
	SSL_free(s->server);
	SSL_free(s->client);
	SSL_CTX_free(s->ctx);
}

static bool
is_accepted(struct tls *t, const struct issued *as)
{
	struct session s = shake(t, as, 0, NULL);
	bool shaken = s.shaken;

	session_end(&s);
	return shaken;
}

/* ------- loading */

static const struct { const char *file, *content, *error; } unfit[] = {
	{"server.pem", NULL, "server.pem: no certificate can be read"},
	{"server.pem", "nothing", "server.pem: no certificate can be read"},
	{"server.key", NULL, "server.key: no private key can be read that fits the certificate"},
	{"server.key", "other", "server.key: no private key can be read that fits the certificate"},
	{"ca.pem", NULL, "ca.pem: no certificate of an authority can be read"},
	{"ca.pem", "nothing", "ca.pem: no certificate of an authority can be read"},
	{"revoked.pem", NULL, "revoked.pem: the revocation list cannot be read"},
	{"revoked.pem", "nothing", "revoked.pem: not a list of revoked certificates"},
	{"revoked.pem", "", "revoked.pem: not a list of revoked certificates"},
};

START_TEST(test_unfit_files_are_named)
{
	char error[300] = "";

	if (unfit[_i].content == NULL)
		ck_assert_int_eq(unlink(tls_file(unfit[_i].file)), 0);
	else if (strcmp(unfit[_i].content, "other") == 0)
		tls_write(unfit[_i].file, &client, true);
	else
		tls_write_text(unfit[_i].file, unfit[_i].content);
	ck_assert_ptr_null(tls_new(files(TLS_CLIENTS_REQUIRED, true), error, sizeof(error)));
	ck_assert_msg(strstr(error, unfit[_i].error) != NULL, "\"%s\" does not say \"%s\"", error, unfit[_i].error);
}
END_TEST

START_TEST(test_damaged_list_behind_a_good_one)
{
	char error[300] = "";
	FILE *f = fopen(tls_file("revoked.pem"), "a");

	fputs("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", f);
	fclose(f);
	ck_assert_ptr_null(tls_new(files(TLS_CLIENTS_REQUIRED, true), error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, "revoked.pem: not a list of revoked certificates"));
}
END_TEST

START_TEST(test_when_they_end)
{
	struct tls *t = load(TLS_CLIENTS_REQUIRED, true);
	int64_t now = (int64_t)time(NULL) * 1000000, minute = 60000000, day = INT64_C(86400000000);

	ck_assert_int_lt(llabs(tls_certificate_ends(t) - (now + 10 * day)), minute);
	ck_assert_int_lt(llabs(tls_revoked_ends(t) - (now + 5 * day)), minute);
	tls_release(t);
	t = load(TLS_CLIENTS_NONE, false);
	ck_assert_int_eq(tls_revoked_ends(t), 0);
	tls_hold(t);
	tls_release(t);
	ck_assert(is_accepted(t, NULL));	/* one holder is left */
	tls_release(t);
}
END_TEST

/* ------- who is accepted */

START_TEST(test_versions)
{
	static const struct { int version; bool fine; } rows[] = {{TLS1_VERSION, false}, {TLS1_1_VERSION, false}, {TLS1_2_VERSION, true}, {TLS1_3_VERSION, true}};
	struct tls *t = load(TLS_CLIENTS_NONE, false);

	for (size_t i = 0; i < 4; i++) {
		struct session s = shake(t, NULL, rows[i].version, NULL);
		ck_assert_int_eq(s.shaken, rows[i].fine);
		session_end(&s);
	}
	tls_release(t);
}
END_TEST

START_TEST(test_clients)
{
	struct tls *required = load(TLS_CLIENTS_REQUIRED, false), *optional = load(TLS_CLIENTS_OPTIONAL, false);

	ck_assert(is_accepted(required, &client));
	ck_assert(!is_accepted(required, NULL));
	ck_assert(!is_accepted(required, &foreign));
	ck_assert(!is_accepted(required, &late));
	ck_assert(!is_accepted(required, &server));	/* not a client's certificate */
	ck_assert(is_accepted(optional, NULL));
	ck_assert(is_accepted(optional, &client));
	ck_assert(!is_accepted(optional, &foreign));
	ck_assert(!is_accepted(optional, &late));
	tls_release(required);
	tls_release(optional);
}
END_TEST

START_TEST(test_revoked)
{
	struct tls *t = load(TLS_CLIENTS_REQUIRED, true);

	ck_assert(is_accepted(t, &client));
	tls_release(t);
	tls_write_revoked("revoked.pem", &authority, &client, 5 * TLS_DAY);
	t = load(TLS_CLIENTS_REQUIRED, true);
	ck_assert(!is_accepted(t, &client));
	tls_release(t);
	tls_write_revoked("revoked.pem", &stranger, NULL, 5 * TLS_DAY);	/* none of our authority: a forgotten list lets nobody in */
	t = load(TLS_CLIENTS_REQUIRED, true);
	ck_assert(!is_accepted(t, &client));
	tls_release(t);
}
END_TEST

START_TEST(test_identity)
{
	struct tls *t = load(TLS_CLIENTS_OPTIONAL, false);
	struct session s = shake(t, &client, 0, NULL), nobody = shake(t, NULL, 0, NULL);
	struct tls_identity *i = tls_identity_of(s.server);
	unsigned char md[32];
	char hex[65];

	ck_assert_ptr_nonnull(i);
	ck_assert_str_eq(i->subject, "CN=clinic,O=市立医院");
	ck_assert_str_eq(i->names, "DNS:clinic.example\nemail:it@clinic.example\nURI:urn:clinic\n");
	X509_digest(client.certificate, EVP_sha256(), md, NULL);
	for (int k = 0; k < 32; k++)
		snprintf(hex + k * 2, 3, "%02x", md[k]);
	ck_assert_str_eq(i->fingerprint, hex);
	ck_assert_ptr_null(tls_identity_of(nobody.server));
	ck_assert(tls_still_accepts(t, nobody.server));
	tls_identity_free(i);
	tls_identity_free(NULL);
	session_end(&s);
	session_end(&nobody);
	tls_release(t);
}
END_TEST

/* One name that reads as two is nobody's. */
START_TEST(test_a_name_with_a_line_end)
{
	static const char text[] = "clinic.example\nDNS:other.example";
	struct issued sly = tls_issue(&authority, "Hospital", "sly", NULL, "clientAuth", TLS_DAY);
	GENERAL_NAMES *names = GENERAL_NAMES_new();

	for (int i = 0; i < 2; i++) {
		GENERAL_NAME *g = GENERAL_NAME_new();
		ASN1_IA5STRING *s = ASN1_IA5STRING_new();
		ASN1_STRING_set(s, i == 0 ? text : "fine.example", i == 0 ? (int)sizeof(text) - 1 : 12);
		GENERAL_NAME_set0_value(g, GEN_DNS, s);
		sk_GENERAL_NAME_push(names, g);
	}
	ck_assert_int_eq(X509_add1_ext_i2d(sly.certificate, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
	ck_assert_int_gt(X509_sign(sly.certificate, authority.key, EVP_sha256()), 0);
	struct tls *t = load(TLS_CLIENTS_REQUIRED, false);
	struct session s = shake(t, &sly, 0, NULL);
	struct tls_identity *i = tls_identity_of(s.server);
	ck_assert_ptr_nonnull(i);
	ck_assert_str_eq(i->names, "DNS:fine.example\n");
	tls_identity_free(i);
	session_end(&s);
	tls_release(t);
	tls_issued_free(&sly);
}
END_TEST

/* ------- a reload */

START_TEST(test_still_accepted)
{
	struct tls *t = load(TLS_CLIENTS_REQUIRED, true), *fresh;
	struct session s = shake(t, &client, 0, NULL);

	ck_assert(s.shaken && tls_still_accepts(t, s.server));
	if (_i == 0)
		tls_write_revoked("revoked.pem", &authority, &client, 5 * TLS_DAY);
	else if (_i == 1)
		tls_write("ca.pem", &stranger, false);
	else if (_i == 2)
		tls_write_revoked("revoked.pem", &authority, &late, 5 * TLS_DAY);
	fresh = load(TLS_CLIENTS_REQUIRED, true);
	ck_assert_int_eq(tls_still_accepts(fresh, s.server), _i == 2);
	ck_assert(tls_still_accepts(t, s.server));
	session_end(&s);
	tls_release(t);
	tls_release(fresh);
}
END_TEST

/* A session is resumed, by the same object alone: what was loaded anew knows no old tickets. */
START_TEST(test_resumption)
{
	struct tls *t = load(TLS_CLIENTS_REQUIRED, true), *fresh = load(TLS_CLIENTS_REQUIRED, true);
	int version = _i == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	struct session first = shake(t, &client, version, NULL);
	SSL_SESSION *kept = SSL_get1_session(first.client);

	ck_assert_int_eq(SSL_session_reused(first.server), 0);
	struct session again = shake(t, &client, version, kept), other = shake(fresh, &client, version, kept);
	ck_assert(again.shaken && other.shaken);
	ck_assert_int_eq(SSL_session_reused(again.server), 1);
	ck_assert_int_eq(SSL_session_reused(other.server), 0);
	struct tls_identity *i = tls_identity_of(again.server);
	ck_assert_ptr_nonnull(i);
	ck_assert_str_eq(i->subject, "CN=clinic,O=市立医院");
	ck_assert(tls_still_accepts(t, again.server));
	tls_write_revoked("revoked.pem", &authority, &client, 5 * TLS_DAY);
	struct tls *revoked = load(TLS_CLIENTS_REQUIRED, true);
	ck_assert(!tls_still_accepts(revoked, again.server));
	tls_identity_free(i);
	SSL_SESSION_free(kept);
	session_end(&first);
	session_end(&again);
	session_end(&other);
	tls_release(t);
	tls_release(fresh);
	tls_release(revoked);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("tls");

	tcase_add_checked_fixture(run.tcase, setup, teardown);
	check_add_rows(run, test_unfit_files_are_named, unfit);
	tcase_add_test(run.tcase, test_damaged_list_behind_a_good_one);
	tcase_add_test(run.tcase, test_when_they_end);
	tcase_add_test(run.tcase, test_versions);
	tcase_add_test(run.tcase, test_clients);
	tcase_add_test(run.tcase, test_revoked);
	tcase_add_test(run.tcase, test_identity);
	tcase_add_test(run.tcase, test_a_name_with_a_line_end);
	tcase_add_loop_test(run.tcase, test_still_accepted, 0, 3);
	tcase_add_loop_test(run.tcase, test_resumption, 0, 2);
	return check_end(run);
}
