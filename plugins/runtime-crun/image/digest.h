/* digest.h - sha256 digests as text, checked before they touch a path. */
#ifndef OCI_IMAGE_DIGEST_H
#define OCI_IMAGE_DIGEST_H

#include "base/str.h"
#include "image/unpack.h"

/* ^sha256:[0-9a-f]{64}$ and nothing else. */
bool digest_valid(struct str s);
/* The 64 digits of a valid one. */
const char *digest_hex(const char *digest);
/* Of bytes in memory. False: out of memory. */
bool digest_of(struct str bytes, char ret[DIGEST_TEXT]);
/* Ends a running gnutls hash (gnutls_hash_hd_t). */
void digest_text(void *hash, char ret[DIGEST_TEXT]);

#endif
