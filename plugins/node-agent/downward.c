/* downward.c - fields of the pod and numbers of its containers, as containers may read them. */
#include "agent.h"

#include <stdlib.h>

#include "base/quantity.h"

/* A map as a downwardAPI volume shows it: key="value" lines in key order. */
static struct str all_of(struct arena *ar, const struct val *map)
{
    if (!val_is(map, VAL_OBJ) || !map->n)
        return STR("");
    const struct val **sorted = arena_alloc(ar, map->n * sizeof *sorted);
    _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
    size_t n = 0;
    if (!sorted)
        return STR("");
    val_each(v, map)
        sorted[n++] = v;
    qsort(sorted, n, sizeof *sorted, val_by_key);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, "%s" STR_FMT "=", i ? "\n" : "", STR_ARG(val_key(sorted[i])));
        json_write_str(&b, val_str(sorted[i]));
    }
    return b.failed ? STR("") : arena_str(ar, buf_str(&b));
}

/* metadata.labels['x'] */
static bool subscript(const struct pod_view *v, struct str path, struct str *ret)
{
    static const char *const maps[] = { "labels", "annotations" };
    for (size_t i = 0; i < 2; i++) {
        char *head = arena_printf(v->arena, "metadata.%s['", maps[i]);
        if (!head || !str_starts(path, str_of(head)) || !str_ends(path, STR("']")))
            continue;
        size_t n = strlen(head);
        struct str key = str_n(path.at + n, path.len - n - 2);
        *ret = val_str(json_get(json_path(v->meta, maps[i]), key));
        if (!ret->at)
            *ret = STR("");
        return true;
    }
    return false;
}

static struct str ips(const struct agent *a, const struct pod_view *v, bool all)
{
    struct str out = v->mem->n_ips ? str_of(v->mem->ips[0]) : view_host_network(v) ? str_of(a->ip) : STR("");
    for (int i = 1; all && i < v->mem->n_ips; i++)
        out = str_of(arena_printf(v->arena, STR_FMT ",%s", STR_ARG(out), v->mem->ips[i]));
    return out;
}

int downward_field(const struct agent *a, const struct pod_view *v, const char *path, struct str *ret, struct kl_err *err)
{
    static const char *const plain[] = { "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
                                         "spec.serviceAccountName" };
    struct str p = str_of(path);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (str_is(p, plain[i])) {
            *ret = json_str(v->pod, path);
            if (!ret->at)
                *ret = STR("");
            return 0;
        }
    if (subscript(v, p, ret))
        return 0;
    if (str_is(p, "metadata.labels") || str_is(p, "metadata.annotations"))
        *ret = all_of(v->arena, json_path(v->pod, path));
    else if (str_is(p, "status.podIP") || str_is(p, "status.podIPs"))
        *ret = ips(a, v, str_is(p, "status.podIPs"));
    else if (str_is(p, "status.hostIP") || str_is(p, "status.hostIPs"))
        *ret = str_of(a->ip);
    else
        return kl_err_set(err, KL_INVALID, "unsupported fieldPath: %s", path);
    return 0;
}

static struct quantity default_amount(struct str what)
{
    if (str_is(what, "cpu"))
        return quantity_of((int64_t)sysconf(_SC_NPROCESSORS_ONLN), QUANTITY_DECIMAL);
    return quantity_of(str_is(what, "memory") ? resources_node_memory() : 0, QUANTITY_BINARY);
}

static const struct ctr *named(const struct pod_view *v, struct str name)
{
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->ctrs[i].name, name))
            return &v->ctrs[i];
    return NULL;
}

int downward_resource(const struct pod_view *v, const struct ctr *k, const struct val *ref, struct str *ret, struct kl_err *err)
{
    struct str which = json_str(ref, "resource"), list = which, what, divisor = json_str(ref, "divisor"), name = json_str(ref, "containerName");
    struct quantity q, d;
    if (name.len)
        k = named(v, name);
    if (!k)
        return kl_err_set(err, KL_INVALID, "resourceFieldRef names container '" STR_FMT "', which the pod has not", STR_ARG(name));
    what = which;
    list = str_cut(&what, '.');
    if (!str_is(list, "limits") && !str_is(list, "requests"))
        return kl_err_set(err, KL_INVALID, "unsupported container resource : '" STR_FMT "'", STR_ARG(which));
    const struct val *set = json_get(json_get(k->resources, list), what);
    if (val_is(set, VAL_INT))
        q = quantity_of(set->i, QUANTITY_DECIMAL);
    else if (!quantity_parse(val_str(set), &q))
        q = str_is(list, "limits") ? default_amount(what) : quantity_of(0, QUANTITY_DECIMAL);
    if (!quantity_parse(divisor, &d) || d.nano <= 0)
        d = quantity_of(1, QUANTITY_DECIMAL);
    __int128 n = q.nano <= 0 ? 0 : (q.nano + d.nano - 1) / d.nano;
    char *text = arena_printf(v->arena, "%lld", (long long)n);
    *ret = str_of(text);
    return text ? 0 : kl_err_set(err, KL_NO_MEMORY, "no memory");
}
