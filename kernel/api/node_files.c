/* node_files.c - /logs/: files below /var/log and lists of its folders. A link counts as long as it stays there: containers may write into that folder, and what a link
 * of theirs leads to is read with the node's rights. Only regular files are sent: the rest has no end, or waits for somebody. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node_paths-internal.h"

#define LOGS         "/var/log"
#define ENTRIES_MOST 65536u
#define PIECE        65536

static int open_below(const char *folder, const char *path)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    _cleanup_close_ int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -1 : (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* --- a file --- */

/* The node's table, for one file: the descriptor is the call's `self`. [worker] */
static int send_file(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_log_options *o, int32_t fd)
{
    _cleanup_close_ int file = (int)(intptr_t)self;
    char *at = malloc(PIECE);
    ssize_t n = 0;
    (void)ns;
    (void)pod;
    (void)container;
    (void)o;
    while (at && !kl_cancelled(c) && (n = read(file, at, PIECE)) > 0)
        for (ssize_t done = 0, m; done < n; done += m)
            if ((m = write(fd, at + done, (size_t)(n - done))) <= 0) {
                free(at);
                return 0;               /* nobody reads any more */
            }
    free(at);
    return n < 0 ? kl_fail(c, KL_INTERNAL, "the file cannot be read") : 0;
}

static void failed(void *ctx, const struct kl_err *err)
{
    ask_refuse(ctx, err);
}

/* What it is, by its beginning. */
static const char *type_of(int fd)
{
    unsigned char at[512];
    ssize_t n = pread(fd, at, sizeof at, 0);
    for (ssize_t i = 0; i < n; i++)
        if (at[i] < ' ' && !strchr("\t\n\f\r\033", at[i]))
            return "application/octet-stream";
    return "text/plain; charset=utf-8";
}

static void send_it(struct ask *q, int fd)
{
    static const struct kl_node table = { .size = sizeof table, .logs = send_file };
    struct http_header *h = arena_alloc(q->arena, 2 * sizeof *h);
    struct stream_log how = { .headers = h, .n_headers = 2, .fail = failed, .ctx = q, .options = { .size = sizeof how.options } };
    struct kl_err err;
    kl_err_init(&err);
    if (!h) {
        close(fd);
        ask_refuse_with(q, KL_NO_MEMORY, "out of memory");
        return;
    }
    h[0] = (struct http_header){ STR("content-type"), str_of(type_of(fd)) };
    h[1] = (struct http_header){ STR("x-content-type-options"), STR("nosniff") };
    q->at = (struct stream_target){ .node = &table, .self = (void *)(intptr_t)fd, .ns = "", .pod = "", .container = "" };
    if (stream_log(q->paths->streams, q->http, &q->at, &how, &err) < 0) {
        close(fd);
        ask_refuse(q, &err);
    }
}

/* --- a folder --- */

static int by_name(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void add_escaped(struct buf *b, const char *name)
{
    static const struct {
        char c;
        const char *text;
    } rows[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&#34;" }, { '\'', "&#39;" } };
    for (; *name; name++) {
        size_t i = 0;
        while (i < sizeof rows / sizeof *rows && rows[i].c != *name)
            i++;
        if (i < sizeof rows / sizeof *rows)
            buf_add_z(b, rows[i].text);
        else
            buf_add_c(b, *name);
    }
}

static void add_entry(struct buf *b, const char *name)
{
    size_t n = strlen(name);
    bool folder = n && name[n - 1] == '/';
    buf_add_z(b, "<a href=\"");
    http_encode(b, str_n(name, n - folder));
    buf_add_z(b, folder ? "/\">" : "\">");
    add_escaped(b, name);
    buf_add_z(b, "</a>\n");
}

static bool is_folder(int dir, const struct dirent *e)
{
    struct stat st;
    return e->d_type == DT_DIR || (e->d_type == DT_UNKNOWN && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode));
}

static void list(struct ask *q, int fd)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16u << 20);
    const char **names = arena_raw(q->arena, ENTRIES_MOST * sizeof *names);
    DIR *d = names ? fdopendir(fd) : NULL;
    size_t n = 0;
    if (!d) {
        close(fd);
        ask_refuse_with(q, KL_NO_MEMORY, "out of memory");
        return;
    }
    for (struct dirent *e; n < ENTRIES_MOST && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            (names[n] = arena_printf(q->arena, "%s%s", e->d_name, is_folder(dirfd(d), e) ? "/" : "")))
            n++;
    closedir(d);
    qsort(names, n, sizeof *names, by_name);
    buf_add_z(&b, "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n");
    for (size_t i = 0; i < n; i++)
        add_entry(&b, names[i]);
    buf_add_z(&b, "</pre>\n");
    struct str text = b.failed ? STR_NONE : arena_str(q->arena, buf_str(&b));
    if (text.at)
        ask_reply(q, 200, "text/html; charset=utf-8", text);
    else
        ask_refuse_with(q, KL_NO_MEMORY, "out of memory");
}

/* A folder's links are relative: its own path ends with a slash. */
static void redirect(struct ask *q)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    http_encode(&b, str_of(q->path.seg[q->path.n - 1]));
    buf_add_c(&b, '/');
    struct http_header h[] = { { STR("location"), b.failed ? STR("/") : arena_str(q->arena, buf_str(&b)) } };
    http_reply(q->http, 301, h, 1, (struct http_slice){ .data = STR("") });
}

void ask_files(struct ask *q)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct stat st;
    for (unsigned i = 1; i < q->path.n; i++) {
        buf_add_z(&b, i > 1 ? "/" : "");
        buf_add_z(&b, q->path.seg[i]);
    }
    buf_add_z(&b, q->path.n > 1 ? "" : ".");
    buf_add_c(&b, '\0');
    int fd = b.failed ? -1 : open_below(q->paths->logs ? q->paths->logs : LOGS, b.at);
    if (fd < 0) {
        bool no_rights = errno == EACCES || errno == EPERM;
        ask_refuse_with(q, no_rights ? KL_FORBIDDEN : KL_NOT_FOUND, no_rights ? "403 Forbidden" : "404 page not found");
        return;
    }
    bool ok = fstat(fd, &st) == 0;
    if (ok && S_ISREG(st.st_mode)) {
        send_it(q, fd);
    } else if (ok && S_ISDIR(st.st_mode) && q->path.slash) {
        list(q, fd);
    } else {
        close(fd);
        if (ok && S_ISDIR(st.st_mode))
            redirect(q);
        else
            ask_refuse_with(q, KL_NOT_FOUND, "404 page not found");
    }
}
