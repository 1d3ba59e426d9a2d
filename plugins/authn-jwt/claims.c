/* claims.c - from claims to a user. */
#include "base/cleanup.h"
#include "config.h"

#define NOT_BEFORE_S 300                /* how much earlier than nbf a token may come: clocks differ */

static struct val *claim(const struct val *claims, const char *name)
{
    return json_get(claims, str_of(name));
}

/* Seconds; a fraction is cut off. False: no number. */
static bool seconds(const struct val *v, int64_t *ret)
{
    if (val_is(v, VAL_INT)) {
        *ret = v->i;
        return true;
    }
    struct str whole = val_is(v, VAL_NUM) ? str_n(v->s, v->n) : STR_NONE;
    if (!whole.len || memchr(whole.at, 'e', whole.len) || memchr(whole.at, 'E', whole.len))
        return false;
    return str_int(str_cut(&whole, '.'), ret);
}

static int check_times(struct kl_call *c, const struct val *claims, int64_t now)
{
    const struct val *nbf = claim(claims, "nbf");
    int64_t t;
    if (!seconds(claim(claims, "exp"), &t) || t < now)
        return kl_fail(c, KL_UNAUTHORIZED, "oidc: verify token: oidc: token is expired");
    if (nbf && (!seconds(nbf, &t) || t > now + NOT_BEFORE_S))
        return kl_fail(c, KL_UNAUTHORIZED, "oidc: verify token: oidc: current time is before the nbf (not before) time");
    return 0;
}

static bool listed(const char *const *list, struct str s)
{
    for (; *list; list++)
        if (str_is(s, *list))
            return true;
    return false;
}

static int check_audience(struct kl_call *c, const struct issuer *by, const struct val *aud)
{
    if (val_is(aud, VAL_STR) && listed(by->audiences, val_str(aud)))
        return 0;
    if (val_is(aud, VAL_ARR))
        val_each(x, aud)
            if (val_is(x, VAL_STR) && listed(by->audiences, val_str(x)))
                return 0;
    return kl_fail(c, KL_UNAUTHORIZED, "oidc: verify token: oidc: the token is for none of the audiences of issuer '%s'", by->url);
}

static int check_required(struct kl_call *c, const struct issuer *by, const struct val *claims)
{
    for (unsigned i = 0; i < by->n_required; i++) {
        const struct required *q = &by->required[i];
        const struct val *v = claim(claims, q->claim);
        if (!v)
            return kl_fail(c, KL_UNAUTHORIZED, "oidc: required claim %s not present in ID token", q->claim);
        if (!val_is(v, VAL_STR) || !str_is(val_str(v), q->value))
            return kl_fail(c, KL_UNAUTHORIZED, "oidc: required claim %s value does not match", q->claim);
    }
    return 0;
}

static const char *prefixed(struct kl_call *c, const char *prefix, struct str s)
{
    size_t n = prefix ? strlen(prefix) : 0;
    char *out = kl_alloc(c, n + s.len + 1);
    if (!out || memchr(s.at, '\0', s.len))
        return NULL;                    /* a NUL in a name is a name that means two things */
    if (n)
        memcpy(out, prefix, n);
    memcpy(out + n, s.at, s.len);
    return out;
}

static const char *name_of(struct kl_call *c, const struct mapping *m, const struct val *claims, const char *what)
{
    const struct val *v = claim(claims, m->claim);
    const char *out = val_is(v, VAL_STR) ? prefixed(c, m->prefix, val_str(v)) : NULL;
    if (!out)
        kl_fail(c, KL_UNAUTHORIZED, "oidc: parse %s claims \"%s\": %s", what, m->claim, v ? "no text" : "claim not present");
    return out;
}

/* --- expressions --- */

struct course {
    struct kl_call *c;
    struct arena *arena;
    const struct evaluator *e;
    const struct issuer *by;
    const struct val *claims;
    struct kl_bytes claims_text;        /* made when first needed */
};

static const struct expression *expression(const struct issuer *by, enum use use)
{
    for (unsigned i = 0; i < by->n_expressions; i++)
        if (by->expressions[i].use == use)
            return &by->expressions[i];
    return NULL;
}

static struct kl_bytes text_of(struct arena *a, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    json_write(&b, v);
    struct str s = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    return (struct kl_bytes){ s.at, s.len };
}

static int evaluate(struct course *w, const struct expression *x, struct kl_bytes value, const char *what, struct val **ret)
{
    struct kl_bytes out;
    int rc = w->e->cel && x->program && value.at ? w->e->cel->eval(w->e->host, w->c, x->program, &value, 1, &out) : -KL_INTERNAL;
    *ret = rc == 0 ? json_parse(w->arena, str_n(out.at, out.len), NULL) : NULL;
    if (*ret)
        return 0;
    char why[150];
    snprintf(why, sizeof why, "%.149s", w->c->err.msg);
    return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: error evaluating %s expression: %s", what, why);
}

static int evaluate_claims(struct course *w, const struct expression *x, const char *what, struct val **ret)
{
    if (!w->claims_text.at)
        w->claims_text = text_of(w->arena, w->claims);
    return evaluate(w, x, w->claims_text, what, ret);
}

/* One text, or the name of several; empty ones do not count. */
static int texts_of(struct course *w, const struct val *v, const char *what, const char *more, const char *const **ret)
{
    unsigned n = 0, most = val_is(v, VAL_ARR) ? v->n : 1;
    const char **out = kl_alloc(w->c, (most + 2) * sizeof *out);
    if (!out)
        return kl_fail(w->c, KL_NO_MEMORY, "out of memory");
    const struct val *one = val_is(v, VAL_ARR) ? v->first : v;
    for (; one && !val_is(v, VAL_NULL); one = val_is(v, VAL_ARR) ? one->next : NULL) {
        if (!val_is(one, VAL_STR) || (one->n && !(out[n] = prefixed(w->c, NULL, val_str(one)))))
            return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: error evaluating %s expression: expression must return a string or a list of strings", what);
        n += one->n != 0;
    }
    out[n] = more;
    *ret = out;
    return 0;
}

static int check_rules(struct course *w, enum use use, struct kl_bytes user, const char *what)
{
    for (unsigned i = 0; i < w->by->n_expressions; i++) {
        const struct expression *x = &w->by->expressions[i];
        struct val *v;
        if (x->use != use)
            continue;
        int rc = use == USE_USER_RULE ? evaluate(w, x, user, what, &v) : evaluate_claims(w, x, what, &v);
        if (rc < 0)
            return rc;
        if (!val_is(v, VAL_BOOL))
            return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: error evaluating %s expression: validation expression must return a boolean", what);
        if (!v->i)
            return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: error evaluating %s expression: validation expression '%.80s' failed: %.80s", what, x->text, x->detail);
    }
    return 0;
}

static int check_user(struct course *w, const struct kl_user *u)
{
    struct val *v = val_new(w->arena, VAL_OBJ);
    if (!expression(w->by, USE_USER_RULE))
        return 0;
    json_set_str(w->arena, v, STR("username"), str_of(u->name));
    json_set_str(w->arena, v, STR("uid"), str_of(u->uid));
    struct val *groups = json_arr(w->arena, v, STR("groups")), *extra = json_obj(w->arena, v, STR("extra"));
    for (const char *const *g = u->groups; *g && strcmp(*g, "system:authenticated") != 0; g++)
        val_push(groups, val_of_str(w->arena, str_of(*g)));
    for (const char *const *x = u->extra; x && x[0]; x += 2)
        val_push(json_arr(w->arena, extra, str_of(x[0])), val_of_str(w->arena, str_of(x[1])));
    return check_rules(w, USE_USER_RULE, text_of(w->arena, v), "user info validation");
}

/* --- parts of the user --- */

static int expressed_name(struct course *w, const struct expression *x, const char *what, const char **ret)
{
    struct val *v;
    int rc = evaluate_claims(w, x, what, &v);
    *ret = rc == 0 && val_is(v, VAL_STR) ? prefixed(w->c, NULL, val_str(v)) : NULL;
    return *ret ? 0 : rc < 0 ? rc : kl_fail(w->c, KL_UNAUTHORIZED, "oidc: error evaluating %s expression: %s expression must return a string", what, what);
}

static int user_name(struct course *w, struct kl_user *ret)
{
    const struct expression *x = expression(w->by, USE_USERNAME);
    const struct val *verified = claim(w->claims, "email_verified");
    int rc = 0;
    if (x)
        rc = expressed_name(w, x, "username claim", &ret->name);
    else if (!(ret->name = name_of(w->c, &w->by->user, w->claims, "username")))
        rc = -KL_UNAUTHORIZED;
    if (rc < 0)
        return rc;
    if (!ret->name[0])
        return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: empty username is not allowed");
    if (!x && strcmp(w->by->user.claim, "email") == 0 && verified && !(val_is(verified, VAL_BOOL) && verified->i))
        return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: email not verified");
    return 0;
}

static int user_groups(struct course *w, struct kl_user *ret)
{
    const struct expression *x = expression(w->by, USE_GROUPS);
    const struct val *v = w->by->groups.claim ? claim(w->claims, w->by->groups.claim) : NULL;
    unsigned n = 0, most = val_is(v, VAL_ARR) ? v->n : 1;
    struct val *expressed;
    if (x) {
        int rc = evaluate_claims(w, x, "group claim", &expressed);
        return rc < 0 ? rc : texts_of(w, expressed, "group claim", "system:authenticated", &ret->groups);
    }
    const char **out = kl_alloc(w->c, (most + 2) * sizeof *out);
    if (!out)
        return kl_fail(w->c, KL_NO_MEMORY, "out of memory");
    if (v && !val_is(v, VAL_STR) && !val_is(v, VAL_ARR) && !val_is(v, VAL_NULL))
        return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: parse groups claim \"%s\": neither a text nor a list of texts", w->by->groups.claim);
    if (val_is(v, VAL_STR) && !(out[n++] = prefixed(w->c, w->by->groups.prefix, val_str(v))))
        return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: parse groups claim \"%s\": no group's name", w->by->groups.claim);
    if (val_is(v, VAL_ARR))
        val_each(g, v)
            if (!val_is(g, VAL_STR) || !(out[n++] = prefixed(w->c, w->by->groups.prefix, val_str(g))))
                return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: parse groups claim \"%s\": not a list of texts", w->by->groups.claim);
    out[n] = "system:authenticated";
    ret->groups = out;
    return 0;
}

static int user_uid(struct course *w, struct kl_user *ret)
{
    const struct expression *x = expression(w->by, USE_UID);
    if (x)
        return expressed_name(w, x, "uid claim", &ret->uid);
    ret->uid = w->by->uid.claim ? name_of(w->c, &w->by->uid, w->claims, "uid") : "";
    return ret->uid ? 0 : -KL_UNAUTHORIZED;
}

#define EXTRA_MOST 1024u

static int user_extra(struct course *w, struct kl_user *ret)
{
    struct str id = val_str(claim(w->claims, "jti"));
    unsigned n = 0;
    const char **extra = kl_alloc(w->c, (EXTRA_MOST + 3) * sizeof *extra);
    if (!extra)
        return kl_fail(w->c, KL_NO_MEMORY, "out of memory");
    if (id.len) {
        extra[n++] = "authentication.kubernetes.io/credential-id";
        if (!(extra[n++] = prefixed(w->c, "JTI=", id)))
            return kl_fail(w->c, KL_UNAUTHORIZED, "oidc: parse claim jti");
    }
    for (unsigned i = 0; i < w->by->n_expressions; i++) {
        const struct expression *x = &w->by->expressions[i];
        const char *const *texts;
        struct val *v;
        if (x->use != USE_EXTRA)
            continue;
        int rc = evaluate_claims(w, x, "extra claim", &v);
        if (rc < 0 || (rc = texts_of(w, v, "extra claim", NULL, &texts)) < 0)
            return rc;
        for (; *texts && n + 1 < EXTRA_MOST; texts++) {
            extra[n++] = x->detail;
            extra[n++] = *texts;
        }
    }
    ret->extra = n ? extra : NULL;
    return 0;
}

int claims_user(struct kl_call *c, struct arena *a, const struct evaluator *e, const struct issuer *by, const struct val *claims, int64_t now_s,
                struct kl_user *ret)
{
    struct course w = { .c = c, .arena = a, .e = e, .by = by, .claims = claims };
    *ret = (struct kl_user){ .size = sizeof *ret };
    int rc = check_times(c, claims, now_s);
    if (rc == 0)
        rc = check_audience(c, by, claim(claims, "aud"));
    if (rc == 0)
        rc = user_name(&w, ret);
    if (rc == 0)
        rc = user_groups(&w, ret);
    if (rc == 0)
        rc = user_uid(&w, ret);
    if (rc == 0)
        rc = user_extra(&w, ret);
    if (rc == 0)
        rc = check_required(c, by, claims);
    if (rc == 0)
        rc = check_rules(&w, USE_CLAIM_RULE, (struct kl_bytes){ NULL, 0 }, "claim validation");
    if (rc == 0)
        rc = check_user(&w, ret);
    return rc < 0 ? rc : 1;
}
