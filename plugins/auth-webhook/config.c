/* config.c - AuthorizationConfiguration (apiserver.config.k8s.io): read once, strictly, told in upstream's words. */
#include "webhook.h"

#include "base/yaml.h"

#define S 1000000000LL

struct reading {
    struct arena *arena;
    struct kl_err *err;
    char path[128];
};

static int wrong(struct reading *r, const char *field, const char *why)
{
    return kl_err_set(r->err, KL_INVALID, "%s%s%s: %s", r->path, r->path[0] && field[0] ? "." : "", field, why);
}

static int only(struct reading *r, const struct val *v, const char *field, const char *names)
{
    if (v && !val_is(v, VAL_OBJ))
        return wrong(r, field, "must be an object");
    for (const struct val *m = v ? v->first : NULL; m; m = m->next) {
        bool known = false;
        for (struct str rest = str_of(names); rest.at;)
            known |= str_eq(str_cut(&rest, ' '), val_key(m));
        if (!known)
            return kl_err_set(r->err, KL_INVALID, "strict decoding error: unknown field \"%s%s%s%s" STR_FMT "\"", r->path, *field ? "." : "", field,
                              r->path[0] || *field ? "." : "", STR_ARG(val_key(m)));
    }
    return 0;
}

/* Go's "1h2m3.5s", "250ms". False: not one. */
static bool duration(struct str s, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", S }, { "m", 60 * S }, { "h", 3600 * S } };
    *ret = 0;
    for (size_t i = 0; i < s.len;) {
        int64_t n = 0, tenths = 0, scale = 1;
        size_t from = i, u;
        for (; i < s.len && s.at[i] >= '0' && s.at[i] <= '9' && n < 100000000; i++)
            n = n * 10 + (s.at[i] - '0');
        for (i += i < s.len && s.at[i] == '.'; i < s.len && s.at[i] >= '0' && s.at[i] <= '9' && scale < 1000000; i++, scale *= 10)
            tenths = tenths * 10 + (s.at[i] - '0');
        size_t at = i;
        while (i < s.len && s.at[i] >= 'a' && s.at[i] <= 'z')
            i++;
        for (u = 0; u < 6 && !str_is(str_n(s.at + at, i - at), units[u].unit); u++)
            ;
        if (u == 6 || at == from)
            return false;
        *ret += n * units[u].ns + tenths * (units[u].ns / scale);
    }
    return s.len > 0;
}

static int read_duration(struct reading *r, const struct val *w, const char *key, const char *fallback, int64_t most, int64_t *ret)
{
    struct str s = json_str(w, key);
    if (!s.len && !fallback)
        return wrong(r, key, "Required value");
    if (!duration(s.len ? s : str_of(fallback), ret) || *ret <= 0 || (most && *ret > most))
        return wrong(r, key, most ? "Invalid value: must be > 0s and <= 30s" : "Invalid value: must be > 0s");
    return 0;
}

static bool is_one(struct str s, const char *a, const char *b)
{
    return str_is(s, a) || str_is(s, b);
}

static int read_connection(struct reading *r, const struct val *v, struct step *ret)
{
    struct str type = json_str(v, "type"), file = json_str(v, "kubeConfigFile");
    int rc = only(r, v, "connectionInfo", "type kubeConfigFile");
    if (rc < 0)
        return rc;
    if (!str_is(type, "KubeConfigFile"))
        return wrong(r, "connectionInfo.type", type.len ? "Unsupported value: supported values: \"KubeConfigFile\"" : "Required value");
    if (!file.len)
        return wrong(r, "connectionInfo.kubeConfigFile", "Required value");
    if (file.at[0] != '/')
        return wrong(r, "connectionInfo.kubeConfigFile", "Invalid value: must be an absolute path");
    ret->kubeconfig = arena_dup(r->arena, file);
    return 0;
}

#define CONDITIONS_MOST 64u

static int read_conditions(struct reading *r, const struct val *w, struct step *ret)
{
    const struct val *list = json_get(w, STR("matchConditions"));
    struct str version = json_str(w, "matchConditionSubjectAccessReviewVersion");
    char field[64];
    if (version.len && !str_is(version, "v1"))
        return wrong(r, "matchConditionSubjectAccessReviewVersion", "Unsupported value: supported values: \"v1\"");
    if (!val_is(list, VAL_ARR) || !list->n)
        return 0;
    if (!version.len)
        return wrong(r, "matchConditionSubjectAccessReviewVersion", "Required value: required if match conditions are specified");
    if (list->n > CONDITIONS_MOST)
        return wrong(r, "matchConditions", "Too many: must have at most 64 items");
    ret->conditions = arena_alloc(r->arena, list->n * sizeof *ret->conditions);
    ret->programs = arena_alloc(r->arena, list->n * sizeof *ret->programs);
    if (!ret->conditions || !ret->programs)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    val_each(v, list) {
        struct str text = str_trim(json_str(v, "expression"));
        snprintf(field, sizeof field, "matchConditions[%u]", ret->n_conditions);
        int rc = only(r, v, field, "expression");
        snprintf(field, sizeof field, "matchConditions[%u].expression", ret->n_conditions);
        for (unsigned i = 0; i < ret->n_conditions && rc == 0; i++)
            if (str_is(text, ret->conditions[i]))
                rc = wrong(r, field, "Duplicate value");
        if (rc == 0 && !text.len)
            rc = wrong(r, field, "Required value");
        if (rc < 0)
            return rc;
        ret->conditions[ret->n_conditions++] = arena_dup(r->arena, text);
    }
    return 0;
}

static int read_webhook(struct reading *r, const struct val *w, struct step *ret)
{
    struct str version = json_str(w, "subjectAccessReviewVersion"), policy = json_str(w, "failurePolicy");
    if (!w)
        return wrong(r, "webhook", "Required value: required when type=Webhook");
    int rc = only(r, w, "webhook", "authorizedTTL cacheAuthorizedRequests unauthorizedTTL cacheUnauthorizedRequests timeout subjectAccessReviewVersion "
                  "matchConditionSubjectAccessReviewVersion failurePolicy connectionInfo matchConditions");
    if (rc == 0)
        rc = read_duration(r, w, "timeout", NULL, 30 * S, &ret->timeout_ns);
    if (rc == 0)
        rc = read_duration(r, w, "authorizedTTL", "5m", 0, &ret->yes_ttl_ns);
    if (rc == 0)
        rc = read_duration(r, w, "unauthorizedTTL", "30s", 0, &ret->no_ttl_ns);
    if (rc == 0 && !is_one(version, "v1", "v1beta1"))
        rc = wrong(r, "subjectAccessReviewVersion", version.len ? "Unsupported value: supported values: \"v1\", \"v1beta1\"" : "Required value");
    if (rc == 0 && !is_one(policy, "NoOpinion", "Deny"))
        rc = wrong(r, "failurePolicy", policy.len ? "Unsupported value: supported values: \"NoOpinion\", \"Deny\"" : "Required value");
    if (rc == 0)
        rc = read_conditions(r, w, ret);
    if (rc == 0)
        rc = read_connection(r, json_get(w, STR("connectionInfo")), ret);
    if (!json_bool(w, "cacheAuthorizedRequests", true))
        ret->yes_ttl_ns = 0;
    if (!json_bool(w, "cacheUnauthorizedRequests", true))
        ret->no_ttl_ns = 0;
    ret->version = arena_dup(r->arena, version);
    ret->deny_on_failure = str_is(policy, "Deny");
    return rc;
}

static int read_step(struct reading *r, const struct steps *s, const struct val *v, struct step *ret)
{
    static const struct {
        const char *type, *instance;
        enum authorizer does;
    } types[] = { { "AlwaysAllow", NULL, AUTH_ALLOW }, { "AlwaysDeny", NULL, AUTH_DENY }, { "Node", "node", AUTH_INSTANCE }, { "RBAC", "rbac", AUTH_INSTANCE },
                  { "Webhook", NULL, AUTH_HOOK } };
    struct str type = json_str(v, "type"), name = json_str(v, "name");
    size_t i = 0;
    int rc = only(r, v, "", "type name webhook");
    while (i < 5 && !str_is(type, types[i].type))
        i++;
    if (rc == 0 && i == 5)
        rc = wrong(r, "type", type.len ? "Unsupported value: supported values: \"AlwaysAllow\", \"AlwaysDeny\", \"Node\", \"RBAC\", \"Webhook\"" : "Required value");
    if (rc == 0 && !name.len)
        rc = wrong(r, "name", "Required value");
    if (rc < 0)
        return rc;
    ret->type = types[i].does;
    ret->instance = types[i].instance;
    ret->name = arena_dup(r->arena, name);
    for (unsigned k = 0; k < s->n; k++) {
        if (str_is(name, s->at[k].name))
            return wrong(r, "name", "Duplicate value");
        if (ret->type != AUTH_HOOK && s->at[k].type == ret->type && s->at[k].instance == ret->instance)
            return wrong(r, "type", "Duplicate value");
    }
    if (ret->type == AUTH_HOOK)
        return read_webhook(r, json_get(v, STR("webhook")), ret);
    return json_get(v, STR("webhook")) ? wrong(r, "webhook", "Invalid value: \"non-null\": may only be specified when type=Webhook") : 0;
}

int steps_read(struct steps *s, struct str text, struct kl_err *err)
{
    struct reading r = { s->arena, err, "" };
    struct val *v = yaml_read(s->arena, text, err), *list = json_get(v, STR("authorizers"));
    struct str version = json_str(v, "apiVersion");
    if (!v)
        return -(err->code = KL_INVALID);
    if (!str_is(json_str(v, "kind"), "AuthorizationConfiguration") || !str_starts(version, STR("apiserver.config.k8s.io/v1")))
        return kl_err_set(err, KL_INVALID, "the file is no AuthorizationConfiguration of apiserver.config.k8s.io/v1");
    int rc = only(&r, v, "", "apiVersion kind authorizers");
    if (rc == 0 && (!val_is(list, VAL_ARR) || !list->n))
        rc = wrong(&r, "authorizers", "Required value: at least one authorization mode must be defined");
    if (rc == 0 && !(s->at = arena_alloc(s->arena, list->n * sizeof *s->at)))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (const struct val *x = rc == 0 ? list->first : NULL; x && rc == 0; x = x->next) {
        snprintf(r.path, sizeof r.path, "authorizers[%u]", s->n);
        rc = read_step(&r, s, x, &s->at[s->n]);
        s->n += rc == 0;
    }
    return rc;
}
