/* world.c - see world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdlib.h>

#include "../../plugins/store-wal/wal.h"
#include "base/log.h"

extern const struct kl_plugin kl_plugin_store_wal, kl_plugin_scheduler_spread, kl_plugin_scheduler_binpack;

static struct world *present;

/* --- clock, dice, trace --- */

static int64_t mono(void *ctx)
{
    (void)ctx;
    return present->loop ? loop_now(present->loop) : present->now_ns;
}

static int64_t wall(void *ctx)
{
    return mono(ctx) + 1700000000LL * NS_PER_S;
}

uint64_t world_roll(struct world *w)
{
    w->random = w->random * 6364136223846793005ULL + 1442695040888963407ULL;
    uint64_t x = w->random;
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    return x ^ x >> 33;
}

unsigned world_dice(struct world *w, unsigned n)
{
    return (unsigned)(world_roll(w) % n);
}

static void fill_random(void *ctx, void *at, size_t n)
{
    (void)ctx;
    for (unsigned char *p = at; n--;)
        *p++ = (unsigned char)world_roll(present);
}

static void mix(struct world *w, const void *at, size_t n)
{
    for (const unsigned char *p = at; n--; p++)
        w->hash = (w->hash ^ *p) * 0x100000001b3ULL;
}

void world_note(struct world *w, const char *what, uint64_t a, uint64_t b)
{
    int64_t now = mono(NULL);
    mix(w, what, strlen(what));
    mix(w, &now, sizeof now);
    mix(w, &a, sizeof a);
    mix(w, &b, sizeof b);
}

void world_broken(struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->broken)
        return;
    va_start(ap, fmt);
    vsnprintf(w->broken_room, sizeof w->broken_room, fmt, ap);
    va_end(ap);
    w->broken = w->broken_room;
}

/* --- memory --- */

static bool starving;
static unsigned starved;
static uint64_t hunger;

/* Small pieces only: what a server must have to go on at all (timers, posts) is made of them too, but not while this is on. */
static void *resize(void *ctx, void *at, size_t n)
{
    (void)ctx;
    if (n == 0) {
        free(at);
        return NULL;
    }
    if (starving) {
        hunger = hunger * 6364136223846793005ULL + 1442695040888963407ULL;
        if ((hunger >> 40) % 20 == 0) {
            starved++;
            return NULL;
        }
    }
    return realloc(at, n);
}

void world_starve(struct world *w, bool on)
{
    if (on)
        hunger = world_roll(w);
    starving = on;
}

unsigned world_starved(void)
{
    return starved;
}

/* --- life --- */

void world_begin(struct world *w, uint64_t seed)
{
    static const struct mem_allocator allocator = { .resize = resize };
    *w = (struct world){ .seed = seed, .random = seed * 0x9e3779b97f4a7c15ULL + 99, .hash = 0xcbf29ce484222325ULL, .now_ns = NS_PER_S };
    static const uint64_t key[2] = { 1, 2 };
    present = w;
    starved = 0;
    mem_set_allocator(&allocator);
    map_seed(key);
    log_set_level((enum kl_level)(KL_ERROR - 1));
    w->disk = disk_new(seed);
    w->env = *env_real();
    disk_env(w->disk, &w->env);
    w->env.mono_ns = mono;
    w->env.wall_ns = wall;
    w->env.random = fill_random;
    env_set(&w->env);
}

static const struct kl_provider *provider(const struct kl_plugin *p)
{
    return KL_AT(struct kl_provider, p->providers, 0);
}

static void call_init(struct kl_call *c, struct arena *a)
{
    *c = (struct kl_call){ .size = sizeof *c, .arena = a, .alloc = (void *(*)(void *, size_t))arena_alloc };
    kl_err_init(&c->err);
}

static int open_store(struct world *w, struct kl_err *err)
{
    static const struct wal_conf conf = { .dir = "/store", .checkpoint_bytes = 60000, .reserve_bytes = 8192, .sync = 1 };
    const struct kl_store *t = provider(&kl_plugin_store_wal)->table;
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c;
    call_init(&c, a);
    int rc = t->life.open(NULL, &conf, &w->wal, &c);
    if (rc < 0) {
        *err = c.err;
        return rc;
    }
    struct store_conf sc = { .provider = t, .self = w->wal, .history = 400 };
    return store_open(w->loop, &sc, &w->store, err);
}

static const struct kl_scheduler *find_scheduler(void *ctx, const char *name, void **ret_self)
{
    static struct {
        int64_t owner_weight;
    } spread = { 60 };
    (void)ctx;
    bool binpack = strcmp(name, "binpack") == 0;
    *ret_self = binpack ? NULL : &spread;
    return provider(binpack ? &kl_plugin_scheduler_binpack : &kl_plugin_scheduler_spread)->table;
}

static int start(struct world *w, const struct kl_controller *controller, void *self, struct kl_err *err)
{
    static const struct api_conf ac = { .version = "sim", .service_cidr = "10.96.0.0/16", .node_port_first = 30000, .node_port_last = 32767,
                                        .cluster_dns_domain = "cluster.local" };
    static const struct api_hooks hooks;
    int rc = open_store(w, err);
    if (rc == 0)
        rc = api_new(w->loop, w->store, &ac, &hooks, &w->api, err);
    if (rc == 0)
        rc = api_objects_new(w->api, &w->objects, err);
    if (rc == 0)
        rc = api_bootstrap(w->api, err);
    struct schedule_conf sc = { .loop = w->loop, .store = w->store, .objects = w->objects, .find = find_scheduler };
    if (rc == 0)
        rc = schedule_start(&sc, &w->schedule, err);
    struct runner_conf rc_conf = { .name = "sim", .table = controller, .self = self };
    return rc == 0 ? runner_start(w->loop, w->store, &rc_conf, &w->runner, err) : rc;
}

bool world_start(struct world *w, const struct kl_controller *controller, void *self)
{
    struct kl_err err;
    kl_err_init(&err);
    w->lives++;
    w->loop = loop_new_sim(w->now_ns, w->now_ns + 1700000000LL * NS_PER_S);
    int rc = start(w, controller, self, &err);
    if (rc == 0)
        return true;
    if (!disk_is_down(w->disk))
        world_broken(w, "the server does not start: %s", err.msg);
    world_stop(w);
    return false;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

void world_stop(struct world *w)
{
    w->now_ns = loop_now(w->loop);
    if (w->runner)
        runner_stop(w->runner, nothing, NULL);
    runner_free(w->runner);
    schedule_free(w->schedule);
    store_close(w->store);
    api_objects_free(w->objects);
    api_free(w->api);
    if (w->wal)
        ((const struct kl_store *)provider(&kl_plugin_store_wal)->table)->life.close(w->wal);
    loop_free(w->loop);
    w->runner = NULL;
    w->schedule = NULL;
    w->store = NULL;
    w->objects = NULL;
    w->api = NULL;
    w->wal = NULL;
    w->loop = NULL;
}

void world_end(struct world *w)
{
    env_set(NULL);
    disk_free(w->disk);
    mem_set_allocator(NULL);
}
