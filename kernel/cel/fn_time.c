/* fn_time.c - parts of times and durations. Zones: UTC, fixed offsets, and the names that the system's zone data knows. */
#include <stdlib.h>
#include <time.h>

#include "cel/cel-internal.h"
#include "cel/zone.h"

#define DAY 86400

/* "+01:30", "-08:00", "02:00": seconds east. */
static bool fixed_offset(struct str s, int64_t *ret)
{
    int sign = 1;
    int64_t h, m;
    if (s.len && (s.at[0] == '-' || s.at[0] == '+')) {
        sign = s.at[0] == '-' ? -1 : 1;
        s = str_skip(s, 1);
    }
    struct str rest = s, hours = str_cut(&rest, ':');
    if (!rest.at || !parse_int(hours, &h) || !parse_int(rest, &m))
        return false;
    *ret = sign * (h * 3600 + m * 60);
    return true;
}

static bool local(struct cel_ctx *c, const struct cel_val *v, unsigned n, struct tm *ret, struct cel_val *ret_error)
{
    int64_t s = v[0].seconds, offset = 0;
    if (n == 2 && !str_is(v[1].s, "UTC") && v[1].s.len && !fixed_offset(v[1].s, &offset) && !zone_offset(v[1].s, s, &offset)) {
        *ret_error = cel_error(c->arena, "unknown time zone " STR_FMT, STR_ARG(v[1].s));
        return false;
    }
    time_t t = (time_t)(s + offset);
    gmtime_r(&t, ret);
    return true;
}

#define PART(name, value) \
    static struct cel_val name(struct cel_ctx *c, struct cel_val *v, unsigned n) \
    { \
        struct tm t; \
        struct cel_val error; \
        return local(c, v, n, &t, &error) ? val_int(value) : error; \
    }
PART(full_year, t.tm_year + 1900)
PART(month, t.tm_mon)
PART(day_of_year, t.tm_yday)
PART(day_of_month, t.tm_mday - 1)
PART(date, t.tm_mday)
PART(day_of_week, t.tm_wday)
PART(hours, t.tm_hour)
PART(minutes, t.tm_min)
PART(seconds, t.tm_sec)
PART(milliseconds, v[0].nanos / 1000000)

#define OF_DURATION(name, value) \
    static struct cel_val name(struct cel_ctx *c, struct cel_val *v, unsigned n) \
    { \
        (void)c; \
        (void)n; \
        return val_int(value); \
    }
OF_DURATION(duration_hours, v[0].i / 3600000000000LL)
OF_DURATION(duration_minutes, v[0].i / 60000000000LL)
OF_DURATION(duration_seconds, v[0].i / 1000000000LL)
OF_DURATION(duration_milliseconds, v[0].i / 1000000LL)

#define TIME_SIGS "time.()int|time.(string)int"
const struct fn fns_time[] = {
    { "getFullYear", TIME_SIGS, full_year, NULL, NULL, 0 },
    { "getMonth", TIME_SIGS, month, NULL, NULL, 0 },
    { "getDayOfYear", TIME_SIGS, day_of_year, NULL, NULL, 0 },
    { "getDayOfMonth", TIME_SIGS, day_of_month, NULL, NULL, 0 },
    { "getDate", TIME_SIGS, date, NULL, NULL, 0 },
    { "getDayOfWeek", TIME_SIGS, day_of_week, NULL, NULL, 0 },
    { "getHours", TIME_SIGS, hours, NULL, NULL, 0 },
    { "getHours", "duration.()int", duration_hours, NULL, NULL, 0 },
    { "getMinutes", TIME_SIGS, minutes, NULL, NULL, 0 },
    { "getMinutes", "duration.()int", duration_minutes, NULL, NULL, 0 },
    { "getSeconds", TIME_SIGS, seconds, NULL, NULL, 0 },
    { "getSeconds", "duration.()int", duration_seconds, NULL, NULL, 0 },
    { "getMilliseconds", TIME_SIGS, milliseconds, NULL, NULL, 0 },
    { "getMilliseconds", "duration.()int", duration_milliseconds, NULL, NULL, 0 },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
