/* encrypt-internal.h - what the encrypt*.c files share. */
#ifndef API_ENCRYPT_INTERNAL_H
#define API_ENCRYPT_INTERNAL_H

#include "api/encrypt.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

#define ENC_HEAD    "k8s:enc:"
#define ENC_KEYS    32                  /* ways of writing that one process can know: what the store remembers of an object */
#define ENC_STALE   (ENC_KEYS - 1)      /* read with something that is never written with */
#define ENC_SECRET  32

enum enc_type { ENC_IDENTITY = 1, ENC_AESGCM, ENC_AESCBC, ENC_SECRETBOX, ENC_KMS };
const char *enc_type_text(enum enc_type t);

/* A key that is in the configuration, or a KMS plugin's seed. Never changes; its place in the table is how objects say what wrote them. */
struct enc_key {
    enum enc_type type;
    char *prefix;                       /* "k8s:enc:aesgcm:v1:key1:" */
    char *name;
    unsigned char secret[ENC_SECRET];
    unsigned secret_len;
    struct str sealed_seed, key_id, annotations;        /* KMS: as the plugin gave them; annotations as protobuf entries */
};

struct enc_provider {
    enum enc_type type;
    unsigned how;                       /* index of the key; 0: identity */
    struct kms *kms;
};

struct enc_rule {
    const char **resources;             /* "secrets", "deployments.apps", "*.apps", "*.*" */
    unsigned n_resources;
    struct enc_provider *providers;
    unsigned n_providers;
};

struct enc_config {
    struct arena *arena;
    struct enc_rule *rules;
    unsigned n_rules;
};

struct encryption {
    struct store_cipher cipher;
    char *file;
    struct enc_key *keys[ENC_KEYS];     /* [0]: none, as it is */
    unsigned n_keys;
    struct enc_config *config;
    struct kms *all_kms;                /* also of configurations of before */
    struct loop *loop;
    struct loop_timer timer;
    uint64_t seen[3];                   /* of the file: inode, size, time */
    bool asking;
};

/* encrypt_config.c. Keys that are there already are found again. */
int enc_config_read(struct encryption *e, struct enc_config **ret, struct kl_err *err);
void enc_config_free(struct enc_config *c);
/* The first rule that names the resource ("/secrets", "apps/deployments"); NULL: none. */
const struct enc_rule *enc_rule_for(const struct enc_config *c, struct str resource);
/* Takes k; how: where it stands now. KL_UNAVAILABLE: too many in this process's life. */
int enc_key_add(struct encryption *e, struct enc_key *k, unsigned *ret_how, struct kl_err *err);
void enc_key_free(struct enc_key *k);

/* encrypt_ciphers.c: what follows the prefix. [any] seal: random nonces. open: false when key, data or context are not those of the writing. */
bool enc_seal(const struct enc_key *k, struct str context, struct str plain, struct buf *ret);
bool enc_open(const struct enc_key *k, struct arena *a, struct str context, struct str sealed, struct str *ret);
bool enc_xgcm_seal(const unsigned char seed[32], struct str context, struct str plain, struct buf *ret);
bool enc_xgcm_open(const unsigned char *seed, size_t seed_len, struct arena *a, struct str context, struct str sealed, struct str *ret);
bool enc_gcm_open(const unsigned char *key, size_t key_len, struct arena *a, struct str context, struct str sealed, struct str *ret);

/* encrypt_box.c: XSalsa20-Poly1305 as NaCl's secretbox has it: 16 bytes of tag, then as many as there were. */
void secretbox_seal(unsigned char *ret, const void *plain, size_t n, const unsigned char nonce[24], const unsigned char key[32]);
bool secretbox_open(unsigned char *ret, const void *box, size_t n, const unsigned char nonce[24], const unsigned char key[32]);

/* encrypt_kms.c: a KMS v2 plugin. */
struct kms {
    struct kms *next;
    char *name, *socket;
    int64_t timeout_ns;
    unsigned how;                       /* of its seed of now; 0: none yet */
    struct seed *seeds;                 /* of other starts, opened */
    char trouble[256];
    /* a question under way on a worker */
    struct encryption *of;
    struct enc_key *fresh;              /* a seed under another key */
    char fresh_trouble[256];
};
/* The plugin of that name and socket, asked for a seed when it is new. */
int kms_get(struct encryption *e, struct str name, struct str endpoint, int64_t timeout_ns, struct kms **ret, struct kl_err *err);
int kms_open(struct kms *k, struct encryption *e, struct arena *a, struct str context, struct str sealed, struct str *ret, unsigned *ret_how,
             struct kl_err *err);
bool kms_seal(const struct enc_key *k, struct str context, struct str plain, struct buf *ret);
/* Has its key changed? *ret: a seed under the new one; NULL: no. Blocks. */
int kms_ask(struct kms *k, const struct enc_key *now, struct enc_key **ret, struct kl_err *err);
void kms_free(struct kms *k);

/* encrypt_grpc.c: one call over a unix socket; blocks. */
int grpc_unary(const char *socket, const char *path, struct str message, int64_t timeout_ns, struct buf *ret, struct kl_err *err);

#endif
