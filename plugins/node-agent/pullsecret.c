/* pullsecret.c - imagePullSecrets: which of their logins are for the registry of an image, the most particular first. */
#include "agent.h"

#include "sources.h"

#define LOGINS_MOST 32

/* "library/busybox" is docker.io's. */
static struct str canonical(struct arena *ar, struct str image)
{
    struct str rest = image, first = str_cut(&rest, '/');
    bool registry = rest.at && (str_find(first, '.') >= 0 || str_find(first, ':') >= 0 || str_is(first, "localhost"));
    if (registry)
        return image;
    return str_of(arena_printf(ar, "docker.io/%s" STR_FMT, rest.at ? "" : "library/", STR_ARG(image)));
}

/* One label of a host name; '*' stands for any characters of it. */
static bool label_matches(struct str pattern, struct str s)
{
    if (!pattern.len)
        return !s.len;
    if (pattern.at[0] == '*') {
        for (size_t i = 0; i <= s.len; i++)
            if (label_matches(str_skip(pattern, 1), str_skip(s, i)))
                return true;
        return false;
    }
    return s.len && pattern.at[0] == s.at[0] && label_matches(str_skip(pattern, 1), str_skip(s, 1));
}

static bool host_matches(struct str pattern, struct str host)
{
    struct str pattern_port = pattern, host_port = host;
    pattern = str_cut(&pattern_port, ':');
    host = str_cut(&host_port, ':');
    if (!str_eq(pattern_port.at ? pattern_port : STR(""), host_port.at ? host_port : STR("")))
        return false;
    while (pattern.at && host.at)
        if (!label_matches(str_cut(&pattern, '.'), str_cut(&host, '.')))
            return false;
    return !pattern.at && !host.at;
}

bool pullsecret_matches(struct str key, struct str image)
{
    static const char *const heads[] = { "https://", "http://" }, *const tails[] = { "/v1/", "/v2/", "/v1", "/v2", "/" };
    for (size_t i = 0; i < 2; i++)
        if (str_starts(key, str_of(heads[i])))
            key = str_skip(key, strlen(heads[i]));
    for (size_t i = 0; i < 5; i++)
        if (str_ends(key, str_of(tails[i]))) {
            key.len -= strlen(tails[i]);
            break;
        }
    struct str path = key, host = str_cut(&path, '/'), rest = image, registry = str_cut(&rest, '/');
    if (str_is(host, "index.docker.io") || str_is(host, "registry-1.docker.io"))
        host = STR("docker.io");
    return host_matches(host, registry) && (!path.at || str_starts(rest, path));
}

static bool add_login(struct arena *ar, struct val *out, struct str key, const struct val *login)
{
    struct str user = json_str(login, "username"), password = json_str(login, "password"), both = json_str(login, "auth"), text;
    if (both.len && base64_decode(ar, both, &text) && str_find(text, ':') >= 0) {
        user = str_cut(&text, ':');
        password = text;
    }
    if (!user.len || out->n >= LOGINS_MOST)
        return false;
    struct val *o = val_new(ar, VAL_OBJ), *before = NULL;
    set_s(ar, o, "key", key);
    set_s(ar, o, "username", user);
    set_s(ar, o, "password", password.at ? password : STR(""));
    struct val *sorted = val_new(ar, VAL_ARR);
    for (struct val *x = out->first, *next; x; x = next) {      /* the longest key first */
        next = x->next;
        if (!before && json_str(x, "key").len < key.len)
            before = val_push(sorted, o);
        val_unlink(out, x);
        val_push(sorted, x);
    }
    if (!before)
        val_push(sorted, o);
    *out = *sorted;
    return true;
}

static void add_secret(struct arena *ar, struct val *out, const struct val *data, struct str image)
{
    static const char *const files[] = { ".dockerconfigjson", ".dockercfg" };
    for (size_t i = 0; i < 2; i++) {
        const struct val *text = json_get(data, str_of(files[i]));
        const struct val *doc = text ? json_parse(ar, val_str(text), NULL) : NULL, *auths = i ? doc : json_get(doc, STR("auths"));
        if (val_is(auths, VAL_OBJ))
            val_each(login, auths)
                if (pullsecret_matches(val_key(login), image))
                    add_login(ar, out, val_key(login), login);
    }
}

struct val *pullsecret_logins(struct agent *a, struct kl_call *c, const struct pod_view *v, struct str image)
{
    const struct val *names = json_get(v->spec, STR("imagePullSecrets"));
    struct val *out = val_new(v->arena, VAL_ARR);
    _cleanup_buf_ struct buf missing = BUF_INIT(4096);
    image = canonical(v->arena, image);
    if (!val_is(names, VAL_ARR))
        return out;
    val_each(n, names)
    {
        struct val *data = NULL;
        struct kl_call sub = *c;
        kl_err_init(&sub.err);
        if (!json_str(n, "name").len)
            continue;
        if (source_data(a, &sub, v, json_str(n, "name"), "/secrets", &data) == 0)
            add_secret(v->arena, out, data, image);
        else
            buf_printf(&missing, "%s" STR_FMT, missing.len ? ", " : "", STR_ARG(json_str(n, "name")));
    }
    if (missing.len)
        event_pod(a, v, NULL, "FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (" STR_FMT "); attempting to pull the image may not succeed.",
                  STR_ARG(buf_str(&missing)));
    return out;
}
