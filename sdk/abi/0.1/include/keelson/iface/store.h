/* store.h - keelson.store/0: where the objects of a cluster last.
 *
 * The kernel keeps all objects in memory and answers reads and watches itself; a provider makes commits durable and
 * gives everything back at the next start. One caller at a time ([worker]: the kernel's log thread), except where said.
 * Keys are "group/plural/ns/name" with an empty ns for cluster scope ("/pods/default/web", "/nodes//n1").
 * Revisions grow by commit and never go back, whatever fails.
 */
#ifndef KEELSON_IFACE_STORE_H
#define KEELSON_IFACE_STORE_H

#include "../plugin.h"

#define KL_STORE_0 "keelson.store/0"

enum kl_store_op_type { KL_STORE_PUT = 1, KL_STORE_DELETE = 2 };

struct kl_store_op {
    KL_STRUCT_HEAD;
    int32_t type;                       /* enum kl_store_op_type */
    struct kl_bytes key, value;         /* value empty for DELETE */
    uint64_t expected;                  /* revision the key must have now; 0: must not exist; UINT64_MAX: any */
};

/* All operations of a commit happen, or none. */
struct kl_store_commit {
    KL_STRUCT_HEAD;
    uint64_t revision;                  /* of this commit, one above the commit before (or more, never less) */
    uint32_t n;
    const struct kl_store_op *ops;
};

struct kl_store_record {
    KL_STRUCT_HEAD;
    struct kl_bytes key, value;
    uint64_t revision;                  /* of the commit that wrote it */
};

struct kl_store {
    KL_STRUCT_HEAD;
    struct kl_life life;                /* open recovers: refuses (KL_CORRUPT, naming file, offset and record) what is damaged */
    /* The newest revision that lasts. */
    uint64_t (*revision)(void *self);
    /* Records in key order, from the first key greater than `after` (empty: from the start), at most max, in the call's arena.
     * *n 0: the end. Only before the first append (start-up). */
    int (*range)(void *self, struct kl_call *c, struct kl_bytes after, uint32_t max, const struct kl_store_record **ret,
                 uint32_t *ret_n);
    /* Commits, in order, as one durable batch: returns 0 when all of them last (fdatasync), else none is acknowledged.
     * KL_CONFLICT: an expected revision did not hold (only engines that others write to). KL_STORAGE_FULL: nothing was
     * written, a later append may work. After a failed fsync the provider goes on in a new file. */
    int (*append)(void *self, struct kl_call *c, const struct kl_store_commit *commits, uint32_t n);
    /* Checkpoint: the kernel hands over the whole state at `revision`, in key order, in parts; `last` ends it. Appends may come
     * between parts. NULL: the engine does not need it. Between checkpoints `wants_checkpoint` says if one is worth it. */
    int (*checkpoint)(void *self, struct kl_call *c, uint64_t revision, const struct kl_store_record *records, uint32_t n,
                      uint32_t last);
    int (*wants_checkpoint)(void *self);                         /* [any] 1 yes, 0 no */
    /* {"files":[...],"bytes":n,"fsyncs":n,"appends":n,"commits":n,...} for metrics and `keelson store`. [any] */
    int (*stats)(void *self, struct kl_call *c, struct kl_bytes *ret);
    /* Instead of open, with the bound settings: reads everything and reports what it finds, a line each, in the call's arena. 0: sound
     * (now). -KL_CORRUPT: damage is left. repair: makes the store readable again, cuts only what the report names, and keeps the damaged
     * files aside. NULL: there is nothing to examine. [worker] */
    int (*examine)(void *conf, struct kl_call *c, int32_t repair, struct kl_bytes *ret_report);
};

/* --- signatures: see signature.h --- */
#define KL_STORE_OP_MEMBERS(M, S) \
    M(S, I32, type, _) \
    M(S, BYTES, key, _) \
    M(S, BYTES, value, _) \
    M(S, U64, expected, _)
#define KL_STORE_COMMIT_MEMBERS(M, S) \
    M(S, U64, revision, _) \
    M(S, U32, n, _) \
    M(S, STRUCTS, ops, kl_store_op)
#define KL_STORE_RECORD_MEMBERS(M, S) \
    M(S, BYTES, key, _) \
    M(S, BYTES, value, _) \
    M(S, U64, revision, _)
#define KL_STORE_CALLS(F, S) \
    F(S, revision, U64, WORKER, 0, (NONE, _, _)) \
    F(S, range, INT, WORKER, 0, (CALL, c, _), (BYTES, after, _), (U32, max, _), (OUT_STRUCTS, ret, kl_store_record), (OUT_U32, ret_n, _)) \
    F(S, append, INT, WORKER, 0, (CALL, c, _), (STRUCTS, commits, kl_store_commit), (U32, n, _)) \
    F(S, checkpoint, INT, WORKER, KL_SIG_OPTIONAL, (CALL, c, _), (U64, revision, _), (STRUCTS, records, kl_store_record), (U32, n, _), (U32, last, _)) \
    F(S, wants_checkpoint, INT, ANY, KL_SIG_OPTIONAL, (NONE, _, _)) \
    F(S, stats, INT, ANY, KL_SIG_OPTIONAL, (CALL, c, _), (OUT_BYTES, ret, _)) \
    F(S, examine, INT, WORKER, KL_SIG_OPTIONAL, (CALL, c, _), (I32, repair, _), (OUT_BYTES, ret_report, _))

#endif
