/* A listener's certificate and its key, by OpenSSL. */
#include "doctor.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

enum { DAYS = 14 };

static X509 *
read_certificate(const char *path)
{
	FILE *f = fopen(path, "r");
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f != NULL)
		fclose(f);
	return x;
}

static EVP_PKEY *
read_key(const char *path)
{
	FILE *f = fopen(path, "r");
	EVP_PKEY *key = f != NULL ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (f != NULL)
		fclose(f);
	return key;
}

static void
check(struct doctor *d, const char *what, const char *path, const char *key_path)
{
	X509 *x = read_certificate(path);
	EVP_PKEY *key = read_key(key_path);
	int days = 0, seconds = 0;

	if (x == NULL || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		doctor_say(d, false, what, arena_printf(&d->arena, "%s cannot be read as a certificate", path), "scripts/certificates makes one");
	else if (key == NULL)
		doctor_say(d, false, what, arena_printf(&d->arena, "%s cannot be read as a key", key_path), "let the daemon's user read it, and run this as that user");
	else if (X509_check_private_key(x, key) != 1)
		doctor_say(d, false, what, arena_printf(&d->arena, "%s is not the key of %s", key_path, path), "put the two that belong together there");
	else
		doctor_say(d, days >= DAYS, what, arena_printf(&d->arena, "%d days left", days), "put a new one in its place and reload");
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
}

void
doctor_certificates(struct doctor *d, const struct config *c)
{
	for (size_t i = 0; i < c->n_listens; i++) {
		const struct config_listen *l = &c->listens[i];
		if (l->tls)
			check(d, arena_printf(&d->arena, "certificate of [listen %s]", l->name), l->certificate, l->key);
	}
}
