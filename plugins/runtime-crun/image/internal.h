/* internal.h - what the files of the image store share. */
#ifndef OCI_IMAGE_INTERNAL_H
#define OCI_IMAGE_INTERNAL_H

#include "base/map.h"
#include "image/digest.h"
#include "image/fs.h"
#include "image/image.h"

#define DOCUMENT_MOST (4u << 20)        /* bytes of an index, manifest or config */

#define MEDIA_INDEX    "application/vnd.oci.image.index.v1+json"
#define MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_CONFIG   "application/vnd.oci.image.config.v1+json"
#define MEDIA_LAYER    "application/vnd.oci.image.layer.v1.tar"
#define NAME_KEY       "org.opencontainers.image.ref.name"

struct image_store {
    char *dir;
    int fd;                             /* of dir */
};

/* store.c: the writers' lock; close the descriptor to unlock. */
int store_lock(struct image_store *s, struct kl_err *err);
int store_index(struct image_store *s, struct arena *a, struct val **ret, struct kl_err *err);
int store_index_save(struct image_store *s, const struct val *index, struct kl_err *err);
/* Points name at a manifest; replaces an earlier one of that name. Under the lock. */
int store_name(struct image_store *s, struct arena *a, const char *name, const char *manifest, int64_t size, struct kl_err *err);
/* Removes blobs and layers that no manifest and no user needs. Under the lock. */
int store_sweep(struct image_store *s, struct kl_err *err);

/* blob.c: want NULL: any digest; want_size < 0: any size. */
int blob_put_fd(struct image_store *s, int fd, const char *want, int64_t want_size, char ret[DIGEST_TEXT], int64_t *ret_size,
                struct kl_err *err);
int blob_put(struct image_store *s, struct str bytes, char ret[DIGEST_TEXT], struct kl_err *err);
int blob_open(struct image_store *s, const char *digest, struct kl_err *err);
/* A JSON document, its digest checked; text and tree in the arena. */
int blob_json(struct image_store *s, struct arena *a, struct str digest, struct val **ret, struct kl_err *err);
bool blob_there(struct image_store *s, const char *digest);
void blob_path(const char *digest, char ret[96]);

/* manifest.c: the image behind a manifest digest, everything in it checked. */
int manifest_load(struct image_store *s, struct arena *a, struct str digest, struct image **ret, struct kl_err *err);
/* Checks of a manifest document; also says the config descriptor and layers array. */
int manifest_check(const struct val *doc, struct kl_err *err);
bool descriptor_check(const struct val *d, struct str *ret_digest, int64_t *ret_size);
bool manifest_is_index(const struct val *doc);
/* The architecture as OCI names it, of this machine. */
const char *manifest_arch(void);

/* import.c: the only image of an OCI layout of ours, under exactly that name. */
int image_adopt(struct image_store *s, struct arena *a, const char *dir, const char *name, struct kl_err *err);

/* ref.c: a reference as it is stored; local: names without a registry go to localhost/, else to docker.io/library/. */
int ref_full(const char *ref, bool local, char ret[IMAGE_NAME_MOST], struct kl_err *err);
/* The one full name that a registry knows it by; a digest stays, without one there is a tag. */
int ref_canonical(const char *ref, char ret[IMAGE_NAME_MOST], struct kl_err *err);
/* The n-th full name that a short one may mean; false: no more. */
bool ref_candidate(const char *ref, unsigned n, char ret[IMAGE_NAME_MOST]);

#endif
