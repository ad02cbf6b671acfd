/* OpenSSL's EVP; see channel_crypto.h. */
#include "channel_crypto.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct channel_keys {
	EVP_PKEY *platform, *merchant;
	EVP_MD_CTX *md;
	EVP_CIPHER_CTX *cipher;
	char serial[80];
	unsigned char apiv3[32];
};

enum { SIGNATURE_MAX = 512 };

static FILE *
open_file(const char *path)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		die("%s cannot be read", path);
	return f;
}

struct channel_keys *
channel_keys_new(const char *platform_key, const char *merchant_certificate, const char *serial, const char *apiv3_key)
{
	struct channel_keys *k = need(sizeof(*k));
	FILE *f = open_file(platform_key);

	k->platform = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	f = open_file(merchant_certificate);
	X509 *certificate = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	k->merchant = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
	X509_free(certificate);
	if (k->platform == NULL || k->merchant == NULL)
		die("the keys are not PEM");
	if (strlen(apiv3_key) != sizeof(k->apiv3))
		die("the APIv3 key has 32 characters");
	memcpy(k->apiv3, apiv3_key, sizeof(k->apiv3));
	snprintf(k->serial, sizeof(k->serial), "%s", serial);
	k->md = EVP_MD_CTX_new();
	k->cipher = EVP_CIPHER_CTX_new();
	if (k->md == NULL || k->cipher == NULL)
		die("out of memory");
	return k;
}

void
channel_random_text(char *to, unsigned n)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789ghijklmnopqrstuvwxyz";
	unsigned char random[64];

	if (n > sizeof(random) || RAND_bytes(random, (int)n) != 1)
		die("no random numbers");
	for (unsigned i = 0; i < n; i++)
		to[i] = letters[random[i] % (sizeof(letters) - 1)];
	to[n] = '\0';
}

void
channel_sign(struct channel_keys *k, struct buffer *out, const char *body, size_t n)
{
	char nonce[33], head[80], line[200];
	unsigned char signature[SIGNATURE_MAX], text[SIGNATURE_MAX * 2];
	size_t size = sizeof(signature);
	long long now = (long long)time(NULL);

	channel_random_text(nonce, 32);
	snprintf(head, sizeof(head), "%lld\n%s\n", now, nonce);
	EVP_MD_CTX_reset(k->md);
	if (EVP_DigestSignInit(k->md, NULL, EVP_sha256(), NULL, k->platform) != 1 || EVP_DigestSignUpdate(k->md, head, strlen(head)) != 1
	    || EVP_DigestSignUpdate(k->md, body, n) != 1 || EVP_DigestSignUpdate(k->md, "\n", 1) != 1 || EVP_DigestSignFinal(k->md, signature, &size) != 1)
		die("cannot sign");
	EVP_EncodeBlock(text, signature, (int)size);
	int used = snprintf(line, sizeof(line), "Wechatpay-Timestamp: %lld\r\nWechatpay-Nonce: %s\r\nWechatpay-Serial: %s\r\nWechatpay-Signature: ", now, nonce,
	    k->serial);
	buffer_put(out, line, (size_t)used);
	buffer_put(out, text, strlen((char *)text));
	static const char type[] = "\r\nWechatpay-Signature-Type: WECHATPAY2-SHA256-RSA2048\r\n";
	buffer_put(out, type, sizeof(type) - 1);
}

static bool
take(const char *header, const char *name, char *to, size_t size)
{
	const char *p = strstr(header, name);
	size_t n = strlen(name);

	if (p == NULL || strncmp(p + n, "=\"", 2) != 0)
		return false;
	p += n + 2;
	const char *end = strchr(p, '"');
	if (end == NULL || (size_t)(end - p) >= size)
		return false;
	memcpy(to, p, (size_t)(end - p));
	to[end - p] = '\0';
	return true;
}

bool
channel_verify(struct channel_keys *k, const char *method, const char *path, const char *authorization, const char *body, size_t n)
{
	char timestamp[24], nonce[80], text[SIGNATURE_MAX * 2], head[600];
	unsigned char signature[SIGNATURE_MAX * 2];

	if (strncmp(authorization, "WECHATPAY2-SHA256-RSA2048 ", 26) != 0 || !take(authorization, "timestamp", timestamp, sizeof(timestamp))
	    || !take(authorization, "nonce_str", nonce, sizeof(nonce)) || !take(authorization, "signature", text, sizeof(text)))
		return false;
	int size = EVP_DecodeBlock(signature, (unsigned char *)text, (int)strlen(text));
	for (size_t i = strlen(text); size > 0 && i > 0 && text[i - 1] == '='; i--)
		size--;
	if (size <= 0)
		return false;
	snprintf(head, sizeof(head), "%s\n%s\n%s\n%s\n", method, path, timestamp, nonce);
	EVP_MD_CTX_reset(k->md);
	return EVP_DigestVerifyInit(k->md, NULL, EVP_sha256(), NULL, k->merchant) == 1 && EVP_DigestVerifyUpdate(k->md, head, strlen(head)) == 1
	    && EVP_DigestVerifyUpdate(k->md, body, n) == 1 && EVP_DigestVerifyUpdate(k->md, "\n", 1) == 1
	    && EVP_DigestVerifyFinal(k->md, signature, (size_t)size) == 1;
}

void
channel_seal(struct channel_keys *k, struct buffer *out, const char *nonce, const char *associated, const char *plain, size_t n)
{
	unsigned char sealed[4096];
	int used, last;

	if (n + 16 > sizeof(sealed) || strlen(nonce) != 12)
		die("cannot seal that");
	if (EVP_EncryptInit_ex(k->cipher, EVP_aes_256_gcm(), NULL, k->apiv3, (const unsigned char *)nonce) != 1
	    || EVP_EncryptUpdate(k->cipher, NULL, &used, (const unsigned char *)associated, (int)strlen(associated)) != 1
	    || EVP_EncryptUpdate(k->cipher, sealed, &used, (const unsigned char *)plain, (int)n) != 1
	    || EVP_EncryptFinal_ex(k->cipher, sealed + used, &last) != 1
	    || EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_GET_TAG, 16, sealed + used + last) != 1)
		die("cannot seal");
	size_t size = (size_t)(used + last) + 16;
	char *to = buffer_room(out, (size + 2) / 3 * 4 + 1);
	out->used += (size_t)EVP_EncodeBlock((unsigned char *)to, sealed, (int)size);
}
