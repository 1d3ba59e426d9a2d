/* wait.c - which pods' containers have ended: conmon writes a file for each into the exits folder, which inotify tells of. */
#include "runtime.h"

#include <poll.h>
#include <sys/inotify.h>

#include "base/env.h"

/* Under the lock. */
static void add_pod(struct arena *a, struct val *pods, const struct container *k)
{
    for (const struct val *v = pods ? pods->first : NULL; v; v = v->next)
        if (str_is(val_str(v), k->uid))
            return;
    val_push(pods, val_of_str(a, arena_str(a, str_of(k->uid))));
}

/* Names of exit files that have come. */
static void take_events(struct runtime *rt, struct arena *a, struct val *pods)
{
    char at[8192] __attribute__((aligned(8)));
    pthread_mutex_lock(&rt->lock);
    for (ssize_t n; (n = read(rt->exits_fd, at, sizeof at)) > 0;) {
        for (ssize_t i = 0; i < n;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)(at + i);
            const struct container *k = e->len && id_valid(e->name) ? container_find(rt, e->name) : NULL;
            if (k)
                add_pod(a, pods, k);
            i += (ssize_t)(sizeof *e + e->len);
        }
    }
    pthread_mutex_unlock(&rt->lock);
}

/* Without inotify: whatever has ended since somebody looked. */
static void look_around(struct runtime *rt, struct arena *a, struct val *pods)
{
    pthread_mutex_lock(&rt->lock);
    list_each(node, &rt->containers) {
        struct container *k = list_item(node, struct container, in_rt);
        if (container_refresh(rt, k))
            add_pod(a, pods, k);
    }
    pthread_mutex_unlock(&rt->lock);
}

int rt_wait(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    struct runtime *rt = self;
    _cleanup_arena_ struct arena *a = arena_new(4 << 20);
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    struct val *v = val_new(a, VAL_OBJ), *pods = json_arr(a, v, STR("pods"));
    while (pods && pods->n == 0 && !kl_cancelled(c)) {
        struct pollfd at[2] = { { .fd = rt->exits_fd, .events = POLLIN }, { .fd = rt->wake_fd, .events = POLLIN } };
        int64_t left = c->deadline_ns ? (c->deadline_ns - env_mono_ns()) / NS_PER_MS : 1000;
        if (left < 0 || (poll(at, 2, (int)(left < 1000 ? left : 1000)) == 0 && c->deadline_ns && env_mono_ns() >= c->deadline_ns))
            break;
        if (rt->exits_fd < 0)
            look_around(rt, a, pods);
        else if (at[0].revents)
            take_events(rt, a, pods);
        if (at[1].revents)
            break;
    }
    return give_json(c, a, v, ret);
}
