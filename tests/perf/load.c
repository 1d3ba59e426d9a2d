/* load.c - perf_load: makes one kind of load for a while and prints what the server's CPU did meanwhile, as name=value lines.
 *
 * usage: perf_load --port N --pki DIR [--pid SERVER] [--path P] [--method M] [--type T] [--body FILE] [--first N] [--names N]
 *                  [-c CONNECTIONS] [-m STREAMS] [-d SECONDS] [--warm SECONDS] [--rate PER_SECOND] [--watch] [--accept TYPE] [--cold] [--count N]
 *                  [--watchers N --watch-path P [--watch-connections N] [--watch-relay SOCKET] [--time-events]]
 * With watchers the load (at its --rate) goes on beside N watches of P, and ends when each has seen an event for each answer; --accept is
 * theirs. With --watch-relay they come over the server's STATE/relay.sock, without TLS. With --time-events what follows "stamp-" in an event is taken for the '#' of the request that made it.
 * '@' in the path and the body becomes a number, '#' one that no other request has. CPU time is the process clock of SERVER (utime + stime of all its threads, in ns).
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

struct options {
    struct load_conf load;
    char cert[4096], key[4096];
    int pid;
    double seconds, warm;
    unsigned long count;                /* stop after as many answers */
    int watchers, watch_connections;    /* beside the load; 0: none */
    const char *watch_path, *watch_relay;
    bool time_events;
};

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
    } rows[] = { { "--path", &l->path, 0, 0, 0 },
                 { "--method", &l->method, 0, 0, 0 },
                 { "--type", &l->type, 0, 0, 0 },
                 { "--accept", &l->accept, 0, 0, 0 },
                 { "--address", &l->address, 0, 0, 0 },
                 { "--port", 0, &l->port, 0, 0 },
                 { "--pid", 0, &o->pid, 0, 0 },
                 { "-c", 0, &l->connections, 0, 0 },
                 { "-m", 0, &l->streams, 0, 0 },
                 { "--first", 0, 0, &l->first, 0 },
                 { "--names", 0, 0, &l->names, 0 },
                 { "--rate", 0, 0, 0, &l->rate },
                 { "-d", 0, 0, 0, &o->seconds },
                 { "--warm", 0, 0, 0, &o->warm },
                 { "--watchers", 0, &o->watchers, 0, 0 },
                 { "--watch-connections", 0, &o->watch_connections, 0, 0 },
                 { "--watch-relay", &o->watch_relay, 0, 0, 0 },
                 { "--watch-path", &o->watch_path, 0, 0, 0 } };
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
        l->body = load_file(value, &l->body_len);
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
        else if (strcmp(argv[i], "--time-events") == 0)
            o->time_events = true;
        else if (strcmp(argv[i], "--cold") == 0)
            o->load.cold = true;
        else if (i + 1 == argc || read_option(o, argv[i], argv[i + 1]))
            return usage(argv[i]);
        else
            i++;
    }
    return 0;
}

static void report(struct load_counts *n, double wall, double cpu)
{
    double ops = (double)n->answers;
    printf("answers=%llu errors=%llu last_error=%d bytes=%llu events=%llu wall=%.4f cpu=%.4f p50_us=%u p99_us=%u max_us=%u first_byte_us=%.0f "
           "per_s=%.0f per_cpu=%.0f\n",
           (unsigned long long)n->answers, (unsigned long long)n->errors, n->last_error, (unsigned long long)n->bytes,
           (unsigned long long)n->events, wall, cpu, load_percentile(n, 0.5), load_percentile(n, 0.99), load_percentile(n, 1),
           n->first_bytes ? (double)n->first_byte_us / (double)n->first_bytes : 0, wall > 0 ? ops / wall : 0, cpu > 0 ? ops / cpu : 0);
}

/* --- a load with watchers --- */

static void wait_both(struct load *a, struct load *b)
{
    struct pollfd p[2] = { { .fd = load_fd(a), .events = POLLIN }, { .fd = load_fd(b), .events = POLLIN } };
    poll(p, 2, 1);
}

static bool all_seen(struct load *l, struct load *w, int watchers)
{
    return !load_flying(l) && load_counts(w)->events >= load_counts(l)->answers * (uint64_t)watchers;
}

static int both(struct load *l, struct load *w)
{
    if (load_turn(l, 0) < 0 || load_turn(w, 0) < 0)
        return -1;
    wait_both(l, w);
    return 0;
}

static int watch_run(const struct options *o, struct load *l, struct load *w)
{
    double until = load_clock() + 60;
    while (load_counts(w)->heads < (uint64_t)o->watchers && load_clock() < until)
        if (load_turn(w, 10) < 0)
            return -1;
    if (load_counts(w)->heads < (uint64_t)o->watchers)
        return -1;
    double cpu = load_cpu(o->pid), began = load_clock();
    load_begin(l);
    while (load_clock() < began + o->seconds)
        if (both(l, w) < 0)
            return -1;
    double wrote = load_clock() - began;
    load_stop(l);
    for (until = load_clock() + 30; !all_seen(l, w, o->watchers) && load_clock() < until;)
        if (both(l, w) < 0)
            return -1;
    cpu = load_cpu(o->pid) - cpu;
    struct load_counts *n = load_counts(l), *e = load_counts(w);
    printf("answers=%llu errors=%llu last_error=%d p50_us=%u p99_us=%u events=%llu missed=%lld event_bytes=%.0f event_p50_us=%u event_p99_us=%u "
           "timed=%zu wall=%.4f cpu=%.4f per_s=%.0f per_cpu=%.0f\n",
           (unsigned long long)n->answers, (unsigned long long)n->errors, n->last_error, load_percentile(n, 0.5), load_percentile(n, 0.99),
           (unsigned long long)e->events, (long long)(n->answers * (uint64_t)o->watchers) - (long long)e->events,
           e->events ? (double)e->bytes / (double)e->events : 0, load_percentile(e, 0.5), load_percentile(e, 0.99), e->n_latency, wrote, cpu,
           (double)n->answers / wrote, cpu > 0 ? (double)e->events / cpu : 0);
    return n->errors || e->errors ? -1 : 0;
}

static int watch_main(struct options *o)
{
    struct load *l = NULL, *w = NULL;
    struct load_stamps stamps = { NULL, 0 };
    struct load_conf watch = o->load;
    watch.method = "GET";
    watch.path = o->watch_path;
    watch.body = NULL;
    watch.rate = 0;
    watch.watch = true;
    watch.relay = o->watch_relay;
    watch.connections = o->watch_connections ? o->watch_connections : (o->watchers + 99) / 100;
    watch.streams = o->watchers / watch.connections;
    o->watchers = watch.streams * watch.connections;
    o->load.accept = NULL;
    if (o->time_events) {
        stamps.n = 2000000;
        stamps.at = calloc(stamps.n, sizeof *stamps.at);
        o->load.stamps = watch.stamps = &stamps;
    }
    int rc = (o->time_events && !stamps.at) || load_new(&o->load, &l) < 0 || load_new(&watch, &w) < 0 ? -1 : watch_run(o, l, w);
    load_free(l);
    load_free(w);
    free(stamps.at);
    return rc < 0;
}

int main(int argc, char **argv)
{
    struct options o;
    struct load *l = NULL;
    if (read_options(&o, argc, argv))
        return 2;
    if (o.watchers)
        return watch_main(&o);
    if (load_new(&o.load, &l) < 0)
        return 1;
    int rc = o.warm > 0 ? load_run(l, o.warm) : 0;
    load_reset(l);
    double cpu = load_cpu(o.pid), began = load_clock();
    if (rc == 0)
        rc = load_run_count(l, o.count ? o.count : UINT64_MAX, o.seconds);
    report(load_counts(l), load_clock() - began, load_cpu(o.pid) - cpu);
    bool bad = rc < 0 || load_counts(l)->errors;
    load_free(l);
    return bad ? 1 : 0;
}
