/* pen.h - memory that a plugin sees during one call: read-only while it may only read, with a hole behind every text, and gone when the call is
 * over. What touches it at the wrong time or place dies by a signal, and pen_fault says what that was. One thread at a time builds a pen. */
#ifndef CONFORMANCE_PEN_H
#define CONFORMANCE_PEN_H

#include <stdbool.h>
#include <stddef.h>

struct pen;

/* strict: with holes, read-only and gone; else plain memory. NULL: out of memory. */
struct pen *pen_new(size_t bytes, bool strict);
void *pen_alloc(struct pen *p, size_t n);               /* zeroed, aligned to 16; NULL when it is full */
/* A copy whose last byte lies before the hole; zero: with a zero byte behind. */
char *pen_text(struct pen *p, const void *at, size_t n, bool zero);
void pen_seal(struct pen *p);                           /* from now on only read */
void pen_is_settings(struct pen *p);
void pen_close(struct pen *p);                          /* gone; strict: its addresses are never used again */

enum pen_place { PEN_ELSEWHERE = 0, PEN_LIVE, PEN_SEALED, PEN_HOLE, PEN_GONE, PEN_OLD_SETTINGS };
enum pen_place pen_place_of(const void *at);            /* [any] also in a signal handler */

#endif
