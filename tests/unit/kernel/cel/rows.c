/* rows.c - expressions by the hundred: what each is, what it costs, what it may cost; or what is wrong with it. Rows are in rows.txt:
 *   the expression; a JSON object of variables in front of it, behind "with", or none
 *   = KIND VALUE [TYPE] cost N est LEAST MOST        it has that value
 *   ! MESSAGE [TYPE] cost N est LEAST MOST           it is an error
 *   ? MESSAGE                                        it is no program; line breaks are \n
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "cel/cel-internal.h"

#define ROWS  "tests/unit/kernel/cel/rows.txt"
#define LEAST 300                       /* rows that the file has at least */

static void write_bytes(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        buf_printf(b, "%02x", (unsigned char)s.at[i]);
}

static void write_value(struct arena *a, struct buf *b, struct cel_val v)
{
    struct val *json = NULL;
    buf_printf(b, "%s ", type_name(cel_type_of(v)));
    switch (v.kind) {
    case CEL_TYPE: buf_add_z(b, type_name(v.type)); return;
    case CEL_BYTES: write_bytes(b, v.s); return;
    case CEL_STRING: json = val_of_str(a, v.s); break;
    case CEL_OPTIONAL:
        if (v.some)
            write_value(a, b, *v.some);
        else
            buf_lit(b, "none");
        return;
    default: json = cel_to_json(a, v); break;
    }
    if (json)
        json_write(b, json);
    else
        buf_lit(b, "-");
}

static void write_why(struct buf *b, const char *why)
{
    buf_lit(b, "? ");
    for (; *why; why++)
        if (*why == '\n')
            buf_lit(b, "\\n");
        else
            buf_add_c(b, *why);
}

static void outcome(struct arena *a, struct buf *b, struct str row)
{
    struct cel_var vars[8];
    struct cel_val values[8];
    unsigned n = 0;
    const char *why;
    if (str_starts(row, STR("with "))) {
        row = str_skip(row, 5);
        struct val *given = json_next(a, &row, NULL);
        cr_assert(given);
        val_each(m, given) {
            vars[n] = (struct cel_var){ arena_dup(a, val_key(m)), cel_type(CEL_DYN) };
            values[n++] = cel_of_json(m, NULL);
        }
        row = str_trim(row);
    }
    struct cel_program *p = cel_compile(a, row, vars, n, 0, &why);
    if (!p) {
        write_why(b, why);
        return;
    }
    struct cel_run run = { .arena = a, .vars = values, .limit = CEL_CALL_LIMIT };
    struct cel_val v = cel_eval(p, &run);
    struct cel_size est = cel_estimate(p);
    if (v.kind == CEL_ERROR)
        buf_printf(b, "! " STR_FMT, STR_ARG(v.s));
    else
        buf_lit(b, "= ");
    if (v.kind != CEL_ERROR)
        write_value(a, b, v);
    buf_printf(b, " [%s] cost %llu est %llu %llu", cel_type_text(a, cel_result(p)), (unsigned long long)run.cost, (unsigned long long)est.min,
               (unsigned long long)est.max);
}

static struct str read_rows(struct buf *b)
{
    _cleanup_file_ FILE *f = fopen(ROWS, "re");
    cr_assert(f, "no %s", ROWS);
    for (char *at; (at = buf_room(b, 4096));) {
        size_t n = fread(at, 1, 4096, f);
        if (!n)
            break;
        b->len += n;
    }
    return buf_str(b);
}

Test(cel, rows)
{
    _cleanup_buf_ struct buf file = BUF_INIT(0);
    struct str rest = read_rows(&file);
    unsigned rows = 0, bad = 0;
    while (rest.len) {
        struct str row = str_cut(&rest, '\n');
        if (!row.len || row.at[0] == '#')
            continue;
        struct str want = str_cut(&rest, '\n');
        _cleanup_arena_ struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        outcome(a, &b, row);
        rows++;
        if (str_eq(buf_str(&b), want))
            continue;
        bad++;
        fprintf(stderr, STR_FMT "\n  wanted: " STR_FMT "\n  is:     %s\n", STR_ARG(row), STR_ARG(want), b.at);
    }
    cr_assert_eq(bad, 0, "%u of %u rows", bad, rows);
    cr_assert_geq(rows, LEAST);
}
