/* arena.h - memory that lives and dies together: one per request, reconcile or instance.
 *
 * Allocation fails (NULL) past the cap or when memory is out; callers check it. Not thread-safe: one owner at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena;

/* cap: most bytes it may hold, 0: no cap. NULL when out of memory. */
struct arena *arena_new(size_t cap);
/* For what holds little for long, such as the headers of a request. */
struct arena *arena_new_small(size_t cap);
/* Runs clean-ups, newest first, then frees. NULL is fine. Returns NULL. */
struct arena *arena_free(struct arena *a);
/* This thread's arena_free keeps up to n arenas (at most 16), each with one chunk of at most 64 KiB, for arena_new. 0, as at the start: none; what
 * is kept is freed. A thread that has kept any calls arena_keep(0) before it ends. */
void arena_keep(unsigned n);
/* The same, but keeps one chunk for the next use. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t n);                   /* zeroed, aligned to 8 */
void *arena_raw(struct arena *a, size_t n);                     /* not zeroed, aligned to 8 */
char *arena_dup(struct arena *a, struct str s);                 /* zero-terminated */
struct str arena_str(struct arena *a, struct str s);            /* a copy; at == NULL when out of memory */
__attribute__((format(printf, 2, 3))) char *arena_printf(struct arena *a, const char *fmt, ...);
char *arena_uint(struct arena *a, uint64_t v);                          /* decimal digits; NULL when out of memory */
/* run(ctx) when the arena ends. False: out of memory, run was not kept (call it yourself). */
bool arena_cleanup(struct arena *a, void (*run)(void *ctx), void *ctx);
size_t arena_used(const struct arena *a);
bool arena_exhausted(const struct arena *a);                    /* did an allocation fail? */

#endif
