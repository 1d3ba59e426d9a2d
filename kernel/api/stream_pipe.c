/* stream_pipe.c - descriptors watched by the loop: what is written waits in memory until they take it, what is read is asked for. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream-internal.h"

#define SLACK (64u << 10)               /* sent bytes are moved out of the way in this portion */

bool stream_pipe(int *ret_read, int *ret_write, bool we_read)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    fcntl(ends[we_read ? 0 : 1], F_SETFL, O_NONBLOCK);
    *ret_read = ends[0];
    *ret_write = ends[1];
    return true;
}

/* --- sink --- */

static ssize_t put(const struct stream_sink *k, struct str s)
{
    ssize_t n;
    do
        n = k->socket ? send(k->fd, s.at, s.len, MSG_NOSIGNAL) : write(k->fd, s.at, s.len);
    while (n < 0 && errno == EINTR);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}

static struct str waiting(const struct stream_sink *k)
{
    return str_skip(buf_str(&k->pending), k->at);
}

static void flush(struct stream_sink *k)
{
    bool full = stream_sink_full(k);
    while (waiting(k).len) {
        ssize_t n = put(k, waiting(k));
        if (n < 0) {                    /* nobody reads there any more */
            stream_sink_close(k);
            break;
        }
        if (n == 0)
            break;
        k->at += (size_t)n;
    }
    struct str left = waiting(k);
    if (k->at >= SLACK || !left.len) {
        memmove(k->pending.at ? k->pending.at : "", left.at, k->pending.at ? left.len : 0);
        k->pending.len = left.len;
        k->at = 0;
    }
    if (k->fd >= 0 && k->ending && !left.len) {
        if (k->socket)
            shutdown(k->fd, SHUT_WR);
        stream_sink_close(k);
    }
    if (k->fd >= 0)
        loop_fd_set(k->watch, left.len ? LOOP_WRITE : 0);
    if (full && !stream_sink_full(k) && k->drained)
        k->drained(k->ctx);
}

static void on_writable(void *ctx, int events)
{
    (void)events;
    flush(ctx);
}

bool stream_sink_open(struct stream_sink *k, struct loop *l, int fd)
{
    k->loop = l;
    k->fd = fd;
    k->watch = fd >= 0 ? loop_fd_new(l, fd, on_writable, k) : NULL;
    if (k->watch)
        return true;
    if (fd >= 0)
        close(fd);
    k->fd = -1;
    return false;
}

void stream_sink_write(struct stream_sink *k, struct str bytes)
{
    if (k->fd < 0 || k->ending)
        return;
    if (!waiting(k).len) {
        ssize_t n = put(k, bytes);
        if (n < 0) {
            stream_sink_close(k);
            return;
        }
        bytes = str_skip(bytes, (size_t)n);
    }
    if (!bytes.len)
        return;
    buf_add_str(&k->pending, bytes);
    if (k->pending.failed)
        stream_sink_close(k);           /* no memory: an end is better than a hole */
    else
        loop_fd_set(k->watch, LOOP_WRITE);
}

bool stream_sink_full(const struct stream_sink *k)
{
    return k->fd >= 0 && k->pending.len - k->at >= STREAM_QUEUED_MOST;
}

void stream_sink_end(struct stream_sink *k)
{
    if (k->fd < 0 || k->ending)
        return;
    k->ending = true;
    flush(k);
}

void stream_sink_close(struct stream_sink *k)
{
    loop_fd_free(k->watch);
    k->watch = NULL;
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
    k->at = 0;
    buf_free(&k->pending);
}

/* --- source --- */

bool stream_source_read(struct stream_source *s)
{
    static char room[64 << 10];
    ssize_t n;
    if (s->fd < 0)
        return false;
    do
        n = read(s->fd, room, sizeof room);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        s->data(s->ctx, s, str_n(room, (size_t)n));
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
        stream_source_close(s);
        s->eof(s->ctx, s);
    }
    return n > 0;
}

static void on_readable(void *ctx, int events)
{
    (void)events;
    stream_source_read(ctx);
}

bool stream_source_open(struct stream_source *s, struct loop *l, int fd)
{
    s->loop = l;
    s->fd = fd;
    s->watch = fd >= 0 ? loop_fd_new(l, fd, on_readable, s) : NULL;
    if (s->watch) {
        loop_fd_set(s->watch, LOOP_READ);
        return true;
    }
    if (fd >= 0)
        close(fd);
    s->fd = -1;
    return false;
}

void stream_source_want(struct stream_source *s, bool wanted)
{
    if (s->watch)
        loop_fd_set(s->watch, wanted ? LOOP_READ : 0);
}

void stream_source_close(struct stream_source *s)
{
    loop_fd_free(s->watch);
    s->watch = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
