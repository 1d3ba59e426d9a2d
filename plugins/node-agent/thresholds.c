/* thresholds.c - "memory.available<100Mi,nodefs.available<10%": read, compared with what is observed, remembered. */
#include "evict.h"

#include <stdlib.h>

#include "base/quantity.h"

const struct signal_row evict_signals[SIGNALS] = {
    [SIGNAL_MEMORY] = { "memory.available", PRESSURE_MEMORY, "memory" },
    [SIGNAL_NODEFS] = { "nodefs.available", PRESSURE_DISK, "ephemeral-storage" },
    [SIGNAL_NODEFS_INODES] = { "nodefs.inodesFree", PRESSURE_DISK, "inodes" },
    [SIGNAL_IMAGEFS] = { "imagefs.available", PRESSURE_DISK, "ephemeral-storage" },
    [SIGNAL_IMAGEFS_INODES] = { "imagefs.inodesFree", PRESSURE_DISK, "inodes" },
    [SIGNAL_PID] = { "pid.available", PRESSURE_PID, "pids" },
};

static int signal_named(struct str name)
{
    for (int i = 0; i < SIGNALS; i++)
        if (str_is(name, evict_signals[i].name))
            return i;
    return -1;
}

static bool read_amount(struct str s, struct amount_of *ret)
{
    struct quantity q;
    *ret = (struct amount_of){ 0, 0 };
    if (str_ends(s, STR("%"))) {
        if (!quantity_parse(str_n(s.at, s.len - 1), &q))
            return false;
        ret->share = (double)quantity_milli(q) / 100000.0;
        return ret->share >= 0 && ret->share < 1;
    }
    if (!quantity_parse(s, &q) || q.nano < 0)
        return false;
    ret->value = quantity_value(q);
    return true;
}

/* "1m30s" */
static bool read_duration(struct str s, int64_t *ret_ns)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = { { "ms", NS_PER_MS }, { "h", 3600 * NS_PER_S }, { "m", 60 * NS_PER_S }, { "s", NS_PER_S } };
    *ret_ns = 0;
    while (s.len) {
        size_t digits = 0, i = 0;
        int64_t n;
        while (digits < s.len && s.at[digits] >= '0' && s.at[digits] <= '9')
            digits++;
        if (!str_int(str_n(s.at, digits), &n))
            return false;
        s = str_skip(s, digits);
        while (i < sizeof units / sizeof *units && !str_starts(s, str_of(units[i].unit)))
            i++;
        if (i == sizeof units / sizeof *units)
            return false;
        *ret_ns += n * units[i].ns;
        s = str_skip(s, strlen(units[i].unit));
    }
    return true;
}

static int read_thresholds(struct evict *e, const char *key, const char *text, bool soft, struct kl_err *err)
{
    for (struct str rest = str_of(text ? text : ""); rest.len;) {
        struct str value = str_trim(str_cut(&rest, ',')), name = str_trim(str_cut(&value, '<'));
        struct threshold t = { .soft = soft };
        int signal = signal_named(name);
        if (signal < 0 || !value.at || !read_amount(str_trim(value), &t.least) || e->n == THRESHOLDS_MOST)
            return kl_err_set(err, KL_INVALID, "'%s': '" STR_FMT "' is no threshold such as memory.available<100Mi or nodefs.available<10%%", key, STR_ARG(name));
        t.signal = (enum evict_signal)signal;
        e->at[e->n++] = t;
    }
    return 0;
}

/* "SIGNAL=VALUE,..." for thresholds that are there. */
static int read_more(struct evict *e, const char *key, const char *text, bool grace, struct kl_err *err)
{
    for (struct str rest = str_of(text ? text : ""); rest.len;) {
        struct str value = str_trim(str_cut(&rest, ',')), name = str_trim(str_cut(&value, '='));
        struct amount_of amount = { 0, 0 };
        int64_t ns = 0;
        int signal = signal_named(name);
        bool good = signal >= 0 && value.at && (grace ? read_duration(str_trim(value), &ns) : read_amount(str_trim(value), &amount));
        if (!good)
            return kl_err_set(err, KL_INVALID, "'%s': '" STR_FMT "' has no value such as %s", key, STR_ARG(name), grace ? "1m30s" : "100Mi or 5%");
        for (size_t i = 0; i < e->n; i++) {
            if ((int)e->at[i].signal != signal)
                continue;
            if (!grace)
                e->at[i].reclaim = amount;
            else if (e->at[i].soft)
                e->at[i].grace_ns = ns;
        }
    }
    return 0;
}

int thresholds_read(const struct agent_conf *conf, struct evict *e, struct kl_err *err)
{
    int rc = read_thresholds(e, "eviction_hard", conf->eviction_hard, false, err);
    if (rc == 0)
        rc = read_thresholds(e, "eviction_soft", conf->eviction_soft, true, err);
    if (rc == 0)
        rc = read_more(e, "eviction_soft_grace", conf->eviction_soft_grace, true, err);
    if (rc == 0)
        rc = read_more(e, "eviction_minimum_reclaim", conf->eviction_minimum_reclaim, false, err);
    for (size_t i = 0; i < e->n && rc == 0; i++)
        if (e->at[i].soft && !e->at[i].grace_ns)
            rc = kl_err_set(err, KL_INVALID, "'eviction_soft': grace period must be specified for the soft eviction threshold %s",
                            evict_signals[e->at[i].signal].name);
    return rc;
}

static int64_t amount(const struct amount_of *m, const struct observed *o)
{
    return m->share > 0 ? (int64_t)(m->share * (double)o->capacity) : m->value;
}

int64_t threshold_limit(const struct threshold *t, const struct observed *o)
{
    return amount(&t->least, o);
}

/* One that was met is over only when as much as the minimum to reclaim is there beside. */
void thresholds_update(struct evict *e, const struct observed seen[SIGNALS], int64_t now_ns)
{
    for (size_t i = 0; i < e->n; i++) {
        struct threshold *t = &e->at[i];
        const struct observed *o = &seen[t->signal];
        enum pressure p = evict_signals[t->signal].pressure;
        bool was = t->met;
        t->met = o->capacity > 0 && o->available < threshold_limit(t, o) + (was ? amount(&t->reclaim, o) : 0);
        if (t->met && !was)
            t->since_ns = now_ns;
        if (!t->met)
            continue;
        e->seen[p] = true;
        e->last_ns[p] = now_ns;
    }
}

unsigned thresholds_pressure(const struct evict *e, int64_t now_ns, int64_t transition_ns)
{
    unsigned bits = 0;
    for (int p = 0; p < PRESSURES; p++)
        if (e->seen[p] && now_ns - e->last_ns[p] < transition_ns)
            bits |= 1u << p;
    for (size_t i = 0; i < e->n; i++)
        if (e->at[i].met)
            bits |= 1u << evict_signals[e->at[i].signal].pressure;
    return bits;
}

const struct threshold *thresholds_due(const struct evict *e, int64_t now_ns)
{
    const struct threshold *best = NULL;
    for (size_t i = 0; i < e->n; i++) {
        const struct threshold *t = &e->at[i];
        if (!t->met || now_ns - t->since_ns < t->grace_ns)
            continue;
        if (!best || t->signal < best->signal || (t->signal == best->signal && best->soft && !t->soft))
            best = t;
    }
    return best;
}
