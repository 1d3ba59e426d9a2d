/* layer.h - keelson.layer/0: what stands between the host and another instance and sees each of its calls: to trace, to fail, to record.
 *
 * An instance names its layers in conf/ (`layers = [ "trace", "fault" ]`), the outermost first. Once it is open the host asks each of them, the innermost
 * first, for a table of the same interface that stands in its place. The layer copies the inner table's data, leaves out the functions
 * that it leaves out, and calls on. What it adds is its own: a call may be delayed, answered by itself, or answered otherwise.
 */
#ifndef KEELSON_IFACE_LAYER_H
#define KEELSON_IFACE_LAYER_H

#include "../plugin.h"

#define KL_LAYER_0 "keelson.layer/0"

struct kl_layered {
    KL_STRUCT_HEAD;
    const char *iface, *instance;       /* "keelson.scheduler/0", "binpack" */
    const void *table;                  /* the interface's struct */
    void *self;
};

struct kl_layer {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* [worker] inner lives until the wrapped table's life.close, which closes it and is the last call of all. *ret: table and self that are called
     * instead; its iface and instance are not read. Its calls come on the threads that the interface names. KL_UNSUPPORTED: not this interface. */
    int (*wrap)(void *self, struct kl_call *c, const struct kl_layered *inner, struct kl_layered *ret);
};

/* --- signatures: see signature.h --- */
#define KL_LAYERED_MEMBERS(M, S) \
    M(S, STR, iface, _) \
    M(S, STR, instance, _) \
    M(S, TABLE, table, _) \
    M(S, HANDLE, self, _)
#define KL_LAYER_CALLS(F, S) F(S, wrap, INT, WORKER, 0, (CALL, c, _), (STRUCT, inner, kl_layered), (OUT_STRUCT, ret, kl_layered))

#endif
