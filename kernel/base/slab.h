/* slab.h - memory of known length: stored objects, and what arenas are made of. Kept among each other by malloc, what stays and what goes leave holes: that
 * cost a third more memory than was asked for, and a page fault for each 4 KiB of it.
 *
 * Sizes are rounded up by at most a sixteenth; pieces of one size lie side by side in slabs of 256 KiB. Empty ones go back to the system, but
 * for a few that serve the next size that wants one. Larger than 32 KiB: malloc. With the address sanitizer all of it is malloc, which then sees what is done to each piece.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

/* [any] Aligned to 16; not zeroed. NULL: out of memory. */
void *slab_alloc(size_t n);
/* [any] n as it was asked for. NULL is nothing. */
void slab_free(void *at, size_t n);
/* [any] Gives the empty slabs back that are kept. */
void slab_trim(void);
/* [any] Bytes of all slabs; pages of theirs that were never used take no memory. */
size_t slab_held(void);

#endif
