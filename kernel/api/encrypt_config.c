/* encrypt_config.c - an EncryptionConfiguration becomes rules and keys. Nothing in it is guessed: what is not understood is refused. */
#include <string.h>

#include "base/cleanup.h"
#include "encrypt-internal.h"
#include "object/base64.h"
#include "object/object.h"

#define FILE_MOST (1u << 20)

static const struct {
    const char *name;
    enum enc_type type;
} types[] = { { "identity", ENC_IDENTITY }, { "aesgcm", ENC_AESGCM }, { "aescbc", ENC_AESCBC }, { "secretbox", ENC_SECRETBOX }, { "kms", ENC_KMS } };
#define N_TYPES (sizeof types / sizeof *types)

const char *enc_type_text(enum enc_type t)
{
    return types[t - 1].name;
}

struct reading {
    struct encryption *e;
    struct enc_config *config;
    struct kl_err *err;
};

__attribute__((format(printf, 3, 4))) static int wrong(struct reading *r, const char *at, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return kl_err_set(r->err, KL_INVALID, "encryption configuration '%s': %s: %s", r->e->file, at, text);
}

/* --- keys --- */

void enc_key_free(struct enc_key *k)
{
    if (!k)
        return;
    memset(k->secret, 0, sizeof k->secret);
    mem_free(k->prefix);
    mem_free(k->name);
    mem_free((char *)(uintptr_t)k->sealed_seed.at);
    mem_free((char *)(uintptr_t)k->key_id.at);
    mem_free((char *)(uintptr_t)k->annotations.at);
    mem_free(k);
}

static bool same_key(const struct enc_key *a, const struct enc_key *b)
{
    return a->type == b->type && a->type != ENC_KMS && strcmp(a->name, b->name) == 0 && a->secret_len == b->secret_len &&
           memcmp(a->secret, b->secret, a->secret_len) == 0;
}

int enc_key_add(struct encryption *e, struct enc_key *k, unsigned *ret_how, struct kl_err *err)
{
    for (unsigned i = 1; i < e->n_keys; i++)
        if (same_key(e->keys[i], k)) {
            enc_key_free(k);
            *ret_how = i;
            return 0;
        }
    if (e->n_keys == ENC_STALE) {
        enc_key_free(k);
        return kl_err_set(err, KL_UNAVAILABLE, "a server can use %d keys in its life: start it anew", ENC_STALE - 1);
    }
    e->keys[e->n_keys] = k;
    *ret_how = e->n_keys++;
    return 0;
}

static bool good_length(enum enc_type t, size_t n)
{
    return t == ENC_SECRETBOX ? n == 32 : n == 16 || n == 24 || n == 32;
}

static int read_key(struct reading *r, const char *at, enum enc_type t, const struct val *v, unsigned *ret_how)
{
    struct str name = json_str(v, "name"), secret = json_str(v, "secret");
    char prefix[400];
    if (!name.len || name.len > 200 || memchr(name.at, ':', name.len))
        return wrong(r, at, "a key needs a name, without ':'");
    if (!secret.len || !base64_valid(secret) || base64_decoded(secret) > ENC_SECRET || !good_length(t, base64_decoded(secret)))
        return wrong(r, at, "key '" STR_FMT "' needs a secret of %s bytes in base64", STR_ARG(name), t == ENC_SECRETBOX ? "32" : "16, 24 or 32");
    struct enc_key *k = mem_alloc(sizeof *k);
    snprintf(prefix, sizeof prefix, ENC_HEAD "%s:v1:" STR_FMT ":", enc_type_text(t), STR_ARG(name));
    if (k) {
        char raw[ENC_SECRET + 4];
        k->type = t;
        k->secret_len = (unsigned)base64_decode(secret, raw);
        memcpy(k->secret, raw, k->secret_len);
        k->name = mem_dup(name.at, name.len);
        k->prefix = mem_dup(prefix, strlen(prefix));
    }
    if (!k || !k->name || !k->prefix) {
        enc_key_free(k);
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    }
    return enc_key_add(r->e, k, ret_how, r->err);
}

/* --- providers: one member each; several keys are several providers --- */

static int add_keys(struct reading *r, const char *at, struct enc_rule *rule, enum enc_type t, const struct val *v)
{
    struct val *keys = json_get(v, STR("keys"));
    if (!val_is(keys, VAL_ARR) || !keys->n)
        return wrong(r, at, "%s needs a list 'keys'", enc_type_text(t));
    val_each(k, keys)
    {
        struct enc_provider *p = &rule->providers[rule->n_providers];
        int rc = read_key(r, at, t, k, &p->how);
        if (rc < 0)
            return rc;
        for (unsigned i = 0; i < rule->n_providers; i++)
            if (rule->providers[i].type == t && strcmp(r->e->keys[rule->providers[i].how]->name, r->e->keys[p->how]->name) == 0)
                return wrong(r, at, "key '%s' is there twice", r->e->keys[p->how]->name);
        p->type = t;
        rule->n_providers++;
    }
    return 0;
}

static int64_t duration(struct str s)
{
    int64_t n;
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = { { "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 } };
    for (int i = 0; i < 3; i++)
        if (str_ends(s, str_of(units[i].unit)) && str_int(str_n(s.at, s.len - strlen(units[i].unit)), &n) && n > 0 && n < 86400)
            return n * units[i].ns;
    return -1;
}

static int add_kms(struct reading *r, const char *at, struct enc_rule *rule, const struct val *v)
{
    struct str name = json_str(v, "name"), endpoint = json_str(v, "endpoint"), version = json_str(v, "apiVersion");
    int64_t timeout = json_get(v, STR("timeout")) ? duration(json_str(v, "timeout")) : 3000000000;
    struct enc_provider *p = &rule->providers[rule->n_providers];
    if (!str_is(version, "v2"))
        return wrong(r, at, "kms '" STR_FMT "': apiVersion must be v2", STR_ARG(name));
    if (!name.len || name.len > 200 || memchr(name.at, ':', name.len))
        return wrong(r, at, "kms needs a name, without ':'");
    if (!str_starts(endpoint, STR("unix:///")) && !str_starts(endpoint, STR("unix://@")))
        return wrong(r, at, "kms '" STR_FMT "': endpoint must be unix:///PATH", STR_ARG(name));
    if (timeout < 0)
        return wrong(r, at, "kms '" STR_FMT "': timeout must be a duration like 3s", STR_ARG(name));
    int rc = kms_get(r->e, name, str_skip(endpoint, strlen("unix://")), timeout, &p->kms, r->err);
    if (rc < 0)
        return rc;
    p->type = ENC_KMS;
    rule->n_providers++;
    return 0;
}

static int read_provider(struct reading *r, const char *at, struct enc_rule *rule, const struct val *v)
{
    if (!val_is(v, VAL_OBJ) || v->n != 1)
        return wrong(r, at, "each provider has exactly one of identity, aesgcm, aescbc, secretbox, kms");
    for (size_t i = 0; i < N_TYPES; i++) {
        if (!str_is(val_key(v->first), types[i].name))
            continue;
        if (types[i].type == ENC_KMS)
            return add_kms(r, at, rule, v->first);
        if (types[i].type != ENC_IDENTITY)
            return add_keys(r, at, rule, types[i].type, v->first);
        rule->providers[rule->n_providers++] = (struct enc_provider){ .type = ENC_IDENTITY };
        return 0;
    }
    return wrong(r, at, "'" STR_FMT "' is not one of identity, aesgcm, aescbc, secretbox, kms", STR_ARG(val_key(v->first)));
}

/* --- rules --- */

static unsigned most_providers(const struct val *list)
{
    unsigned n = 0;
    val_each(p, list)
    {
        struct val *keys = val_is(p, VAL_OBJ) && p->first ? json_get(p->first, STR("keys")) : NULL;
        n += val_is(keys, VAL_ARR) ? keys->n : 1;
    }
    return n;
}

static int read_resources(struct reading *r, const char *at, struct enc_rule *rule, const struct val *list)
{
    if (!val_is(list, VAL_ARR) || !list->n)
        return wrong(r, at, "'resources' names none");
    rule->resources = arena_alloc(r->config->arena, list->n * sizeof *rule->resources);
    if (!rule->resources)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    val_each(x, list)
    {
        struct str s = val_str(x), group = s, name = str_cut(&group, '.');
        bool stars = name.len > 1 && memchr(name.at, '*', name.len);
        if (!name.len || stars || (str_is(name, "*") && !group.at) || (group.len > 1 && memchr(group.at, '*', group.len)))
            return wrong(r, at, "resource '" STR_FMT "' is not like secrets, deployments.apps, *.apps or *.*", STR_ARG(s));
        if (str_is(group, "*") && !str_is(name, "*"))
            return wrong(r, at, "resource '" STR_FMT "': a group may be * only where the resource is", STR_ARG(s));
        rule->resources[rule->n_resources++] = arena_dup(r->config->arena, s);
    }
    return 0;
}

static int read_rule(struct reading *r, unsigned i, const struct val *v, struct enc_rule *rule)
{
    char at[80];
    struct val *providers = json_get(v, STR("providers"));
    snprintf(at, sizeof at, "resources[%u]", i);
    int rc = read_resources(r, at, rule, json_get(v, STR("resources")));
    if (rc < 0)
        return rc;
    if (!val_is(providers, VAL_ARR) || !providers->n)
        return wrong(r, at, "'providers' is empty");
    rule->providers = arena_alloc(r->config->arena, (most_providers(providers) + 1) * sizeof *rule->providers);
    if (!rule->providers)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    unsigned k = 0;
    val_each(p, providers)
    {
        snprintf(at, sizeof at, "resources[%u].providers[%u]", i, k++);
        if ((rc = read_provider(r, at, rule, p)) < 0)
            return rc;
    }
    return 0;
}

static int read_tree(struct reading *r, const struct val *v)
{
    struct val *list = json_get(v, STR("resources"));
    if (!str_is(json_str(v, "kind"), "EncryptionConfiguration") || !str_is(json_str(v, "apiVersion"), "apiserver.config.k8s.io/v1"))
        return wrong(r, "kind", "must be EncryptionConfiguration of apiserver.config.k8s.io/v1");
    if (!val_is(list, VAL_ARR) || !list->n)
        return wrong(r, "resources", "must name at least one");
    r->config->rules = arena_alloc(r->config->arena, list->n * sizeof *r->config->rules);
    if (!r->config->rules)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    val_each(x, list)
    {
        int rc = read_rule(r, r->config->n_rules, x, &r->config->rules[r->config->n_rules]);
        if (rc < 0)
            return rc;
        r->config->n_rules++;
    }
    return 0;
}

void enc_config_free(struct enc_config *c)
{
    if (c)
        arena_free(c->arena);
    mem_free(c);
}

int enc_config_read(struct encryption *e, struct enc_config **ret, struct kl_err *err)
{
    _cleanup_file_ FILE *f = fopen(e->file, "re");
    struct enc_config *c = mem_alloc(sizeof *c);
    struct reading r = { e, c, err };
    if (c)
        c->arena = arena_new(8u << 20);
    char *text = c && c->arena ? arena_alloc(c->arena, FILE_MOST) : NULL;
    if (!text) {
        enc_config_free(c);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    size_t n = f ? fread(text, 1, FILE_MOST, f) : 0;
    struct val *v = n && n < FILE_MOST ? object_parse_yaml(c->arena, str_n(text, n), err) : NULL;
    int rc = 0;
    if (!f)
        rc = kl_err_set(err, KL_INVALID, "encryption configuration '%s' cannot be read", e->file);
    else if (!v)
        rc = wrong(&r, "text", "%s", n && err->code ? err->msg : "empty, or larger than a mebibyte");
    else
        rc = read_tree(&r, v);
    if (rc < 0) {
        enc_config_free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

/* "*.*": all; "*.apps": of a group; "*.": of the core group; "secrets" and "secrets.": of the core group. */
static bool names(struct str pattern, struct str group, struct str plural)
{
    struct str in = pattern, name = str_cut(&in, '.');
    if (!in.at)
        in = STR("");
    return (str_is(in, "*") || str_eq(in, group)) && (str_is(name, "*") || str_eq(name, plural));
}

const struct enc_rule *enc_rule_for(const struct enc_config *c, struct str resource)
{
    struct str plural = resource, group = str_cut(&plural, '/');
    for (unsigned i = 0; i < c->n_rules; i++)
        for (unsigned k = 0; k < c->rules[i].n_resources; k++)
            if (names(str_of(c->rules[i].resources[k]), group, plural))
                return &c->rules[i];
    return NULL;
}
