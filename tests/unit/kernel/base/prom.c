/* Pages of metrics: names, escapes, numbers, histograms, both forms. */
#include "base/prom.h"

#include <criterion/criterion.h>

#include "base/cleanup.h"

static const struct prom_bounds bounds = { 3, { 0.1, 1, 2.5 } };

static void page(struct buf *b, bool open)
{
    struct prom p = { .out = b, .open = open };
    struct prom_histogram h = { .bounds = &bounds };
    const struct prom_label l[] = { { "a", "x\"y\\z\nw" }, { "b", NULL }, { NULL, NULL } };
    prom_observe(&h, 0.1);
    prom_observe(&h, 0.5);
    prom_observe(&h, 7);
    prom_family(&p, "n_total", PROM_COUNTER, "how\nmany");
    prom_count(&p, l, 18446744073709551615ull);
    prom_family(&p, "g", PROM_GAUGE, "it");
    prom_number(&p, NULL, 0.1);
    prom_family(&p, "h", PROM_HISTOGRAM, "they");
    prom_buckets(&p, l + 1, &h);
    prom_end(&p);
}

Test(prom, classic)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    page(&b, false);
    cr_assert_str_eq(b.at, "# HELP n_total how\\nmany\n# TYPE n_total counter\n"
                           "n_total{a=\"x\\\"y\\\\z\\nw\",b=\"\"} 18446744073709551615\n"
                           "# HELP g it\n# TYPE g gauge\ng 0.1\n"
                           "# HELP h they\n# TYPE h histogram\n"
                           "h_bucket{b=\"\",le=\"0.1\"} 1\nh_bucket{b=\"\",le=\"1\"} 2\nh_bucket{b=\"\",le=\"2.5\"} 2\n"
                           "h_bucket{b=\"\",le=\"+Inf\"} 3\nh_sum{b=\"\"} 7.6\nh_count{b=\"\"} 3\n");
}

Test(prom, open)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    page(&b, true);
    cr_assert(strstr(b.at, "# TYPE n counter\nn_total{"));
    cr_assert(strstr(b.at, "le=\"1.0\"} 2\n"));
    cr_assert(str_ends(buf_str(&b), STR("\n# EOF\n")));
}

Test(prom, which)
{
    static const struct {
        const char *accept;
        bool open;
    } rows[] = { { "", false },
                 { "*/*", false },
                 { "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", true },
                 { "text/plain, application/openmetrics-text", false },
                 { "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily, application/openmetrics-text", true } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct prom p = { 0 };
        const char *type = prom_negotiate(&p, str_of(rows[i].accept));
        cr_expect_eq(p.open, rows[i].open, "%s", rows[i].accept);
        cr_expect_eq(strncmp(type, "application/openmetrics-text", 28) == 0, rows[i].open);
    }
}
