/* rank.c - which pods go first when there are too many: not yet placed, not running, not ready, cheaper, crowded, younger (in powers of two),
 * restarted. */
#include <stdlib.h>

#include "meta.h"
#include "pods.h"

static int64_t restarts(const struct val *pod, const char *list)
{
    struct val *l = json_path(pod, list);
    int64_t most = 0;
    if (val_is(l, VAL_ARR))
        val_each(c, l)
            if (json_int(c, "restartCount", 0) > most)
                most = json_int(c, "restartCount", 0);
    return most;
}

struct pod_rank pod_rank(const struct val *pod)
{
    struct pod_rank x = { .assigned = json_str(pod, "spec.nodeName").len > 0, .ready = pod_ready(pod) };
    struct str phase = json_str(pod, "status.phase");
    x.phase = str_is(phase, "Pending") ? 0 : str_is(phase, "Unknown") ? 1 : 2;
    snprintf(x.uid, sizeof x.uid, STR_FMT, STR_ARG(meta_uid(pod)));
    if (!str_int(meta_annotation(pod, "controller.kubernetes.io/pod-deletion-cost"), &x.cost))
        x.cost = 0;
    if (x.ready)
        x.ready_ns = meta_time(cond_find(json_path(pod, "status.conditions"), "Ready"), "lastTransitionTime");
    x.created_ns = meta_time(pod, "metadata.creationTimestamp");
    x.restarts[0] = restarts(pod, "status.containerStatuses");
    x.restarts[1] = restarts(pod, "status.initContainerStatuses");
    return x;
}

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int magnitude(int64_t age_ns)
{
    return age_ns > 0 ? 63 - __builtin_clzll((unsigned long long)age_ns) : -1;
}

/* Younger first, by powers of two of the age; within one, by uid, so that which one goes is not decided by the clock's finest grain. */
static int by_age(const struct pod_rank *x, const struct pod_rank *y, int64_t since_x, int64_t since_y, int64_t now_ns)
{
    if (!since_x || !since_y)
        return since_x ? 1 : -1;
    int n = compare(magnitude(now_ns - since_x), magnitude(now_ns - since_y));
    return n ? n : strcmp(x->uid, y->uid);
}

static int order(const void *a, const void *b, void *now)
{
    const struct pod_rank *x = a, *y = b;
    int64_t now_ns = *(int64_t *)now;
    int n = compare(x->assigned, y->assigned);
    if (!n)
        n = compare(x->phase, y->phase);
    if (!n)
        n = compare(x->ready, y->ready);
    if (!n)
        n = compare(x->cost, y->cost);
    if (!n)
        n = compare(y->crowded, x->crowded);
    if (!n && x->ready && x->ready_ns != y->ready_ns)
        n = by_age(x, y, x->ready_ns, y->ready_ns, now_ns);
    for (int i = 0; i < 2 && !n; i++)
        n = compare(y->restarts[i], x->restarts[i]);
    if (!n && x->created_ns != y->created_ns)
        n = by_age(x, y, x->created_ns, y->created_ns, now_ns);
    return n ? n : strcmp(x->uid, y->uid);
}

void pod_ranks_sort(struct pod_rank *at, uint32_t n, int64_t now_ns)
{
    qsort_r(at, n, sizeof *at, order, &now_ns);
}

void pods_rank(struct val **at, uint32_t n, int64_t now_ns)
{
    struct pod_rank *x = calloc(n ? n : 1, sizeof *x);
    if (!x)
        return;                         /* any order is a valid one */
    for (uint32_t i = 0; i < n; i++) {
        x[i] = pod_rank(at[i]);
        x[i].whose = at[i];
    }
    pod_ranks_sort(x, n, now_ns);
    for (uint32_t i = 0; i < n; i++)
        at[i] = x[i].whose;
    free(x);
}
