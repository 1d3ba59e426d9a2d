/* verdict.c - see verdict.h. */
#include "reconcile/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void verdict_add(struct verdict *v, const char *text, unsigned nodes)
{
    for (unsigned i = 0; i < v->n; i++)
        if (strcmp(v->text[i], text) == 0) {
            v->count[i] += nodes;
            return;
        }
    if (nodes && v->n < VERDICT_REASONS) {
        v->text[v->n] = text;
        v->count[v->n++] = nodes;
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of the words with their numbers, as upstream has it. */
const char *verdict_text(const struct verdict *v, struct arena *a, unsigned nodes)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    const char *parts[VERDICT_REASONS];
    for (unsigned i = 0; i < v->n; i++)
        if (!(parts[i] = arena_printf(a, "%u %s", v->count[i], v->text[i])))
            return "no node fits";
    qsort(parts, v->n, sizeof *parts, by_text);
    buf_printf(&b, "0/%u nodes are available:", nodes);
    for (unsigned i = 0; i < v->n; i++)
        buf_printf(&b, "%s %s", i ? "," : "", parts[i]);
    buf_add_c(&b, '.');
    char *text = b.failed ? NULL : arena_dup(a, buf_str(&b));
    return text ? text : "no node fits";
}
