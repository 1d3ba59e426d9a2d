/* call.c - see call.h. */
#include "reconcile/call.h"

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
