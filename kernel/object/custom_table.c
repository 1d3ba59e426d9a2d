/* custom_table.c - additionalPrinterColumns (the paths in them: json_path.c). */
#include <stdlib.h>

#include "base/clock.h"
#include "object/custom-internal.h"
#include "object/table.h"

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

/* As text: lists and objects as JSON. */
static struct val *shown(struct arena *a, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    if (v->type == VAL_STR)
        return val_of_str(a, val_str(v));
    if (v->type == VAL_NULL)
        return val_of_str(a, STR("<no value>"));
    json_write_sorted(&b, v);
    return val_of_str(a, arena_str(a, buf_str(&b)));
}

static struct val *dated(struct arena *a, const struct val *v, int64_t now_ns)
{
    int64_t at;
    if (!clock_parse(val_str(v), &at))
        return val_of_str(a, STR("<invalid>"));
    return val_of_str(a, str_of(table_human(a, (now_ns - at) / 1000000000)));
}

/* Of several values the first. One of another type than the column's is none. */
static struct val *cell(struct arena *a, const struct val *col, const struct val *v, int64_t now_ns)
{
    struct str type = json_str(col, "type");
    const struct val *found = custom_json_path(a, v, json_str(col, "jsonPath"));
    char whole[64];
    if (found && str_is(type, "string"))
        return shown(a, found);
    if (val_is(found, VAL_STR) && str_is(type, "date"))
        return dated(a, found, now_ns);
    if (val_is(found, VAL_NUM) && str_is(type, "integer")) {
        snprintf(whole, sizeof whole, "%.*s", (int)(found->n < 63 ? found->n : 63), found->s);
        return val_of_int(a, (int64_t)strtod(whole, NULL));
    }
    bool fits = found && (str_is(type, "boolean") ? found->type == VAL_BOOL : str_is(type, "integer") ? found->type == VAL_INT :
                          str_is(type, "number") && (found->type == VAL_INT || found->type == VAL_NUM));
    return fits ? val_copy(a, found) : val_new(a, VAL_NULL);
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
