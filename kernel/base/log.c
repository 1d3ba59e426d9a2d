/* log.c - see log.h. A line is one write(), so lines of several threads do not mix. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"

static int log_fd = STDERR_FILENO;
static _Atomic bool log_failed;
static char log_path[4096];
static enum kl_level log_most = KL_INFO;

int log_open(const char *path)
{
    if (!path) {
        log_fd = STDERR_FILENO;
        log_path[0] = '\0';
        return 0;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    if (path != log_path)
        snprintf(log_path, sizeof log_path, "%s", path);
    int old = log_fd;
    log_fd = fd;
    if (old > STDERR_FILENO)
        close(old);
    return 0;
}

void log_reopen(void)
{
    if (log_path[0])
        log_open(log_path);
}

void log_set_level(enum kl_level most)
{
    log_most = most;
}

bool log_on(enum kl_level level)
{
    return level <= log_most;
}

bool log_fails(void)
{
    return atomic_load_explicit(&log_failed, memory_order_relaxed);
}

void log_line(enum kl_level level, const char *who, const char *fmt, ...)
{
    if (!log_on(level))
        return;
    char line[2048], when[CLOCK_TEXT];
    clock_format_ms(env_wall_ns(), when);
    int n = snprintf(line, sizeof line - 1, "%s %c %s: ", when, "?EWID"[level], who);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - 1 - (size_t)n, fmt, ap);
    va_end(ap);
    size_t len = (size_t)n + (m < 0 ? 0 : (size_t)m);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    for (size_t i = (size_t)n; i < len; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';              /* what clients send must not forge lines */
    line[len++] = '\n';
    atomic_store_explicit(&log_failed, write(log_fd, line, len) < 0, memory_order_relaxed);     /* nowhere left to say it */
}
