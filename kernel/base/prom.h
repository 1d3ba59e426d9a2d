/* prom.h - numbers about the process as Prometheus reads them: histograms that are counted into without allocating, and the page that
 * tells them, as text 0.0.4 or as OpenMetrics 1.0. Families are written whole, one after the other. Not thread-safe.
 */
#ifndef BASE_PROM_H
#define BASE_PROM_H

#include "base/buf.h"

#define PROM_BUCKETS_MOST 24

/* Upper bounds, rising; what is above the last counts as +Inf. */
struct prom_bounds {
    unsigned n;
    double at[PROM_BUCKETS_MOST];
};
struct prom_histogram {
    const struct prom_bounds *bounds;
    uint64_t n[PROM_BUCKETS_MOST + 1];  /* each bucket alone; the last: above all bounds */
    double sum;
};

static inline void prom_observe(struct prom_histogram *h, double v)
{
    unsigned i = 0;
    while (i < h->bounds->n && v > h->bounds->at[i])
        i++;
    h->n[i]++;
    h->sum += v;
}

/* Values may be any UTF-8 text, NULL is empty. Lists end with a NULL name. */
struct prom_label {
    const char *name, *value;
};

enum prom_type { PROM_COUNTER = 1, PROM_GAUGE, PROM_HISTOGRAM };
struct prom {
    struct buf *out;
    bool open;                          /* OpenMetrics */
    const char *name;                   /* of the present family */
};

/* name as samples have it: a counter's ends with "_total". */
void prom_family(struct prom *p, const char *name, enum prom_type type, const char *help);
void prom_number(struct prom *p, const struct prom_label *l, double v);         /* l NULL: no labels */
void prom_count(struct prom *p, const struct prom_label *l, uint64_t v);
void prom_buckets(struct prom *p, const struct prom_label *l, const struct prom_histogram *h);
/* Families with one sample and no labels. */
void prom_one(struct prom *p, const char *name, enum prom_type type, const char *help, double v);
/* process_*: CPU, memory, descriptors, start. */
void prom_process(struct prom *p, int64_t started_wall_ns);
void prom_end(struct prom *p);
/* The media type of such a page. accept: the request's; sets p->open. */
const char *prom_negotiate(struct prom *p, struct str accept);

#endif
