/* stream.c - one poll loop for exec's terminals and for attach. Buffers are fixed: a slow reader slows the writer. The far side is never
 * waited for: what takes no input must not hold up output, nor the end. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/env.h"
#include "base/str.h"

#define CHUNK 32768

struct pump {
    struct stream_pair *p;
    bool packets, in_open, over;
    char line[64];                      /* an unfinished resize line */
    size_t line_len;
    unsigned columns, rows, again;      /* the last size; how often it was said again */
    int64_t again_ns;                   /* when it is said again; 0: not any more */
    char chunk[CHUNK];
    char ahead[CHUNK];                  /* input that the far side has not taken yet */
    size_t ahead_len, ahead_at;
};

static bool write_all(int fd, const char *at, size_t n)
{
    while (fd >= 0 && n > 0) {
        ssize_t m = write(fd, at, n);
        if (m < 0 && errno == EAGAIN) {
            struct pollfd ready = { .fd = fd, .events = POLLOUT };
            poll(&ready, 1, 1000);
            continue;
        }
        if (m < 0 && errno != EINTR)
            return false;
        at += m > 0 ? m : 0;
        n -= m > 0 ? (size_t)m : 0;
    }
    return true;
}

static void from_far(struct pump *u)
{
    struct stream_pair *p = u->p;
    ssize_t n = read(p->far, u->chunk, sizeof u->chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {                       /* a terminal whose last user has gone gives EIO */
        u->over = true;
        return;
    }
    if (!u->packets) {
        u->over = !write_all(p->out, u->chunk, (size_t)n);
        return;
    }
    int to = u->chunk[0] == 3 ? p->err : p->out;
    if (u->chunk[0] == 2 || u->chunk[0] == 3)
        u->over = !write_all(to, u->chunk + 1, (size_t)n - 1);
}

static void to_far(struct pump *u)
{
    while (u->ahead_at < u->ahead_len) {
        ssize_t n = write(u->p->far, u->ahead + u->ahead_at, u->ahead_len - u->ahead_at);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno != EINTR) {
            u->over = true;
            return;
        }
        u->ahead_at += n > 0 ? (size_t)n : 0;
    }
    u->ahead_at = u->ahead_len = 0;
}

/* Called when nothing is ahead. */
static void from_caller(struct pump *u)
{
    ssize_t n = read(u->p->in, u->ahead, u->packets ? 8192 : sizeof u->ahead);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    u->ahead_len = n > 0 ? (size_t)n : 0;
    if (n <= 0) {
        u->in_open = false;
        if (u->packets)
            shutdown(u->p->far, SHUT_WR);
        else
            u->ahead[u->ahead_len++] = 4;       /* end of file, as a terminal's user would type it */
    }
    to_far(u);
}

/* Whose input is all that keeps it leaves when that has been taken; what came meanwhile is carried. */
static bool has_said_all(const struct pump *u)
{
    return u->p->in >= 0 && !u->in_open && !u->ahead_len && u->p->in_ends;
}

static const int64_t again_after_ns[] = { 300 * NS_PER_MS, 2 * NS_PER_S };
#define AGAIN_MOST (sizeof again_after_ns / sizeof *again_after_ns)

static void take_size(struct pump *u, unsigned columns, unsigned rows)
{
    u->columns = columns;
    u->rows = rows;
    u->again = 0;
    u->again_ns = u->p->size_again ? env_mono_ns() + again_after_ns[0] : 0;
    u->p->set_size(u->p->ctx, columns, rows);
}

static void say_size_again(struct pump *u)
{
    int64_t now = env_mono_ns();
    if (!u->again_ns || now < u->again_ns)
        return;
    u->p->set_size(u->p->ctx, u->columns, u->rows);
    u->again_ns = ++u->again < AGAIN_MOST ? now + again_after_ns[u->again] : 0;
}

/* Milliseconds until something is due by itself. Who reads and goes away is noticed at once; who does not read is looked for now and then. */
static int patience(const struct pump *u)
{
    int64_t most = u->p->out >= 0 ? 1000 : 200, left = u->again_ns ? (u->again_ns - env_mono_ns()) / NS_PER_MS + 1 : most;
    return (int)(left < 0 ? 0 : left < most ? left : most);
}

static void from_resize(struct pump *u)
{
    char at[256];
    ssize_t n = read(u->p->resize, at, sizeof at);
    if (n <= 0 && errno != EAGAIN && errno != EINTR)
        u->p->resize = -1;
    for (ssize_t i = 0; i < n; i++) {
        if (at[i] != '\n') {
            if (u->line_len < sizeof u->line)
                u->line[u->line_len++] = at[i];
            continue;
        }
        struct str rest = str_n(u->line, u->line_len);
        int64_t columns, rows;
        if (str_int(str_cut(&rest, ' '), &columns) && str_int(rest, &rows) && columns > 0 && rows > 0 && columns < 65536 &&
            rows < 65536)
            take_size(u, (unsigned)columns, (unsigned)rows);
        u->line_len = 0;
    }
}

/* What the process wrote before it ended. */
static void drain(struct pump *u)
{
    struct pollfd far = { .fd = u->p->far, .events = POLLIN };
    while (!u->over && poll(&far, 1, 0) > 0 && (far.revents & POLLIN))
        from_far(u);
}

static int give_up(const struct kl_call *c)
{
    if (c && c->deadline_ns && env_mono_ns() >= c->deadline_ns)
        return KL_TIMEOUT;
    return c && kl_cancelled(c) ? KL_CANCELLED : 0;
}

static int run(struct pump *u)
{
    struct stream_pair *p = u->p;
    u->in_open = p->in >= 0;
    fcntl(p->far, F_SETFL, fcntl(p->far, F_GETFL) | O_NONBLOCK);
    while (!u->over) {
        bool waits = u->ahead_len > 0;
        struct pollfd at[] = { { .fd = p->far, .events = (short)(POLLIN | (waits ? POLLOUT : 0)) },
                               { .fd = u->in_open && !waits ? p->in : -1, .events = POLLIN },
                               { .fd = p->resize, .events = POLLIN }, { .fd = p->done, .events = POLLIN },
                               { .fd = p->out, .events = 0 } };
        poll(at, sizeof at / sizeof *at, patience(u));
        say_size_again(u);
        int why = give_up(p->call);
        if (why)
            return why;
        if (at[2].revents)
            from_resize(u);
        if (at[0].revents & (POLLOUT | POLLERR) && waits)
            to_far(u);
        if (at[1].revents)
            from_caller(u);
        if (at[0].revents & ~POLLOUT)
            from_far(u);
        if (at[3].revents || has_said_all(u)) {
            drain(u);
            return 0;
        }
        if (at[4].revents & (POLLERR | POLLNVAL))       /* nobody reads any more */
            return 0;
    }
    return 0;
}

int stream_terminal(struct stream_pair *p)
{
    struct pump u = { .p = p };
    return run(&u);
}

int stream_packets(struct stream_pair *p)
{
    struct pump u = { .p = p, .packets = true };
    return run(&u);
}
