/* custom.c - kinds made at run time: their place among the look-ups. Changed on the loop; look-ups elsewhere take the lock. */
#include "schema/schema-internal.h"

#include "base/mem.h"

#include <stdlib.h>

static struct custom {
    pthread_rwlock_t lock;
    const struct schema_kind **at;      /* by group, version in the order of preference, plural */
    size_t n, cap;
    uint64_t generation;
} custom = { .lock = PTHREAD_RWLOCK_INITIALIZER };

/* "v10beta3" -> stage and two numbers. False: not of that form. */
static bool version_parts(const char *v, int *stage, long *major, long *minor)
{
    char *end;
    if (v[0] != 'v' || v[1] < '0' || v[1] > '9')
        return false;
    *major = strtol(v + 1, &end, 10);
    *stage = 2;
    *minor = 0;
    if (*end == '\0')
        return true;
    *stage = strncmp(end, "beta", 4) == 0 ? 1 : strncmp(end, "alpha", 5) == 0 ? 0 : -1;
    end += *stage == 1 ? 4 : 5;
    if (*stage < 0 || *end < '0' || *end > '9')
        return false;
    *minor = strtol(end, &end, 10);
    return *end == '\0';
}

int schema_version_cmp(const char *a, const char *b)
{
    int sa, sb;
    long ma, mb, na, nb;
    bool ka = version_parts(a, &sa, &ma, &na), kb = version_parts(b, &sb, &mb, &nb);
    if (ka != kb)
        return ka ? -1 : 1;
    if (!ka)
        return strcmp(a, b);
    return sa != sb ? sb - sa : ma != mb ? (ma < mb) - (ma > mb) : (na < nb) - (na > nb);
}

static int order(const struct schema_kind *a, const struct schema_kind *b)
{
    int c = strcmp(a->group, b->group);
    if (c == 0)
        c = schema_version_cmp(a->version, b->version);
    return c ? c : strcmp(a->plural, b->plural);
}

bool schema_add(const struct schema_kind *k)
{
    bool done = true;
    pthread_rwlock_wrlock(&custom.lock);
    if (custom.n == custom.cap) {
        size_t cap = custom.cap ? 2 * custom.cap : 16;
        const struct schema_kind **at = mem_resize(custom.at, cap * sizeof *at);
        done = at != NULL;
        custom.at = at ? at : custom.at;
        custom.cap = at ? cap : custom.cap;
    }
    if (done) {
        size_t i = custom.n++;
        for (; i > 0 && order(custom.at[i - 1], k) > 0; i--)
            custom.at[i] = custom.at[i - 1];
        custom.at[i] = k;
        custom.generation++;
    }
    pthread_rwlock_unlock(&custom.lock);
    return done;
}

void schema_remove(const struct schema_kind *k)
{
    pthread_rwlock_wrlock(&custom.lock);
    for (size_t i = 0; i < custom.n; i++) {
        if (custom.at[i] != k)
            continue;
        memmove(custom.at + i, custom.at + i + 1, (custom.n - i - 1) * sizeof *custom.at);
        custom.n--;
        custom.generation++;
        break;
    }
    pthread_rwlock_unlock(&custom.lock);
}

uint64_t schema_generation(void)
{
    return custom.generation;
}

size_t custom_count(void)
{
    return custom.n;
}

const struct schema_kind *custom_at(size_t i)
{
    return custom.at[i];
}

static bool matches(const struct schema_kind *k, const struct custom_query *q)
{
    if (q->resource.at)
        return str_is(q->resource, k->resource) && k->storage == k;
    return str_is(q->group, k->group) && (!q->version.len || str_is(q->version, k->version)) &&
           (!q->kind.at || str_is(q->kind, k->kind)) && (!q->plural.at || str_is(q->plural, k->plural));
}

/* First of its group, by bisection; the rest of a group is few. "group/plural" names begin with the group too. */
const struct schema_kind *custom_find(const struct custom_query *q)
{
    struct str rest = q->resource, group = rest.at ? str_cut(&rest, '/') : q->group;
    const struct schema_kind *found = NULL;
    pthread_rwlock_rdlock(&custom.lock);
    size_t low = 0, high = custom.n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (str_cmp(str_of(custom.at[mid]->group), group) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < custom.n && !found && str_is(group, custom.at[low]->group); low++)
        if (matches(custom.at[low], q))
            found = custom.at[low];
    pthread_rwlock_unlock(&custom.lock);
    return found;
}
