/* conversion_metrics.c - what is counted of conversion webhooks, under upstream's names: how calls ended and how long they took, and that by definition
 * and versions. */
#include "conversion.h"

#include "base/env.h"
#include "base/prom.h"

#define ROWS_MOST 1024                  /* definitions come and go; of more than these nothing is counted alone */

static const struct prom_bounds by_call = { 15, { 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 45, 60 } };
static const struct prom_bounds by_kind = { 15, { 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
                                                  16.384 } };
static const char *const outcomes[CONVERSION_OUTCOMES] = {
    [CONVERTED] = "",
    [CONVERSION_CALL_FAILED] = "conversion_webhook_call_failure",
    [CONVERSION_MALFORMED] = "conversion_webhook_malformed_response_failure",
    [CONVERSION_PARTIAL] = "conversion_webhook_partial_response_failure",
    [CONVERSION_INVALID] = "conversion_webhook_invalid_converted_object_failure",
};

struct row {
    char *crd, *from, *to;
    bool succeeded;
    struct prom_histogram took;
};

struct conversion_metrics {
    struct prom_histogram took[CONVERSION_OUTCOMES];
    uint64_t n[CONVERSION_OUTCOMES];
    struct row **rows;
    unsigned n_rows;
};

struct conversion_metrics *conversion_metrics_new(void)
{
    struct conversion_metrics *m = mem_alloc(sizeof *m);
    for (unsigned i = 0; m && i < CONVERSION_OUTCOMES; i++)
        m->took[i].bounds = &by_call;
    return m;
}

static void row_free(struct row *r)
{
    mem_free(r->crd);
    mem_free(r->from);
    mem_free(r->to);
    mem_free(r);
}

void conversion_metrics_free(struct conversion_metrics *m)
{
    for (unsigned i = 0; m && i < m->n_rows; i++)
        row_free(m->rows[i]);
    if (m)
        mem_free(m->rows);
    mem_free(m);
}

static struct row *row_of(struct conversion_metrics *m, const char *crd, struct str from, const char *to, bool succeeded)
{
    for (unsigned i = 0; i < m->n_rows; i++) {
        struct row *r = m->rows[i];
        if (r->succeeded == succeeded && strcmp(r->crd, crd) == 0 && str_is(from, r->from) && strcmp(r->to, to) == 0)
            return r;
    }
    struct row **rows = m->n_rows < ROWS_MOST ? mem_resize(m->rows, (m->n_rows + 1) * sizeof *rows) : NULL;
    if (!rows)
        return NULL;
    m->rows = rows;
    struct row *r = mem_alloc(sizeof *r);
    if (!r)
        return NULL;
    *r = (struct row){ .crd = mem_dup(crd, strlen(crd)), .from = mem_dup(from.at, from.len), .to = mem_dup(to, strlen(to)), .succeeded = succeeded,
                       .took.bounds = &by_kind };
    if (!r->crd || !r->from || !r->to) {
        row_free(r);
        return NULL;
    }
    return m->rows[m->n_rows++] = r;
}

void conversion_metrics_count(struct conversion_metrics *m, const char *crd, struct str from, const char *to, enum conversion_outcome how, int64_t took_ns)
{
    double took = (double)took_ns / (double)NS_PER_S;
    m->n[how]++;
    prom_observe(&m->took[how], took);
    struct row *r = str_is(from, to) ? NULL : row_of(m, crd, from, to, how == CONVERTED);
    if (r)
        prom_observe(&r->took, took);
}

void conversion_metrics_write(const struct conversion_metrics *m, struct prom *p)
{
    prom_family(p, "apiserver_conversion_webhook_request_total", PROM_COUNTER,
                "Counter for conversion webhook requests with success/failure and failure error type");
    for (unsigned i = 0; i < CONVERSION_OUTCOMES; i++) {
        const struct prom_label l[] = { { "result", i == CONVERTED ? "success" : "failure" }, { "failure_type", outcomes[i] }, { NULL, NULL } };
        if (m->n[i])
            prom_count(p, l, m->n[i]);
    }
    prom_family(p, "apiserver_conversion_webhook_duration_seconds", PROM_HISTOGRAM, "Conversion webhook request latency");
    for (unsigned i = 0; i < CONVERSION_OUTCOMES; i++) {
        const struct prom_label l[] = { { "result", i == CONVERTED ? "success" : "failure" }, { "failure_type", outcomes[i] }, { NULL, NULL } };
        if (m->n[i])
            prom_buckets(p, l, &m->took[i]);
    }
    prom_family(p, "apiserver_crd_conversion_webhook_duration_seconds", PROM_HISTOGRAM, "CRD webhook conversion duration in seconds");
    for (unsigned i = 0; i < m->n_rows; i++) {
        const struct row *r = m->rows[i];
        const struct prom_label l[] = { { "crd_name", r->crd }, { "from_version", r->from }, { "to_version", r->to },
                                        { "succeeded", r->succeeded ? "true" : "false" }, { NULL, NULL } };
        prom_buckets(p, l, &r->took);
    }
}
