/* layer.h - the common part of layers (keelson.layer/0): a table in front of any instance of any interface, by its signature. A layer says what happens
 * before and after a call.
 *
 * wrap -> for each call: before, the inner function unless before answers, after -> close: the inner instance's close, then gone. The functions
 * run on the threads that the interface names, several at once where it says so. */
#ifndef LAYER_LAYER_H
#define LAYER_LAYER_H

#include <keelson/iface/layer.h>
#include <keelson/signature.h>

struct layered;

struct layer_call {
    struct layered *of;
    const struct kl_sig_call *call;     /* its name, its arguments */
    const void *const *args;            /* args[i] points to the i-th argument */
    struct kl_call *c;                  /* NULL: this one has none */
    int64_t began_ns;                   /* on the monotonic clock */
};

struct layer_ops {
    /* True: the inner function is not called, *result is the answer (of calls that return a number). NULL: never. */
    bool (*before)(void *layer, struct layer_call *x, int64_t *result);
    /* *result may be changed, and what the results' arguments point to. made: the inner function was called. NULL: nothing. */
    void (*after)(void *layer, struct layer_call *x, bool made, int64_t *result);
};

#define LAYER_TABLE_BYTES 512u

struct layered {
    unsigned char table[LAYER_TABLE_BYTES] __attribute__((aligned(16)));
    struct kl_layered inner;
    const struct kl_sig_table *sig;
    const struct layer_ops *ops;
    void *layer;
    char instance[64];
    uint32_t number;                    /* of this layer's instances, from 1 */
};

/* For kl_layer.wrap. KL_UNSUPPORTED: an interface that this layer does not know. */
int layer_wrap(const struct layer_ops *ops, void *layer, struct kl_call *c, const struct kl_layered *inner, struct kl_layered *ret);
int64_t layer_now_ns(void);

#endif
