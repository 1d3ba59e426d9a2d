/* call.c - see call.h. */
#include "reconcile/call.h"

#include "base/env.h"

static void *host_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

void host_call_init(struct kl_call *c, struct arena *a, const char *user)
{
    *c = (struct kl_call){ .size = sizeof *c, .user = user, .arena = a, .alloc = host_alloc };
    kl_err_init(&c->err);
}

struct arena *host_call_arena(const struct kl_call *c)
{
    return c->alloc == host_alloc ? c->arena : NULL;
}

static int64_t mono(const struct kl_host *h)
{
    (void)h;
    return env_mono_ns();
}

static int64_t wall(const struct kl_host *h)
{
    (void)h;
    return env_wall_ns();
}

static void random_bytes(const struct kl_host *h, void *at, size_t n)
{
    (void)h;
    env_random(at, n);
}

const struct kl_host_env host_env = { sizeof host_env, mono, wall, random_bytes };
