/* base64.h - standard alphabet, padded, line breaks allowed on input. [any] */
#ifndef OBJECT_BASE64_H
#define OBJECT_BASE64_H

#include "base/buf.h"

bool base64_valid(struct str s);
/* Of one that is not: where Go says that it goes wrong. */
size_t base64_wrong_at(struct str s);
size_t base64_decoded(struct str s);                    /* length */
size_t base64_decode(struct str s, char *ret);          /* valid input only */
void base64_encode(struct buf *b, struct str bytes);

#endif
