/* Signing, verifying and opening with OpenSSL 3. Keys are parsed once, when the merchant is made; nothing is kept between calls. */
#include "wechatpay_crypto.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, SIGNATURE_TEXT_MAX = (RSA_BITS_MAX / 8 + 2) / 3 * 4 };

/* OpenSSL's own would ask for a passphrase on the terminal. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

/* The key, if it is one that the channel uses; else it is freed. */
static EVP_PKEY *
rsa_or_free(EVP_PKEY *key, const char *what, char *error, size_t size)
{
	ERR_clear_error();
	if (key == NULL) {
		snprintf(error, size, "the %s is not a PEM file of one, or has a passphrase", what);
	} else if (!EVP_PKEY_is_a(key, "RSA")) {
		snprintf(error, size, "the %s is not an RSA key", what);
	} else if (EVP_PKEY_get_bits(key) < RSA_BITS_MIN || EVP_PKEY_get_bits(key) > RSA_BITS_MAX) {
		snprintf(error, size, "the %s has %d bits, not %d to %d", what, EVP_PKEY_get_bits(key), RSA_BITS_MIN, RSA_BITS_MAX);
	} else {
		return key;
	}
	EVP_PKEY_free(key);
	return NULL;
}

EVP_PKEY *
wechatpay_private_key(const char *pem, char *error, size_t size)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	BIO_free(bio);
	return rsa_or_free(key, "merchant's private key", error, size);
}

EVP_PKEY *
wechatpay_public_key(const char *pem, char *error, size_t size)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;

	if (key == NULL && bio != NULL && BIO_reset(bio) >= 0) {	/* older merchants have the platform's certificate */
		X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
		key = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
		X509_free(certificate);
	}
	BIO_free(bio);
	return rsa_or_free(key, "platform's public key", error, size);
}

static bool
sign_update(EVP_MD_CTX *ctx, const struct view *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((lines[i].n > 0 && EVP_DigestSignUpdate(ctx, lines[i].p, lines[i].n) != 1) || EVP_DigestSignUpdate(ctx, "\n", 1) != 1)
			return false;
	return true;
}

static bool
verify_update(EVP_MD_CTX *ctx, const struct view *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((lines[i].n > 0 && EVP_DigestVerifyUpdate(ctx, lines[i].p, lines[i].n) != 1) || EVP_DigestVerifyUpdate(ctx, "\n", 1) != 1)
			return false;
	return true;
}

const char *
wechatpay_sign_lines(EVP_PKEY *key, struct arena *a, const struct view *lines, size_t n)
{
	unsigned char signature[RSA_BITS_MAX / 8];
	size_t used = sizeof(signature);
	char *text = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	/* PKCS #1 v1.5 is the default padding of an RSA key */
	if (ctx != NULL && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 && sign_update(ctx, lines, n)
	    && EVP_DigestSignFinal(ctx, signature, &used) == 1) {
		text = arena_alloc(a, SIGNATURE_TEXT_MAX + 1);
		EVP_EncodeBlock((unsigned char *)text, signature, (int)used);
	}
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return text;
}

bool
wechatpay_lines_are_signed(EVP_PKEY *key, const struct view *lines, size_t n, struct view signature)
{
	unsigned char bytes[SIGNATURE_TEXT_MAX / 4 * 3];
	long used = signature.n <= SIGNATURE_TEXT_MAX ? wechatpay_base64_decode(signature, bytes) : -1;
	bool valid = false;

	if (used <= 0)
		return false;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 && verify_update(ctx, lines, n))
		valid = EVP_DigestVerifyFinal(ctx, bytes, (size_t)used) == 1;	/* below 0 is an error of another kind: not valid either */
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return valid;
}

/* Opens n bytes (ciphertext, then tag) in place. */
static bool
gcm_open(EVP_CIPHER_CTX *ctx, const unsigned char *key, struct view nonce, struct view associated_data, unsigned char *bytes, int n)
{
	int used, text = n - WECHATPAY_TAG_BYTES;

	return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL) == 1
	    && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, WECHATPAY_NONCE_BYTES, NULL) == 1
	    && EVP_DecryptInit_ex(ctx, NULL, NULL, key, (const unsigned char *)nonce.p) == 1
	    && (associated_data.n == 0
	        || EVP_DecryptUpdate(ctx, NULL, &used, (const unsigned char *)associated_data.p, (int)associated_data.n) == 1)
	    && (text == 0 || EVP_DecryptUpdate(ctx, bytes, &used, bytes, text) == 1)
	    && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, WECHATPAY_TAG_BYTES, bytes + text) == 1
	    && EVP_DecryptFinal_ex(ctx, bytes + text, &used) == 1;
}

int
wechatpay_open(const unsigned char key[WECHATPAY_KEY_BYTES], struct arena *a, struct view nonce, struct view associated_data,
    struct view sealed, struct view *ret)
{
	if (nonce.n != WECHATPAY_NONCE_BYTES || sealed.n > INT_MAX || associated_data.n > INT_MAX)
		return -1;
	unsigned char *bytes = arena_alloc(a, sealed.n / 4 * 3 + 1);
	long n = wechatpay_base64_decode(sealed, bytes);
	if (n < WECHATPAY_TAG_BYTES)
		return -1;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool opened = ctx != NULL && gcm_open(ctx, key, nonce, associated_data, bytes, (int)n);
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	if (!opened) {
		OPENSSL_cleanse(bytes, (size_t)n);	/* it was decrypted before its tag was seen to be wrong */
		return -1;
	}
	bytes[n - WECHATPAY_TAG_BYTES] = '\0';
	*ret = (struct view){(const char *)bytes, (size_t)(n - WECHATPAY_TAG_BYTES)};
	return 0;
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Not EVP_DecodeBlock: that one trims blanks, counts padding as bytes and lets unused bits be anything. */
long
wechatpay_base64_decode(struct view text, unsigned char *ret)
{
	size_t padding = 0, n = 0;
	unsigned bits = 0;

	if (text.n % 4 != 0)
		return -1;
	while (padding < 2 && padding < text.n && text.p[text.n - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.n - padding; i++) {
		int value = base64_value(text.p[i]);
		if (value < 0)
			return -1;
		bits = (bits << 6 | (unsigned)value) & 0xFFFFFF;
		if (i % 4 != 0)
			ret[n++] = (unsigned char)(bits >> (6 - i % 4 * 2));
	}
	if ((padding == 1 && (bits & 0x03) != 0) || (padding == 2 && (bits & 0x0F) != 0))
		return -1;
	return (long)n;
}
