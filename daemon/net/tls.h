/* TLS of a listener (1.2 and 1.3): its certificate, who may be a client, and the loading of both from files. A reload makes a new one; connections keep
 * theirs. Sessions are resumed by tickets, whose keys go with the object: what a new revocation list forbids is not resumed. */
#ifndef VB_NET_TLS_H
#define VB_NET_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct tls;

enum tls_clients { TLS_CLIENTS_NONE, TLS_CLIENTS_OPTIONAL, TLS_CLIENTS_REQUIRED };

struct tls_files {
	const char *certificate, *key;		/* PEM: the certificate with its chain, its private key */
	const char *client_ca, *revoked;	/* PEM; empty: none */
	enum tls_clients clients;
};

/* Loads the files; one holder. NULL and a sentence in error (which names the file, never its content) when one of them is not fit. */
struct tls *tls_new(const struct tls_files *files, char *error, size_t error_size) __attribute__((warn_unused_result));
struct tls *tls_hold(struct tls *t);
void tls_release(struct tls *t);

/* A new server side of a connection. */
SSL *tls_accept(const struct tls *t);

/* When the certificate, and the first of the revocation lists, end: microseconds since 1970 UTC; 0 where there is none. */
int64_t tls_certificate_ends(const struct tls *t);
int64_t tls_revoked_ends(const struct tls *t);

/* Who a client certificate is for. */
struct tls_identity {
	char fingerprint[65];		/* SHA-256 of the certificate, 64 hex digits in lower case */
	char *subject;			/* RFC 2253, e.g. "CN=clinic,O=Hospital" */
	char *names;			/* subject alternative names, one a line: "DNS:clinic.example" */
};

/* The identity of a verified peer, NULL where it has shown no certificate. The caller frees it. */
struct tls_identity *tls_identity_of(SSL *ssl);
void tls_identity_free(struct tls_identity *i);

/* Was this side of a connection made by it, and not by what the files held before? */
bool tls_made(const struct tls *t, const SSL *ssl);
/* Has the peer's certificate not ended since it was verified? True without one. */
bool tls_is_in_time(SSL *ssl);

/* Would this peer's certificate be accepted now? True without one. */
bool tls_still_accepts(const struct tls *t, SSL *ssl);

/* Why a handshake or a record failed, for the log: OpenSSL's reason, of a fixed list of texts. */
const char *tls_reason(unsigned long error);

#endif
