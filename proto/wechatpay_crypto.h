/* The cryptography of WeChat Pay APIv3 on OpenSSL's EVP: RSA signatures over lines of text, AEAD_AES_256_GCM, strict base64. It does not know
 * what is signed or sealed; see wechatpay.h. No function leaves anything in OpenSSL's error queue, where the TLS of a connection on
 * the same thread would take it for its own. */
#ifndef VB_PROTO_WECHATPAY_CRYPTO_H
#define VB_PROTO_WECHATPAY_CRYPTO_H

#include <openssl/types.h>

#include "arena.h"
#include "view.h"

enum { WECHATPAY_KEY_BYTES = 32, WECHATPAY_NONCE_BYTES = 12, WECHATPAY_TAG_BYTES = 16 };

/* An RSA key of 2048 to 8192 bits from PEM: a private key without a passphrase; a public key, or the certificate that has it. The caller
 * frees it (EVP_PKEY_free). NULL, with a sentence in error, when it is not one. */
EVP_PKEY *wechatpay_private_key(const char *pem, char *error, size_t size) __attribute__((warn_unused_result));
EVP_PKEY *wechatpay_public_key(const char *pem, char *error, size_t size) __attribute__((warn_unused_result));

/* Signs the n lines, each followed by LF (also the last one, also an empty one): RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2),
 * base64. In the arena; NULL when OpenSSL fails. */
const char *wechatpay_sign_lines(EVP_PKEY *key, struct arena *a, const struct view *lines, size_t n) __attribute__((warn_unused_result));

/* True only when `signature`, in base64, is the key's over these lines. */
bool wechatpay_lines_are_signed(EVP_PKEY *key, const struct view *lines, size_t n, struct view signature) __attribute__((warn_unused_result));

/* AEAD_AES_256_GCM (RFC 5116 section 5.2): sealed is the ciphertext with its tag after it, in base64. *ret is the plaintext, in the arena,
 * with a NUL after it. Returns 0; -1 when anything is wrong, and then *ret is untouched and the arena holds no plaintext. */
int wechatpay_open(const unsigned char key[WECHATPAY_KEY_BYTES], struct arena *a, struct view nonce, struct view associated_data,
    struct view sealed, struct view *ret) __attribute__((warn_unused_result));

/* Base64 (RFC 4648 section 4) without line ends, padded, its unused bits zero: one text for each value. ret has room for n / 4 * 3 bytes.
 * Returns how many bytes there are, or -1. */
long wechatpay_base64_decode(struct view text, unsigned char *ret) __attribute__((warn_unused_result));

#endif
