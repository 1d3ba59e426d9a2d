/* message.c - the words a container leaves behind: its termination message file, or the end of its log. */
#include "agent.h"
#include "serve.h"

#include <fcntl.h>
#include <sys/stat.h>

#define MESSAGE_MOST   4096
#define LOG_TAIL_BYTES 2048
#define LOG_TAIL_LINES 80
#define LOG_READ       16384            /* raw bytes looked at: lines carry a time and a stream each */

static struct str raw_tail(struct arena *ar, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char *at = arena_raw(ar, LOG_READ);
    struct stat st;
    if (fd < 0 || !at || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return STR_NONE;
    bool whole = st.st_size <= LOG_READ;
    ssize_t n = pread(fd, at, LOG_READ, whole ? 0 : st.st_size - LOG_READ);
    struct str s = str_n(at, n > 0 ? (size_t)n : 0);
    if (!whole)
        str_cut(&s, '\n');                  /* the first line is half a line */
    return s;
}

/* Of the last lines, as many as fit: the end tells more than the beginning. */
static struct str log_tail(struct arena *ar, const char *path)
{
    struct str lines[LOG_TAIL_LINES];
    size_t n = 0;
    for (struct str rest = raw_tail(ar, path); rest.at && rest.len;)
        lines[n++ % LOG_TAIL_LINES] = str_cut(&rest, '\n');
    _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
    for (size_t i = n > LOG_TAIL_LINES ? n - LOG_TAIL_LINES : 0; i < n; i++) {
        struct log_line l;
        if (!log_line_parse(lines[i % LOG_TAIL_LINES], &l))
            continue;
        buf_add_str(&b, l.text);
        if (!l.partial)                     /* it was written without its end */
            buf_add_c(&b, '\n');
    }
    struct str all = b.failed ? STR("") : buf_str(&b);
    return arena_str(ar, all.len > LOG_TAIL_BYTES ? str_skip(all, all.len - LOG_TAIL_BYTES) : all);
}

/* Bytes that are no text cannot stand in JSON; what is half a character at a cut end neither. */
static struct str clean(struct arena *ar, struct str s)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8 * MESSAGE_MOST);
    struct kl_err err;
    kl_err_init(&err);
    json_write_str(&b, s);
    const struct val *v = b.failed ? NULL : json_parse(ar, arena_str(ar, buf_str(&b)), &err);
    return v ? val_str(v) : STR("");
}

struct str message_of(const struct agent *a, const struct pod_view *v, const struct ctr *k, const struct val *record)
{
    struct arena *ar = v->arena;
    char *tail = arena_printf(ar, "/messages/" STR_FMT ".%lld", STR_ARG(k->name), (long long)json_int(record, "metadata.attempt", 0));
    char *path = tail ? pod_path(a, ar, v->uid, tail) : NULL;
    struct str text = path ? fs_get(ar, path, MESSAGE_MOST) : STR_NONE;
    if (text.len)
        return clean(ar, text);
    bool falls_back = str_is(json_str(k->spec, "terminationMessagePolicy"), "FallbackToLogsOnError");
    char *log = arena_dup(ar, json_str(record, "logPath"));
    if (falls_back && json_int(record, "exitCode", 0) != 0 && log && log[0])
        text = log_tail(ar, log);
    return text.len ? clean(ar, text) : json_str(record, "message");
}
