/* load.c - handover_load URL PKI REVISION [REQUESTS_PER_SECOND]: see README.md. Ends, and judges, at SIGTERM. Exit status 0: no client has noticed anything. */
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "load.h"

#define OBJECTS 8
#define WORKERS 9                       /* of main */

enum does { PATCHES, READS, LISTS, CREATES };

/* A client that asks again as soon as it is answered. */
struct worker {
    struct load *load;
    struct http_client *client;
    enum does does;
    unsigned n, serial;
    int status;
    struct buf body;
    bool made, idle;
    int64_t began_ns, longest_ns;
    struct loop_timer pause;
};

static struct worker workers[12];
static unsigned n_workers;
static struct loop_timer late_timer, end_timer;
static unsigned lates;

void load_fail(struct load *l, const char *fmt, ...)
{
    va_list ap;
    l->failures++;
    if (l->failures > 20)
        return;
    fputs("FAILED: ", stdout);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

struct http_client *load_client(struct load *l, bool http1)
{
    char ca[4096], cert[4096], key[4096];
    struct http_client *c = NULL;
    struct kl_err err;
    kl_err_init(&err);
    snprintf(ca, sizeof ca, "%s/ca.crt", l->pki);
    snprintf(cert, sizeof cert, "%s/admin.crt", l->pki);
    snprintf(key, sizeof key, "%s/admin.key", l->pki);
    const struct http_client_conf conf = { .url = l->url, .ca_file = ca, .cert_file = cert, .key_file = key, .http1 = http1 };
    if (http_client_new(l->loop, &conf, &c, &err) < 0) {
        fprintf(stderr, "handover_load: %s\n", err.msg);
        exit(2);
    }
    if (l->n_clients < sizeof l->clients / sizeof *l->clients)
        l->clients[l->n_clients++] = c;
    return c;
}

/* --- requests --- */

static void ask(void *ctx);

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct worker *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct worker *)ctx)->body, bytes);
}

static void note_written(struct load *l, struct str body)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_err err;
    int64_t revision = 0;
    kl_err_init(&err);
    if (!str_int(json_str(json_parse(a, body, &err), "metadata.resourceVersion"), &revision)) {
        load_fail(l, "a write is answered with " STR_FMT, STR_ARG(body));
        return;
    }
    if (l->n_written == l->cap_written) {
        l->cap_written = l->cap_written ? l->cap_written * 2 : 1024;
        l->written = mem_resize(l->written, l->cap_written * sizeof *l->written);
    }
    l->written[l->n_written++] = (uint64_t)revision;
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct worker *w = ctx;
    struct load *l = w->load;
    int64_t took = env_mono_ns() - w->began_ns;
    bool deleted = w->does == CREATES && !w->made;
    if (took > w->longest_ns)
        w->longest_ns = took;
    if (err)
        load_fail(l, "a request broke: %s", err->msg);
    else if (w->status < 200 || w->status > 299)
        load_fail(l, "a request was answered with %d: " STR_FMT, w->status, STR_ARG(buf_str(&w->body)));
    else if (w->does == PATCHES || (w->does == CREATES && !deleted))
        note_written(l, buf_str(&w->body));
    l->answers++;
    buf_clear(&w->body);
    w->serial++;
    if (l->ending)
        w->idle = true;
    else if (l->pause_ns)
        loop_timer_start(l->loop, &w->pause, l->pause_ns > took ? l->pause_ns - took : 0, ask, w);
    else
        loop_post(l->loop, ask, w);
}

static void ask(void *ctx)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    struct worker *w = ctx;
    char path[120] = "/api/v1/namespaces/load/configmaps", body[200] = "";
    const char *method = "GET";
    struct http_header h = { STR("content-type"), STR("application/json") };
    size_t at = strlen(path);
    switch (w->does) {
    case PATCHES:
        method = "PATCH";
        h.value = STR("application/merge-patch+json");
        snprintf(path + at, sizeof path - at, "/cm-%u", w->n + w->serial % 2);
        snprintf(body, sizeof body, "{\"data\":{\"n\":\"%u\"},\"metadata\":{\"labels\":{\"even\":\"%s\"}}}", w->serial, w->serial / 3 % 2 ? "yes" : "no");
        break;
    case READS:
        snprintf(path + at, sizeof path - at, "/cm-%u", w->serial % OBJECTS);
        break;
    case LISTS:
        snprintf(path + at, sizeof path - at, "?limit=%u", 3 + w->serial % 8);
        break;
    case CREATES:
        method = w->made ? "DELETE" : "POST";
        if (w->made)
            snprintf(path + at, sizeof path - at, "/t-%u-%u", w->n, w->serial - 1);
        else
            snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"t-%u-%u\",\"labels\":{\"even\":\"yes\"}}}", w->n, w->serial);
        w->made = !w->made;
        break;
    }
    w->began_ns = env_mono_ns();
    if (!http_call_new(w->client, method, path, &h, 1, str_of(body), 0, &ev, w))
        abort();
}

static void worker(struct load *l, enum does does, unsigned n, bool http1)
{
    struct worker *w = &workers[n_workers++];
    *w = (struct worker){ .load = l, .client = load_client(l, http1), .does = does, .n = n, .body = BUF_INIT(0) };
    ask(w);
}

/* --- the run --- */

static void late(void *ctx)
{
    struct load *l = ctx;
    const struct watcher *ref = l->reference;
    if (l->ending)
        return;
    if (ref->n > 60 && ++lates)
        watcher_new(l, &(struct watcher){ .what = "a late watch", .late = true, .from = ref->at[ref->n - 50].revision });
    loop_timer_start(l->loop, &late_timer, 100 * NS_PER_MS, late, l);
}

/* Until every watch has shown as much as it should, for a while at most; then what lacks is told. */
static void all_there(void *ctx)
{
    static int tries;
    struct load *l = ctx;
    bool all = true;
    uint64_t last = 0;
    for (unsigned i = 0; i < n_workers; i++)
        all = all && workers[i].idle;
    for (size_t i = 0; i < l->n_written; i++)
        last = l->written[i] > last ? l->written[i] : last;
    list_each(n, &l->watchers)
    {
        const struct watcher *w = list_item(n, struct watcher, link);
        if (w->late)
            all = all && w->over;
        else if (w->form == FORM_PROTOBUF)
            all = all && w->frames >= l->reference->frames;
        else
            all = all && w->n && (w->even_only || w->at[w->n - 1].revision >= last);
    }
    if (all ? ++tries > 5 : ++tries > 600)      /* a moment more, in which too much could come */
        loop_stop(l->loop);
    else
        loop_timer_start(l->loop, &end_timer, 100 * NS_PER_MS, all_there, l);
}

static void on_signal(void *ctx)
{
    struct load *l = ctx;
    l->ending = true;
    all_there(l);
}

static void start_watches(struct load *l, uint64_t from)
{
    static const struct watcher all[] = {
        { .what = "the plain watch", .form = FORM_JSON },
        { .what = "the second plain watch", .form = FORM_JSON },
        { .what = "the watch with a selector", .form = FORM_JSON, .even_only = true },
        { .what = "the protobuf watch", .form = FORM_PROTOBUF },
        { .what = "the Table watch over HTTP/1.1", .form = FORM_TABLE },
        { .what = "the WatchList", .form = FORM_JSON, .initial = true },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct watcher as = all[i];
        as.from = from;
        struct watcher *w = watcher_new(l, &as);
        if (i == 0)
            l->reference = w;
    }
}

static void make_objects(struct load *l)
{
    char command[4096];
    snprintf(command, sizeof command,
             "c() { curl -s --fail -o /dev/null --cacert %s/ca.crt --cert %s/admin.crt --key %s/admin.key -H content-type:application/json \"$@\"; };"
             "c %s/api/v1/namespaces -d '{\"metadata\":{\"name\":\"load\"}}';"
             "for i in 0 1 2 3 4 5 6 7; do c %s/api/v1/namespaces/load/configmaps -d \"{\\\"metadata\\\":{\\\"name\\\":\\\"cm-$i\\\"}}\"; done",
             l->pki, l->pki, l->pki, l->url, l->url);
    if (system(command) != 0)
        load_fail(l, "the first objects cannot be made");
}

int main(int argc, char **argv)
{
    static struct load l;
    if (argc != 4 && argc != 5) {
        fputs("usage: handover_load URL PKI REVISION [REQUESTS_PER_SECOND]\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    l = (struct load){ .url = argv[1], .pki = argv[2], .loop = loop_new() };
    list_init(&l.watchers);
    if (argc == 5 && strtol(argv[4], NULL, 10) > 0)
        l.pause_ns = WORKERS * NS_PER_S / strtol(argv[4], NULL, 10);
    make_objects(&l);
    start_watches(&l, strtoull(argv[3], NULL, 10));
    for (unsigned i = 0; i < 4; i++)
        worker(&l, PATCHES, 2 * i, i == 3);
    worker(&l, READS, 0, false);
    worker(&l, READS, 1, true);
    worker(&l, LISTS, 0, false);
    worker(&l, CREATES, 0, false);
    worker(&l, CREATES, 1, true);
    loop_signal(l.loop, SIGTERM, on_signal, &l);
    loop_timer_start(l.loop, &late_timer, NS_PER_S, late, &l);
    puts("running");
    loop_run(l.loop);
    watchers_judge(&l);
    for (unsigned i = 0; i < l.n_clients; i++)
        if (l.clients[i]->n_again)
            load_fail(&l, "a connection broke under %u requests, which were sent again", l.clients[i]->n_again);
    int64_t longest = 0;
    for (unsigned i = 0; i < n_workers; i++) {
        longest = workers[i].longest_ns > longest ? workers[i].longest_ns : longest;
        if (!workers[i].idle)
            load_fail(&l, "a request is never answered");
    }
    printf("%lu answers, %zu writes, %zu events, %u late watches, %u failures; the longest answer took %lld ms\n", l.answers, l.n_written, l.reference->n,
           lates, l.failures, (long long)(longest / NS_PER_MS));
    return l.failures ? 1 : 0;
}
