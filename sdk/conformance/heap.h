/* heap.h - a plugin's own allocations: counted, failed on demand, and remembered until they are freed. Works on the file's imports of malloc and its
 * kin, so that what its libraries and the host allocate is not seen. [any] except where said. */
#ifndef CONFORMANCE_HEAP_H
#define CONFORMANCE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* handle: of dlopen. Turns the imports of that file to us. False: they cannot be found. Before other threads run. */
bool heap_watch(void *handle);
/* The n-th allocation from now on fails (1: the next); 0: none. */
void heap_fail_at(unsigned n);
/* Counts one allocation of the call's arena too. True: it must fail. */
bool heap_count_one(void);
unsigned heap_counted(void);            /* since heap_fail_at */
size_t heap_live(void);                 /* allocations that were not freed */
/* Of those, one that is younger than heap_mark: false when there is none. call: what went on then. */
unsigned long heap_mark(void);
bool heap_survivor(unsigned long mark, size_t *ret_bytes, const char **ret_call);
void heap_note_call(const char *call);  /* a text that lives for ever */
bool heap_freed(const void *at);        /* lies in memory that was freed, as long as that is known */
/* What the whole process has allocated; of AddressSanitizer's allocator where that is used. */
size_t heap_bytes_of_process(void);

#endif
