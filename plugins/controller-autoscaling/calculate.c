/* calculate.c - how many replicas would bring the usage to its target. A pod that is not ready counts as idle when more are wanted; one that tells nothing
 * counts as idle when more and as fully used when fewer are wanted: a guess never scales further than what is known. */
#include "hpa.h"

#include <math.h>

enum state { READY = 1, UNREADY, MISSING, IGNORED };

bool hpa_within(struct hpa_tolerance t, double ratio)
{
    return 1.0 - t.down <= ratio && ratio <= 1.0 + t.up;
}

static struct hpa_sample *sample_of(const struct hpa_ask *q, struct str pod)
{
    for (uint32_t i = 0; i < q->n_samples; i++)
        if (!q->samples[i].dropped && str_eq(q->samples[i].pod, pod))
            return &q->samples[i];
    return NULL;
}

/* A processor's first minutes are its start: they say little until the pod has been ready for a whole window. */
static bool starting(const struct hpa_ask *q, const struct val *pod, const struct hpa_sample *s)
{
    struct val *ready = cond_find(json_path(pod, "status.conditions"), "Ready");
    int64_t started = meta_time(pod, "status.startTime"), turned = meta_time(ready, "lastTransitionTime");
    bool is_false = str_is(json_str(ready, "status"), "False");
    if (!ready || !started)
        return true;
    if (started + q->conf->cpu_start > q->now_ns)
        return is_false || s->at_ns < turned + s->window_ns;
    return is_false && started + q->conf->readiness_delay > turned;
}

static enum state state_of(const struct hpa_ask *q, const struct val *pod, const struct hpa_sample *s)
{
    struct str phase = json_str(pod, "status.phase");
    if (meta_deleting(pod) || str_is(phase, "Failed"))
        return IGNORED;
    if (str_is(phase, "Pending"))
        return UNREADY;
    if (!s)
        return MISSING;
    return str_is(q->resource, "cpu") && starting(q, pod, s) ? UNREADY : READY;
}

struct groups {
    enum state *of;                     /* of each pod */
    uint32_t ready, unready, missing;
};

static bool group(struct hpa_ask *q, struct groups *g)
{
    *g = (struct groups){ .of = arena_alloc(q->arena, (q->n_pods + 1) * sizeof *g->of) };
    for (uint32_t i = 0; g->of && i < q->n_pods; i++) {
        struct hpa_sample *s = sample_of(q, meta_name(q->pods[i]));
        g->of[i] = state_of(q, q->pods[i], s);
        g->ready += g->of[i] == READY;
        g->unready += g->of[i] == UNREADY;
        g->missing += g->of[i] == MISSING;
        if (s && (g->of[i] == UNREADY || g->of[i] == IGNORED))
            s->dropped = true;
    }
    return g->of != NULL;
}

/* --- requests --- */

static int64_t of_containers(const struct hpa_ask *q, const struct val *pod, bool every, char why[300])
{
    static const char *const lists[] = { "spec.containers", "spec.initContainers" };
    int64_t sum = 0;
    for (int l = 0; l < 2; l++) {
        struct val *all = json_path(pod, lists[l]);
        for (struct val *c = val_is(all, VAL_ARR) ? all->first : NULL; c; c = c->next) {
            struct str name = json_str(c, "name");
            if ((l == 1 && !str_is(json_str(c, "restartPolicy"), "Always")) || (q->container.len && !str_eq(name, q->container)))
                continue;
            struct val *v = json_get(json_path(c, "resources.requests"), q->resource);
            if (!v && every) {
                snprintf(why, 300, "missing request for " STR_FMT " in container " STR_FMT " of Pod " STR_FMT, STR_ARG(q->resource), STR_ARG(name),
                         STR_ARG(meta_name(pod)));
                return -1;
            }
            struct quantity n;
            sum += v && quantity_parse(val_str(v), &n) ? quantity_milli(n) : 0;
        }
    }
    return sum;
}

/* Requests of a pod as a whole come before those of its containers. */
static int64_t request_of(const struct hpa_ask *q, const struct val *pod, char why[300])
{
    struct val *whole = json_path(pod, "spec.resources.requests"), *v = json_get(whole, q->resource);
    struct quantity n;
    if (q->container.len || !val_is(whole, VAL_OBJ) || !whole->n)
        return of_containers(q, pod, true, why);
    if (v)
        return quantity_parse(val_str(v), &n) ? quantity_milli(n) : 0;
    int64_t sum = of_containers(q, pod, false, why);
    if (!sum)
        snprintf(why, 300, "missing pod-level request for " STR_FMT " in Pod " STR_FMT, STR_ARG(q->resource), STR_ARG(meta_name(pod)));
    return sum ? sum : -1;
}

/* --- the number --- */

struct total {
    double used, wanted;
    uint32_t n;
};

/* Known ones, and (guesses) what is assumed of the others: a share of what each would be wanted to use. */
static struct total sum_up(const struct hpa_ask *q, const struct groups *g, const int64_t *wanted, double missing, bool guess_missing, bool guess_unready)
{
    struct total t = { 0, 0, 0 };
    for (uint32_t i = 0; i < q->n_pods; i++) {
        struct hpa_sample *s = sample_of(q, meta_name(q->pods[i]));
        bool guessed = (g->of[i] == MISSING && guess_missing) || (g->of[i] == UNREADY && guess_unready);
        if (g->of[i] != READY && !guessed)
            continue;
        t.used += g->of[i] == READY && s ? (double)s->value : g->of[i] == MISSING ? missing * (double)wanted[i] : 0.0;
        t.wanted += (double)wanted[i];
        t.n++;
    }
    return t;
}

static int64_t round_up(double x)
{
    return (int64_t)ceil(x - 1e-9);
}

/* wanted: what each pod has requested, or its target; scale: what part of that is the target. whole_percent: utilization is told in whole percents. */
static bool calculate(struct hpa_ask *q, const struct groups *g, const int64_t *wanted, double scale, double missing, bool percents, struct hpa_answer *ret)
{
    struct total t = sum_up(q, g, wanted, 0, false, false);
    if (t.wanted <= 0) {
        snprintf(ret->why, sizeof ret->why, "no metrics returned matched known pods");
        return false;
    }
    double part = percents ? floor(t.used * 100 / t.wanted) / 100 : t.used / t.wanted, ratio = part / scale;
    ret->usage = (int64_t)(t.used / t.n);
    ret->utilization = (int64_t)(part * 100 + 0.5);
    bool guess_unready = g->unready && ratio > 1.0;
    if (!guess_unready && !g->missing) {
        ret->replicas = hpa_within(q->tolerance, ratio) ? q->current : round_up(ratio * g->ready);
        return true;
    }
    t = sum_up(q, g, wanted, ratio < 1.0 ? missing : 0.0, g->missing && ratio != 1.0, guess_unready);
    part = percents ? floor(t.used * 100 / t.wanted) / 100 : t.used / t.wanted;
    double again = part / scale;
    int64_t n = round_up(again * t.n);
    bool turned = (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0);
    bool wrong = (again < 1.0 && n > q->current) || (again > 1.0 && n < q->current);
    ret->replicas = hpa_within(q->tolerance, again) || turned || wrong ? q->current : n;
    return true;
}

static bool prepare(struct hpa_ask *q, struct groups *g, struct hpa_answer *ret)
{
    *ret = (struct hpa_answer){ 0 };
    uint32_t left = 0;
    if (!q->n_pods)
        snprintf(ret->why, sizeof ret->why, "no pods returned by selector while calculating replica count");
    else if (!group(q, g))
        snprintf(ret->why, sizeof ret->why, "out of memory");
    for (uint32_t i = 0; !ret->why[0] && i < q->n_samples; i++)
        left += !q->samples[i].dropped;
    if (!ret->why[0] && !left)
        snprintf(ret->why, sizeof ret->why, "did not receive metrics for targeted pods (pods might be unready)");
    return !ret->why[0];
}

bool hpa_by_utilization(struct hpa_ask *q, struct hpa_answer *ret)
{
    struct groups g;
    int64_t *wanted = arena_alloc(q->arena, (q->n_pods + 1) * sizeof *wanted);
    if (!prepare(q, &g, ret) || !wanted)
        return false;
    for (uint32_t i = 0; i < q->n_pods; i++)
        if ((wanted[i] = request_of(q, q->pods[i], ret->why)) < 0)
            return false;
    double target = (double)q->target / 100;
    return calculate(q, &g, wanted, target, target > 1 ? target : 1, true, ret);
}

bool hpa_by_average(struct hpa_ask *q, struct hpa_answer *ret)
{
    struct groups g;
    int64_t *wanted = arena_alloc(q->arena, (q->n_pods + 1) * sizeof *wanted);
    if (!prepare(q, &g, ret) || !wanted)
        return false;
    for (uint32_t i = 0; i < q->n_pods; i++)
        wanted[i] = q->target;
    return calculate(q, &g, wanted, 1, 1, false, ret);
}

bool hpa_by_value(struct hpa_ask *q, int64_t usage, struct hpa_answer *ret)
{
    double ratio = (double)usage / (double)q->target;
    int64_t ready = 0;
    *ret = (struct hpa_answer){ .replicas = q->current, .usage = usage };
    for (uint32_t i = 0; i < q->n_pods; i++)
        ready += str_is(json_str(q->pods[i], "status.phase"), "Running") && pod_ready(q->pods[i]);
    if (!q->n_pods) {
        snprintf(ret->why, sizeof ret->why, "no pods returned by selector while calculating replica count");
        return false;
    }
    if (!hpa_within(q->tolerance, ratio))
        ret->replicas = round_up(ratio * (double)ready);
    return true;
}

void hpa_by_value_per_pod(const struct hpa_ask *q, int64_t usage, int64_t status_replicas, struct hpa_answer *ret)
{
    double of_all = (double)q->target * (double)status_replicas;
    *ret = (struct hpa_answer){ .replicas = status_replicas };
    if (of_all <= 0 || !hpa_within(q->tolerance, (double)usage / of_all))
        ret->replicas = round_up((double)usage / (double)q->target);
    ret->usage = status_replicas ? round_up((double)usage / (double)status_replicas) : usage;
}
