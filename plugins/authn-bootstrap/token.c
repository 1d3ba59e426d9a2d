/* token.c - does a Secret vouch for a token? */
#include "token.h"

#include "base/base64url.h"
#include "base/clock.h"

static bool plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.at[i] >= 'a' && s.at[i] <= 'z') || (s.at[i] >= '0' && s.at[i] <= '9')))
            return false;
    return true;
}

bool token_split(struct str text, struct str *ret_id, struct str *ret_secret)
{
    *ret_secret = text;
    *ret_id = str_cut(ret_secret, '.');
    return ret_id->len == TOKEN_ID && ret_secret->len == TOKEN_SECRET && plain(*ret_id) && plain(*ret_secret);
}

/* A member of the Secret's data, decoded. */
static struct str datum(struct arena *a, const struct val *secret, const char *key)
{
    struct str s = val_str(json_get(json_get(secret, STR("data")), str_of(key)));
    char *t = s.len ? arena_dup(a, s) : NULL;
    while (s.len && s.at[s.len - 1] == '=')
        s.len--;
    for (size_t i = 0; t && i < s.len; i++)
        t[i] = t[i] == '+' ? '-' : t[i] == '/' ? '_' : t[i];
    return t ? base64url_decode(a, str_n(t, s.len)) : STR_NONE;
}

static bool same_secret(struct str a, struct str b)
{
    unsigned char diff = 0;
    for (size_t i = 0; a.len == b.len && i < a.len; i++)
        diff |= (unsigned char)(a.at[i] ^ b.at[i]);
    return a.len == b.len && a.len && !diff;
}

static bool group_ok(struct str g)
{
    struct str head = STR("system:bootstrappers:"), rest = str_skip(g, head.len);
    if (!str_starts(g, head) || !rest.len || rest.len > 256 || !plain(str_n(rest.at + rest.len - 1, 1)))
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.at[i] != ':' && rest.at[i] != '-' && !plain(str_n(rest.at + i, 1)))
            return false;
    return true;
}

static const char *const *groups(struct arena *a, struct str list)
{
    unsigned n = 0, most = 3;
    for (size_t i = 0; i < list.len; i++)
        most += list.at[i] == ',';
    const char **ret = arena_alloc(a, (most + 1) * sizeof *ret);
    if (!ret)
        return NULL;
    ret[n++] = "system:bootstrappers";
    for (struct str rest = list; list.len && rest.at;) {
        struct str g = str_cut(&rest, ',');
        if (!group_ok(g))
            return NULL;
        ret[n++] = arena_dup(a, g);
    }
    ret[n] = "system:authenticated";
    return arena_exhausted(a) ? NULL : ret;
}

const char *const *token_groups(struct arena *a, const struct val *secret, struct str id, struct str key, int64_t now_ns)
{
    struct str until = datum(a, secret, "expiration");
    int64_t end;
    if (json_path(secret, "metadata.deletionTimestamp") || !str_is(json_str(secret, "type"), "bootstrap.kubernetes.io/token"))
        return NULL;
    if (!same_secret(datum(a, secret, "token-secret"), key) || !str_eq(datum(a, secret, "token-id"), id))
        return NULL;
    if (until.len && (!clock_parse(until, &end) || end <= now_ns))
        return NULL;
    if (!str_is(datum(a, secret, "usage-bootstrap-authentication"), "true"))
        return NULL;
    return groups(a, datum(a, secret, "auth-extra-groups"));
}
