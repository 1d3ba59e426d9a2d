/* rates.c - counters of CPU time of a few moments, so that the next one who asks gets a rate. A moment is remembered only because somebody asked. */
#include "sample.h"

#include "base/hash.h"

#define APART_NS  (2 * NS_PER_S)            /* between moments that are kept */
#define LEAST_NS  NS_PER_S                  /* a rate over less says nothing */
#define WANTED_NS (10 * NS_PER_S)
#define MOST_NS   (90 * NS_PER_S)           /* older moments tell of another time */

static uint64_t key_of(struct str id)
{
    static const uint64_t fixed[2] = { 0x6b65656c736f6e21, 0x7261746573 };
    return hash_sip(fixed, id.at ? id.at : "", id.len);
}

static size_t count(const struct sample *s)
{
    size_t n = 1 + s->n;
    for (size_t i = 0; i < s->n; i++)
        n += s->pods[i].n;
    return n;
}

/* The node is the empty id. */
static void fill(struct rate_point *p, const struct sample *s)
{
    p->at[p->n++] = (struct rate_counter){ key_of(STR("")), s->node.cpu_ns };
    for (size_t i = 0; i < s->n; i++) {
        p->at[p->n++] = (struct rate_counter){ key_of(s->pods[i].uid), s->pods[i].use.cpu_ns };
        for (size_t k = 0; k < s->pods[i].n; k++)
            p->at[p->n++] = (struct rate_counter){ key_of(s->pods[i].ctrs[k].id), s->pods[i].ctrs[k].use.cpu_ns };
    }
}

void rates_note(struct agent *a, const struct sample *s)
{
    struct rate_counter *at = mem_alloc(count(s) * sizeof *at);
    pthread_mutex_lock(&a->lock);
    struct rates *r = &a->rates;
    const struct rate_point *newest = r->n ? &r->at[(r->n - 1) % RATE_POINTS] : NULL;
    if (at && (!newest || s->mono_ns - newest->mono_ns >= APART_NS)) {
        struct rate_point *p = &r->at[r->n++ % RATE_POINTS];
        mem_free(p->at);
        *p = (struct rate_point){ .mono_ns = s->mono_ns, .at = at };
        fill(p, s);
        at = NULL;
    }
    pthread_mutex_unlock(&a->lock);
    mem_free(at);
}

/* The youngest moment of at least ten seconds ago, else the oldest. */
static const struct rate_point *base_of(const struct rates *r, int64_t now_ns)
{
    const struct rate_point *best = NULL;
    for (size_t i = 0; i < RATE_POINTS && i < r->n; i++) {
        const struct rate_point *p = &r->at[i];
        int64_t age = now_ns - p->mono_ns, best_age = best ? now_ns - best->mono_ns : 0;
        if (age < LEAST_NS || age > MOST_NS)
            continue;
        if (!best || (best_age < WANTED_NS ? age > best_age : age >= WANTED_NS && age < best_age))
            best = p;
    }
    return best;
}

/* What began after the base did not use anything then. */
static void set_rate(const struct sample *s, const struct rate_point *base, struct str id, int64_t started_wall_ns, struct figures *f)
{
    uint64_t key = key_of(id);
    int64_t window = s->mono_ns - base->mono_ns, age = started_wall_ns ? s->wall_ns - started_wall_ns : window;
    for (size_t i = 0; i < base->n; i++)
        if (base->at[i].key == key && f->cpu_ns >= base->at[i].cpu_ns) {
            f->window_ns = window;
            f->rate = (int64_t)((double)(f->cpu_ns - base->at[i].cpu_ns) / (double)window * 1e9);
            return;
        }
    if (age < LEAST_NS)
        return;
    f->window_ns = age;
    f->rate = (int64_t)((double)f->cpu_ns / (double)age * 1e9);
}

bool rates_set(struct agent *a, struct sample *s)
{
    pthread_mutex_lock(&a->lock);
    const struct rate_point *base = base_of(&a->rates, s->mono_ns);
    if (base) {
        set_rate(s, base, STR(""), 0, &s->node);
        for (size_t i = 0; i < s->n; i++) {
            struct sampled_pod *p = &s->pods[i];
            set_rate(s, base, p->uid, p->started_ns, &p->use);
            for (size_t k = 0; k < p->n; k++)
                set_rate(s, base, p->ctrs[k].id, p->ctrs[k].started_ns, &p->ctrs[k].use);
        }
    }
    pthread_mutex_unlock(&a->lock);
    return base != NULL;
}

void rates_free(struct agent *a)
{
    for (size_t i = 0; i < RATE_POINTS; i++)
        mem_free(a->rates.at[i].at);
    a->rates = (struct rates){ .n = 0 };
}
