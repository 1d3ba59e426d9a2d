/* encrypt_kms.c - KMS v2 plugins. A plugin never sees objects: it seals a random seed once, and each object has a key of its own derived from the seed.
 * What is stored holds the sealed seed, so it is opened again (once) at the next start. */
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/varint.h"
#include "encrypt-internal.h"

struct seed {
    struct seed *next;
    struct str sealed, plain;
    bool current_key;                   /* sealed under the key that the plugin has now */
};

/* --- protobuf --- */

static void put_bytes(struct buf *b, unsigned field, struct str s)
{
    if (!s.len)
        return;
    varint_put(b, field << 3 | 2);
    varint_put(b, s.len);
    buf_add_str(b, s);
}

/* The next field: its bytes, or its number with bytes at NULL. */
static bool take_field(struct str *s, unsigned *field, struct str *bytes, uint64_t *number)
{
    uint64_t tag, n;
    if (!s->len || !varint_take(s, &tag))
        return false;
    *field = (unsigned)(tag >> 3);
    *bytes = STR_NONE;
    if ((tag & 7) == 0)
        return varint_take(s, number);
    if ((tag & 7) != 2 || !varint_take(s, &n) || n > s->len)
        return false;
    *bytes = str_n(s->at, (size_t)n);
    *s = str_skip(*s, (size_t)n);
    return true;
}

static struct str field_of(struct str message, unsigned wanted)
{
    unsigned field;
    struct str bytes, found = STR("");
    uint64_t number;
    while (take_field(&message, &field, &bytes, &number))
        if (field == wanted && bytes.at)
            found = bytes;
    return found;
}

/* Entries of a map, under another field number. */
static void copy_map(struct buf *b, struct str message, unsigned from, unsigned to)
{
    unsigned field;
    struct str bytes;
    uint64_t number;
    while (take_field(&message, &field, &bytes, &number))
        if (field == from && bytes.at)
            put_bytes(b, to, bytes);
}

/* --- the plugin's calls --- */

static int call(const struct kms *k, const char *path, struct str message, struct buf *ret, struct kl_err *err)
{
    int rc = grpc_unary(k->socket, path, message, k->timeout_ns, ret, err);
    return rc < 0 ? kl_err_wrap(err, "KMS plugin '%s'", k->name) : 0;
}

static int status(const struct kms *k, struct buf *ret_key_id, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    int rc = call(k, "/v2.KeyManagementService/Status", STR(""), &b, err);
    if (rc < 0)
        return rc;
    struct str version = field_of(buf_str(&b), 1), health = field_of(buf_str(&b), 2), id = field_of(buf_str(&b), 3);
    if (!str_is(version, "v2") && !str_is(version, "v2beta1"))
        return kl_err_set(err, KL_UNAVAILABLE, "KMS plugin '%s' speaks version '" STR_FMT "', not v2", k->name, STR_ARG(version));
    if (!str_is(health, "ok"))
        return kl_err_set(err, KL_UNAVAILABLE, "KMS plugin '%s' is not well: " STR_FMT, k->name, STR_ARG(health));
    if (!id.len || id.len > 1024)
        return kl_err_set(err, KL_UNAVAILABLE, "KMS plugin '%s' names no key", k->name);
    buf_add_str(ret_key_id, id);
    return 0;
}

static void request_id(struct buf *b, unsigned field)
{
    unsigned char id[16];
    char hex[33];
    env_random(id, sizeof id);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    put_bytes(b, field, str_of(hex));
}

static struct str kept(struct str s)
{
    return str_n(mem_dup(s.len ? s.at : "", s.len), s.len);
}

static int new_seed(const struct kms *k, struct enc_key **ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf ask = BUF_INIT(4096), b = BUF_INIT(1 << 20), map = BUF_INIT(1 << 20);
    struct enc_key *x = mem_alloc(sizeof *x);
    char prefix[400];
    if (!x)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    x->type = ENC_KMS;
    x->secret_len = 32;
    env_random(x->secret, 32);
    put_bytes(&ask, 1, str_n((const char *)x->secret, 32));
    request_id(&ask, 2);
    int rc = call(k, "/v2.KeyManagementService/Encrypt", buf_str(&ask), &b, err);
    struct str sealed = field_of(buf_str(&b), 1), id = field_of(buf_str(&b), 2);
    if (rc == 0 && (!sealed.len || sealed.len > 1024 || !id.len))
        rc = kl_err_set(err, KL_UNAVAILABLE, "KMS plugin '%s' gave no cipher text of at most 1024 bytes under a named key", k->name);
    copy_map(&map, buf_str(&b), 3, 4);
    snprintf(prefix, sizeof prefix, ENC_HEAD "kms:v2:%s:", k->name);
    x->name = mem_dup(k->name, strlen(k->name));
    x->prefix = mem_dup(prefix, strlen(prefix));
    x->sealed_seed = kept(sealed);
    x->key_id = kept(id);
    x->annotations = kept(buf_str(&map));
    if (rc == 0 && (!x->name || !x->prefix || !x->sealed_seed.at || !x->key_id.at || map.failed))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        enc_key_free(x);
        return rc;
    }
    *ret = x;
    return 0;
}

int kms_ask(struct kms *k, const struct enc_key *now, struct enc_key **ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf id = BUF_INIT(4096);
    *ret = NULL;
    int rc = status(k, &id, err);
    if (rc < 0 || (now && str_eq(buf_str(&id), now->key_id)))
        return rc;
    return new_seed(k, ret, err);
}

/* --- objects --- */

bool kms_seal(const struct enc_key *k, struct str context, struct str plain, struct buf *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (!enc_xgcm_seal(k->secret, context, plain, &b))
        return false;
    put_bytes(ret, 1, buf_str(&b));
    put_bytes(ret, 2, k->key_id);
    put_bytes(ret, 3, k->sealed_seed);
    buf_add_str(ret, k->annotations);
    varint_put(ret, 5 << 3);
    varint_put(ret, 1);                 /* a seed, from which each object's key is derived */
    return true;
}

static int open_seed(struct kms *k, struct encryption *e, struct str object, struct seed **ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf ask = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    struct str sealed = field_of(object, 3), id = field_of(object, 2);
    for (struct seed *s = k->seeds; s; s = s->next)
        if (str_eq(s->sealed, sealed)) {
            *ret = s;
            return 0;
        }
    put_bytes(&ask, 1, sealed);
    request_id(&ask, 2);
    put_bytes(&ask, 3, id);
    copy_map(&ask, object, 4, 4);
    int rc = call(k, "/v2.KeyManagementService/Decrypt", buf_str(&ask), &b, err);
    if (rc < 0)
        return rc;
    struct str plain = field_of(buf_str(&b), 1);
    struct seed *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    *s = (struct seed){ k->seeds, kept(sealed), kept(plain), str_eq(id, e->keys[k->how]->key_id) };
    k->seeds = s;
    *ret = s;
    return s->sealed.at && s->plain.at ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

int kms_open(struct kms *k, struct encryption *e, struct arena *a, struct str context, struct str sealed, struct str *ret, unsigned *ret_how,
             struct kl_err *err)
{
    struct str message = sealed, bytes, data = field_of(sealed, 1);
    struct seed *s = NULL;
    unsigned field;
    uint64_t number = 0, type = 0;
    while (take_field(&message, &field, &bytes, &number))
        type = field == 5 && !bytes.at ? number : type;
    int rc = open_seed(k, e, sealed, &s, err);
    if (rc < 0)
        return kl_err_wrap(err, "object '" STR_FMT "'", STR_ARG(context));
    const unsigned char *plain = (const unsigned char *)s->plain.at;
    bool well = type == 1 ? enc_xgcm_open(plain, s->plain.len, a, context, data, ret)
                          : (s->plain.len == 16 || s->plain.len == 24 || s->plain.len == 32) && enc_gcm_open(plain, s->plain.len, a, context, data, ret);
    *ret_how = s->current_key && type == 1 ? k->how : ENC_STALE;
    return well ? 0 : kl_err_set(err, KL_INVALID, "object '" STR_FMT "' cannot be decrypted with KMS plugin '%s': it is damaged, or belongs elsewhere",
                                 STR_ARG(context), k->name);
}

/* --- life --- */

void kms_free(struct kms *k)
{
    for (struct seed *s = k->seeds, *next; s; s = next) {
        next = s->next;
        mem_free((char *)(uintptr_t)s->sealed.at);
        mem_free((char *)(uintptr_t)s->plain.at);
        mem_free(s);
    }
    mem_free(k->name);
    mem_free(k->socket);
    mem_free(k);
}

int kms_get(struct encryption *e, struct str name, struct str endpoint, int64_t timeout_ns, struct kms **ret, struct kl_err *err)
{
    struct enc_key *seed = NULL;
    for (struct kms *k = e->all_kms; k; k = k->next)
        if (str_is(name, k->name) && str_is(endpoint, k->socket)) {
            k->timeout_ns = timeout_ns;
            *ret = k;
            return 0;
        }
    struct kms *k = mem_alloc(sizeof *k);
    if (k) {
        *k = (struct kms){ .name = mem_dup(name.at, name.len), .socket = mem_dup(endpoint.at, endpoint.len), .timeout_ns = timeout_ns, .of = e };
        if (!k->name || !k->socket) {
            kms_free(k);
            k = NULL;
        }
    }
    if (!k)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = kms_ask(k, NULL, &seed, err);
    if (rc == 0)
        rc = enc_key_add(e, seed, &k->how, err);
    if (rc < 0) {
        kms_free(k);
        return rc;
    }
    k->next = e->all_kms;
    e->all_kms = k;
    *ret = k;
    return 0;
}
