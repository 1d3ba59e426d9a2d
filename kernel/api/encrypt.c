/* encrypt.c - the cipher that the store sees: which key writes a resource, which keys may read it, and what is said when none fits. */
#include "api/encrypt.h"

#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/log.h"
#include "encrypt-internal.h"

#define LOOK_NS (60 * NS_PER_S)

static unsigned written_with(const struct enc_provider *p)
{
    return p->type == ENC_IDENTITY ? 0 : p->kms ? p->kms->how : p->how;
}

static unsigned current(void *ctx, struct str resource)
{
    const struct enc_rule *r = enc_rule_for(((struct encryption *)ctx)->config, resource);
    return r ? written_with(&r->providers[0]) : 0;
}

static int seal(void *ctx, unsigned how, struct arena *a, struct str key, struct str plain, struct str *ret, struct kl_err *err)
{
    struct encryption *e = ctx;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    const struct enc_key *k = how < e->n_keys ? e->keys[how] : NULL;
    if (!k || !enc_seal(k, key, plain, &b))
        return kl_err_set(err, KL_INTERNAL, "object '" STR_FMT "' cannot be encrypted", STR_ARG(key));
    *ret = arena_str(a, buf_str(&b));
    return ret->at ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

/* The prefix of what is stored, as far as it is one: "k8s:enc:aesgcm:v1:key1:". */
static struct str prefix_of(struct str stored)
{
    size_t colons = 0;
    for (size_t i = 0; i < stored.len && i < 300; i++)
        if (stored.at[i] == ':' && ++colons == 5)
            return str_n(stored.at, i + 1);
    return STR("?");
}

static int refuse(struct str key, struct str stored, struct str resource, const struct enc_rule *r, bool listed, struct kl_err *err)
{
    char shown[300];
    struct str plural = resource, group = str_cut(&plural, '/');
    snprintf(shown, sizeof shown, STR_FMT "%s" STR_FMT, STR_ARG(plural), group.len ? "." : "", STR_ARG(group));
    struct str prefix = prefix_of(stored), rest = str_skip(prefix, strlen(ENC_HEAD) < prefix.len ? strlen(ENC_HEAD) : 0);
    struct str type = str_cut(&rest, ':'), name = rest;
    str_cut(&name, ':');
    name.len -= name.len ? 1 : 0;
    if (!str_starts(stored, STR(ENC_HEAD)))
        return kl_err_set(err, KL_INVALID, "object '" STR_FMT "' is not encrypted, and 'identity' is not among the providers of '%s' in the encryption "
                          "configuration", STR_ARG(key), shown);
    if (listed)
        return kl_err_set(err, KL_INVALID, "object '" STR_FMT "' cannot be decrypted with key '" STR_FMT "' (" STR_FMT "): the key is not the one that it was "
                          "written with, or the object is damaged", STR_ARG(key), STR_ARG(name), STR_ARG(type));
    return kl_err_set(err, KL_INVALID, "object '" STR_FMT "' was written with key '" STR_FMT "' (" STR_FMT "), which the encryption configuration does not list%s%s'",
                      STR_ARG(key), STR_ARG(name), STR_ARG(type), r ? " for '" : ": it says nothing about '", shown);
}

static int unseal(void *ctx, struct arena *a, struct str key, struct str resource, struct str stored, struct str *ret, unsigned *ret_how, struct kl_err *err)
{
    struct encryption *e = ctx;
    const struct enc_rule *r = enc_rule_for(e->config, resource);
    bool sealed = str_starts(stored, STR(ENC_HEAD)), listed = false;
    *ret = stored;
    *ret_how = 0;
    if (!r)
        return sealed ? refuse(key, stored, resource, NULL, false, err) : 0;
    for (unsigned i = 0; i < r->n_providers; i++) {
        const struct enc_provider *p = &r->providers[i];
        const struct enc_key *k = e->keys[written_with(p)];
        if (p->type == ENC_IDENTITY && !sealed)
            return 0;
        if (p->type == ENC_IDENTITY || !str_starts(stored, str_of(k->prefix)))
            continue;
        struct str body = str_skip(stored, strlen(k->prefix));
        listed = true;
        *ret_how = p->how;
        if (p->kms)
            return kms_open(p->kms, e, a, key, body, ret, ret_how, err);
        if (enc_open(k, a, key, body, ret))
            return 0;
    }
    return refuse(key, stored, resource, r, listed, err);
}

/* --- the file changes --- */

static bool file_changed(struct encryption *e)
{
    struct stat st;
    if (stat(e->file, &st) < 0)
        return false;
    const uint64_t now[3] = { st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec * 1000000000ull + (uint64_t)st.st_mtim.tv_nsec };
    bool changed = memcmp(now, e->seen, sizeof now) != 0;
    memcpy(e->seen, now, sizeof now);
    return changed;
}

int encryption_reload(struct encryption *e, struct kl_err *err)
{
    struct enc_config *c;
    file_changed(e);
    int rc = enc_config_read(e, &c, err);
    if (rc < 0)
        return rc;
    enc_config_free(e->config);
    e->config = c;
    return 0;
}

/* --- KMS plugins are asked on a worker, one behind the other --- */

static const struct enc_key *key_of(const struct kms *k)
{
    return k->of->keys[k->how];
}

static void ask_all(void *ctx)
{
    struct encryption *e = ctx;
    for (struct kms *k = e->all_kms; k; k = k->next) {
        struct kl_err err;
        kl_err_init(&err);
        k->fresh_trouble[0] = '\0';
        if (kms_ask(k, key_of(k), &k->fresh, &err) < 0)
            snprintf(k->fresh_trouble, sizeof k->fresh_trouble, "%s", err.msg);
    }
}

static void all_asked(void *ctx)
{
    struct encryption *e = ctx;
    e->asking = false;
    for (struct kms *k = e->all_kms; k; k = k->next) {
        struct kl_err err;
        kl_err_init(&err);
        memcpy(k->trouble, k->fresh_trouble, sizeof k->trouble);
        if (k->fresh && enc_key_add(e, k->fresh, &k->how, &err) < 0)
            log_error("api", "KMS plugin '%s' has another key, which cannot be used: %s", k->name, err.msg);
        else if (k->fresh)
            log_info("api", "KMS plugin '%s' has another key: what is written from now on is under it", k->name);
        k->fresh = NULL;
    }
}

static void look(void *ctx)
{
    struct encryption *e = ctx;
    struct kl_err err;
    kl_err_init(&err);
    loop_timer_start(e->loop, &e->timer, LOOK_NS, look, e);
    if (e->asking)
        return;
    if (file_changed(e)) {
        if (encryption_reload(e, &err) < 0)
            log_error("api", "the encryption configuration of before stays: %s", err.msg);
        else
            log_info("api", "encryption configuration '%s' read again", e->file);
    }
    if (e->all_kms) {
        e->asking = true;
        loop_work(e->loop, ask_all, all_asked, e);
    }
}

void encryption_watch(struct encryption *e, struct loop *l)
{
    e->loop = l;
    loop_timer_start(l, &e->timer, LOOK_NS, look, e);
}

const char *encryption_trouble(void *ctx)
{
    struct encryption *e = ctx;
    for (struct kms *k = e->all_kms; k; k = k->next)
        if (k->trouble[0])
            return k->trouble;
    return NULL;
}

/* --- life --- */

int encryption_open(const char *file, struct encryption **ret, struct kl_err *err)
{
    struct encryption *e = mem_alloc(sizeof *e);
    if (!e || !(e->file = mem_dup(file, strlen(file)))) {
        mem_free(e);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    e->cipher = (struct store_cipher){ .ctx = e, .current = current, .seal = seal, .open = unseal };
    e->n_keys = 1;
    int rc = encryption_reload(e, err);
    if (rc < 0) {
        encryption_free(e);
        return rc;
    }
    *ret = e;
    return 0;
}

const struct store_cipher *encryption_cipher(struct encryption *e)
{
    return &e->cipher;
}

void encryption_stop(struct encryption *e)
{
    if (!e || !e->loop)
        return;
    loop_timer_stop(&e->timer);
    if (e->asking)
        loop_work_join(e->loop, e);
    e->loop = NULL;
}

void encryption_free(struct encryption *e)
{
    if (!e)
        return;
    encryption_stop(e);
    enc_config_free(e->config);
    for (struct kms *k = e->all_kms, *next; k; k = next) {
        next = k->next;
        kms_free(k);
    }
    for (unsigned i = 1; i < e->n_keys; i++)
        enc_key_free(e->keys[i]);
    mem_free(e->file);
    mem_free(e);
}
