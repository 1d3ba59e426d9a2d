/* audit.c - as of release 0.1: the audit trail in a file. On the loop nothing may block: lines are put into a pipe's room and written by a thread. */
#include <errno.h>
#include <fcntl.h>
#include <keelson/iface/audit.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct conf {
    const char *path;
    int64_t buffer;
};

struct trail {
    const struct kl_host *host;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    char *at, *other;                   /* what waits, and what is being written */
    size_t len, most;
    int fd, ending;
};

static void write_all(struct trail *t, const char *at, size_t n)
{
    while (n) {
        ssize_t done = write(t->fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            kl_log(t->host, KL_ERROR, "the trail cannot be written: %s", strerror(errno));
            return;
        }
        at += done;
        n -= (size_t)done;
    }
}

static void *run(void *arg)
{
    struct trail *t = arg;
    pthread_mutex_lock(&t->lock);
    while (t->len || !t->ending) {
        if (!t->len) {
            pthread_cond_wait(&t->more, &t->lock);
            continue;
        }
        char *full = t->at;
        size_t n = t->len;
        t->at = t->other;
        t->other = full;
        t->len = 0;
        pthread_mutex_unlock(&t->lock);
        write_all(t, full, n);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void drop(struct trail *t)
{
    if (t->fd >= 0)
        close(t->fd);
    free(t->at);
    free(t->other);
    free(t);
}

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const struct conf *x = conf;
    struct trail *t = calloc(1, sizeof *t);
    sigset_t all, old;
    if (!t)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    t->host = h;
    t->most = (size_t)x->buffer;
    t->at = malloc(t->most);
    t->other = malloc(t->most);
    t->fd = open(x->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (t->fd < 0 || !t->at || !t->other) {
        int rc = t->fd < 0 ? kl_fail(c, KL_INVALID, "'%s' cannot be opened: %s", x->path, strerror(errno)) : kl_fail(c, KL_NO_MEMORY, "out of memory");
        drop(t);
        return rc;
    }
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->more, NULL);
    sigfillset(&all);                   /* signals are the host's */
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int e = pthread_create(&t->thread, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e) {
        drop(t);
        return kl_fail(c, KL_NO_MEMORY, "no thread: %s", strerror(e));
    }
    *self = t;
    return 0;
}

static void close_(void *self)
{
    struct trail *t = self;
    pthread_mutex_lock(&t->lock);
    t->ending = 1;
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->more);
    drop(t);
}

static int take(void *self, struct kl_call *c, uint32_t n, struct kl_bytes lines)
{
    struct trail *t = self;
    int rc = 0;
    pthread_mutex_lock(&t->lock);
    if (lines.len > t->most - t->len) {
        rc = kl_fail(c, KL_TOO_MANY_REQUESTS, "%u events are lost: the disk is too slow", n);
    } else if (lines.len) {
        memcpy(t->at + t->len, lines.at, lines.len);
        t->len += lines.len;
        pthread_cond_signal(&t->more);
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

static const struct kl_audit table = { .size = sizeof table, .life = { .open = open_, .close = close_ }, .write = take };
static const struct kl_provider provides[] = { { KL_AUDIT_0, "old-audit", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "path", .type = KL_CONF_STR, .offset = offsetof(struct conf, path), .flags = KL_CONF_REQUIRED, .doc = "the file" },
    { .key = "buffer", .type = KL_CONF_QUANTITY, .offset = offsetof(struct conf, buffer), .fallback = "1Mi", .min = 65536, .max = 1 << 30, .doc = "what may wait to be written" },
};

KL_PLUGIN_DEFINE("org.example.old-audit", "0.1.0", "keelson.audit/0:old-audit", "", .summary = "the audit trail in a file", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
