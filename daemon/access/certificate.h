/* Client certificates against the settings: `fingerprint AA:BB:…`, `subject CN=…`, `san DNS:…`. */
#ifndef VB_ACCESS_CERTIFICATE_H
#define VB_ACCESS_CERTIFICATE_H

#include <stdbool.h>

#include "net/tls.h"

/* Is this the certificate that the setting means? False for NULL and for an empty setting. Fingerprints are of SHA-256, in any case, with or without
 * colons; a subject is compared whole, as RFC 2253 writes it; a name with its kind. */
bool certificate_matches(const char *setting, const struct tls_identity *identity);

#endif
