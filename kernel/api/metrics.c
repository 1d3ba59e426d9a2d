/* metrics.c - see metrics.h. */
#include "api/metrics.h"

#include "api-internal.h"
#include "base/env.h"

#define SLOTS_MOST 16384

static const struct prom_bounds duration_bounds = { 23, { 0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15,
                                                          20, 30, 45, 60 } };
static const struct prom_bounds size_bounds = { 7, { 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 } };
static const struct prom_bounds step_bounds = { 6, { 0.005, 0.025, 0.1, 0.5, 1, 2.5 } };

enum verb { V_OTHER = 0, V_GET, V_LIST, V_WATCH, V_POST, V_PUT, V_PATCH, V_APPLY, V_DELETE, V_DELETECOLLECTION, V_CONNECT, V_HEAD, V_OPTIONS };
static const char *const verb_texts[] = { "OTHER", "GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION",
                                          "CONNECT", "HEAD", "OPTIONS" };
static const char *const scope_texts[] = { "", "resource", "namespace", "cluster" };
/* Documents that are told apart. */
static const char *const paths[] = { "/healthz", "/livez", "/readyz", "/metrics", "/version" };

void metrics_init(struct metrics *m)
{
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < 4; k++)
            m->steps[i][k][0].bounds = m->steps[i][k][1].bounds = &step_bounds;
}

void metrics_free(struct metrics *m)
{
    for (unsigned i = 0; i < m->cap; i++)
        if (m->at[i]) {
            mem_free(m->at[i]->group);
            mem_free(m->at[i]->sizes);
            mem_free(m->at[i]);
        }
    mem_free(m->at);
}

/* --- the slot --- */

static uint8_t method_verb(const char *v)
{
    static const struct {
        const char *name;
        uint8_t verb;
    } rows[] = { { "get", V_GET },     { "post", V_POST }, { "put", V_PUT },         { "patch", V_PATCH },
                 { "delete", V_DELETE }, { "head", V_HEAD }, { "options", V_OPTIONS } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, v) == 0)
            return rows[i].verb;
    return V_OTHER;
}

static uint8_t resource_verb(const char *v)
{
    switch (v[0]) {
    case 'g': return V_GET;
    case 'l': return V_LIST;
    case 'w': return V_WATCH;
    case 'c': return V_POST;
    case 'u': return V_PUT;
    case 'p': return V_PATCH;
    case 'd': return v[6] ? V_DELETECOLLECTION : V_DELETE;
    }
    return V_OTHER;
}

static void key_of(struct api_rq *rq, struct metric_slot *key)
{
    const struct kl_request *t = &rq->info.tuple;
    key->path = "";
    if (!t->is_resource) {
        key->verb = method_verb(t->verb);
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
            if (strcmp(paths[i], t->path) == 0)
                key->path = paths[i];
        return;
    }
    key->kind = rq->info.kind;
    key->sub = rq->info.sub;
    key->verb = resource_verb(t->verb);
    if (key->sub && api_is_stream(t->subresource))
        key->verb = V_CONNECT;
    else if (key->verb == V_PATCH && str_starts(http_header(rq->http, STR("content-type")), STR("application/apply-patch")))
        key->verb = V_APPLY;
    key->long_running = key->verb == V_WATCH || key->verb == V_CONNECT;
    key->scope = t->name[0] || key->verb == V_POST ? 1 : t->ns[0] ? 2 : 3;
    key->dry_run = rq->info.q.dry_run.len > 0;
}

static unsigned hash_of(const struct metric_slot *k)
{
    uint64_t h = (uintptr_t)k->kind * 0x9e3779b97f4a7c15ull ^ (uintptr_t)k->sub * 0xc2b2ae3d27d4eb4full ^ (uintptr_t)k->path;
    h = (h ^ (uint64_t)(k->verb << 3 | k->scope << 1 | k->dry_run)) * 0xff51afd7ed558ccdull;
    return (unsigned)(h >> 32);
}

/* A kind of a definition that was replaced may be followed by another at the same place: its names count too. */
static bool same(const struct metric_slot *s, const struct metric_slot *k)
{
    return s->kind == k->kind && s->sub == k->sub && s->path == k->path && s->verb == k->verb && s->scope == k->scope &&
           s->dry_run == k->dry_run &&
           (!k->kind || !(k->kind->flags & K_CUSTOM) ||
            (strcmp(s->resource, k->kind->plural) == 0 && strcmp(s->group, k->kind->group) == 0 && strcmp(s->version, k->kind->version) == 0));
}

static struct metric_slot *slot_new(const struct metric_slot *key)
{
    const char *group = key->kind ? key->kind->group : "", *version = key->kind ? key->kind->version : "";
    const char *resource = key->kind ? key->kind->plural : "", *sub = key->sub ? key->sub->name : key->path;
    size_t n[4] = { strlen(group) + 1, strlen(version) + 1, strlen(resource) + 1, strlen(sub) + 1 };
    struct metric_slot *s = mem_alloc(sizeof *s);
    char *text = s ? mem_alloc(n[0] + n[1] + n[2] + n[3]) : NULL;
    if (!text) {
        mem_free(s);
        return NULL;
    }
    *s = *key;
    s->group = memcpy(text, group, n[0]);
    s->version = memcpy(text + n[0], version, n[1]);
    s->resource = memcpy(text + n[0] + n[1], resource, n[2]);
    s->subresource = memcpy(text + n[0] + n[1] + n[2], sub, n[3]);
    s->verb_text = verb_texts[s->verb];
    s->scope_text = scope_texts[s->scope];
    s->duration.bounds = &duration_bounds;
    if ((s->verb == V_GET || s->verb == V_LIST) && (s->sizes = mem_alloc(sizeof *s->sizes)))
        s->sizes->bounds = &size_bounds;
    return s;
}

static void place(struct metric_slot **at, unsigned cap, struct metric_slot *s)
{
    unsigned i = hash_of(s) & (cap - 1);
    while (at[i])
        i = (i + 1) & (cap - 1);
    at[i] = s;
}

static bool grow(struct metrics *m)
{
    unsigned cap = m->cap ? m->cap * 2 : 256;
    struct metric_slot **at = mem_alloc(cap * sizeof *at);
    if (!at)
        return false;
    for (unsigned i = 0; i < m->cap; i++)
        if (m->at[i])
            place(at, cap, m->at[i]);
    mem_free(m->at);
    m->at = at;
    m->cap = cap;
    return true;
}

static struct metric_slot *find(struct metrics *m, const struct metric_slot *key)
{
    for (unsigned i = hash_of(key) & (m->cap - 1); m->cap && m->at[i]; i = (i + 1) & (m->cap - 1))
        if (same(m->at[i], key))
            return m->at[i];
    if (m->n == SLOTS_MOST || ((m->n + 1) * 2 > m->cap && !grow(m)))
        return NULL;
    struct metric_slot *s = slot_new(key);
    if (s) {
        place(m->at, m->cap, s);
        m->n++;
    }
    return s;
}

/* --- the life of a request --- */

static void peak_turn(struct metric_peak *p, int64_t now)
{
    int64_t second = now / NS_PER_S;
    if (second == p->second)
        return;
    p->most_before = second == p->second + 1 ? p->most : p->now;
    p->most = p->now;
    p->second = second;
}

static struct metric_peak *peak_of(struct metrics *m, const struct metric_slot *s)
{
    return s->verb >= V_POST && s->verb <= V_DELETECOLLECTION ? &m->writes : &m->reads;
}

void metrics_begin(struct api_rq *rq)
{
    struct metrics *m = &rq->api->metrics;
    struct metric_slot key = { 0 };
    if (rq->slot)
        return;                         /* it has run before */
    key_of(rq, &key);
    struct metric_slot *s = rq->slot = find(m, &key);
    if (!s)
        return;
    if (s->long_running) {
        s->running++;
        return;
    }
    struct metric_peak *p = peak_of(m, s);
    peak_turn(p, loop_now(rq->api->loop));
    if (++p->now > p->most)
        p->most = p->now;
}

static void count_code(struct metric_slot *s, int status)
{
    unsigned i = 0;
    while (i < METRIC_CODES - 1 && s->codes[i].n && s->codes[i].status != status)
        i++;
    s->codes[i].status = (uint16_t)status;
    s->codes[i].n++;
}

void metrics_end(struct api_rq *rq, struct http_req *r, int64_t now_ns)
{
    struct metric_slot *s = rq->slot;
    int status = http_status(r);
    if (!s)
        return;
    rq->slot = NULL;
    if (s->long_running) {
        s->running--;
    } else {
        struct metric_peak *p = peak_of(&rq->api->metrics, s);
        peak_turn(p, loop_now(rq->api->loop));
        p->now--;
    }
    if (!status) {
        s->aborts++;
        return;
    }
    count_code(s, status);
    prom_observe(&s->duration, (double)(now_ns - http_began(r)) / (double)NS_PER_S);
    if (s->sizes)
        prom_observe(s->sizes, (double)http_sent(r));
}

void metrics_admission(struct metrics *m, bool mutating, const char *verb, bool rejected, int64_t ns)
{
    unsigned op = verb[0] == 'c' ? verb[1] == 'o' : verb[0] == 'd' ? 3 : 2;       /* create connect update delete */
    prom_observe(&m->steps[mutating][op][rejected], (double)ns / (double)NS_PER_S);
}

void api_metrics_add(struct api *a, void (*write)(void *ctx, struct prom *p), void *ctx)
{
    struct metrics *m = &a->metrics;
    if (m->n_sources < sizeof m->sources / sizeof *m->sources)
        m->sources[m->n_sources++] = (struct metric_source){ write, ctx };
}
