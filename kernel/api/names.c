/* names.c - resources that have several names (versions, for events groups too), and an object under another of them. Who matches requests by rules
 * (webhooks, policies) looks at all names, and is shown the object under the one that a rule has. */
#include "api-internal.h"

unsigned api_other_names(const struct schema_kind *k, const struct schema_kind **ret)
{
    unsigned n = 0;
    size_t all = schema_n_kinds();
    if (!(k->flags & K_STORED))
        return 0;
    for (size_t i = 0; i < all && n < API_NAMES; i++) {
        const struct schema_kind *x = schema_kind_at(i);
        if (x != k && x->storage == k->storage)
            ret[n++] = x;
    }
    return n;
}

struct val *api_under_name(const struct api_asker *q, const struct schema_kind *from, const struct schema_kind *to, struct val *v)
{
    if (from == to)
        return v;
    if (to->flags & K_CUSTOM)
        return api_convert(q, from, to, v);
    struct val *stored = api_convert(q, from, from->storage, v);
    return stored ? api_convert(q, to->storage, to, stored) : NULL;
}

static const struct schema_kind *kind_of(struct str api_version, struct str kind)
{
    struct str version = api_version, group = STR("");
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    return schema_kind_find(group, version, kind);
}

int api_in_version(struct api *api, struct kl_call *c, struct arena *a, struct str api_version, const struct val *patch, struct val **v)
{
    struct api_error e = { 0 };
    struct api_asker q = { api, a, c->request, &e };
    const struct schema_kind *from = kind_of(json_str(*v, "apiVersion"), json_str(*v, "kind")), *to = kind_of(api_version, json_str(*v, "kind"));
    if (!from || !to || from->storage != to->storage)
        return kl_fail(c, KL_INVALID, "unable to convert to " STR_FMT ": unknown kind", STR_ARG(api_version));
    if (object_conform(a, from->type, *v, NULL, &c->err) < 0)
        return -c->err.code;
    struct val *out = api_under_name(&q, from, to, *v);
    if (out && patch) {
        out = object_patch_json(a, out, patch, &c->err);
        if (!out || object_conform(a, to->type, out, NULL, &c->err) < 0)
            return -c->err.code;
        if (object_default(a, to, out) < 0)
            return kl_fail(c, KL_NO_MEMORY, "out of memory");
        out = api_under_name(&q, to, from, out);
    }
    if (!out)
        return kl_fail(c, e.code ? e.code : KL_NO_MEMORY, "%s", e.message ? e.message : "out of memory");
    *v = out;
    return 0;
}
