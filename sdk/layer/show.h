/* show.h - any argument, member or result by its description, as JSON. [any] */
#ifndef LAYER_SHOW_H
#define LAYER_SHOW_H

#include <keelson/signature.h>

#include "base/buf.h"

/* at: of the value (of OUT_ kinds: where the result is). n: how many, of arrays. most: bytes of one text or object that are shown.
 * Texts and bytes are strings, null when they are not there, {"hex":"..."} when they are no text. What proves who somebody is (members named bearer, key, token, password)
 * is not shown unless most is SIZE_MAX. */
void show_item(struct buf *to, const struct kl_sig_item *m, const void *at, uint32_t n, size_t most);
/* All arguments that are no results and no call, {"name":value,...}; args[i] points to the i-th. */
void show_arguments(struct buf *to, const struct kl_sig_call *call, const void *const *args, size_t most);
/* All results, likewise. */
void show_results(struct buf *to, const struct kl_sig_call *call, const void *const *args, size_t most);
bool show_is_result(uint32_t kind);

#endif
