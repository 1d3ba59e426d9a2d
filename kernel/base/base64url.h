/* base64url.h - RFC 4648 section 5 without padding: continue tokens, JSON web tokens. [any] */
#ifndef BASE_BASE64URL_H
#define BASE_BASE64URL_H

#include "base/arena.h"
#include "base/buf.h"

void base64url_encode(struct buf *b, const void *at, size_t n);
/* In the arena; at == NULL: not base64url (padding is refused), or out of memory. */
struct str base64url_decode(struct arena *a, struct str s);

#endif
