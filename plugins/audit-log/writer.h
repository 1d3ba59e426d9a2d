/* writer.h - appends to a file on a thread of its own, and turns the file over when it is full. */
#ifndef AUDIT_LOG_WRITER_H
#define AUDIT_LOG_WRITER_H

#include <keelson/error.h>

#include "base/str.h"

struct writer_conf {
    const char *path;                   /* "-": standard output */
    int64_t max_size, max_backups, max_age_days, buffer;
};

struct writer;

/* Opens (or makes) the file. conf lives as long as the writer. say(ctx, text): trouble, once until it is over; on the thread. */
int writer_new(const struct writer_conf *c, void (*say)(void *ctx, const char *text), void *ctx, struct writer **ret, struct kl_err *err);
/* [any] Copies. False: the buffer is full (or, after a failed write, was lost), nothing was taken. */
bool writer_add(struct writer *w, struct str lines);
void writer_free(struct writer *w);     /* writes what is left; NULL is fine */

#endif
