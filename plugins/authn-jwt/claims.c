/* claims.c - from claims to a user. */
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

static int user_name(struct kl_call *c, const struct issuer *by, const struct val *claims, struct kl_user *ret)
{
    const struct val *verified = claim(claims, "email_verified");
    ret->name = name_of(c, &by->user, claims, "username");
    if (!ret->name)
        return -KL_UNAUTHORIZED;
    if (!ret->name[0])
        return kl_fail(c, KL_UNAUTHORIZED, "oidc: empty username is not allowed");
    if (strcmp(by->user.claim, "email") == 0 && verified && !(val_is(verified, VAL_BOOL) && verified->i))
        return kl_fail(c, KL_UNAUTHORIZED, "oidc: email not verified");
    return 0;
}

static int user_groups(struct kl_call *c, const struct issuer *by, const struct val *claims, struct kl_user *ret)
{
    const struct val *v = by->groups.claim ? claim(claims, by->groups.claim) : NULL;
    unsigned n = 0, most = val_is(v, VAL_ARR) ? v->n : 1;
    const char **out = kl_alloc(c, (most + 2) * sizeof *out);
    if (!out)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (v && !val_is(v, VAL_STR) && !val_is(v, VAL_ARR) && !val_is(v, VAL_NULL))
        return kl_fail(c, KL_UNAUTHORIZED, "oidc: parse groups claim \"%s\": neither a text nor a list of texts", by->groups.claim);
    if (val_is(v, VAL_STR) && !(out[n++] = prefixed(c, by->groups.prefix, val_str(v))))
        return kl_fail(c, KL_UNAUTHORIZED, "oidc: parse groups claim \"%s\": no group's name", by->groups.claim);
    if (val_is(v, VAL_ARR))
        val_each(x, v)
            if (!val_is(x, VAL_STR) || !(out[n++] = prefixed(c, by->groups.prefix, val_str(x))))
                return kl_fail(c, KL_UNAUTHORIZED, "oidc: parse groups claim \"%s\": not a list of texts", by->groups.claim);
    out[n] = "system:authenticated";
    ret->groups = out;
    return 0;
}

static int user_rest(struct kl_call *c, const struct issuer *by, const struct val *claims, struct kl_user *ret)
{
    struct str id = val_str(claim(claims, "jti"));
    ret->uid = by->uid.claim ? name_of(c, &by->uid, claims, "uid") : "";
    if (!ret->uid)
        return -KL_UNAUTHORIZED;
    if (!id.len)
        return 0;
    const char **extra = kl_alloc(c, 3 * sizeof *extra);
    if (!extra || !(extra[1] = prefixed(c, "JTI=", id)))
        return kl_fail(c, KL_UNAUTHORIZED, "oidc: parse claim jti");
    extra[0] = "authentication.kubernetes.io/credential-id";
    ret->extra = extra;
    return 0;
}

int claims_user(struct kl_call *c, const struct issuer *by, const struct val *claims, int64_t now_s, struct kl_user *ret)
{
    *ret = (struct kl_user){ .size = sizeof *ret };
    int rc = check_times(c, claims, now_s);
    if (rc == 0)
        rc = check_audience(c, by, claim(claims, "aud"));
    if (rc == 0)
        rc = user_name(c, by, claims, ret);
    if (rc == 0)
        rc = user_groups(c, by, claims, ret);
    if (rc == 0)
        rc = user_rest(c, by, claims, ret);
    if (rc == 0)
        rc = check_required(c, by, claims);
    return rc < 0 ? rc : 1;
}
