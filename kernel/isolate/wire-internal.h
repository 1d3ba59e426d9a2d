/* wire-internal.h - what wire.c (values) and wire_call.c (calls) share. */
#ifndef ISOLATE_WIRE_INTERNAL_H
#define ISOLATE_WIRE_INTERNAL_H

#include "isolate/wire.h"

#define WIRE_ANY 0xffffffffu            /* as a length: whatever comes */

void wire_put_value(struct wire *w, const struct kl_sig_item *m, const void *at, uint32_t n);
void wire_get_value(struct wire *w, const struct kl_sig_item *m, void *at, uint32_t n);
void wire_put_struct_or_null(struct wire *w, const struct kl_sig_struct *of, const void *s);
void *wire_get_struct_or_null(struct wire *w, const struct kl_sig_struct *of);
void wire_put_structs(struct wire *w, const struct kl_sig_struct *of, const void *at, uint32_t n, uint32_t stride);
void *wire_get_structs(struct wire *w, const struct kl_sig_struct *of, uint32_t *n);

#endif
