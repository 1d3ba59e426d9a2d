/* table_cells.c - cells that many kinds have. */
#include "base/clock.h"
#include "object/table.h"

struct val *cell_text(const struct cell_in *in, const char *s)
{
    return val_of_str(in->arena, str_of(s));
}

/* Upstream's HumanDuration. */
void table_set_add(struct arena *a, struct val *set, struct str s)
{
    if (s.len)
        json_set_bool(a, set, s, true);
}

void table_set_join(struct arena *a, struct buf *b, struct val *set)
{
    json_sort(a, set);
    val_each(x, set) {
        buf_add_z(b, b->len ? "," : "");
        buf_add_str(b, val_key(x));
    }
}

struct val *table_balancer(struct arena *a, const struct val *v)
{
    struct val *list = json_path(v, "status.loadBalancer.ingress"), *set = val_new(a, VAL_OBJ);
    if (val_is(list, VAL_ARR))
        val_each(x, list) table_set_add(a, set, json_str(x, "ip").len ? json_str(x, "ip") : json_str(x, "hostname"));
    return set;
}

const char *table_human(struct arena *a, int64_t s)
{
    if (s < 0)
        return s < -1 ? "<invalid>" : "0s";
    if (s < 120)
        return arena_printf(a, "%llds", (long long)s);
    int64_t m = s / 60, h = s / 3600, d = h / 24;
    if (m < 10)
        return s % 60 ? arena_printf(a, "%lldm%llds", (long long)m, (long long)(s % 60)) : arena_printf(a, "%lldm", (long long)m);
    if (m < 180)
        return arena_printf(a, "%lldm", (long long)m);
    if (h < 8)
        return m % 60 ? arena_printf(a, "%lldh%lldm", (long long)h, (long long)(m % 60)) : arena_printf(a, "%lldh", (long long)h);
    if (h < 48)
        return arena_printf(a, "%lldh", (long long)h);
    if (d < 8)
        return h % 24 ? arena_printf(a, "%lldd%lldh", (long long)d, (long long)(h % 24)) : arena_printf(a, "%lldd", (long long)d);
    if (d < 730)
        return arena_printf(a, "%lldd", (long long)d);
    if (d < 365 * 8)
        return d % 365 ? arena_printf(a, "%lldy%lldd", (long long)(d / 365), (long long)(d % 365)) : arena_printf(a, "%lldy", (long long)(d / 365));
    return arena_printf(a, "%lldy", (long long)(d / 365));
}

struct val *cell_age(const struct cell_in *in, const char *path)
{
    int64_t ns;
    struct str s = json_str(in->v, path);
    if (!s.len || !clock_parse(s, &ns))
        return cell_text(in, "<unknown>");
    return cell_text(in, table_human(in->arena, (in->now_ns - ns) / 1000000000LL));
}

struct val *cell_path(const struct cell_in *in, const char *path)
{
    struct str s = json_str(in->v, path);
    return val_of_str(in->arena, s.len ? s : STR("<none>"));
}

struct val *cell_plain(const struct cell_in *in, const char *path)
{
    return val_of_str(in->arena, json_str(in->v, path));
}

struct val *cell_number(const struct cell_in *in, const char *path)
{
    return val_of_int(in->arena, json_int(in->v, path, 0));
}

struct val *cell_count(const struct cell_in *in, const char *path)
{
    struct val *v = json_path(in->v, path);
    return val_of_int(in->arena, v && v->type >= VAL_ARR ? v->n : 0);
}

struct val *cell_boolean(const struct cell_in *in, const char *path)
{
    return val_of_bool(in->arena, json_bool(in->v, path, false));
}

struct val *cell_flag(const struct cell_in *in, const char *path)
{
    if (!json_path(in->v, path))
        return cell_text(in, "<unset>");
    return cell_text(in, json_bool(in->v, path, false) ? "True" : "False");
}

struct val *cell_ready(const struct cell_in *in, const char *arg)
{
    struct str want = str_of(arg), ready = str_cut(&want, '|');
    int64_t a = json_int(in->v, arena_dup(in->arena, ready), 0), b = json_int(in->v, arena_dup(in->arena, want), 0);
    return cell_text(in, arena_printf(in->arena, "%lld/%lld", (long long)a, (long long)b));
}

struct val *cell_joined(const struct cell_in *in, const char *list_path, const char *member)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct val *list = json_path(in->v, list_path);
    if (val_is(list, VAL_ARR))
        val_each(x, list) {
            buf_add_z(&b, b.len ? "," : "");
            buf_add_str(&b, member ? json_str(x, member) : val_str(x));
        }
    return val_of_str(in->arena, arena_str(in->arena, b.len ? buf_str(&b) : STR("<none>")));
}

struct val *cell_names(const struct cell_in *in, const char *path)
{
    return cell_joined(in, path, "name");
}

struct val *cell_images(const struct cell_in *in, const char *path)
{
    return cell_joined(in, path, "image");
}

struct val *cell_selector(const struct cell_in *in, const char *path)
{
    struct kl_err err;
    kl_err_init(&err);
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct val *v = json_path(in->v, path), *wrap = v;
    if (v && !json_get(v, STR("matchLabels")) && !json_get(v, STR("matchExpressions"))) {
        wrap = val_new(in->arena, VAL_OBJ);
        json_set(in->arena, wrap, STR("matchLabels"), val_copy(in->arena, v));
    }
    struct selector *s = v ? selector_of_tree(in->arena, wrap, &err) : NULL;
    if (s)
        selector_write(&b, s);
    return val_of_str(in->arena, arena_str(in->arena, b.len ? buf_str(&b) : STR("<none>")));
}

struct val *cell_str(const struct cell_in *in, struct str s)
{
    return val_of_str(in->arena, arena_str(in->arena, s));
}

struct val *cell_maybe_text(const struct cell_in *in, const char *path)
{
    const struct val *v = json_path(in->v, path);
    return val_is(v, VAL_INT) ? cell_text(in, arena_printf(in->arena, "%lld", (long long)v->i)) : cell_text(in, "<unset>");
}

struct val *cell_unset(const struct cell_in *in, const char *path)
{
    struct str s = json_str(in->v, path);
    return val_of_str(in->arena, s.len ? s : STR("<unset>"));
}

struct val *cell_unknown(const struct cell_in *in, const char *path)
{
    struct str s = json_str(in->v, path);
    return val_of_str(in->arena, s.len ? s : STR("<unknown>"));
}

struct val *cell_since(const struct cell_in *in, const char *path)
{
    return json_str(in->v, path).len ? cell_age(in, path) : cell_text(in, "<none>");
}

struct val *cell_labels(const struct cell_in *in, const char *path)
{
    struct val *v = json_path(in->v, path);
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    if (!val_is(v, VAL_OBJ) || !v->n)
        return cell_text(in, "<none>");
    val_each(l, v)
        buf_printf(&b, "%s" STR_FMT "=" STR_FMT, b.len ? "," : "", STR_ARG(val_key(l)), STR_ARG(val_str(l)));
    return cell_str(in, buf_str(&b));
}

struct val *cell_strings(const struct cell_in *in, const char *path)
{
    return cell_joined(in, path, NULL);
}

struct val *cell_audiences(const struct cell_in *in, const char *path)
{
    return json_path(in->v, path) ? cell_joined(in, path, "audience") : cell_text(in, "<unset>");
}

struct val *cell_seconds(const struct cell_in *in, const char *path)
{
    struct val *v = json_path(in->v, path);
    return cell_text(in, v ? table_human(in->arena, v->i) : "<none>");
}
