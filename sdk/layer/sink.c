/* sink.c - see sink.h. */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct sink {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    char *at, *other;                   /* what waits, and what is being written */
    size_t len, most;
    uint64_t lost;
    int fd;
    bool ending;
};

static void write_all(int fd, const char *at, size_t n)
{
    while (n) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        at += done;
        n -= (size_t)done;
    }
}

static void *run(void *arg)
{
    struct sink *s = arg;
    pthread_mutex_lock(&s->lock);
    while (s->len || !s->ending) {
        if (!s->len) {
            pthread_cond_wait(&s->more, &s->lock);
            continue;
        }
        char *full = s->at;
        size_t n = s->len;
        s->at = s->other;
        s->other = full;
        s->len = 0;
        pthread_mutex_unlock(&s->lock);
        write_all(s->fd, full, n);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void drop(struct sink *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->at);
    free(s->other);
    free(s);
}

struct sink *sink_open(const char *path, size_t most, struct kl_call *c)
{
    struct sink *s = calloc(1, sizeof *s);
    sigset_t all, old;
    if (!s) {
        kl_fail(c, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    s->most = most;
    s->at = malloc(most);
    s->other = malloc(most);
    s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->fd < 0 || !s->at || !s->other) {
        if (s->fd < 0)
            kl_fail(c, KL_INVALID, "'%s' cannot be written: %s", path, strerror(errno));
        else
            kl_fail(c, KL_NO_MEMORY, "out of memory");
        drop(s);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    sigfillset(&all);                   /* signals are the host's */
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int e = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e) {
        kl_fail(c, KL_NO_MEMORY, "no thread: %s", strerror(e));
        drop(s);
        return NULL;
    }
    return s;
}

bool sink_add(struct sink *s, struct str text)
{
    pthread_mutex_lock(&s->lock);
    bool room = text.len <= s->most - s->len;
    if (room) {
        memcpy(s->at + s->len, text.at, text.len);
        s->len += text.len;
        pthread_cond_signal(&s->more);
    } else {
        s->lost++;
    }
    pthread_mutex_unlock(&s->lock);
    return room;
}

uint64_t sink_lost(struct sink *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t lost = s->lost;
    pthread_mutex_unlock(&s->lock);
    return lost;
}

void sink_close(struct sink *s, struct str tail)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    write_all(s->fd, tail.at, tail.len);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->more);
    drop(s);
}
