/* clock.h - RFC 3339 text of the wall clock, as the Kubernetes API writes it. No time zone data: UTC only on output. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

#define CLOCK_TEXT 40

void clock_format(int64_t wall_ns, char ret[CLOCK_TEXT]);               /* "2026-01-02T03:04:05Z" (metav1.Time) */
void clock_format_ms(int64_t wall_ns, char ret[CLOCK_TEXT]);            /* "...05.678Z" */
void clock_format_micro(int64_t wall_ns, char ret[CLOCK_TEXT]);         /* "...05.678901Z" (metav1.MicroTime) */
void clock_format_nano(int64_t wall_ns, char ret[CLOCK_TEXT]);          /* "...05.678901234Z" (CRI logs) */
/* Of any year from 0 to 9999, in two numbers: seconds since 1970 and nanoseconds from 0 to 999,999,999. */
void clock_format_parts(int64_t seconds, int64_t ns, int digits, char ret[CLOCK_TEXT]);
bool clock_parse_parts(struct str s, int64_t *ret_seconds, int64_t *ret_ns);
/* RFC 3339 with any fraction and offset. False: not one. What does not fit (before 1677, behind 2262) becomes a time long ago, or far ahead. */
bool clock_parse(struct str s, int64_t *ret_wall_ns);
/* Seconds since 1970 of a UTC civil date. */
int64_t clock_days(int64_t year, unsigned month, unsigned day);

#endif
