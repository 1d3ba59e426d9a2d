/* rank.c - which pod goes first when something runs short, and what is said of it, in upstream's words. */
#include "evict.h"

#include <stdlib.h>

#include "base/quantity.h"

#define CRITICAL 2000000000

bool rank_critical(const struct val *pod)
{
    const struct val *notes = json_path(pod, "metadata.annotations");
    return json_get(notes, STR("kubernetes.io/config.mirror")) || json_int(pod, "spec.priority", 0) >= CRITICAL;
}

/* Who uses more than it asked for, then who matters less, then who uses most beyond what it asked for. */
static int order(const void *x, const void *y)
{
    const struct candidate *a = x, *b = y;
    bool over_a = a->usage > a->request, over_b = b->usage > b->request;
    if (over_a != over_b)
        return over_a ? -1 : 1;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    int64_t more_a = a->usage - a->request, more_b = b->usage - b->request;
    return more_a > more_b ? -1 : more_a < more_b;
}

void rank_sort(struct candidate *at, size_t n)
{
    qsort(at, n, sizeof *at, order);
}

static const char *text_of(struct arena *ar, int64_t value)
{
    char text[QUANTITY_TEXT];
    size_t n = quantity_format(quantity_of(value, QUANTITY_BINARY), text);
    char *copy = arena_dup(ar, str_n(text, n));
    return copy ? copy : "";
}

static void add_container(struct buf *b, struct arena *ar, const struct threshold *t, const struct candidate *k, const struct val *spec)
{
    struct str name = json_str(spec, "name");
    int64_t request = quantity_text_value(json_str(spec, "resources.requests.memory"), 0);
    for (size_t i = 0; k->sampled && i < k->sampled->n; i++) {
        const struct sampled_ctr *s = &k->sampled->ctrs[i];
        if (str_eq(s->name, name) && s->use.working_set > request)
            buf_printf(b, "Container " STR_FMT " was using %s, request is %s, has larger consumption of %s. ", STR_ARG(name), text_of(ar, s->use.working_set),
                       text_of(ar, request), evict_signals[t->signal].resource);
    }
}

char *rank_message(struct arena *ar, const struct threshold *t, const struct observed *o, const struct candidate *k)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    const struct val *containers = json_path(k->pod, "spec.containers");
    buf_printf(&b, "The node was low on resource: %s. ", evict_signals[t->signal].resource);
    buf_printf(&b, "Threshold quantity: %s, available: %s. ", text_of(ar, threshold_limit(t, o)), text_of(ar, o->available));
    if (t->signal == SIGNAL_MEMORY && val_is(containers, VAL_ARR))
        val_each(c, containers)
            add_container(&b, ar, t, k, c);
    return b.failed ? NULL : arena_dup(ar, buf_str(&b));
}
