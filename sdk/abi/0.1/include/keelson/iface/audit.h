/* audit.h - keelson.audit/0: where the trail of requests is kept. The host decides what is kept (its policy) and makes the events. */
#ifndef KEELSON_IFACE_AUDIT_H
#define KEELSON_IFACE_AUDIT_H

#include "../plugin.h"

#define KL_AUDIT_0 "keelson.audit/0"

struct kl_audit {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* [loop] Must not block: takes a copy and writes elsewhere. lines: n events of audit.k8s.io/v1, JSON, each ended by a newline, in the order
     * in which they happened. < 0: they are lost (c->err), which is counted. What was taken is kept also through close. */
    int (*write)(void *self, struct kl_call *c, uint32_t n, struct kl_bytes lines);
};

/* --- signatures: see signature.h --- */
#define KL_AUDIT_CALLS(F, S) F(S, write, INT, LOOP, 0, (CALL, c, _), (U32, n, _), (BYTES, lines, _))

#endif
