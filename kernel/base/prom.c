/* prom.c - see prom.h. */
#include "base/prom.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"

static void add_escaped(struct buf *b, const char *z, bool quotes)
{
    for (; z && *z; z++) {
        if (*z == '\\')
            buf_lit(b, "\\\\");
        else if (*z == '\n')
            buf_lit(b, "\\n");
        else if (*z == '"' && quotes)
            buf_lit(b, "\\\"");
        else
            buf_add_c(b, *z);
    }
}

/* The shortest text that means v; OpenMetrics wants to see that a bound is no integer. */
static void add_number(struct buf *b, double v, bool bound)
{
    char text[40];
    int n = 0;
    for (int digits = 6; digits <= 17; digits++) {
        double back = 0;
        n = snprintf(text, sizeof text, "%.*g", digits, v);
        if (sscanf(text, "%lf", &back) == 1 && back == v)
            break;
    }
    buf_add(b, text, (size_t)n);
    if (bound && !memchr(text, '.', (size_t)n) && !memchr(text, 'e', (size_t)n))
        buf_lit(b, ".0");
}

static void add_series(struct prom *p, const char *suffix, const struct prom_label *l)
{
    buf_add_z(p->out, p->name);
    buf_add_z(p->out, suffix);
    bool any = false;
    for (; l && l->name; l++) {
        buf_add_c(p->out, any ? ',' : '{');
        any = true;
        buf_add_z(p->out, l->name);
        buf_lit(p->out, "=\"");
        add_escaped(p->out, l->value, true);
        buf_add_c(p->out, '"');
    }
    if (any)
        buf_add_c(p->out, '}');
    buf_add_c(p->out, ' ');
}

void prom_family(struct prom *p, const char *name, enum prom_type type, const char *help)
{
    static const char *const types[] = { "", "counter", "gauge", "histogram" };
    struct str bare = str_of(name);
    if (p->open && type == PROM_COUNTER && str_ends(bare, STR("_total")))
        bare.len -= 6;
    p->name = name;
    buf_printf(p->out, "# HELP " STR_FMT " ", STR_ARG(bare));
    add_escaped(p->out, help, p->open);
    buf_printf(p->out, "\n# TYPE " STR_FMT " %s\n", STR_ARG(bare), types[type]);
}

void prom_number(struct prom *p, const struct prom_label *l, double v)
{
    add_series(p, "", l);
    add_number(p->out, v, false);
    buf_add_c(p->out, '\n');
}

void prom_count(struct prom *p, const struct prom_label *l, uint64_t v)
{
    add_series(p, "", l);
    buf_add_uint(p->out, v);
    buf_add_c(p->out, '\n');
}

static void add_bucket(struct prom *p, struct str labels, double bound, bool last, uint64_t n)
{
    buf_add_z(p->out, p->name);
    buf_lit(p->out, "_bucket{");
    buf_add_str(p->out, labels);
    buf_lit(p->out, "le=\"");
    if (last)
        buf_lit(p->out, "+Inf");
    else
        add_number(p->out, bound, p->open);
    buf_lit(p->out, "\"} ");
    buf_add_uint(p->out, n);
    buf_add_c(p->out, '\n');
}

void prom_buckets(struct prom *p, const struct prom_label *l, const struct prom_histogram *h)
{
    _cleanup_buf_ struct buf labels = BUF_INIT(64 << 10);
    uint64_t n = 0;
    for (const struct prom_label *x = l; x && x->name; x++) {
        buf_add_z(&labels, x->name);
        buf_lit(&labels, "=\"");
        add_escaped(&labels, x->value, true);
        buf_lit(&labels, "\",");
    }
    for (unsigned i = 0; i <= h->bounds->n; i++) {
        n += h->n[i];
        add_bucket(p, buf_str(&labels), h->bounds->at[i], i == h->bounds->n, n);
    }
    add_series(p, "_sum", l);
    add_number(p->out, h->sum, false);
    buf_add_c(p->out, '\n');
    add_series(p, "_count", l);
    buf_add_uint(p->out, n);
    buf_add_c(p->out, '\n');
}

void prom_one(struct prom *p, const char *name, enum prom_type type, const char *help, double v)
{
    prom_family(p, name, type, help);
    prom_number(p, NULL, v);
}

static unsigned open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 3 ? n - 3 : 0;           /* ".", ".." and the folder's own */
}

void prom_process(struct prom *p, int64_t started_wall_ns)
{
    struct rusage u;
    struct rlimit files;
    unsigned long long size = 0, resident = 0;
    double page = (double)sysconf(_SC_PAGESIZE);
    _cleanup_file_ FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu", &size, &resident) == 2) {
        prom_one(p, "process_resident_memory_bytes", PROM_GAUGE, "Resident memory size in bytes.", (double)resident * page);
        prom_one(p, "process_virtual_memory_bytes", PROM_GAUGE, "Virtual memory size in bytes.", (double)size * page);
    }
    if (getrusage(RUSAGE_SELF, &u) == 0)
        prom_one(p, "process_cpu_seconds_total", PROM_COUNTER, "Total user and system CPU time spent in seconds.",
                 (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    prom_one(p, "process_open_fds", PROM_GAUGE, "Number of open file descriptors.", open_files());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        prom_one(p, "process_max_fds", PROM_GAUGE, "Maximum number of open file descriptors.", (double)files.rlim_cur);
    prom_one(p, "process_start_time_seconds", PROM_GAUGE, "Start time of the process since unix epoch in seconds.",
             (double)started_wall_ns / (double)NS_PER_S);
}

void prom_end(struct prom *p)
{
    if (p->open)
        buf_lit(p->out, "# EOF\n");
}

const char *prom_negotiate(struct prom *p, struct str accept)
{
    p->open = false;
    while (accept.at) {
        struct str clause = str_trim(str_cut(&accept, ','));
        struct str type = str_trim(str_cut(&clause, ';'));
        if (str_eq_nocase(type, STR("application/openmetrics-text"))) {
            p->open = true;
            return "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
        }
        if (str_eq_nocase(type, STR("text/plain")) || str_is(type, "*/*"))
            break;
    }
    return "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
}
