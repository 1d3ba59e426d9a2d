/* volume.h - keelson.volume/0: a storage driver. It makes volumes and puts them where a node's pods can use them.
 *
 * A StorageClass names a driver's instance as its provisioner, and so does a PersistentVolume as its spec.csi.driver. The host watches claims and pods
 * and asks; a driver keeps no list of either. A volume's life: create -> publish (once per node, whatever the number of pods there) -> unpublish ->
 * remove. The host makes and checks what is around it: the PersistentVolume and its claim, the target's folder, the bind mount for each pod, read-only,
 * subPath, fsGroup, and that nobody uses a volume that is removed.
 *
 * All functions are [worker], may block until the call's deadline, and come many at once for different volumes, one at a time for one volume. Every one is
 * idempotent: a host that was killed half way asks again, also for what has happened already. Names and ids become parts of paths in many drivers: the
 * host gives names of [a-z0-9-] only, but an id may come from a PersistentVolume that a user wrote: check it.
 *
 * Errors: KL_INVALID (a parameter is wrong: asked again only when something has changed), KL_NOT_FOUND (no such volume), KL_ALREADY_EXISTS (that name has
 * another volume), KL_STORAGE_FULL (no room here), KL_CONFLICT (in use), KL_UNSUPPORTED; anything else is tried again with back-off.
 */
#ifndef KEELSON_IFACE_VOLUME_H
#define KEELSON_IFACE_VOLUME_H

#include "../plugin.h"

#define KL_VOLUME_0 "keelson.volume/0"

/* What a driver can do beside the functions that it has; the host never asks for what is not here. */
#define KL_VOLUME_LOCAL  1u             /* a volume lives on the node that made it, and only pods of that node can use it */
#define KL_VOLUME_BLOCK  2u             /* volumes may be raw block devices */
#define KL_VOLUME_SHARED 4u             /* several nodes may publish a volume at once (ReadWriteMany, ReadOnlyMany) */
#define KL_VOLUME_CLONE  8u             /* create can begin with what another volume holds */

/* A volume to make. */
struct kl_volume_spec {
    KL_STRUCT_HEAD;
    const char *name;                   /* "pvc-<uid>", unique for ever: the same name again is the same volume */
    int64_t bytes, bytes_most;          /* capacity: at least, and at most (0: no limit) */
    const char *const *parameters;      /* of the class: key, value, key, value, ..., NULL; NULL: none */
    const char *fs_type;                /* wanted file system, NULL: the driver's choice */
    const char *node;                   /* where its first user will be; NULL: not known. KL_VOLUME_LOCAL: this node */
    const char *from;                   /* KL_VOLUME_CLONE: id of the volume whose content it begins with; NULL: it begins empty */
    uint32_t block;                     /* 1: a raw device, no file system */
    uint32_t shared;                    /* 1: for several nodes */
};

struct kl_volume_made {
    KL_STRUCT_HEAD;
    const char *id;                     /* one line, at most 128 bytes; it is all that the driver is told later, with context */
    int64_t bytes;                      /* capacity; 0: as asked for */
    const char *const *context;         /* key, value, ..., NULL: given back with each later call; no secrets; NULL: none */
    const char *const *topology;        /* label, value, ..., NULL: nodes with all these labels reach it; NULL: all, or with KL_VOLUME_LOCAL this node */
};

/* A volume that was made, here or by an administrator (a PersistentVolume written by hand). */
struct kl_volume_use {
    KL_STRUCT_HEAD;
    const char *id;
    const char *const *context;         /* NULL: none */
    const char *target;                 /* publish, unpublish, grow, stats: a folder of this volume's own, there and empty when nothing is mounted on it */
    const char *fs_type;                /* publish; NULL: the driver's choice */
    const char *const *options;         /* publish: mount options, NULL at the end; NULL: none */
    uint32_t read_only;                 /* publish: nobody on this node may write to it */
    uint32_t block;                     /* it is a raw device */
};

struct kl_volume_stats {                /* < 0: not known */
    KL_STRUCT_HEAD;
    int64_t bytes, bytes_used, bytes_free, inodes, inodes_used, inodes_free;
};

struct kl_volume {
    KL_STRUCT_HEAD;
    struct kl_life life;
    uint32_t flags;                     /* KL_VOLUME_* */
    /* The same name with the same wishes: the same answer. With another capacity or another kind: KL_ALREADY_EXISTS. */
    int (*create)(void *self, struct kl_call *c, const struct kl_volume_spec *spec, struct kl_volume_made *ret);
    /* Volume and content are gone. What is not there: success. In use on a node: KL_CONFLICT. */
    int (*remove)(void *self, struct kl_call *c, const struct kl_volume_use *v);
    /* Makes the volume usable on this node. *ret_path: where it is: v->target, if it was mounted there, or any absolute path on this node (a folder; with
     * v->block a block device). Published already: the same again. No such volume: KL_NOT_FOUND. */
    int (*publish)(void *self, struct kl_call *c, const struct kl_volume_use *v, const char **ret_path);
    /* Undoes that; nothing is mounted on v->target any more. Not published, or no such volume: success. */
    int (*unpublish)(void *self, struct kl_call *c, const struct kl_volume_use *v);
    /* Optional, where volumes are created: makes it hold at least so many bytes; *ret_bytes: its new capacity. One that holds as much: success. Also of
     * one that is published (then grow follows on its node). */
    int (*expand)(void *self, struct kl_call *c, const struct kl_volume_use *v, int64_t bytes, int64_t *ret_bytes);
    /* Optional, where it is published: the file system takes the room that expand has made. */
    int (*grow)(void *self, struct kl_call *c, const struct kl_volume_use *v);
    /* Optional, where it is published; without it the host asks the file system. */
    int (*stats)(void *self, struct kl_call *c, const struct kl_volume_use *v, struct kl_volume_stats *ret);
};

/* The value of a key in such a list (parameters, context); NULL: not there. */
static inline const char *kl_volume_get(const char *const *list, const char *key)
{
    for (; list && list[0] && list[1]; list += 2)
        if (strcmp(list[0], key) == 0)
            return list[1];
    return NULL;
}

/* --- signatures: see signature.h --- */
#define KL_VOLUME_SPEC_MEMBERS(M, S) \
    M(S, STR, name, _) \
    M(S, I64, bytes, _) \
    M(S, I64, bytes_most, _) \
    M(S, STRS, parameters, _) \
    M(S, STR, fs_type, _) \
    M(S, STR, node, _) \
    M(S, STR, from, _) \
    M(S, U32, block, _) \
    M(S, U32, shared, _)
#define KL_VOLUME_MADE_MEMBERS(M, S) \
    M(S, STR, id, _) \
    M(S, I64, bytes, _) \
    M(S, STRS, context, _) \
    M(S, STRS, topology, _)
#define KL_VOLUME_USE_MEMBERS(M, S) \
    M(S, STR, id, _) \
    M(S, STRS, context, _) \
    M(S, STR, target, _) \
    M(S, STR, fs_type, _) \
    M(S, STRS, options, _) \
    M(S, U32, read_only, _) \
    M(S, U32, block, _)
#define KL_VOLUME_STATS_MEMBERS(M, S) \
    M(S, I64, bytes, _) \
    M(S, I64, bytes_used, _) \
    M(S, I64, bytes_free, _) \
    M(S, I64, inodes, _) \
    M(S, I64, inodes_used, _) \
    M(S, I64, inodes_free, _)
#define KL_VOLUME_DATA(M, S) \
    M(S, U32, flags, _)
#define KL_VOLUME_CALLS(F, S) \
    F(S, create, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STRUCT, spec, kl_volume_spec), (OUT_STRUCT, ret, kl_volume_made)) \
    F(S, remove, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STRUCT, v, kl_volume_use)) \
    F(S, publish, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STRUCT, v, kl_volume_use), (OUT_STR, ret_path, _)) \
    F(S, unpublish, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STRUCT, v, kl_volume_use)) \
    F(S, expand, INT, WORKER, KL_SIG_MANY | KL_SIG_OPTIONAL, (CALL, c, _), (STRUCT, v, kl_volume_use), (I64, bytes, _), (OUT_I64, ret_bytes, _)) \
    F(S, grow, INT, WORKER, KL_SIG_MANY | KL_SIG_OPTIONAL, (CALL, c, _), (STRUCT, v, kl_volume_use)) \
    F(S, stats, INT, WORKER, KL_SIG_MANY | KL_SIG_OPTIONAL, (CALL, c, _), (STRUCT, v, kl_volume_use), (OUT_STRUCT, ret, kl_volume_stats))

#endif
