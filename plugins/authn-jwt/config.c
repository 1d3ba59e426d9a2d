/* config.c - AuthenticationConfiguration: read once, strictly. What is wrong is told with the path of its field, in upstream's words. */
#include "config.h"

#include <gnutls/x509.h>

#include "base/yaml.h"

struct reading {
    struct arena *arena;
    struct kl_err *err;
    const char *own_issuer;
};

#define ISSUERS_MOST 64u

__attribute__((format(printf, 3, 4))) static int invalid(struct reading *r, const char *path, const char *fmt, ...)
{
    char why[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return kl_err_set(r->err, KL_INVALID, "%s: %s", path, why);
}

/* v is an object with no other members than these, or is not there. */
static int only(struct reading *r, const struct val *v, const char *path, const char *names)
{
    if (!v)
        return 0;
    if (!val_is(v, VAL_OBJ))
        return invalid(r, path, "must be an object");
    val_each(m, v) {
        bool known = false;
        for (struct str rest = str_of(names); rest.at;)
            known |= str_eq(str_cut(&rest, ' '), val_key(m));
        if (!known)
            return kl_err_set(r->err, KL_INVALID, "strict decoding error: unknown field \"%s%s" STR_FMT "\"", path, *path ? "." : "", STR_ARG(val_key(m)));
    }
    return 0;
}

static const char *text(struct reading *r, const struct val *v, const char *key)
{
    struct str s = val_str(json_get(v, str_of(key)));
    return s.len ? arena_dup(r->arena, s) : NULL;
}

static const char *at(struct reading *r, const char *path, const char *field)
{
    const char *s = arena_printf(r->arena, "%s.%s", path, field);
    return s ? s : path;
}

static const char *nth(struct reading *r, const char *path, unsigned i)
{
    const char *s = arena_printf(r->arena, "%s[%u]", path, i);
    return s ? s : path;
}

/* --- issuer --- */

static int check_url(struct reading *r, const char *path, const char *url)
{
    struct str rest = str_of(url), host;
    if (!str_starts(rest, STR("https://")))
        return invalid(r, path, "Invalid value: \"%s\": URL scheme must be https", url);
    rest = str_skip(rest, 8);
    host = str_cut(&rest, '/');
    if (!host.len)
        return invalid(r, path, "Invalid value: \"%s\": URL must have a host", url);
    if (str_find(host, '@') >= 0)
        return invalid(r, path, "Invalid value: \"%s\": URL must not contain a username or password", url);
    if (strchr(url, '#'))
        return invalid(r, path, "Invalid value: \"%s\": URL must not contain a fragment", url);
    return strchr(url, '?') ? invalid(r, path, "Invalid value: \"%s\": URL must not contain a query", url) : 0;
}

static struct str without_slashes(const char *s)
{
    struct str t = str_of(s);
    while (t.len && t.at[t.len - 1] == '/')
        t.len--;
    return t;
}

static int read_audiences(struct reading *r, const struct val *v, const char *path, struct issuer *ret)
{
    const struct val *list = json_get(v, STR("audiences"));
    const char *policy = text(r, v, "audienceMatchPolicy"), *here = at(r, path, "audiences");
    unsigned n = 0;
    if (!val_is(list, VAL_ARR) || !list->n)
        return invalid(r, here, "Required value: at least one %s is required", here);
    const char **out = arena_alloc(r->arena, (list->n + 1) * sizeof *out);
    if (!out)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    val_each(x, list) {
        if (!val_str(x).len)
            return invalid(r, nth(r, here, n), "Required value");
        for (unsigned i = 0; i < n; i++)
            if (str_is(val_str(x), out[i]))
                return invalid(r, nth(r, here, n), "Duplicate value: \"%s\"", out[i]);
        out[n++] = arena_dup(r->arena, val_str(x));
    }
    if (policy ? strcmp(policy, "MatchAny") != 0 : n > 1)
        return invalid(r, at(r, path, "audienceMatchPolicy"), "Invalid value: \"%s\": audienceMatchPolicy must be %s", policy ? policy : "",
                       n > 1 ? "MatchAny for multiple audiences" : "empty or MatchAny for single audience");
    ret->audiences = out;
    return 0;
}

static int read_ca(struct reading *r, const struct val *v, const char *path, struct issuer *ret)
{
    struct str pem = val_str(json_get(v, STR("certificateAuthority")));
    gnutls_datum_t d = { (unsigned char *)(uintptr_t)pem.at, (unsigned)pem.len };
    gnutls_x509_crt_t *list = NULL;
    unsigned n = 0;
    if (!pem.len)
        return 0;
    int rc = gnutls_x509_crt_list_import2(&list, &n, &d, GNUTLS_X509_FMT_PEM, 0);
    for (unsigned i = 0; rc >= 0 && i < n; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    if (rc < 0)
        return invalid(r, at(r, path, "certificateAuthority"), "Invalid value: \"<omitted>\": data does not contain any valid RSA or ECDSA certificates");
    struct str copy = arena_str(r->arena, pem);
    ret->ca = (struct kl_bytes){ copy.at, copy.len };
    return copy.at ? 0 : kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
}

static int read_issuer(struct reading *r, const struct val *v, const char *path, struct issuer *ret)
{
    const char *discovery = text(r, v, "discoveryURL"), *url_path = at(r, path, "url"), *discovery_path = at(r, path, "discoveryURL");
    ret->url = text(r, v, "url");
    int rc = only(r, v, path, "url discoveryURL certificateAuthority audiences audienceMatchPolicy egressSelectorType");
    if (rc == 0 && !ret->url)
        rc = invalid(r, url_path, "Required value");
    if (rc == 0 && r->own_issuer && strcmp(ret->url, r->own_issuer) == 0)
        rc = invalid(r, url_path, "Invalid value: \"%s\": URL must not overlap with disallowed issuers: [%s]", ret->url, r->own_issuer);
    if (rc == 0)
        rc = check_url(r, url_path, ret->url);
    if (rc == 0 && discovery && str_eq(without_slashes(ret->url), without_slashes(discovery)))
        rc = invalid(r, discovery_path, "Invalid value: \"%s\": discoveryURL must be different from URL", discovery);
    if (rc == 0 && discovery)
        rc = check_url(r, discovery_path, discovery);
    if (rc == 0 && text(r, v, "egressSelectorType"))
        rc = invalid(r, at(r, path, "egressSelectorType"), "Invalid value: this server has no egress selectors");
    if (rc == 0)
        rc = read_audiences(r, v, path, ret);
    if (rc == 0)
        rc = read_ca(r, v, path, ret);
    if (rc == 0)
        ret->discovery_url = discovery ? discovery :
                             arena_printf(r->arena, STR_FMT "/.well-known/openid-configuration", STR_ARG(without_slashes(ret->url)));
    return rc < 0 || ret->discovery_url ? rc : kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
}

/* --- claims --- */

#define EXPRESSIONS_MOST 256u

/* The expression of that member, if it has one. */
static int take_expression(struct reading *r, const struct val *v, const char *path, const char *key, enum use use, const char *detail, struct issuer *ret)
{
    const char *text_ = text(r, v, key);
    if (!text_)
        return 0;
    if (!ret->expressions)
        ret->expressions = arena_alloc(r->arena, EXPRESSIONS_MOST * sizeof *ret->expressions);
    if (!ret->expressions)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    if (ret->n_expressions == EXPRESSIONS_MOST)
        return invalid(r, path, "Too many: at most %u expressions", EXPRESSIONS_MOST);
    for (unsigned i = 0; i < ret->n_expressions; i++)
        if (ret->expressions[i].use == use && use >= USE_CLAIM_RULE && strcmp(ret->expressions[i].text, text_) == 0)
            return invalid(r, at(r, path, key), "Duplicate value: \"%s\"", text_);
    ret->expressions[ret->n_expressions++] = (struct expression){ use, text_, at(r, path, key), detail ? detail : "", NULL };
    return 0;
}

static int read_mapping(struct reading *r, const struct val *v, const char *path, enum use use, struct issuer *by, struct mapping *ret)
{
    const struct val *prefix = json_get(v, STR("prefix"));
    bool prefixed = use != USE_UID;
    int rc = only(r, v, path, prefixed ? "claim prefix expression" : "claim expression");
    if (rc == 0)
        rc = take_expression(r, v, path, "expression", use, NULL, by);
    if (rc < 0)
        return rc;
    bool expression = text(r, v, "expression") != NULL;
    ret->claim = text(r, v, "claim");
    ret->prefix = prefix ? text(r, v, "prefix") : NULL;
    if (ret->claim && expression)
        return invalid(r, path, "Invalid value: \"\": claim and expression can't both be set");
    if (use == USE_USERNAME && !ret->claim && !expression)
        return invalid(r, path, "Required value: claim or expression is required");
    if (prefixed && ret->claim && !val_is(prefix, VAL_STR))
        return invalid(r, at(r, path, "prefix"), "Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing");
    return !ret->claim && prefix ? invalid(r, at(r, path, "prefix"), "Invalid value: prefix can't be set without a claim") : 0;
}

/* "acme.io/foo" in small letters, and not of Kubernetes' own. */
static int check_extra_key(struct reading *r, const char *path, const char *key)
{
    struct str rest = str_of(key ? key : ""), domain = str_cut(&rest, '/');
    if (!domain.len || !rest.len)
        return invalid(r, path, "Invalid value: \"%s\": must be a domain-prefixed path (such as \"acme.io/foo\")", key ? key : "");
    for (const char *p = key; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            return invalid(r, path, "Invalid value: \"%s\": must be lowercase", key);
    if (str_is(domain, "kubernetes.io") || str_ends(domain, STR(".kubernetes.io")) || str_is(domain, "k8s.io") || str_ends(domain, STR(".k8s.io")))
        return invalid(r, path, "Invalid value: \"%s\": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use", key);
    return 0;
}

static int read_extra(struct reading *r, const struct val *list, const char *path, struct issuer *ret)
{
    unsigned n = 0;
    if (!val_is(list, VAL_ARR))
        return 0;
    val_each(v, list) {
        const char *here = nth(r, path, n++), *key = text(r, v, "key");
        int rc = only(r, v, here, "key valueExpression");
        if (rc == 0)
            rc = check_extra_key(r, at(r, here, "key"), key);
        for (unsigned i = 0; i < ret->n_expressions && rc == 0; i++)
            if (ret->expressions[i].use == USE_EXTRA && strcmp(ret->expressions[i].detail, key) == 0)
                rc = invalid(r, at(r, here, "key"), "Duplicate value: \"%s\"", key);
        if (rc == 0 && !text(r, v, "valueExpression"))
            rc = invalid(r, at(r, here, "valueExpression"), "Required value");
        if (rc == 0)
            rc = take_expression(r, v, here, "valueExpression", USE_EXTRA, key, ret);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_mappings(struct reading *r, const struct val *v, const char *path, struct issuer *ret)
{
    int rc = only(r, v, path, "username groups uid extra");
    if (rc == 0)
        rc = read_mapping(r, json_get(v, STR("username")), at(r, path, "username"), USE_USERNAME, ret, &ret->user);
    if (rc == 0)
        rc = read_mapping(r, json_get(v, STR("groups")), at(r, path, "groups"), USE_GROUPS, ret, &ret->groups);
    if (rc == 0)
        rc = read_mapping(r, json_get(v, STR("uid")), at(r, path, "uid"), USE_UID, ret, &ret->uid);
    return rc == 0 ? read_extra(r, json_get(v, STR("extra")), at(r, path, "extra"), ret) : rc;
}

static int read_required(struct reading *r, const struct val *list, const char *path, struct issuer *ret)
{
    unsigned n = 0, k = 0;
    if (!val_is(list, VAL_ARR) || !list->n)
        return 0;
    struct required *out = arena_alloc(r->arena, list->n * sizeof *out);
    if (!out)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    val_each(v, list) {
        const char *here = nth(r, path, k++), *value = text(r, v, "requiredValue"), *claim = text(r, v, "claim"), *expression = text(r, v, "expression");
        int rc = only(r, v, here, "claim requiredValue expression message");
        if (rc == 0 && claim && expression)
            rc = invalid(r, here, "Invalid value: \"%s\": claim and expression can't both be set", claim);
        if (rc == 0 && !claim && !expression)
            rc = invalid(r, here, "Required value: claim or expression is required");
        if (rc == 0 && claim && text(r, v, "message"))
            rc = invalid(r, at(r, here, "message"), "Invalid value: may not be specified when claim is set");
        if (rc == 0 && expression && value)
            rc = invalid(r, at(r, here, "requiredValue"), "Invalid value: \"%s\": may not be specified when expression is set", value);
        for (unsigned i = 0; i < n && rc == 0 && claim; i++)
            if (strcmp(out[i].claim, claim) == 0)
                rc = invalid(r, at(r, here, "claim"), "Duplicate value: \"%s\"", claim);
        if (rc == 0)
            rc = take_expression(r, v, here, "expression", USE_CLAIM_RULE, text(r, v, "message"), ret);
        if (rc < 0)
            return rc;
        if (claim)
            out[n++] = (struct required){ claim, value ? value : "" };
    }
    ret->required = out;
    ret->n_required = n;
    return 0;
}

static int read_user_rules(struct reading *r, const struct val *list, const char *path, struct issuer *ret)
{
    unsigned n = 0;
    if (!val_is(list, VAL_ARR))
        return 0;
    val_each(v, list) {
        const char *here = nth(r, path, n++);
        int rc = only(r, v, here, "expression message");
        if (rc == 0 && !text(r, v, "expression"))
            rc = invalid(r, at(r, here, "expression"), "Required value");
        if (rc == 0)
            rc = take_expression(r, v, here, "expression", USE_USER_RULE, text(r, v, "message"), ret);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Whoever takes a name from claims.email has to look whether it is verified. */
static int check_email(struct reading *r, const char *path, const struct issuer *x)
{
    bool email = false, verified = false;
    for (unsigned i = 0; i < x->n_expressions; i++) {
        const struct expression *e = &x->expressions[i];
        for (const char *p = e->use == USE_USERNAME ? strstr(e->text, "claims.email") : NULL; p; p = strstr(p + 1, "claims.email"))
            email |= strncmp(p + strlen("claims.email"), "_", 1) != 0;
        verified |= strstr(e->text, "email_verified") && (e->use == USE_USERNAME || e->use == USE_EXTRA || e->use == USE_CLAIM_RULE);
    }
    return email && !verified ? invalid(r, at(r, path, "claimMappings.username.expression"), "Invalid value: claims.email_verified must be used in "
                                        "claimMappings, or claimValidationRules, when claims.email is used in it") : 0;
}

static int read_jwt(struct reading *r, const struct val *v, const char *path, struct issuer *ret)
{
    int rc = only(r, v, path, "issuer claimValidationRules claimMappings userValidationRules");
    if (rc == 0)
        rc = read_issuer(r, json_get(v, STR("issuer")), at(r, path, "issuer"), ret);
    if (rc == 0)
        rc = read_required(r, json_get(v, STR("claimValidationRules")), at(r, path, "claimValidationRules"), ret);
    if (rc == 0)
        rc = read_mappings(r, json_get(v, STR("claimMappings")), at(r, path, "claimMappings"), ret);
    if (rc == 0)
        rc = read_user_rules(r, json_get(v, STR("userValidationRules")), at(r, path, "userValidationRules"), ret);
    return rc == 0 ? check_email(r, path, ret) : rc;
}

static int read_all(struct reading *r, const struct val *list, struct config *f)
{
    if (!val_is(list, VAL_ARR))
        return 0;
    if (list->n > ISSUERS_MOST)
        return invalid(r, "jwt", "Too many: %u: must have at most %u items", list->n, ISSUERS_MOST);
    f->issuers = arena_alloc(r->arena, (list->n + 1) * sizeof *f->issuers);
    if (!f->issuers)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    val_each(v, list) {
        const char *path = nth(r, "jwt", f->n);
        struct issuer *x = &f->issuers[f->n];
        int rc = read_jwt(r, v, path, x);
        if (rc < 0)
            return rc;
        for (unsigned i = 0; i < f->n; i++) {
            if (strcmp(f->issuers[i].url, x->url) == 0)
                return invalid(r, at(r, path, "issuer.url"), "Duplicate value: \"%s\"", x->url);
            if (strcmp(f->issuers[i].discovery_url, x->discovery_url) == 0)
                return invalid(r, at(r, path, "issuer.discoveryURL"), "Duplicate value: \"%s\"", x->discovery_url);
        }
        f->n++;
    }
    return 0;
}

/* --- anonymous --- */

static int read_anonymous(struct reading *r, const struct val *v, struct config *f)
{
    const struct val *list = json_get(v, STR("conditions"));
    unsigned n = 0;
    if (!v)
        return 0;
    int rc = only(r, v, "anonymous", "enabled conditions");
    f->anonymous_said = true;
    f->anonymous_enabled = json_bool(v, "enabled", false);
    if (rc < 0 || !val_is(list, VAL_ARR) || !list->n)
        return rc;
    if (!f->anonymous_enabled)
        return invalid(r, "anonymous.conditions", "Invalid value: enabled should be set to true when conditions are defined");
    const char **out = arena_alloc(r->arena, (list->n + 1) * sizeof *out);
    if (!out)
        return kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    val_each(x, list) {
        if ((rc = only(r, x, nth(r, "anonymous.conditions", n), "path")) < 0)
            return rc;
        const char *path = text(r, x, "path");
        out[n++] = path ? path : "";
    }
    f->anonymous_paths = out;
    return 0;
}

bool config_anonymous(const struct config *f, const char *path)
{
    if (!f->anonymous_said)
        return true;
    for (const char *const *p = f->anonymous_paths; p && *p; p++)
        if (strcmp(*p, path) == 0)
            return true;
    return f->anonymous_enabled && !f->anonymous_paths;
}

int config_read(struct config *f, struct str text_, const char *own_issuer, struct kl_err *err)
{
    *f = (struct config){ .arena = arena_new(16 << 20) };
    struct reading r = { f->arena, err, own_issuer };
    struct val *v = f->arena ? yaml_read(f->arena, text_, err) : NULL;
    struct str version = json_str(v, "apiVersion");
    if (!v)
        return f->arena ? -(err->code = KL_INVALID) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (!str_is(json_str(v, "kind"), "AuthenticationConfiguration") ||
        (!str_is(version, "apiserver.config.k8s.io/v1") && !str_is(version, "apiserver.config.k8s.io/v1beta1") &&
         !str_is(version, "apiserver.config.k8s.io/v1alpha1")))
        return kl_err_set(err, KL_INVALID, "the file is no AuthenticationConfiguration of apiserver.config.k8s.io/v1");
    int rc = only(&r, v, "", "apiVersion kind jwt anonymous");
    if (rc == 0)
        rc = read_all(&r, json_get(v, STR("jwt")), f);
    if (rc == 0)
        rc = read_anonymous(&r, json_get(v, STR("anonymous")), f);
    return rc == 0 && arena_exhausted(f->arena) ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : rc;
}

void config_free(struct config *f)
{
    arena_free(f->arena);
}
