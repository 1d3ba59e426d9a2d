/* logread.c - see serve.h: where to begin in a log file, its records, and going on in the next file after a rotation. */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define BLOCK (64u << 10)
#define RECORD_MOST (1u << 20)

bool log_line_parse(struct str line, struct log_line *ret)
{
    struct str when = str_cut(&line, ' '), stream = line.at ? str_cut(&line, ' ') : STR_NONE;
    struct str tags = line.at ? str_cut(&line, ' ') : STR_NONE;
    if (!clock_parse(when, &ret->wall_ns) || (!str_is(stream, "stdout") && !str_is(stream, "stderr")))
        return false;
    struct str tag = str_cut(&tags, ':');       /* more may follow, for later versions */
    ret->err = str_is(stream, "stderr");
    ret->partial = str_is(tag, "P");
    ret->text = line.at ? line : STR("");
    return ret->partial || str_is(tag, "F");
}

static void put(struct log_reader *r, struct str s)
{
    if (r->left >= 0 && (int64_t)s.len >= r->left) {
        s.len = (size_t)r->left;
        r->done = true;
    }
    r->left -= r->left >= 0 ? (int64_t)s.len : 0;
    while (s.len) {
        ssize_t n = write(r->out, s.at, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r->done = true;                 /* nobody reads any more */
            return;
        }
        s = str_skip(s, (size_t)n);
    }
}

static void record(struct log_reader *r, struct str line, struct buf *out)
{
    struct log_line l;
    char when[CLOCK_TEXT];
    bool new_enough = r->options->size >= offsetof(struct kl_log_options, streams) + sizeof r->options->streams;
    uint32_t only = new_enough ? r->options->streams : 0;
    if (!log_line_parse(line, &l))
        return;                             /* damaged: the next one may be whole */
    if (l.wall_ns < r->options->since_wall_ns || (only && only != (l.err ? 2u : 1u)))
        return;
    if (r->options->timestamps && !r->middle) {
        clock_format_nano(l.wall_ns, when);
        buf_printf(out, "%s ", when);
    }
    buf_add_str(out, l.text);
    if (!l.partial)
        buf_add_c(out, '\n');
    r->middle = l.partial;
}

/* Whole records of what was gathered; the rest stays. */
static void records(struct log_reader *r)
{
    _cleanup_buf_ struct buf out = BUF_INIT(0);
    struct str s = buf_str(&r->buf);
    for (long n; (n = str_find(s, '\n')) >= 0; s = str_skip(s, (size_t)n + 1)) {
        record(r, str_n(s.at, (size_t)n), &out);
        if (out.len < BLOCK)
            continue;
        put(r, buf_str(&out));
        buf_clear(&out);
        if (r->done)
            return;
    }
    put(r, buf_str(&out));
    memmove(r->buf.at ? r->buf.at : "", s.at, r->buf.at ? s.len : 0);
    r->buf.len = s.len < RECORD_MOST ? s.len : 0;
}

/* The place behind the last newline but `lines`; a last line without newline counts. 0: from the start. */
static off_t tail_start(int fd, int64_t lines)
{
    char block[4096];
    off_t end = lseek(fd, 0, SEEK_END), at = end;
    if (lines <= 0)
        return end;
    while (at > 0) {
        size_t n = at < (off_t)sizeof block ? (size_t)at : sizeof block;
        at -= (off_t)n;
        if (pread(fd, block, n, at) != (ssize_t)n)
            return 0;
        for (size_t i = n; i-- > 0;)
            if (block[i] == '\n' && at + (off_t)i + 1 < end && lines-- == 1)
                return at + (off_t)i + 1;
    }
    return 0;
}

/* A log that the pod could have put there itself, by a link or a device, must never be read. */
static int open_file(const char *path, struct kl_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return kl_err_set(err, errno == ENOENT ? KL_NOT_FOUND : KL_INTERNAL, "failed to try resolving symlinks in path \"%.120s\": %s", path,
                          strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink > 1 || (st.st_uid != 0 && st.st_uid != geteuid())) {
        close(fd);
        return kl_err_set(err, KL_INTERNAL, "'%.150s' is no log file of this node", path);
    }
    return fd;
}

int log_open(struct log_reader *r, const char *path, const struct kl_log_options *o, int out, struct kl_err *err)
{
    *r = (struct log_reader){ .options = o, .out = out, .path = path, .fd = open_file(path, err), .buf = BUF_INIT(4 * RECORD_MOST),
                              .left = o->limit_bytes >= 0 ? o->limit_bytes : -1 };
    if (r->fd < 0)
        return r->fd;
    if (o->tail_lines >= 0)
        lseek(r->fd, tail_start(r->fd, o->tail_lines), SEEK_SET);
    return 0;
}

void log_close(struct log_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    buf_free(&r->buf);
}

static void read_rest(struct log_reader *r)
{
    for (ssize_t n = 1; n > 0 && !r->done;) {
        char *room = buf_room(&r->buf, BLOCK);
        n = room ? read(r->fd, room, BLOCK) : -1;
        if (n < 0 && room && errno == EINTR)
            n = 1;
        else if (n > 0) {
            r->buf.len += (size_t)n;
            records(r);
        }
        r->done |= !room;
    }
}

/* Another file has taken the path: a rotation. */
static bool moved(const struct log_reader *r)
{
    struct stat mine, now;
    return fstat(r->fd, &mine) == 0 && lstat(r->path, &now) == 0 && (mine.st_ino != now.st_ino || mine.st_dev != now.st_dev);
}

bool log_read(struct log_reader *r)
{
    read_rest(r);
    while (!r->done && moved(r)) {
        int next = open_file(r->path, NULL);
        if (next < 0)
            break;
        read_rest(r);                       /* what came between the last look and the new file */
        close(r->fd);
        r->fd = next;
        read_rest(r);
    }
    return !r->done;
}
