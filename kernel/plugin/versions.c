/* versions.c - keelson.host.versions/0: objects under their resource's other names, over kernel/api. */
#include "api/api.h"
#include "host-internal.h"

#define WORK_MOST (64u << 20)

static struct api *api_of(const struct kl_host *h)
{
    const struct plugin_instance *me = h->ctx;
    return me->owner->api;
}

static int others(const struct kl_host *h, struct kl_call *c, const char *group, const char *version, const char *resource, const char *const **ret)
{
    const struct schema_kind *k = schema_resource_find(str_of(group), str_of(version), str_of(resource)), *at[API_NAMES];
    unsigned n = k ? api_other_names(k, at) : 0;
    const char **list = kl_alloc(c, (3 * (size_t)n + 1) * sizeof *list);
    (void)h;
    if (!list)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < n; i++) {
        list[3 * i] = kl_dup(c, at[i]->group, strlen(at[i]->group));
        list[3 * i + 1] = kl_dup(c, at[i]->version, strlen(at[i]->version));
        list[3 * i + 2] = kl_dup(c, at[i]->plural, strlen(at[i]->plural));
    }
    for (unsigned i = 0; i < 3 * n; i++)
        if (!list[i])
            return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *ret = list;
    return 0;
}

static int give(struct kl_call *c, const struct val *v, struct kl_bytes *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    json_write(&b, v);
    char *text = b.failed ? NULL : kl_dup(c, b.at, b.len);
    *ret = (struct kl_bytes){ text, text ? b.len : 0 };
    return text ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int in_version(const struct kl_host *h, struct kl_call *c, struct kl_bytes object, const char *api_version, const struct kl_bytes *patch,
                      struct kl_bytes *ret)
{
    _cleanup_arena_ struct arena *a = arena_new(WORK_MOST);
    struct val *v = a ? json_parse(a, str_n(object.at, object.len), &c->err) : NULL;
    struct val *list = v && patch ? json_parse(a, str_n(patch->at, patch->len), &c->err) : NULL;
    if (!v || (patch && !list))
        return c->err.code ? -c->err.code : kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = api_in_version(api_of(h), c, a, str_of(api_version), list, &v);
    return rc < 0 ? rc : give(c, v, ret);
}

static int convert(const struct kl_host *h, struct kl_call *c, struct kl_bytes object, const char *api_version, struct kl_bytes *ret)
{
    return in_version(h, c, object, api_version, NULL, ret);
}

static int patch(const struct kl_host *h, struct kl_call *c, struct kl_bytes object, const char *api_version, struct kl_bytes patch, struct kl_bytes *ret)
{
    return in_version(h, c, object, api_version, &patch, ret);
}

const struct kl_host_versions host_versions_table = { sizeof host_versions_table, others, convert, patch };
