/* clock.h - RFC 3339 text of the wall clock, as the Kubernetes API writes it. No time zone data: UTC only on output. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

#define CLOCK_TEXT 40

void clock_format(int64_t wall_ns, char ret[CLOCK_TEXT]);               /* "2026-01-02T03:04:05Z" (metav1.Time) */
void clock_format_ms(int64_t wall_ns, char ret[CLOCK_TEXT]);            /* "...05.678Z" */
void clock_format_micro(int64_t wall_ns, char ret[CLOCK_TEXT]);         /* "...05.678901Z" (metav1.MicroTime) */
void clock_format_nano(int64_t wall_ns, char ret[CLOCK_TEXT]);          /* "...05.678901234Z" (CRI logs) */
/* RFC 3339 with any fraction and offset. False: not one. */
bool clock_parse(struct str s, int64_t *ret_wall_ns);
/* Seconds since 1970 of a UTC civil date. */
int64_t clock_days(int64_t year, unsigned month, unsigned day);

#endif
