/* The task is WeChat Pay's cryptography as the platform does it: verify the merchant's requests, sign replies and notifications, seal resources. Written for
 * the benchmark from the APIv3 documents; it shares nothing with proto/wechatpay, so that neither can hide the other's mistakes. */
#ifndef VB_BENCH_CHANNEL_CRYPTO_H
#define VB_BENCH_CHANNEL_CRYPTO_H

#include "common.h"

struct channel_keys;

/* PEM files: the platform's private key and the merchant's certificate; apiv3_key is 32 characters. */
struct channel_keys *channel_keys_new(const char *platform_key, const char *merchant_certificate, const char *serial, const char *apiv3_key);

/* The Wechatpay-* header lines over body, signed now; appended to out, each with CRLF. */
void channel_sign(struct channel_keys *k, struct buffer *out, const char *body, size_t n);

/* The Authorization header's value against method, path and body. */
bool channel_verify(struct channel_keys *k, const char *method, const char *path, const char *authorization, const char *body, size_t n);

/* AEAD_AES_256_GCM: base64 of ciphertext and tag, appended to out. nonce: 12 characters. */
void channel_seal(struct channel_keys *k, struct buffer *out, const char *nonce, const char *associated, const char *plain, size_t n);

void channel_random_text(char *to, unsigned n);		/* n letters and digits, then NUL */

#endif
