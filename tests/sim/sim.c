/* sim.c - many simulated lives: clients write, pods are scheduled, a controller follows, watches come and go, while power fails, syncs fail,
 * the disk fills up and memory runs out. Each seed is run twice and must leave the same trace.
 *
 * Held to: what was acknowledged is there after any crash, and nothing that was never asked for; revisions grow over all lives; a watch gets
 * each commit once, in order, without gaps; no node is overbooked, and no pod changes its node; when all is quiet the controller has seen the
 * last state of every pod.
 *
 * usage: unit_sim [--seed S | --first S --seeds N]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/map.h"
#include "reconcile/ledger.h"
#include "world.h"

#define KEYS     16
#define MAYBE    64
#define WATCHES  3
#define COMMITS  20000
#define LIFE_NS  (4 * NS_PER_S)
#define THINGS   "sim/things"
#define PODS     "/pods"

/* What a key may hold: at[0] was acknowledged, the others were asked for since, in order. 0: not there. */
struct key {
    uint32_t at[MAYBE];
    bool refused[MAYBE];                /* but it may come back if the power fails before the next batch lasts */
    unsigned n;
};

struct write {
    struct sim *sim;
    unsigned key;
    uint32_t number;
    uint64_t revision;
};

struct sim_watch {
    struct sim *sim;
    struct store_watch *w;
    size_t next;                        /* index into the log of commits */
    uint64_t from;
};

struct sim {
    struct world w;
    struct key keys[KEYS];
    struct loop_timer client, pods, faults, check;
    struct sim_watch watches[WATCHES];
    struct store_watch *pod_watch;
    uint64_t log[COMMITS];              /* revisions of durable commits to things, of this life */
    size_t n_log;
    uint64_t acknowledged;              /* newest revision */
    uint32_t number;
    unsigned pod_number, made, bound, crashes, reconciles;
    struct map nodes_of, seen;          /* pod uid -> node; pod key -> revision that the controller saw last */
    struct arena *arena;                /* of the maps' texts */
    bool over, calm;
};

/* --- things: clients that write straight to the store --- */

static void ask(struct key *k, uint32_t number)
{
    if (k->n == MAYBE) {                /* forget the oldest of what was asked for; it cannot be the last any more */
        memmove(k->at + 1, k->at + 2, (MAYBE - 2) * sizeof *k->at);
        memmove(k->refused + 1, k->refused + 2, (MAYBE - 2) * sizeof *k->refused);
        k->n--;
    }
    k->at[k->n] = number;
    k->refused[k->n++] = false;
}

static void keep(struct key *k, bool (*wanted)(const struct key *k, unsigned i))
{
    unsigned n = 0;
    for (unsigned i = 0; i < k->n; i++)
        if (wanted(k, i)) {
            k->at[n] = k->at[i];
            k->refused[n++] = k->refused[i];
        }
    k->n = n;
}

static bool not_refused(const struct key *k, unsigned i)
{
    return !k->refused[i];
}

static void acknowledge(struct sim *s, const struct write *w)
{
    struct key *k = &s->keys[w->key];
    for (unsigned i = 0; i < KEYS; i++)
        keep(&s->keys[i], not_refused);
    unsigned at = 0;
    while (at < k->n && k->at[at] != w->number)
        at++;
    if (at == k->n) {
        world_broken(&s->w, "key %u: number %u was acknowledged twice or never asked for", w->key, w->number);
        return;
    }
    memmove(k->at, k->at + at, (k->n - at) * sizeof *k->at);
    memmove(k->refused, k->refused + at, (k->n - at) * sizeof *k->refused);
    k->n -= at;
}

static void on_answer(void *ctx, int rc, const struct kl_err *err)
{
    struct write *w = ctx;
    struct sim *s = w->sim;
    (void)err;
    world_note(&s->w, rc == 0 ? "ack" : "refused", w->revision, w->number);
    if (rc == 0) {
        if (w->revision <= s->acknowledged)
            world_broken(&s->w, "revision %llu was acknowledged after %llu", (unsigned long long)w->revision, (unsigned long long)s->acknowledged);
        s->acknowledged = w->revision;
        if (s->n_log < COMMITS)
            s->log[s->n_log++] = w->revision;
        acknowledge(s, w);
    } else {
        struct key *k = &s->keys[w->key];
        for (unsigned i = 0; i < k->n; i++)
            k->refused[i] |= i && k->at[i] == w->number;
    }
    free(w);
}

static void write_thing(struct sim *s)
{
    unsigned key = world_dice(&s->w, KEYS);
    char name[16], json[300];
    struct kl_err err;
    kl_err_init(&err);
    snprintf(name, sizeof name, "k%u", key);
    struct store_object *head = store_head(s->w.store, STR(THINGS), STR("ns"), str_of(name));
    bool del = head && world_dice(&s->w, 5) == 0;
    uint32_t number = ++s->number;
    snprintf(json, sizeof json, "{\"metadata\":{\"uid\":\"u%u\"},\"n\":%u,\"pad\":\"%*s\"}", key, number, (int)world_dice(&s->w, 200), "");
    struct store_op op = { .type = del ? STORE_DELETE : head ? STORE_UPDATE : STORE_CREATE, .resource = STR(THINGS), .ns = STR("ns"),
                           .name = str_of(name), .json = str_of(json), .expected = head ? store_object_revision(head) : 0 };
    struct write *w = calloc(1, sizeof *w);
    *w = (struct write){ s, key, del ? 0 : number, store_next_revision(s->w.store) };
    bool hungry = !s->calm && world_dice(&s->w, 10) == 0;
    world_starve(&s->w, hungry);
    int rc = store_commit(s->w.store, &op, 1, on_answer, w, NULL, &err);
    world_starve(&s->w, false);
    if (rc == 0) {
        ask(&s->keys[key], w->number);
        return;
    }
    free(w);
    if (rc == -KL_NO_MEMORY && store_head(s->w.store, STR(THINGS), STR("ns"), str_of(name)) != head)
        world_broken(&s->w, "a commit without memory left something behind");
    if (rc != -KL_STORAGE_FULL && rc != -KL_UNAVAILABLE && rc != -KL_NO_MEMORY && rc != -KL_CORRUPT && rc != -KL_INVALID)
        world_broken(&s->w, "a write of '%s' was refused: %d %s", name, rc, err.msg);
}

static void on_client(void *ctx)
{
    struct sim *s = ctx;
    unsigned n = world_dice(&s->w, 6) ? 1 : 1 + world_dice(&s->w, 20);
    while (n--)
        write_thing(s);
    loop_timer_start(s->w.loop, &s->client, (int64_t)world_dice(&s->w, 20) * NS_PER_MS, on_client, s);
}

static uint32_t number_of(struct store_object *o)
{
    struct str n = o ? json_scan_member(store_object_json(o), STR("n")) : STR_NONE;
    int64_t v = 0;
    return n.at && str_int(n, &v) ? (uint32_t)v : 0;
}

/* After a start: each key holds what was acknowledged last, or something that was asked for after it. */
static void check_keys(struct sim *s)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct key *k = &s->keys[i];
        char name[16];
        snprintf(name, sizeof name, "k%u", i);
        uint32_t now = number_of(store_get(s->w.store, STR(THINGS), STR("ns"), str_of(name)));
        bool allowed = k->n == 0 && now == 0;
        for (unsigned j = 0; j < k->n; j++)
            allowed |= k->at[j] == now;
        if (!allowed)
            world_broken(&s->w, "after a crash %s holds %u; acknowledged was %u, asked for since were %u more", name, now, k->n ? k->at[0] : 0,
                         k->n ? k->n - 1 : 0);
        *k = (struct key){ .at = { now }, .n = 1 };
    }
    if (store_revision(s->w.store) < s->acknowledged)
        world_broken(&s->w, "the revision went back from %llu to %llu", (unsigned long long)s->acknowledged,
                     (unsigned long long)store_revision(s->w.store));
    s->acknowledged = store_revision(s->w.store);
}

/* --- watches of things --- */

static void follow(void *ctx)
{
    struct sim_watch *v = ctx;
    struct sim *s = v->sim;
    struct store_event e;
    bool expired = false;
    while (store_watch_next(v->w, &e, &expired)) {
        world_note(&s->w, "event", e.revision, e.type);
        if (v->next >= s->n_log || s->log[v->next] != e.revision)
            world_broken(&s->w, "a watch from %llu got revision %llu; the next commit was %llu", (unsigned long long)v->from,
                         (unsigned long long)e.revision, (unsigned long long)(v->next < s->n_log ? s->log[v->next] : 0));
        v->next++;
    }
    if (expired) {
        store_watch_free(v->w);
        v->w = NULL;
    } else if (v->next != s->n_log && !s->w.broken) {
        world_broken(&s->w, "a watch from %llu misses %zu commits", (unsigned long long)v->from, s->n_log - v->next);
    }
}

static void begin_watch(struct sim *s, struct sim_watch *v)
{
    struct kl_err err;
    kl_err_init(&err);
    size_t at = s->n_log ? world_dice(&s->w, (unsigned)s->n_log + 1) : 0;
    store_watch_free(v->w);
    *v = (struct sim_watch){ .sim = s, .next = at, .from = at ? s->log[at - 1] : store_oldest(s->w.store) };
    if (at == 0 && s->n_log && store_oldest(s->w.store) >= s->log[0])
        v->next = s->n_log, v->from = store_revision(s->w.store);
    int rc = store_watch_new(s->w.store, STR(THINGS), STR_NONE, v->from, follow, v, &v->w, &err);
    if (rc < 0)
        v->w = NULL;
    if (rc < 0 && (rc != -KL_EXPIRED || v->from > store_oldest(s->w.store)))
        world_broken(&s->w, "a watch from %llu is refused: %s", (unsigned long long)v->from, err.msg);
    if (v->w)
        follow(v);
}

/* --- nodes and pods --- */

static int put_object(struct sim *s, const char *resource, const char *ns, const char *name, const char *sub, const char *text)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = (void *(*)(void *, size_t))arena_alloc };
    struct kl_object_key k = { sizeof k, resource, ns, name, sub };
    kl_err_init(&c.err);
    const struct objects_ops *ops = s->w.objects->ops;
    struct kl_bytes body = { text, strlen(text) };
    return sub ? ops->update(s->w.objects, "sim", &c, &k, body, NULL) : ops->create(s->w.objects, "sim", &c, &k, body, NULL);
}

static void make_nodes(struct sim *s)
{
    for (unsigned i = 0; i < 4; i++) {
        char name[16], text[600];
        snprintf(name, sizeof name, "node%u", i);
        snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{},\"status\":{\"allocatable\":{\"cpu\":\"%u\",\"memory\":\"4Gi\",\"pods\":\"%u\"},"
                 "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}", name, 2 + i, 6 + i);
        put_object(s, "/nodes", "", name, NULL, text);
        put_object(s, "/nodes", "", name, "status", text);
    }
}

static bool delete_one(void *ctx, struct store_object *o)
{
    struct sim *s = ctx;
    if (world_dice(&s->w, 12))
        return true;
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = (void *(*)(void *, size_t))arena_alloc };
    struct kl_object_key k = { sizeof k, PODS, arena_dup(a, store_object_ns(o)), arena_dup(a, store_object_name(o)), NULL };
    struct kl_delete_options del = { .size = sizeof del, .grace_seconds = 0 };
    kl_err_init(&c.err);
    s->w.objects->ops->remove(s->w.objects, "sim", &c, &k, &del);
    return false;
}

static void on_pods(void *ctx)
{
    struct sim *s = ctx;
    char name[24], text[400];
    snprintf(name, sizeof name, "pod%u", ++s->pod_number);
    snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"schedulerName\":\"%s\",\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":"
             "{\"requests\":{\"cpu\":\"%um\",\"memory\":\"%uMi\"}}}]}}", name, world_dice(&s->w, 2) ? "binpack" : "default-scheduler",
             50 + world_dice(&s->w, 900), 10 + world_dice(&s->w, 900));
    if (put_object(s, PODS, "default", name, NULL, text) == 0)
        s->made++;
    struct store_range r = { .resource = STR(PODS), .head = true };
    if (world_dice(&s->w, 2))
        store_list(s->w.store, &r, delete_one, s);
    loop_timer_start(s->w.loop, &s->pods, (int64_t)(20 + world_dice(&s->w, 80)) * NS_PER_MS, on_pods, s);
}

struct load {
    struct sim *sim;
    int64_t mcpu[4], memory[4], pods[4];
};

static bool add_load(void *ctx, struct store_object *o)
{
    struct load *l = ctx;
    struct sim *s = l->sim;
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *v = json_parse(a, store_object_json(o), NULL);
    struct str node = json_str(v, "spec.nodeName"), uid = json_str(v, "metadata.uid");
    const char *was = map_get(&s->nodes_of, uid);
    if (!node.len) {
        if (was)
            world_broken(&s->w, "a pod lost its node");
        return true;
    }
    if (was && !str_is(node, was))
        world_broken(&s->w, "a pod moved from %s to " STR_FMT, was, STR_ARG(node));
    if (!was) {
        map_put(&s->nodes_of, arena_str(s->arena, uid), arena_dup(s->arena, node));
        s->bound++;
    }
    unsigned i = (unsigned)(node.at[4] - '0');
    struct pod_requests q = pod_requests(v);
    l->mcpu[i] += q.mcpu;
    l->memory[i] += q.memory;
    l->pods[i]++;
    return true;
}

/* As seen by anybody who reads: no node holds more than it has. */
static void check_nodes(struct sim *s)
{
    struct load l = { .sim = s };
    struct store_range r = { .resource = STR(PODS) };
    store_list(s->w.store, &r, add_load, &l);
    for (unsigned i = 0; i < 4; i++)
        if (l.mcpu[i] > (2 + i) * 1000 || l.memory[i] > (4LL << 30) || l.pods[i] > 6 + i)
            world_broken(&s->w, "node%u is overbooked: %lld mcpu, %lld bytes, %lld pods", i, (long long)l.mcpu[i], (long long)l.memory[i],
                         (long long)l.pods[i]);
}

static void on_pod_event(void *ctx)
{
    struct sim *s = ctx;
    struct store_event e;
    bool expired = false;
    while (store_watch_next(s->pod_watch, &e, &expired))
        world_note(&s->w, "pod", e.revision, e.type);
    if (expired)
        world_broken(&s->w, "the watch of pods expired although it is always read");
    check_nodes(s);
}

/* --- the controller: fails now and then, and notes what it saw --- */

static int reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    struct sim *s = self;
    const char *slash = strchr(key, '/');
    (void)again_ns;
    s->reconciles++;
    world_note(&s->w, "reconcile", strlen(key), 0);
    if (!s->calm && world_dice(&s->w, 8) == 0)
        return kl_fail(c, KL_UNAVAILABLE, "not now");
    struct store_object *o = slash ? store_head(s->w.store, STR(PODS), str_n(key, (size_t)(slash - key)), str_of(slash + 1)) : NULL;
    uint64_t *at = map_get(&s->seen, str_of(key));
    if (!at) {
        at = arena_alloc(s->arena, sizeof *at);
        map_put(&s->seen, arena_str(s->arena, str_of(key)), at);
    }
    *at = o ? store_object_revision(o) : 0;
    return 0;
}

static bool was_seen(void *ctx, struct store_object *o)
{
    struct sim *s = ctx;
    char key[128];
    snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(store_object_ns(o)), STR_ARG(store_object_name(o)));
    const uint64_t *at = map_get(&s->seen, str_of(key));
    if (!at || *at != store_object_revision(o))
        world_broken(&s->w, "the controller last saw %s at %llu; it is at %llu", key, (unsigned long long)(at ? *at : 0),
                     (unsigned long long)store_object_revision(o));
    return true;
}

/* --- faults --- */

static void on_faults(void *ctx)
{
    struct sim *s = ctx;
    struct world *w = &s->w;
    switch (world_dice(w, 8)) {
    case 0: disk_crash_at(w->disk, 1 + world_dice(w, 30)); break;
    case 1: disk_fail_syncs(w->disk, 1 + world_dice(w, 3)); break;
    case 2: disk_limit(w->disk, disk_used(w->disk) + world_dice(w, 3000)); break;
    default: disk_limit(w->disk, 0); break;
    }
    begin_watch(s, &s->watches[world_dice(w, WATCHES)]);
    loop_timer_start(w->loop, &s->faults, (int64_t)(50 + world_dice(w, 300)) * NS_PER_MS, on_faults, s);
}

static void on_check(void *ctx)
{
    struct sim *s = ctx;
    s->over |= disk_is_down(s->w.disk) || s->w.broken != NULL;
    if (s->over)
        loop_stop(s->w.loop);
    else
        loop_timer_start(s->w.loop, &s->check, NS_PER_MS, on_check, s);
}

/* --- lives --- */

static const struct kl_watch controller_watches[] = { { .size = sizeof(struct kl_watch), .resource = PODS } };
static const struct kl_controller controller = { .size = sizeof controller, .watches = KL_ARRAY_OF(controller_watches), .reconcile = reconcile };

static bool begin_life(struct sim *s)
{
    struct kl_err err;
    kl_err_init(&err);
    s->n_log = 0;
    s->over = false;
    if (!world_start(&s->w, &controller, s))
        return false;
    check_keys(s);
    make_nodes(s);
    if (store_watch_new(s->w.store, STR(PODS), STR_NONE, store_revision(s->w.store), on_pod_event, s, &s->pod_watch, &err) < 0)
        world_broken(&s->w, "pods cannot be watched: %s", err.msg);
    check_nodes(s);
    for (unsigned i = 0; i < WATCHES; i++)
        begin_watch(s, &s->watches[i]);
    return true;
}

static void end_life(struct sim *s)
{
    struct loop_timer *timers[] = { &s->client, &s->pods, &s->faults, &s->check };
    for (size_t i = 0; i < 4; i++)
        loop_timer_stop(timers[i]);
    for (unsigned i = 0; i < WATCHES; i++) {
        store_watch_free(s->watches[i].w);
        s->watches[i].w = NULL;
    }
    store_watch_free(s->pod_watch);
    s->pod_watch = NULL;
    world_stop(&s->w);
}

static void live(struct sim *s)
{
    int64_t until = loop_now(s->w.loop) + LIFE_NS;
    on_client(s);
    on_pods(s);
    on_faults(s);
    on_check(s);
    loop_run_until(s->w.loop, until);
}

static void power_off(struct sim *s)
{
    world_note(&s->w, "power", s->w.lives, 0);
    disk_crash(s->w.disk);
    end_life(s);
    disk_restart(s->w.disk);
    s->crashes++;
}

/* A last life without faults: everything settles. */
static void calm_down(struct sim *s)
{
    disk_limit(s->w.disk, 0);
    disk_fail_syncs(s->w.disk, 0);
    disk_crash_at(s->w.disk, 0);
    s->calm = true;
    if (!begin_life(s)) {
        world_broken(&s->w, "the last life does not begin");
        return;
    }
    loop_run_until(s->w.loop, loop_now(s->w.loop) + 3000 * NS_PER_S);
    struct store_range r = { .resource = STR(PODS) };
    store_list(s->w.store, &r, was_seen, s);
    check_nodes(s);
    end_life(s);
}

static uint64_t run(uint64_t seed, bool loud)
{
    struct sim *s = calloc(1, sizeof *s);
    world_begin(&s->w, seed);
    s->arena = arena_new(0);
    for (int life = 0; life < 4 && !s->w.broken; life++) {
        while (!begin_life(s) && !s->w.broken)
            disk_restart(s->w.disk);
        if (s->w.broken)
            break;
        live(s);
        power_off(s);
    }
    if (!s->w.broken)
        calm_down(s);
    uint64_t hash = s->w.hash;
    if (s->w.broken)
        printf("FAILED: seed %llu, life %u: %s\n", (unsigned long long)seed, s->w.lives, s->w.broken);
    else if (loud)
        printf("seed %llu: trace %016llx; revision %llu, %u power failures, %u of %u pods bound, %u reconciles, %u failed allocations\n",
               (unsigned long long)seed, (unsigned long long)hash, (unsigned long long)s->acknowledged, s->crashes, s->bound, s->made,
               s->reconciles, world_starved());
    bool broken = s->w.broken != NULL;
    map_free(&s->nodes_of);
    map_free(&s->seen);
    arena_free(s->arena);
    if (!broken)
        world_end(&s->w);
    free(s);
    return broken ? 0 : hash;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, n = 60;
    bool loud = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t v = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0)
            first = v, n = 1, loud = true;
        else if (strcmp(argv[i], "--first") == 0)
            first = v;
        else if (strcmp(argv[i], "--seeds") == 0)
            n = v;
    }
    for (uint64_t seed = first; seed < first + n; seed++) {
        uint64_t once = run(seed, loud), again = once ? run(seed, false) : 0;
        if (!once)
            return 1;
        if (once != again) {
            printf("FAILED: seed %llu: the trace was %016llx and then %016llx\n", (unsigned long long)seed, (unsigned long long)once,
                   (unsigned long long)again);
            return 1;
        }
    }
    printf("ok: %llu seeds, each twice with the same trace\n", (unsigned long long)n);
    return 0;
}
