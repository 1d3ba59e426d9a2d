/* writer.c - see writer.h. */
#include "writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/mem.h"

#define DAY_NS (86400 * NS_PER_S)
#define STAMP  23                       /* "2026-01-02T03-04-05.678" */

struct writer {
    const struct writer_conf *conf;
    void (*say)(void *ctx, const char *text);
    void *ctx;
    int fd;
    int64_t size;
    bool troubled;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct buf waiting;                 /* under lock */
    bool ending;                        /* under lock */
};

/* --- the file and those before it --- */

/* "/var/log/audit.log" -> folder "/var/log", stem "audit", tail ".log" */
struct parts {
    char folder[PATH_MAX], stem[NAME_MAX + 1], tail[NAME_MAX + 1];
};

static void split(const char *path, struct parts *p)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    size_t stem = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    snprintf(p->folder, sizeof p->folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (!p->folder[0])
        snprintf(p->folder, sizeof p->folder, "/");
    snprintf(p->stem, sizeof p->stem, "%.*s", (int)stem, name);
    snprintf(p->tail, sizeof p->tail, "%s", name + stem);
}

/* Is it a former file of ours? Its time then. */
static bool is_backup(const struct parts *p, const char *name, int64_t *ret_ns)
{
    size_t stem = strlen(p->stem), n = strlen(name);
    char text[STAMP + 2];
    if (n != stem + 1 + STAMP + strlen(p->tail) || strncmp(name, p->stem, stem) != 0 || name[stem] != '-' ||
        strcmp(name + stem + 1 + STAMP, p->tail) != 0)
        return false;
    snprintf(text, sizeof text, "%.*sZ", STAMP, name + stem + 1);
    text[13] = text[16] = ':';
    return clock_parse(str_of(text), ret_ns);
}

struct backup {
    char name[NAME_MAX + 1];
    int64_t ns;
};

static int newest_first(const void *x, const void *y)
{
    const struct backup *a = x, *b = y;
    return (a->ns < b->ns) - (a->ns > b->ns);
}

static size_t find_backups(const struct parts *p, struct backup **ret)
{
    struct backup *at = NULL;
    size_t n = 0, cap = 0;
    DIR *d = opendir(p->folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        int64_t ns;
        if (!is_backup(p, e->d_name, &ns))
            continue;
        if (n == cap) {
            struct backup *more = mem_resize(at, (cap = cap ? cap * 2 : 16) * sizeof *at);
            if (!more)
                break;
            at = more;
        }
        snprintf(at[n].name, sizeof at[n].name, "%s", e->d_name);
        at[n++].ns = ns;
    }
    if (d)
        closedir(d);
    if (n)
        qsort(at, n, sizeof *at, newest_first);
    *ret = at;
    return n;
}

static void remove_old(struct writer *w, const struct parts *p)
{
    struct backup *at = NULL;
    char path[PATH_MAX + NAME_MAX + 2];
    size_t n = find_backups(p, &at);
    int64_t oldest = env_wall_ns() - w->conf->max_age_days * DAY_NS;
    for (size_t i = 0; i < n; i++) {
        bool many = w->conf->max_backups && i >= (size_t)w->conf->max_backups, old = w->conf->max_age_days && at[i].ns < oldest;
        snprintf(path, sizeof path, "%s/%s", p->folder, at[i].name);
        if (many || old)
            unlink(path);
    }
    mem_free(at);
}

static int open_file(struct writer *w)
{
    struct stat st;
    w->fd = strcmp(w->conf->path, "-") == 0 ? dup(STDOUT_FILENO) : open(w->conf->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    w->size = w->fd >= 0 && fstat(w->fd, &st) == 0 ? st.st_size : 0;
    return w->fd < 0 ? -errno : 0;
}

/* Two files of one millisecond: the later one takes the next. */
static void turn_over(struct writer *w)
{
    struct parts p;
    char path[PATH_MAX + 2 * NAME_MAX + 40], stamp[CLOCK_TEXT];
    int64_t now = env_wall_ns();
    split(w->conf->path, &p);
    do {
        clock_format_ms(now, stamp);
        stamp[13] = stamp[16] = '-';
        snprintf(path, sizeof path, "%s/%s-%.*s%s", p.folder, p.stem, STAMP, stamp, p.tail);
        now += NS_PER_MS;
    } while (access(path, F_OK) == 0);
    close(w->fd);
    rename(w->conf->path, path);
    open_file(w);
    remove_old(w, &p);
}

/* --- the thread --- */

static int write_all(struct writer *w, struct str s)
{
    while (s.len) {
        ssize_t n = w->fd < 0 ? -1 : write(w->fd, s.at, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return w->fd < 0 ? -EBADF : -errno;
        w->size += n;
        s = str_skip(s, (size_t)n);
    }
    return 0;
}

/* As many whole lines as fit into room; at least one. */
static struct str fitting(struct str s, int64_t room)
{
    size_t n = 0;
    while (n < s.len) {
        size_t end = (size_t)((const char *)memchr(s.at + n, '\n', s.len - n) - s.at) + 1;
        if (n && (int64_t)end > room)
            break;
        n = end;
    }
    return str_n(s.at, n);
}

static void write_lines(struct writer *w, struct str s)
{
    char text[200];
    int rc = w->fd < 0 ? open_file(w) : 0;
    bool regular = strcmp(w->conf->path, "-") != 0;
    while (rc == 0 && s.len) {
        struct str part = regular ? fitting(s, w->conf->max_size - w->size) : s;
        if (regular && w->size && w->size + (int64_t)part.len > w->conf->max_size) {
            turn_over(w);
            part = fitting(s, w->conf->max_size);
        }
        rc = write_all(w, part);
        s = str_skip(s, part.len);
    }
    if (rc < 0 && !w->troubled) {
        snprintf(text, sizeof text, "the audit log cannot be written, events are lost: %s", strerror(-rc));
        w->say(w->ctx, text);
    }
    w->troubled = rc < 0;
}

static void *run(void *ctx)
{
    struct writer *w = ctx;
    struct buf mine = BUF_INIT((size_t)w->conf->buffer);
    for (;;) {
        pthread_mutex_lock(&w->lock);
        while (!w->waiting.len && !w->ending)
            pthread_cond_wait(&w->more, &w->lock);
        bool over = !w->waiting.len;
        struct buf full = w->waiting;
        w->waiting = mine;
        pthread_mutex_unlock(&w->lock);
        mine = full;
        if (over)
            break;
        write_lines(w, buf_str(&mine));
        buf_clear(&mine);
    }
    buf_free(&mine);
    return NULL;
}

/* --- life --- */

int writer_new(const struct writer_conf *c, void (*say)(void *ctx, const char *text), void *ctx, struct writer **ret, struct kl_err *err)
{
    struct writer *w = mem_alloc(sizeof *w);
    if (!w)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    *w = (struct writer){ .conf = c, .say = say, .ctx = ctx, .waiting = BUF_INIT((size_t)c->buffer) };
    int rc = open_file(w);
    if (rc < 0) {
        mem_free(w);
        return kl_err_set(err, KL_INVALID, "the audit log '%s' cannot be opened: %s", c->path, strerror(-rc));
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        close(w->fd);
        mem_free(w);
        return kl_err_set(err, KL_NO_MEMORY, "no thread for the audit log");
    }
    *ret = w;
    return 0;
}

bool writer_add(struct writer *w, struct str lines)
{
    pthread_mutex_lock(&w->lock);
    bool fits = w->waiting.len + lines.len <= w->waiting.max && (lines.len == 0 || lines.at[lines.len - 1] == '\n');
    if (fits) {
        buf_add_str(&w->waiting, lines);
        if (w->waiting.failed) {        /* out of memory: what waited is lost with it */
            buf_clear(&w->waiting);
            fits = false;
        }
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    return fits;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->more);
    if (w->fd >= 0)
        close(w->fd);
    buf_free(&w->waiting);
    mem_free(w);
}
