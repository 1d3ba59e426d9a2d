/* wire.h - arguments and results of any call as bytes, by its signature. The same on both sides; what is read is a private copy that its reader
 * has checked: every length against what is left, every text against its end.
 *
 * Texts and bytes that are read point into the message; arrays and structs are made by `alloc`.
 */
#ifndef ISOLATE_WIRE_H
#define ISOLATE_WIRE_H

#include <keelson/signature.h>

#include "base/buf.h"

#define WIRE_ARGUMENTS 8u
#define WIRE_FDS       8u
#define WIRE_MEMORY    (1u << 20)       /* most of an OUT_MEMORY */

struct wire {
    struct buf *out;                    /* of what is written */
    const char *at, *end;               /* of what is read */
    bool bad;                           /* what was read is no such message, or there is no memory */
    void *(*alloc)(void *ctx, size_t n);        /* zeroed */
    void *alloc_ctx;
    int fds[WIRE_FDS];                  /* that go along */
    unsigned n_fds;
    /* Handles to numbers and back; NULL: as they are. */
    uint64_t (*give)(void *ctx, void *handle);
    void *(*take)(void *ctx, uint64_t number, bool *bad);
    void *ctx;
};

/* Arguments of a call that is served: each in a place of 16 bytes (tables.c makes structs like it), and what its OUT pointers point to. */
struct wire_frame {
    _Alignas(16) char arg[WIRE_ARGUMENTS][16];
    _Alignas(16) char store[WIRE_ARGUMENTS][16];
    const void *at[WIRE_ARGUMENTS];     /* &arg[i] */
    struct kl_call *call;               /* what a CALL argument becomes; its arena takes what the callee allocates */
};

void wire_put_u32(struct wire *w, uint32_t v);
void wire_put_u64(struct wire *w, uint64_t v);
void wire_put_str(struct wire *w, const char *s);                       /* NULL is kept */
void wire_put_bytes(struct wire *w, const char *at, size_t n);          /* at NULL is kept */
void wire_put_strs(struct wire *w, const char *const *list);
uint32_t wire_get_u32(struct wire *w);
uint64_t wire_get_u64(struct wire *w);
const char *wire_get_str(struct wire *w);
struct kl_bytes wire_get_bytes(struct wire *w);
const char *const *wire_get_strs(struct wire *w);
/* A count of things that take at least `least` bytes each. */
uint32_t wire_get_count(struct wire *w, uint32_t least);
void *wire_alloc(struct wire *w, size_t n);

/* Data members of a table (its signature's `data`). */
void wire_put_data(struct wire *w, const struct kl_sig_table *t, const void *table);
void wire_get_data(struct wire *w, const struct kl_sig_table *t, void *table);

/* The caller: at[i] points to argument i. */
struct kl_call *wire_call(const struct kl_sig_call *c, const void *const *at);  /* NULL: the call has none */
void wire_put_arguments(struct wire *w, const struct kl_sig_call *c, const void *const *at);
void wire_get_results(struct wire *w, const struct kl_sig_call *c, const void *const *at, int64_t result);
/* The callee. */
void wire_get_arguments(struct wire *w, const struct kl_sig_call *c, struct wire_frame *f);
void wire_put_results(struct wire *w, const struct kl_sig_call *c, const struct wire_frame *f, int64_t result);

#endif
