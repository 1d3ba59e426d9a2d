/* cleanup.h - locals that clean up after themselves. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

static inline void cleanup_mem_p(void *p)
{
    mem_free(*(void **)p);
}
static inline void cleanup_fd_p(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
static inline void cleanup_file_p(FILE **f)
{
    if (*f)
        fclose(*f);
}
static inline void cleanup_arena_p(struct arena **a)
{
    arena_free(*a);
}

#define _cleanup_free_  __attribute__((cleanup(cleanup_mem_p)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_fd_p)))
#define _cleanup_file_  __attribute__((cleanup(cleanup_file_p)))
#define _cleanup_arena_ __attribute__((cleanup(cleanup_arena_p)))
#define _cleanup_buf_   __attribute__((cleanup(buf_free)))

#define TAKE_PTR(p) \
    ({ \
        __typeof__(p) taken_ = (p); \
        (p) = NULL; \
        taken_; \
    })
#define TAKE_FD(fd) \
    ({ \
        int taken_ = (fd); \
        (fd) = -1; \
        taken_; \
    })

#endif
