/* lane.c - see lane.h. */
#include "isolate/lane.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/env.h"

#define SLICE_NS (50 * NS_PER_MS)       /* longest sleep before looking around: a wake-up may have been kept from us */
#define SPINS    1500                   /* some 20 us */

size_t lanes_bytes(void)
{
    return LANES * sizeof(struct lane_shared);
}

void lanes_make(struct lane_shared *all)
{
    for (unsigned i = LANES_DOWN; i < LANES; i++)
        atomic_store(&all[i].turn, 1);
}

void lane_init(struct lane *l, struct lane_shared *all, unsigned index, unsigned side, struct lane_post *post, const atomic_bool *dead)
{
    *l = (struct lane){ .shared = &all[index], .post = post, .dead = dead, .turn = index < LANES_DOWN ? 0 : 1, .index = index, .side = side,
                        .out = BUF_INIT(MESSAGE_MOST) };
}

/* --- turns --- */

static void futex_wait(_Atomic uint32_t *at, uint32_t value, int64_t ns)
{
    struct timespec t = { ns / NS_PER_S, ns % NS_PER_S };
    syscall(SYS_futex, at, FUTEX_WAIT, value, &t, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *at)
{
    syscall(SYS_futex, at, FUTEX_WAKE, 64, NULL, NULL, 0);
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ __volatile__("yield");
#endif
}

static void hand_over(struct lane *l)
{
    struct lane_shared *s = l->shared;
    atomic_store(&s->turn, ++l->turn);
    if (atomic_load(&s->asleep[!l->side]))
        futex_wake(&s->turn);
}

static int nap(struct lane *l, const struct lane_patience *p)
{
    struct lane_shared *s = l->shared;
    int64_t ns = SLICE_NS;
    if (l->dead && atomic_load(l->dead))
        return LANE_DEAD;
    if (p->until_ns) {
        int64_t left = p->until_ns - env_mono_ns();
        if (left <= 0)
            return LANE_LATE;
        ns = left < ns ? left : ns;
    }
    if (p->call && kl_cancelled(p->call))
        atomic_store(&s->cancel[l->side], 1);
    atomic_store(&s->asleep[l->side], 1);
    if (atomic_load(&s->turn) == l->turn)
        futex_wait(&s->turn, l->turn, ns);
    atomic_store(&s->asleep[l->side], 0);
    return LANE_OK;
}

/* Until the turn is ours. */
static int await(struct lane *l, const struct lane_patience *p)
{
    uint32_t now = 0;
    for (unsigned i = 0; i < SPINS; i++) {
        if ((now = atomic_load_explicit(&l->shared->turn, memory_order_acquire)) != l->turn)
            break;
        relax();
    }
    while ((now = atomic_load(&l->shared->turn)) == l->turn) {
        int rc = nap(l, p);
        if (rc < 0)
            return rc;
    }
    if (now != l->turn + 1)
        return LANE_BROKEN;
    l->turn = now;
    return LANE_OK;
}

/* --- messages --- */

static int copy_out(struct lane *l, const char *at, size_t n, const struct lane_patience *p)
{
    size_t part = n < LANE_BYTES ? n : LANE_BYTES;
    memcpy(l->shared->at, at, part);
    l->shared->part = (uint32_t)part;
    hand_over(l);
    for (size_t done = part; done < n; done += part) {
        int rc = await(l, p);
        if (rc < 0)
            return rc;
        if (l->shared->type != MESSAGE_MORE)
            return LANE_BROKEN;
        part = n - done < LANE_BYTES ? n - done : LANE_BYTES;
        memcpy(l->shared->at, at + done, part);
        l->shared->part = (uint32_t)part;
        hand_over(l);
    }
    return LANE_OK;
}

static int send_fds(struct lane *l, const int *fds, unsigned n)
{
    union {
        char at[CMSG_SPACE(WIRE_FDS * sizeof(int))];
        struct cmsghdr align;
    } room = { { 0 } };
    uint32_t lane = l->index;
    struct iovec v = { &lane, sizeof lane };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.at, .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    struct pollfd pf = { l->post->socket, POLLOUT, 0 };
    while (sendmsg(l->post->socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return LANE_BROKEN;
        if (l->side == SIDE_DAEMON || poll(&pf, 1, 1000) <= 0)
            return LANE_BROKEN;         /* who does not read gets no more */
    }
    return LANE_OK;
}

int lane_send(struct lane *l, enum message_type type, const int *fds, unsigned n_fds, const struct lane_patience *p)
{
    if (l->out.failed || l->out.len > MESSAGE_MOST || (n_fds && send_fds(l, fds, n_fds) < 0))
        return LANE_BROKEN;
    l->shared->type = type;
    l->shared->total = (uint32_t)l->out.len;
    l->shared->fds = n_fds;
    return copy_out(l, l->out.at ? l->out.at : "", l->out.len, p);
}

int lane_receive(struct lane *l, struct lane_message *m, const struct lane_patience *p)
{
    int rc = await(l, p);
    if (rc < 0)
        return rc;
    *m = (struct lane_message){ .type = l->shared->type, .len = l->shared->total, .n_fds = l->shared->fds };
    bool sound = (m->type == MESSAGE_CALL || m->type == MESSAGE_REPLY) && m->len <= MESSAGE_MOST && m->n_fds <= WIRE_FDS;
    return sound ? LANE_OK : LANE_BROKEN;
}

/* --- descriptors --- */

static void keep(struct lane_post *p, uint32_t lane, const int *fds, unsigned n)
{
    bool wrong = lane >= LANES || p->n[lane];
    for (unsigned i = 0; i < n; i++) {
        if (wrong || i >= WIRE_FDS)
            close(fds[i]);
        else
            p->fds[lane][p->n[lane]++] = fds[i];
    }
}

static bool read_post(struct lane_post *p)
{
    union {
        char at[CMSG_SPACE(WIRE_FDS * sizeof(int))];
        struct cmsghdr align;
    } room;
    uint32_t lane = LANES;
    int fds[WIRE_FDS];
    struct iovec v = { &lane, sizeof lane };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.at, .msg_controllen = sizeof room.at };
    ssize_t got = recvmsg(p->socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            n = n < WIRE_FDS ? n : WIRE_FDS;
            memcpy(fds, CMSG_DATA(c), n * sizeof(int));
            keep(p, got == sizeof lane ? lane : LANES, fds, n);
        }
    return got > 0;
}

static bool take_fds(struct lane *l, struct lane_message *m, unsigned n)
{
    struct lane_post *p = l->post;
    pthread_mutex_lock(&p->lock);
    while (!p->n[l->index] && read_post(p)) { }
    bool there = p->n[l->index] == n;
    for (unsigned i = 0; i < p->n[l->index]; i++) {
        if (there)
            m->fds[i] = p->fds[l->index][i];
        else
            close(p->fds[l->index][i]);
    }
    p->n[l->index] = 0;
    pthread_mutex_unlock(&p->lock);
    m->n_fds = there ? n : 0;
    return there;
}

int lane_take(struct lane *l, struct lane_message *m, char *at, const struct lane_patience *p)
{
    unsigned n_fds = m->n_fds;
    m->n_fds = 0;
    for (size_t done = 0;;) {
        size_t part = l->shared->part;
        if (part > LANE_BYTES || part > m->len - done || (!part && done < m->len))
            return LANE_BROKEN;
        memcpy(at + done, l->shared->at, part);
        if ((done += part) == m->len)
            break;
        l->shared->type = MESSAGE_MORE;
        hand_over(l);
        int rc = await(l, p);
        if (rc < 0)
            return rc;
    }
    at[m->len] = '\0';
    return !n_fds || take_fds(l, m, n_fds) ? LANE_OK : LANE_BROKEN;
}

void lane_close_fds(struct lane_message *m)
{
    for (unsigned i = 0; i < m->n_fds; i++)
        if (m->fds[i] >= 0)
            close(m->fds[i]);
    m->n_fds = 0;
}

void lanes_wake(struct lane_shared *all)
{
    for (unsigned i = 0; i < LANES; i++)
        futex_wake(&all[i].turn);
}

void lane_post_init(struct lane_post *p, int socket)
{
    p->socket = socket;
    pthread_mutex_init(&p->lock, NULL);
    memset(p->n, 0, sizeof p->n);
}

void lane_post_end(struct lane_post *p)
{
    for (unsigned i = 0; i < LANES; i++)
        for (unsigned k = 0; k < p->n[i]; k++)
            close(p->fds[i][k]);
    pthread_mutex_destroy(&p->lock);
}
