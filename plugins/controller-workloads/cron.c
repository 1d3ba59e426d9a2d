/* cron.c - see cron.h. */
#include "cron.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define DAY_S 86400

/* --- parsing --- */

static const char *const months[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const weekdays[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL };

struct range {
    int low, high;
    const char *const *names;           /* of low, low + 1, ... */
};

static bool number(struct str s, const struct range *r, int64_t *ret)
{
    for (int i = 0; r->names && r->names[i]; i++)
        if (str_eq_nocase(s, str_of(r->names[i]))) {
            *ret = r->low + i;
            return true;
        }
    return s.len && s.at[0] != '-' && s.at[0] != '+' && str_int(s, ret);
}

/* A number, a range or a star, each perhaps with a step. */
static bool part(struct str s, const struct range *r, uint64_t *bits)
{
    struct str base = str_cut(&s, '/'), from = str_cut(&base, '-');
    int64_t low = r->low, high = r->high, step = 1;
    bool star = str_is(from, "*") || str_is(from, "?");
    if (star ? base.at != NULL : !number(from, r, &low))
        return false;
    if (!star)
        high = s.at ? r->high : low;
    if (!star && base.at && !number(base, r, &high))
        return false;
    if (s.at && (!str_int(s, &step) || step < 1))
        return false;
    if (low < r->low || high > r->high || low > high)
        return false;
    for (int64_t i = low; i <= high; i += step)
        *bits |= 1ULL << i;
    return true;
}

static bool field(struct str s, const struct range *r, uint64_t *bits, bool *star)
{
    *star = s.len && (s.at[0] == '*' || s.at[0] == '?');
    if (!s.len)
        return false;
    while (s.at)
        if (!part(str_cut(&s, ','), r, bits))
            return false;
    return true;
}

static struct str word(struct str *s)
{
    *s = str_trim(*s);
    size_t n = 0;
    while (n < s->len && s->at[n] != ' ' && s->at[n] != '\t')
        n++;
    struct str w = str_n(s->at, n);
    *s = str_skip(*s, n);
    return w;
}

/* "1h30m", as upstream's parser reads durations. */
static bool duration(struct str s, int64_t *ret_s)
{
    int64_t n = 0, total = 0;
    bool digits = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c >= '0' && c <= '9' && n < 100000000) {
            n = n * 10 + (c - '0');
            digits = true;
            continue;
        }
        if (!digits || (c != 'h' && c != 'm' && c != 's'))
            return false;
        total += n * (c == 'h' ? 3600 : c == 'm' ? 60 : 1);
        n = 0;
        digits = false;
    }
    *ret_s = total;
    return !digits && total > 0;
}

bool cron_parse(struct str text, struct cron *ret, const char **why)
{
    static const struct {
        const char *name, *meaning;
    } short_forms[] = { { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" }, { "@weekly", "0 0 * * 0" },
                        { "@daily", "0 0 * * *" },  { "@midnight", "0 0 * * *" }, { "@hourly", "0 * * * *" } };
    static const struct range minute = { 0, 59, NULL }, hour = { 0, 23, NULL }, day = { 1, 31, NULL }, month = { 1, 12, months },
                              weekday = { 0, 7, weekdays };
    bool none;
    *ret = (struct cron){ 0 };
    text = str_trim(text);
    if (str_starts(text, STR("@every "))) {
        *why = "its duration cannot be read";
        return duration(str_trim(str_skip(text, 7)), &ret->every_s);
    }
    for (size_t i = 0; i < sizeof short_forms / sizeof *short_forms; i++)
        if (str_is(text, short_forms[i].name))
            text = str_of(short_forms[i].meaning);
    struct str w[5];
    for (int i = 0; i < 5; i++)
        w[i] = word(&text);
    *why = "it must have five fields: minute, hour, day, month, weekday";
    if (!w[4].len || str_trim(text).len)
        return false;
    *why = "a field is not a number, name, range or step in its bounds";
    if (!field(w[0], &minute, &ret->minutes, &none) || !field(w[1], &hour, &ret->hours, &none) || !field(w[2], &day, &ret->days, &ret->any_day) ||
        !field(w[3], &month, &ret->months, &none) || !field(w[4], &weekday, &ret->weekdays, &ret->any_weekday))
        return false;
    if (ret->weekdays >> 7 & 1)
        ret->weekdays |= 1;
    return true;
}

/* --- the next time --- */

struct civil {
    int64_t year;
    unsigned month, day;
};

static struct civil civil_of(int64_t days)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    struct civil c = { (int64_t)yoe + era * 400, mp < 10 ? mp + 3 : mp - 9, doy - (153 * mp + 2) / 5 + 1 };
    c.year += c.month <= 2;
    return c;
}

static bool day_fits(const struct cron *c, int64_t days)
{
    struct civil d = civil_of(days);
    bool day = c->days >> d.day & 1, weekday = c->weekdays >> ((days % 7 + 11) % 7) & 1;
    if (!(c->months >> d.month & 1))
        return false;
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_s)
{
    if (c->every_s)
        return after_s + c->every_s;
    int64_t local = after_s + zone_offset(z, after_s), day = local / DAY_S - (local % DAY_S < 0), last = day + 5 * 366;
    for (; day <= last; day++) {
        if (!day_fits(c, day))
            continue;
        for (int m = 0; m < 24 * 60; m++) {
            if (!(c->hours >> (m / 60) & 1) || !(c->minutes >> (m % 60) & 1))
                continue;
            int64_t wanted = day * DAY_S + m * 60, utc = wanted - zone_offset(z, wanted - zone_offset(z, wanted));
            /* An hour that the clock leaves out has no such time; one that it passes twice counts once. */
            if (utc > after_s && utc + zone_offset(z, utc) == wanted)
                return utc;
        }
    }
    return 0;
}

/* --- zones --- */

int32_t zone_offset(const struct zone *z, int64_t at_s)
{
    unsigned low = 0, high = z ? z->n : 0;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (z->at[mid] <= at_s)
            low = mid + 1;
        else
            high = mid;
    }
    return !z ? 0 : low ? z->offset[low - 1] : z->first;
}

static uint64_t big(const unsigned char *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* The second part of a TZif file (RFC 8536), whose times have 64 bits. */
static struct zone *read_tables(struct arena *a, struct str file)
{
    const unsigned char *p = (const unsigned char *)file.at, *end = p + file.len;
    uint64_t n[6];
    for (int version = 1; version <= 2; version++) {
        if (end - p < 44 || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
            return NULL;
        for (int i = 0; i < 6; i++)     /* isut, isstd, leap, time, type, char */
            n[i] = big(p + 20 + 4 * i, 4);
        p += 44;
        int width = version == 1 ? 4 : 8;
        uint64_t length = n[3] * (uint64_t)width + n[3] + n[4] * 6 + n[5] + n[2] * (uint64_t)(width + 4) + n[1] + n[0];
        if (length > (uint64_t)(end - p) || !n[4] || n[3] > 100000)
            return NULL;
        if (version == 1)
            p += length;
    }
    struct zone *z = arena_alloc(a, sizeof *z);
    const unsigned char *types = p + n[3] * 9;
    if (!z || !(z->at = arena_alloc(a, (n[3] + 1) * sizeof *z->at)) || !(z->offset = arena_alloc(a, (n[3] + 1) * sizeof *z->offset)))
        return NULL;
    z->first = (int32_t)big(types, 4);
    for (z->n = 0; z->n < n[3]; z->n++) {
        unsigned type = p[n[3] * 8 + z->n];
        if (type >= n[4])
            return NULL;
        z->at[z->n] = (int64_t)big(p + 8 * (size_t)z->n, 8);
        z->offset[z->n] = (int32_t)big(types + 6 * (size_t)type, 4);
    }
    return z;
}

struct zone *zone_read(struct arena *a, struct str name)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    char path[300];
    if (str_is(name, "UTC") || str_is(name, "Etc/UTC"))
        return arena_alloc(a, sizeof(struct zone));
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == '.' || (name.at[i] == '/' && !i))
            return NULL;
    snprintf(path, sizeof path, "/usr/share/zoneinfo/" STR_FMT, STR_ARG(name));
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    for (char *at; fd >= 0 && (at = buf_room(&b, 4096)) && (n = read(fd, at, 4096)) > 0;)
        b.len += (size_t)n;
    return n == 0 ? read_tables(a, buf_str(&b)) : NULL;
}
