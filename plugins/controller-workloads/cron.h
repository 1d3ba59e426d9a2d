/* cron.h - schedules ("0 3 * * 1-5", "@daily", names of months and days) and time zones. */
#ifndef WORKLOADS_CRON_H
#define WORKLOADS_CRON_H

#include "base/str.h"

struct cron {
    uint64_t minutes, hours, days, months, weekdays;    /* bits; Sunday is 0 */
    bool any_day, any_weekday;
    int64_t every_s;                    /* "@every 90s": nothing else counts then */
};

struct zone {
    unsigned n;
    int64_t *at;                        /* seconds since 1970 at which offset[i] begins; sorted */
    int32_t *offset;                    /* seconds east of UTC */
    int32_t first;                      /* before all */
};

/* False: *why (static text) says what is wrong. */
bool cron_parse(struct str text, struct cron *ret, const char **why);
/* First time after `after_s` (seconds since 1970) that the schedule names, in that zone (NULL: UTC). 0: none within five years. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_s);
int32_t zone_offset(const struct zone *z, int64_t at_s);

struct arena;
/* An IANA name, by the system's tables. NULL: not known. "UTC" always is. */
struct zone *zone_read(struct arena *a, struct str name);

#endif
