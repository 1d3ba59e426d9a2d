/* log.h - one line per event: "2026-01-02T03:04:05.678Z I store-wal: text". To standard error or a file. [any] */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <keelson/host.h>

/* path NULL: standard error. 0 or -errno. */
int log_open(const char *path);
bool log_fails(void);                   /* the last line could not be written */
/* Opens the path again (log rotation). */
void log_reopen(void);
void log_set_level(enum kl_level most);
bool log_on(enum kl_level level);
/* who: an instance or a folder of the kernel. */
__attribute__((format(printf, 3, 4))) void log_line(enum kl_level level, const char *who, const char *fmt, ...);

#define log_error(who, ...) log_line(KL_ERROR, (who), __VA_ARGS__)
#define log_warn(who, ...)  log_line(KL_WARN, (who), __VA_ARGS__)
#define log_info(who, ...)  log_line(KL_INFO, (who), __VA_ARGS__)
#define log_debug(who, ...) \
    do { \
        if (log_on(KL_DEBUG)) \
            log_line(KL_DEBUG, (who), __VA_ARGS__); \
    } while (0)

#endif
