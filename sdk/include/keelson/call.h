/* call.h - the one parameter that goes with every call across the plugin boundary.
 *
 * Ownership, for all interfaces: inputs are borrowed until the call returns; outputs live in the call's arena; nothing
 * is freed on the side that did not allocate it.
 */
#ifndef KEELSON_CALL_H
#define KEELSON_CALL_H

#include "error.h"

/* Where the values of an object's members begin in its text: the host knows it for each stored object, and so nobody has to find it anew. 0: not there. */
struct kl_places {
    KL_STRUCT_HEAD;
    uint32_t labels, owners;            /* metadata.labels, metadata.ownerReferences */
    uint32_t spec, status;
    uint32_t node, managed;             /* spec.nodeName; metadata.managedFields where they, most of metadata, come last there */
};

struct kl_call {
    KL_STRUCT_HEAD;
    uint32_t flags;                     /* KL_CALL_*; unknown bits are ignored */
    struct kl_err err;                  /* the reason of a failure; set by kl_fail */
    int64_t deadline_ns;                /* on the host's monotonic clock; 0 = none */
    const char *trace_id, *user;        /* borrowed for the call; may be NULL */
    void *arena;                        /* the host's; opaque */
    void *(*alloc)(void *arena, size_t n);           /* zeroed; NULL when out of memory; freed by the host after the call */
    bool (*cancelled)(const struct kl_call *c);      /* poll in every long loop; may be NULL: never cancelled */
    uint64_t request;                   /* what is decided, the same each time it is asked anew (host.h: wait); 0: it cannot wait */
    const struct kl_places *places;     /* controller's map: of obj; NULL: look for yourself */
};

#define KL_CALL_DRY_RUN 1u              /* no side effects */
#define KL_CALL_CONTINUES 64u           /* open of a store: the caller knows what it holds, from who had it open before; range may never be called */
#define KL_CALL_REINVOKED 4u            /* admission: the second walk through the mutating plugins */
#define KL_CALL_VALIDATING 8u           /* admission: the object is final, a patch counts no more */
#define KL_CALL_AUDITED 16u             /* admission: the verdict's annotations are kept */
#define KL_CALL_AUDITED_OBJECTS 32u     /* they may tell what is in the object */
#define KL_CALL_DELETED 2u              /* controller's map: the object is gone, what is given is its last state */
#define KL_CALL_MISSED 128u             /* controller's map: changes before this one were missed, deletions too; all that there is follows as added */

#define kl_fail(c, code, ...) kl_err_set(&(c)->err, (code), __VA_ARGS__)

static inline void *kl_alloc(struct kl_call *c, size_t n)
{
    return c->alloc(c->arena, n);
}

static inline bool kl_cancelled(const struct kl_call *c)
{
    return c->cancelled && c->cancelled(c);
}

/* A zero-terminated copy in the call's arena; at == NULL or no memory: NULL. */
static inline char *kl_dup(struct kl_call *c, const char *at, size_t len)
{
    char *p = at ? (char *)kl_alloc(c, len + 1) : NULL;
    if (p && len)
        memcpy(p, at, len);
    return p;
}

#endif
