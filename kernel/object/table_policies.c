/* table_policies.c - cells of policies and their bindings, of claims on devices, of components. */
#include "object/table.h"

struct val *cell_param_kind(const struct cell_in *in, const char *path)
{
    const struct val *v = json_path(in->v, path);
    if (!v)
        return cell_text(in, "<unset>");
    return cell_text(in, arena_printf(in->arena, STR_FMT "/" STR_FMT, STR_ARG(json_str(v, "apiVersion")), STR_ARG(json_str(v, "kind"))));
}

/* A selector as Go prints one. */
static struct val *go_selector(const struct cell_in *in, const struct val *selector)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    const struct val *labels = json_get(selector, STR("matchLabels")), *list = json_get(selector, STR("matchExpressions"));
    buf_lit(&b, "&LabelSelector{MatchLabels:map[string]string{");
    if (val_is(labels, VAL_OBJ))
        val_each(l, labels)
            buf_printf(&b, STR_FMT ": " STR_FMT ",", STR_ARG(val_key(l)), STR_ARG(val_str(l)));
    buf_lit(&b, "},MatchExpressions:[]LabelSelectorRequirement{");
    if (val_is(list, VAL_ARR))
        val_each(x, list) {
            const struct val *values = json_get(x, STR("values"));
            unsigned n = 0;
            buf_printf(&b, "LabelSelectorRequirement{Key:" STR_FMT ",Operator:" STR_FMT ",Values:[", STR_ARG(json_str(x, "key")), STR_ARG(json_str(x, "operator")));
            if (val_is(values, VAL_ARR))
                val_each(v, values)
                    buf_printf(&b, "%s" STR_FMT, n++ ? " " : "", STR_ARG(val_str(v)));
            buf_lit(&b, "],},");
        }
    buf_lit(&b, "},}");
    return cell_str(in, buf_str(&b));
}

struct val *cell_param_ref(const struct cell_in *in, const char *path)
{
    const struct val *v = json_path(in->v, path), *selector = json_get(v, STR("selector"));
    struct str name = json_str(v, "name"), ns = json_str(v, "namespace");
    if (name.len)
        return cell_text(in, arena_printf(in->arena, STR_FMT "/" STR_FMT, STR_ARG(ns.len ? ns : STR("*")), STR_ARG(name)));
    return selector ? go_selector(in, selector) : cell_text(in, "<unset>");
}

struct val *cell_claim_state(const struct cell_in *in, const char *arg)
{
    const struct val *reserved = json_path(in->v, "status.reservedFor");
    bool deleted = json_path(in->v, "metadata.deletionTimestamp") != NULL, allocated = json_path(in->v, "status.allocation") != NULL;
    (void)arg;
    if (!allocated)
        return cell_text(in, deleted ? "deleted" : "pending");
    return cell_text(in, arena_printf(in->arena, "%sallocated%s", deleted ? "deleted," : "", reserved && reserved->n ? ",reserved" : ""));
}

struct val *cell_component(const struct cell_in *in, const char *member)
{
    const struct val *list = json_get(in->v, STR("conditions"));
    bool status = strcmp(member, "status") == 0;
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Healthy"))
                return status ? cell_text(in, str_is(json_str(c, "status"), "True") ? "Healthy" : "Unhealthy") : cell_str(in, json_str(c, member));
    return cell_text(in, status ? "Unknown" : "");
}
