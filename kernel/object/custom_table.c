/* custom_table.c - additionalPrinterColumns and the JSON paths in them. */
#include "base/clock.h"
#include "object/custom-internal.h"
#include "object/table.h"

/* --- paths: .a.b, ['a.b'], [0], [*], [?(@.type=="Ready")] --- */

struct seek {
    struct arena *arena;
    struct val *found;
};

static void seek(struct seek *s, const struct val *v, struct str path);

static void seek_items(struct seek *s, const struct val *v, struct str rest)
{
    if (v->type >= VAL_ARR)
        val_each(kid, v) seek(s, kid, rest);
}

/* @.type=="Ready", also with ' and !=. */
static void seek_filtered(struct seek *s, const struct val *v, struct str filter, struct str rest)
{
    struct str f = str_trim(filter);
    if (!str_starts(f, STR("@.")) || v->type != VAL_ARR)
        return;
    f = str_skip(f, 2);
    const char *op = memmem(f.at, f.len, "==", 2);
    bool negate = !op && (op = memmem(f.at, f.len, "!=", 2)) != NULL;
    if (!op)
        return;
    struct str name = str_trim(str_n(f.at, (size_t)(op - f.at))), value = str_trim(str_skip(f, (size_t)(op - f.at) + 2));
    if (value.len >= 2 && (value.at[0] == '"' || value.at[0] == '\''))
        value = str_n(value.at + 1, value.len - 2);
    val_each(item, v) {
        const struct val *m = json_get(item, name);
        if (str_eq(val_str(m), value) != negate)
            seek(s, item, rest);
    }
}

static void seek_bracket(struct seek *s, const struct val *v, struct str inside, struct str rest)
{
    int64_t at;
    if (str_is(inside, "*")) {
        seek_items(s, v, rest);
    } else if (inside.len > 2 && (inside.at[0] == '\'' || inside.at[0] == '"')) {
        const struct val *m = json_get(v, str_n(inside.at + 1, inside.len - 2));
        if (m)
            seek(s, m, rest);
    } else if (inside.len > 3 && str_starts(inside, STR("?("))) {
        seek_filtered(s, v, str_n(inside.at + 2, inside.len - 3), rest);
    } else if (str_int(inside, &at) && v->type == VAL_ARR) {
        at += at < 0 ? v->n : 0;
        for (const struct val *item = v->first; item; item = item->next)
            if (at-- == 0)
                seek(s, item, rest);
    }
}

static void seek(struct seek *s, const struct val *v, struct str path)
{
    if (!path.len) {
        val_push(s->found, val_copy(s->arena, v));
        return;
    }
    if (path.at[0] == '[') {
        long end = str_find(path, ']');
        if (end > 0)
            seek_bracket(s, v, str_n(path.at + 1, (size_t)end - 1), str_skip(path, (size_t)end + 1));
        return;
    }
    if (path.at[0] == '.')
        path = str_skip(path, 1);
    size_t n = 0;
    _cleanup_buf_ struct buf name = BUF_INIT(1024);
    for (; n < path.len && path.at[n] != '.' && path.at[n] != '['; n++) {
        n += path.at[n] == '\\' && n + 1 < path.len;
        buf_add_c(&name, path.at[n]);
    }
    struct str rest = str_skip(path, n);
    if (!name.len) {
        if (rest.len != path.len || (rest.len && rest.at[0] == '['))
            seek(s, v, rest);
    } else if (str_is(buf_str(&name), "*")) {
        seek_items(s, v, rest);
    } else {
        const struct val *m = json_get(v, buf_str(&name));
        if (m)
            seek(s, m, rest);
    }
}

struct val *custom_json_path(struct arena *a, const struct val *v, struct str path)
{
    struct seek s = { a, val_new(a, VAL_ARR) };
    if (path.len && path.at[0] == '{')
        path = str_n(path.at + 1, path.len - 2);
    seek(&s, v, path);
    return s.found;
}

/* --- columns --- */

static struct str describe(struct arena *a, const struct val *c)
{
    struct str said = json_str(c, "description");
    char *text = said.len ? NULL : arena_printf(a, "Custom resource definition column (in JSONPath format): " STR_FMT, STR_ARG(json_str(c, "jsonPath")));
    return text ? str_of(text) : said;
}

static struct val *column(struct arena *a, struct str name, struct str type, struct str format, struct str description, int64_t priority)
{
    struct val *c = val_new(a, VAL_OBJ);
    json_set_str(a, c, STR("name"), name);
    json_set_str(a, c, STR("type"), type);
    json_set_str(a, c, STR("format"), format.at ? format : STR(""));
    json_set_str(a, c, STR("description"), description.at ? description : STR(""));
    json_set_int(a, c, STR("priority"), priority);
    return c;
}

struct val *custom_columns(struct arena *a, const struct val *printer)
{
    struct val *list = val_new(a, VAL_ARR);
    val_push(list, column(a, STR("Name"), STR("string"), STR("name"), STR("Name must be unique within a namespace."), 0));
    if (!val_is(printer, VAL_ARR) || !printer->n) {
        val_push(list, column(a, STR("Age"), STR("date"), STR(""), STR("When the object was made."), 0));
        return list;
    }
    val_each(c, printer)
        val_push(list, column(a, json_str(c, "name"), json_str(c, "type"), json_str(c, "format"), describe(a, c),
                              json_int(c, "priority", 0)));
    return list;
}

static struct val *joined(struct arena *a, const struct val *found)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    val_each(v, found) {
        if (v != found->first)
            buf_add_c(&b, ',');
        if (v->type == VAL_STR)
            buf_add_str(&b, val_str(v));
        else
            json_write(&b, v);
    }
    return val_of_str(a, arena_str(a, buf_str(&b)));
}

static struct val *cell(struct arena *a, const struct val *col, const struct val *v, int64_t now_ns)
{
    struct str type = json_str(col, "type");
    struct val *found = custom_json_path(a, v, json_str(col, "jsonPath"));
    int64_t at;
    if (!found || !found->n)
        return val_new(a, VAL_NULL);
    if (str_is(type, "date"))
        return clock_parse(val_str(found->first), &at) ? val_of_str(a, str_of(table_human(a, (now_ns - at) / 1000000000))) :
                                                         val_of_str(a, STR("<invalid>"));
    if (str_is(type, "string"))
        return joined(a, found);
    return val_copy(a, found->first);
}

struct val *custom_cells(struct arena *a, const struct val *printer, const struct val *v, int64_t now_ns)
{
    struct val *cells = val_new(a, VAL_ARR);
    struct cell_in in = { a, v, now_ns };
    val_push(cells, val_of_str(a, json_str(v, "metadata.name")));
    if (!val_is(printer, VAL_ARR) || !printer->n) {
        val_push(cells, cell_age(&in, "metadata.creationTimestamp"));
        return cells;
    }
    val_each(c, printer) val_push(cells, cell(a, c, v, now_ns));
    return cells;
}
