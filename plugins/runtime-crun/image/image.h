/* image.h - container images of one node in one folder: an OCI image layout, and beside it each layer unpacked once.
 *
 *   oci-layout index.json blobs/sha256/<64 hex>     readable by any OCI tool; a name is an annotation in index.json
 *   layers/<32 hex>                                  a layer unpacked, named by its blob's digest; lower folders of overlayfs
 *   users/<id>                                       one file per container: the layers that must stay
 *   tmp/ lock
 *
 * All functions are [any] and [worker]-like: they block. Several processes may use one store: changes happen under a file
 * lock, readers need none.
 */
#ifndef OCI_IMAGE_IMAGE_H
#define OCI_IMAGE_IMAGE_H

#include <keelson/error.h>

#include "base/json.h"
#include "image/unpack.h"

#define IMAGE_LAYERS_MOST 100           /* overlayfs takes its lower folders in one page of text */
#define IMAGE_NAME_MOST   512

struct image_store;

struct image_layer {
    const char *digest, *diff_id;
    int64_t size;                       /* packed */
};

/* Lives in the arena it was asked with. */
struct image {
    const char *id, *manifest;          /* digests of config and manifest */
    const char **names;                 /* "docker.io/library/busybox:latest" */
    uint32_t n_names, n_layers;
    struct image_layer *layers;         /* lowest first */
    int64_t size;                       /* of config and packed layers */
    struct val *config;                 /* the OCI config document */
};

/* Makes the folder when it is not there. */
int image_store_open(const char *dir, struct image_store **ret, struct kl_err *err);
struct image_store *image_store_close(struct image_store *s);
const char *image_store_dir(const struct image_store *s);

/* ref as in a Pod: "busybox", "localhost/busybox:demo", "name@sha256:...", "sha256:<config digest>". KL_NOT_FOUND names
 * where it looked; KL_INVALID: not a reference. */
int image_find(struct image_store *s, struct arena *a, const char *ref, struct image **ret, struct kl_err *err);
/* All, ordered as in the index. */
int image_list(struct image_store *s, struct arena *a, struct image ***ret, uint32_t *ret_n, struct kl_err *err);
/* Takes the name away (a digest: all names), then what nothing else needs. Nothing there: KL_NOT_FOUND. */
int image_remove(struct image_store *s, const char *ref, struct kl_err *err);
/* Adds every name of the archive (or `name`, when not NULL, for its only image): an OCI layout (folder or tar) or a docker
 * archive. The names added, in the arena. */
int image_import(struct image_store *s, struct arena *a, const char *path, const char *name, const char ***ret_names,
                 uint32_t *ret_n, struct kl_err *err);

/* From the registry that the name says. Names without a registry are docker.io's; those of "localhost" without a port are this store's own and are asked of nobody.
 * Loopback and the registries in `insecure` are asked in plain text. KL_NOT_FOUND, KL_FORBIDDEN, KL_UNAVAILABLE, KL_TIMEOUT, KL_CANCELLED; in the words of those
 * who pull elsewhere. A name that is there already points at what the registry has now. */
struct image_pull {
    const char *ref;
    const char *username, *password;    /* NULL: anonymous */
    const char *const *insecure;        /* "registry.example:5000", NULL-terminated; NULL: none */
    const char *ca_file;                /* PEM, beside the system's; NULL: none */
    bool (*stop)(void *ctx);            /* NULL: never */
    void *stop_ctx;
};
int image_pull(struct image_store *s, const struct image_pull *q, struct kl_err *err);

/* A new image of one layer. */
struct image_build {
    const char *rootfs;                 /* this folder becomes the layer; NULL: a busybox system */
    const char *busybox;                /* path of the static binary for that; NULL: the installed one */
    const char *tag;
    const char *const *entrypoint, *const *cmd, *const *env;     /* NULL-terminated; NULL: none */
    const char *user, *workdir;         /* NULL: none */
};
int image_build(struct image_store *s, const struct image_build *b, char ret_id[DIGEST_TEXT], struct kl_err *err);

/* Holds the image's layers for a user (a container's id) and unpacks those that are not yet. Folders, lowest first, in
 * the arena. release: nothing held is success. */
int image_hold(struct image_store *s, struct arena *a, const struct image *i, const char *user, const char ***ret_dirs,
               struct kl_err *err);
int image_release(struct image_store *s, const char *user, struct kl_err *err);
/* The layers on top of each other as plain files, for kernels without overlayfs. */
int image_flatten(struct image_store *s, const struct image *i, const char *into, struct kl_err *err);

/* {"id","repoTags","repoDigests","size"[,"config"]} in the arena. */
struct val *image_json(struct arena *a, const struct image *i, bool with_config);

#endif
