/* Certificates for tests: an authority, what it signs, its revocation list, as files of a temporary folder; and a handshake in memory. */
#ifndef VB_TESTS_CHECK_TLS_H
#define VB_TESTS_CHECK_TLS_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_main.h"

enum { TLS_DAY = 86400 };

struct issued {
	X509 *certificate;
	EVP_PKEY *key;
};

static char tls_folder[64];

/* A file of the folder; the text is good until four more are asked for. */
static inline const char *
tls_file(const char *name)
{
	static char paths[4][128];
	static unsigned n;
	char *path = paths[n++ % 4];

	if (tls_folder[0] == '\0') {
		snprintf(tls_folder, sizeof(tls_folder), "/tmp/visitbill_tls_XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(tls_folder));
	}
	snprintf(path, sizeof(paths[0]), "%s/%s", tls_folder, name);
	return path;
}

static inline void
tls_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ck_assert_ptr_nonnull(e);
	X509_add_ext(certificate, e, -1);
	X509_EXTENSION_free(e);
}

/* issuer NULL: an authority that signs itself. names: subjectAltName, NULL for none. Ends so many seconds from now. */
static inline struct issued
tls_issue(const struct issued *issuer, const char *o, const char *cn, const char *names, const char *purpose, long ends)
{
	static long serial = 1;
	struct issued i = {X509_new(), EVP_EC_gen("P-256")};
	X509_NAME *name = X509_get_subject_name(i.certificate);
	const struct issued *by = issuer != NULL ? issuer : &i;

	X509_set_version(i.certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(i.certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(i.certificate), -2 * TLS_DAY);
	X509_gmtime_adj(X509_getm_notAfter(i.certificate), ends);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)o, -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(i.certificate, X509_get_subject_name(by->certificate));
	X509_set_pubkey(i.certificate, i.key);
	tls_add_extension(i.certificate, by->certificate, NID_basic_constraints, issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	if (names != NULL)
		tls_add_extension(i.certificate, by->certificate, NID_subject_alt_name, names);
	if (purpose != NULL)
		tls_add_extension(i.certificate, by->certificate, NID_ext_key_usage, purpose);
	ck_assert_int_gt(X509_sign(i.certificate, by->key, EVP_sha256()), 0);
	return i;
}

static inline void
tls_issued_free(struct issued *i)
{
	X509_free(i->certificate);
	EVP_PKEY_free(i->key);
}

static inline void
tls_write(const char *file, const struct issued *i, bool key)
{
	FILE *f = fopen(tls_file(file), "w");

	ck_assert_ptr_nonnull(f);
	if (key)
		PEM_write_PrivateKey(f, i->key, NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_X509(f, i->certificate);
	fclose(f);
}

static inline void
tls_write_text(const char *file, const char *text)
{
	FILE *f = fopen(tls_file(file), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* A revocation list with this certificate on it (NULL: empty), the next one due in so many seconds. */
static inline void
tls_write_revoked(const char *file, const struct issued *authority, const struct issued *gone, long due)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();
	FILE *f = fopen(tls_file(file), "w");

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(authority->certificate));
	X509_gmtime_adj(t, -TLS_DAY);
	X509_CRL_set1_lastUpdate(crl, t);
	if (gone != NULL) {
		X509_REVOKED *r = X509_REVOKED_new();
		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(gone->certificate));
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(crl, r);
	}
	X509_gmtime_adj(t, due);
	X509_CRL_set1_nextUpdate(crl, t);
	X509_CRL_sign(crl, authority->key, EVP_sha256());
	PEM_write_X509_CRL(f, crl);
	fclose(f);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
}

/* Both sides' hands are shaken. True when both are content. */
static inline bool
tls_shake(SSL *server, SSL *client)
{
	BIO *a, *b;
	int s = 0, c = 0;
	char byte;

	ck_assert_int_eq(BIO_new_bio_pair(&a, 65536, &b, 65536), 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (int i = 0; i < 20 && (s != 1 || c != 1); i++) {
		c = SSL_do_handshake(client);
		s = SSL_do_handshake(server);
	}
	if (s == 1 && c == 1)
		SSL_read(client, &byte, 1);	/* the tickets, and a refusal that comes behind a handshake of 1.3 */
	return s == 1 && c == 1;
}

#endif
