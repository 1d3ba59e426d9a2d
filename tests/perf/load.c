/* load.c - perf_load: makes one kind of load for a while and prints what the server's CPU did meanwhile, as name=value lines.
 *
 * usage: perf_load --port N --pki DIR [--pid SERVER] [--path P] [--method M] [--type T] [--body FILE] [--first N] [--names N]
 *                  [-c CONNECTIONS] [-m STREAMS] [-d SECONDS] [--warm SECONDS] [--rate PER_SECOND] [--watch] [--cold] [--count N]
 * '@' in the path and the body becomes a number, '#' one that no other request has. CPU time is the process clock of SERVER (utime + stime of all its threads, in ns).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

struct options {
    struct load_conf load;
    char cert[4096], key[4096];
    int pid;
    double seconds, warm;
    unsigned long count;                /* stop after as many answers */
};

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "re");
    char *at = f ? malloc(4 << 20) : NULL;
    *len = at ? fread(at, 1, 4 << 20, f) : 0;
    if (f)
        fclose(f);
    return at;
}

static int usage(const char *what)
{
    fprintf(stderr, "perf_load: %s; the head of load.c tells its options\n", what);
    return 2;
}

static int read_option(struct options *o, const char *name, const char *value)
{
    struct load_conf *l = &o->load;
    const struct {
        const char *name;
        const char **text;
        int *number;
        unsigned *count;
        double *real;
    } rows[] = { { "--path", &l->path, 0, 0, 0 },       { "--method", &l->method, 0, 0, 0 }, { "--type", &l->type, 0, 0, 0 },
                 { "--address", &l->address, 0, 0, 0 }, { "--port", 0, &l->port, 0, 0 },     { "--pid", 0, &o->pid, 0, 0 },
                 { "-c", 0, &l->connections, 0, 0 },    { "-m", 0, &l->streams, 0, 0 },      { "--first", 0, 0, &l->first, 0 },
                 { "--names", 0, 0, &l->names, 0 },     { "--rate", 0, 0, 0, &l->rate },     { "-d", 0, 0, 0, &o->seconds },
                 { "--warm", 0, 0, 0, &o->warm } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) {
            if (rows[i].text)
                *rows[i].text = value;
            if (rows[i].number)
                *rows[i].number = (int)strtol(value, NULL, 10);
            if (rows[i].count)
                *rows[i].count = (unsigned)strtoul(value, NULL, 10);
            if (rows[i].real)
                *rows[i].real = strtod(value, NULL);
            return 0;
        }
    if (strcmp(name, "--pki") == 0) {
        snprintf(o->cert, sizeof o->cert, "%s/admin.crt", value);
        snprintf(o->key, sizeof o->key, "%s/admin.key", value);
        l->cert = o->cert;
        l->key = o->key;
    } else if (strcmp(name, "--body") == 0) {
        l->body = read_file(value, &l->body_len);
        return l->body ? 0 : usage("the body cannot be read");
    } else if (strcmp(name, "--count") == 0) {
        o->count = strtoul(value, NULL, 10);
    } else {
        return usage(name);
    }
    return 0;
}

static int read_options(struct options *o, int argc, char **argv)
{
    *o = (struct options){ .load = { .address = "127.0.0.1", .connections = 1, .streams = 1, .method = "GET", .path = "/version",
                                     .type = "application/json" }, .seconds = 3 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--watch") == 0)
            o->load.watch = true;
        else if (strcmp(argv[i], "--cold") == 0)
            o->load.cold = true;
        else if (i + 1 == argc || read_option(o, argv[i], argv[i + 1]))
            return usage(argv[i]);
        else
            i++;
    }
    return 0;
}

static double server_cpu(int pid)
{
    clockid_t id;
    struct timespec t = { 0 };
    if (pid && clock_getcpuclockid(pid, &id) == 0)
        clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint32_t percentile(const struct load_counts *n, double p)
{
    return n->n_latency ? n->latency_us[(size_t)((double)(n->n_latency - 1) * p)] : 0;
}

static void report(struct load_counts *n, double wall, double cpu)
{
    if (n->n_latency)
        qsort(n->latency_us, n->n_latency, sizeof *n->latency_us, by_size);
    double ops = (double)n->answers;
    printf("answers=%llu errors=%llu last_error=%d bytes=%llu events=%llu wall=%.4f cpu=%.4f p50_us=%u p99_us=%u max_us=%u first_byte_us=%.0f "
           "per_s=%.0f per_cpu=%.0f\n",
           (unsigned long long)n->answers, (unsigned long long)n->errors, n->last_error, (unsigned long long)n->bytes,
           (unsigned long long)n->events, wall, cpu, percentile(n, 0.5), percentile(n, 0.99), percentile(n, 1),
           n->first_bytes ? (double)n->first_byte_us / (double)n->first_bytes : 0, wall > 0 ? ops / wall : 0, cpu > 0 ? ops / cpu : 0);
}

int main(int argc, char **argv)
{
    struct options o;
    struct load *l = NULL;
    if (read_options(&o, argc, argv))
        return 2;
    if (load_new(&o.load, &l) < 0)
        return 1;
    int rc = o.warm > 0 ? load_run(l, o.warm) : 0;
    load_reset(l);
    double cpu = server_cpu(o.pid), began = load_clock();
    if (rc == 0)
        rc = load_run_count(l, o.count ? o.count : UINT64_MAX, o.seconds);
    report(load_counts(l), load_clock() - began, server_cpu(o.pid) - cpu);
    bool bad = rc < 0 || load_counts(l)->errors;
    load_free(l);
    return bad ? 1 : 0;
}
