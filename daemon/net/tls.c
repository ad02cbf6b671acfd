/* TLS by OpenSSL 3: one SSL_CTX a listener and configuration. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SESSION_SECONDS = 3600 };

struct tls {
	SSL_CTX *ctx;
	unsigned references;
	int64_t certificate_ends, revoked_ends;
};

static int64_t
time_of(const ASN1_TIME *t)
{
	int days, seconds;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int64_t us = 0;

	if (t != NULL && epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1)
		us = ((int64_t)days * 86400 + seconds) * 1000000;
	ASN1_TIME_free(epoch);
	return us;
}

const char *
tls_reason(unsigned long error)
{
	const char *text = ERR_reason_error_string(error);

	return text != NULL ? text : "the peer broke off";
}

static int
complain(char *error, size_t size, const char *file, const char *what)
{
	snprintf(error, size, "%s: %s (%s)", file, what, tls_reason(ERR_peek_last_error()));
	ERR_clear_error();
	return -1;
}

/* A key that needs a passphrase is refused: nobody sits at the daemon's terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static int
load_own(struct tls *t, const struct tls_files *f, char *error, size_t size)
{
	SSL_CTX_set_default_passwd_cb(t->ctx, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(t->ctx, f->certificate) != 1)
		return complain(error, size, f->certificate, "no certificate can be read");
	if (SSL_CTX_use_PrivateKey_file(t->ctx, f->key, SSL_FILETYPE_PEM) != 1)
		return complain(error, size, f->key, "no private key can be read that fits the certificate");
	if (SSL_CTX_check_private_key(t->ctx) != 1)
		return complain(error, size, f->key, "the private key is not the certificate's");
	t->certificate_ends = time_of(X509_get0_notAfter(SSL_CTX_get0_certificate(t->ctx)));
	return 0;
}

/* Every list of the file. With them, a client whose authority has no list is refused: a forgotten list must not let the revoked in. */
static int
load_revoked(struct tls *t, const char *path, char *error, size_t size)
{
	X509_STORE *store = SSL_CTX_get_cert_store(t->ctx);
	FILE *in = fopen(path, "re");
	X509_CRL *crl;
	unsigned n = 0;
	bool failed = false;

	if (in == NULL) {
		snprintf(error, size, "%s: the revocation list cannot be read", path);
		return -1;
	}
	for (; (crl = PEM_read_X509_CRL(in, NULL, NULL, NULL)) != NULL; n++) {
		int64_t ends = time_of(X509_CRL_get0_nextUpdate(crl));
		if (ends != 0 && (t->revoked_ends == 0 || ends < t->revoked_ends))
			t->revoked_ends = ends;
		failed = failed || X509_STORE_add_crl(store, crl) != 1;
		X509_CRL_free(crl);
	}
	fclose(in);
	bool clean = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (n == 0 || failed || !clean)
		return complain(error, size, path, "not a list of revoked certificates");
	ERR_clear_error();
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return 0;
}

static int
load_clients(struct tls *t, const struct tls_files *f, char *error, size_t size)
{
	if (f->clients == TLS_CLIENTS_NONE)
		return 0;
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(f->client_ca);
	if (names == NULL || SSL_CTX_load_verify_locations(t->ctx, f->client_ca, NULL) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return complain(error, size, f->client_ca, "no certificate of an authority can be read");
	}
	SSL_CTX_set_client_CA_list(t->ctx, names);
	if (f->revoked[0] != '\0' && load_revoked(t, f->revoked, error, size) != 0)
		return -1;
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | (f->clients == TLS_CLIENTS_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(t->ctx), X509_PURPOSE_SSL_CLIENT);
	return 0;
}

struct tls *
tls_new(const struct tls_files *files, char *error, size_t error_size)
{
	static const unsigned char context_id[] = "visitbill";
	struct tls *t = memory_new(sizeof(*t));

	t->references = 1;
	t->ctx = SSL_CTX_new(TLS_server_method());
	ERR_clear_error();
	if (t->ctx == NULL || SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1) {
		snprintf(error, error_size, "OpenSSL has no TLS 1.2");
		tls_release(t);
		return NULL;
	}
	/* a peer that closes without a farewell is a peer that closes: frames and requests have ends of their own */
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);	/* tickets need no memory here */
	SSL_CTX_set_session_id_context(t->ctx, context_id, sizeof(context_id) - 1);
	SSL_CTX_set_timeout(t->ctx, SESSION_SECONDS);
	if (load_own(t, files, error, error_size) == 0 && load_clients(t, files, error, error_size) == 0)
		return t;
	tls_release(t);
	return NULL;
}

struct tls *
tls_hold(struct tls *t)
{
	if (t != NULL)
		t->references++;
	return t;
}

void
tls_release(struct tls *t)
{
	if (t == NULL || --t->references > 0)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

SSL *
tls_accept(const struct tls *t)
{
	return SSL_new(t->ctx);
}

int64_t
tls_certificate_ends(const struct tls *t)
{
	return t->certificate_ends;
}

int64_t
tls_revoked_ends(const struct tls *t)
{
	return t->revoked_ends;
}

/* ------- who a client is */

static char *
text_of_bio(BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return memory_text(p, n > 0 ? (size_t)n : 0);
}

static char *
subject_of(const X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	/* UTF-8 as it is, so that a Chinese name is written in the settings as it reads */
	X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	text = text_of_bio(bio);
	BIO_free(bio);
	return text;
}

static void
put_name(BIO *bio, const char *kind, const ASN1_STRING *s)
{
	const unsigned char *p = ASN1_STRING_get0_data(s);
	int n = ASN1_STRING_length(s);

	if (memchr(p, '\0', (size_t)n) == NULL && memchr(p, '\n', (size_t)n) == NULL)	/* such a name is nobody's */
		BIO_printf(bio, "%s:%.*s\n", kind, n, (const char *)p);
}

static char *
names_of(const X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type == GEN_DNS)
			put_name(bio, "DNS", g->d.dNSName);
		else if (g->type == GEN_EMAIL)
			put_name(bio, "email", g->d.rfc822Name);
		else if (g->type == GEN_URI)
			put_name(bio, "URI", g->d.uniformResourceIdentifier);
	}
	text = text_of_bio(bio);
	GENERAL_NAMES_free(names);
	BIO_free(bio);
	return text;
}

struct tls_identity *
tls_identity_of(SSL *ssl)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK || X509_digest(certificate, EVP_sha256(), md, &n) != 1)
		return NULL;
	struct tls_identity *i = memory_new(sizeof(*i));
	for (unsigned k = 0; k < n && k < 32; k++)
		snprintf(i->fingerprint + k * 2, 3, "%02x", md[k]);
	i->subject = subject_of(certificate);
	i->names = names_of(certificate);
	return i;
}

void
tls_identity_free(struct tls_identity *i)
{
	if (i == NULL)
		return;
	free(i->subject);
	free(i->names);
	free(i);
}

bool
tls_made(const struct tls *t, const SSL *ssl)
{
	return SSL_get_SSL_CTX(ssl) == t->ctx;
}

bool
tls_is_in_time(SSL *ssl)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);

	return certificate == NULL || X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

bool
tls_still_accepts(const struct tls *t, SSL *ssl)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	X509_STORE_CTX *check;
	bool fine;

	if (certificate == NULL)
		return true;
	check = X509_STORE_CTX_new();
	fine = check != NULL && X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(t->ctx), certificate, SSL_get_peer_cert_chain(ssl)) == 1;
	if (fine) {
		X509_STORE_CTX_set_default(check, "ssl_client");
		fine = X509_verify_cert(check) == 1;
	}
	X509_STORE_CTX_free(check);
	ERR_clear_error();
	return fine;
}
