/* limits.c - what keeps the number of replicas still: the most (or least) that was recommended within a window, and how much may change within a period. */
#include "hpa.h"

#include <math.h>

#define MARKS_MOST 4096

/* --- memory --- */

static void forget_before(struct hpa_marks *m, int64_t ns)
{
    unsigned k = 0;
    for (unsigned i = 0; i < m->n; i++)
        if (m->at[i].at_ns >= ns)
            m->at[k++] = m->at[i];
    m->n = k;
}

static void mark(struct hpa_marks *m, int64_t now_ns, int64_t value)
{
    if (m->n == MARKS_MOST)
        forget_before(m, m->at[1].at_ns + 1);
    if (m->n == m->cap) {
        unsigned cap = m->cap ? m->cap * 2 : 8;
        struct hpa_mark *more = mem_resize(m->at, cap * sizeof *more);
        if (!more)
            return;
        m->at = more;
        m->cap = cap;
    }
    m->at[m->n++] = (struct hpa_mark){ now_ns, value };
}

void hpa_memory_done(struct hpa_memory *m)
{
    mem_free(m->recommended.at);
    mem_free(m->up.at);
    mem_free(m->down.at);
    *m = (struct hpa_memory){ 0 };
}

void hpa_remember(struct hpa_memory *m, int64_t now_ns, int64_t replicas)
{
    if (!m->recommended.n)
        mark(&m->recommended, now_ns, replicas);
}

static int64_t longest(const struct val *rules)
{
    int64_t most = 0;
    struct val *list = json_get(rules, STR("policies"));
    if (val_is(list, VAL_ARR))
        val_each(p, list)
        {
            int64_t s = json_int(p, "periodSeconds", 0);
            most = s > most ? s : most;
        }
    return most * NS_S;
}

void hpa_scaled(struct hpa_memory *m, const struct val *behavior, int64_t now_ns, int64_t from, int64_t to)
{
    bool up = to > from;
    struct hpa_marks *marks = up ? &m->up : &m->down;
    if (!behavior || to == from)
        return;
    forget_before(marks, now_ns - longest(json_get(behavior, up ? STR("scaleUp") : STR("scaleDown"))));
    mark(marks, now_ns, up ? to - from : from - to);
}

static int64_t changed_since(const struct hpa_marks *m, int64_t since_ns)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < m->n; i++)
        if (m->at[i].at_ns > since_ns)
            sum += m->at[i].value;
    return sum;
}

/* --- stabilization --- */

static int64_t window(const struct val *rules, int64_t fallback_ns)
{
    struct val *s = json_get(rules, STR("stabilizationWindowSeconds"));
    return val_is(s, VAL_INT) ? s->i * NS_S : fallback_ns;
}

static int64_t stabilize(struct hpa_memory *m, const struct hpa_wish *w, struct hpa_verdict *v)
{
    int64_t up_ns = w->behavior ? window(json_get(w->behavior, STR("scaleUp")), 0) : 0;
    int64_t down_ns = w->behavior ? window(json_get(w->behavior, STR("scaleDown")), w->downscale_window) : w->downscale_window;
    int64_t up = w->desired, down = w->desired, n = w->current;
    for (unsigned i = 0; i < m->recommended.n; i++) {
        const struct hpa_mark *r = &m->recommended.at[i];
        if (r->at_ns > w->now_ns - up_ns && r->value < up)
            up = r->value;
        if (r->at_ns > w->now_ns - down_ns && r->value > down)
            down = r->value;
    }
    forget_before(&m->recommended, w->now_ns - (up_ns > down_ns ? up_ns : down_ns));
    mark(&m->recommended, w->now_ns, w->desired);
    if (!w->behavior)
        n = down;                       /* the old rules: only the way down is slow */
    else
        n = n < up ? up : n > down ? down : n;
    bool higher = !w->behavior || w->desired < w->current;
    v->able_reason = n == w->desired ? "ReadyForNewScale" : higher ? "ScaleDownStabilized" : "ScaleUpStabilized";
    v->able_message = n == w->desired ? "recommended size matches current size"
                      : higher        ? "recent recommendations were higher than current one, applying the highest recent recommendation"
                                      : "recent recommendations were lower than current one, applying the lowest recent recommendation";
    return n;
}

/* --- rates --- */

#define TOO_FEW  "the desired replica count is less than the minimum replica count"
#define TOO_MANY "the desired replica count is more than the maximum replica count"
#define TOO_FAST "the desired replica count is increasing faster than the maximum scale rate"
#define TOO_SLOW "the desired replica count is decreasing faster than the maximum scale rate"

/* How far one may go now. */
static int64_t reach(const struct hpa_memory *m, const struct hpa_wish *w, bool up)
{
    const struct val *rules = json_get(w->behavior, up ? STR("scaleUp") : STR("scaleDown")), *list = json_get(rules, STR("policies"));
    struct str select = json_str(rules, "selectPolicy");
    bool least = str_is(select, "Min"), any = false;
    int64_t best = w->current;
    if (str_is(select, "Disabled") || !val_is(list, VAL_ARR))
        return w->current;
    val_each(p, list)
    {
        int64_t since = w->now_ns - json_int(p, "periodSeconds", 0) * NS_S, value = json_int(p, "value", 0), n;
        int64_t start = w->current - changed_since(&m->up, since) + changed_since(&m->down, since);
        if (str_is(json_str(p, "type"), "Pods"))
            n = up ? start + value : start - value;
        else
            n = up ? (int64_t)ceil((double)start * (1 + (double)value / 100) - 1e-9) : (int64_t)((double)start * (1 - (double)value / 100) + 1e-9);
        bool better = up != least ? n > best : n < best;
        if (!any || better)
            best = n;
        any = true;
    }
    return up ? (best < w->current ? w->current : best) : (best > w->current ? w->current : best);
}

static int64_t bound(struct hpa_verdict *v, int64_t n, int64_t limit, bool above, const char *reason, const char *message)
{
    if (above ? n <= limit : n >= limit)
        return n;
    v->limited = true;
    v->reason = reason;
    v->message = message;
    return limit;
}

static int64_t by_old_rules(const struct hpa_wish *w, int64_t n, struct hpa_verdict *v)
{
    int64_t rate = 2 * w->current > 4 ? 2 * w->current : 4;
    n = bound(v, n, w->least, false, "TooFewReplicas", TOO_FEW);
    if (w->most > rate)
        return bound(v, n, rate, true, "ScaleUpLimit", TOO_FAST);
    return bound(v, n, w->most, true, "TooManyReplicas", TOO_MANY);
}

static int64_t by_behavior(const struct hpa_memory *m, const struct hpa_wish *w, int64_t n, struct hpa_verdict *v)
{
    int64_t limit = n == w->current ? n : reach(m, w, n > w->current);
    if (n > w->current)
        return w->most > limit ? bound(v, n, limit, true, "ScaleUpLimit", TOO_FAST) : bound(v, n, w->most, true, "TooManyReplicas", TOO_MANY);
    if (n < w->current)
        return w->least < limit ? bound(v, n, limit, false, "ScaleDownLimit", TOO_SLOW) : bound(v, n, w->least, false, "TooFewReplicas", TOO_FEW);
    return n;
}

struct hpa_verdict hpa_limit(struct hpa_memory *m, const struct hpa_wish *w)
{
    struct hpa_verdict v = { .reason = "DesiredWithinRange", .message = "the desired count is within the acceptable range" };
    int64_t n = stabilize(m, w, &v);
    v.replicas = w->behavior ? by_behavior(m, w, n, &v) : by_old_rules(w, n, &v);
    return v;
}
