/* amounts.c - see amounts.h. */
#include "amounts.h"

#include "base/cleanup.h"

/* Where name is, or belongs. */
static unsigned place(const struct amounts *x, struct str name, bool *ret_there)
{
    unsigned low = 0, high = x->n;
    *ret_there = false;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        int n = str_cmp(x->at[mid].name, name);
        if (n == 0) {
            *ret_there = true;
            return mid;
        }
        if (n < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct quantity *amounts_get(const struct amounts *x, struct str name)
{
    bool there;
    unsigned i = place(x, name, &there);
    return there ? &x->at[i].q : NULL;
}

static bool grow(struct amounts *x)
{
    unsigned cap = x->cap ? x->cap * 2 : 8;
    char *raw = arena_alloc(x->arena, cap * sizeof *x->at + 8);
    if (!raw)
        return false;
    struct amount *at = (void *)(raw + ((uintptr_t)raw & 8));           /* a quantity wants 16, an arena gives 8 */
    if (x->n)
        memcpy(at, x->at, x->n * sizeof *at);
    x->at = at;
    x->cap = cap;
    return true;
}

void amounts_set(struct amounts *x, struct str name, struct quantity q)
{
    bool there;
    unsigned i = place(x, name, &there);
    if (there) {
        x->at[i].q = q;
        return;
    }
    if (x->n == x->cap && !grow(x))
        return;
    memmove(x->at + i + 1, x->at + i, (x->n - i) * sizeof *x->at);
    x->at[i] = (struct amount){ name, q };
    x->n++;
}

void amounts_add(struct amounts *x, struct str name, struct quantity q)
{
    const struct quantity *there = amounts_get(x, name);
    amounts_set(x, name, there ? quantity_add(*there, q) : q);
}

void amounts_add_all(struct amounts *x, const struct amounts *more)
{
    for (unsigned i = 0; i < more->n; i++)
        amounts_add(x, more->at[i].name, more->at[i].q);
}

void amounts_max_all(struct amounts *x, const struct amounts *other)
{
    for (unsigned i = 0; i < other->n; i++) {
        const struct quantity *there = amounts_get(x, other->at[i].name);
        if (!there || quantity_cmp(*there, other->at[i].q) < 0)
            amounts_set(x, other->at[i].name, other->at[i].q);
    }
}

struct amounts amounts_read(struct arena *a, const struct val *map)
{
    struct amounts x = { .arena = a };
    struct quantity q;
    if (val_is(map, VAL_OBJ))
        val_each(m, map)
            if (quantity_parse(m->type == VAL_INT ? str_of(arena_printf(a, "%lld", (long long)m->i)) : val_str(m), &q))
                amounts_set(&x, val_key(m), q);
    return x;
}

const char *quantity_text(struct arena *a, struct quantity q)
{
    char text[QUANTITY_TEXT];
    size_t n = quantity_format(q, text);
    const char *copy = arena_dup(a, str_n(text, n));
    return copy ? copy : "";
}

struct val *amounts_write(const struct amounts *x)
{
    struct val *v = val_new(x->arena, VAL_OBJ);
    for (unsigned i = 0; i < x->n; i++)
        json_set_str(x->arena, v, x->at[i].name, str_of(quantity_text(x->arena, x->at[i].q)));
    return v;
}

const char *amounts_text(const struct amounts *x)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    for (unsigned i = 0; i < x->n; i++)
        buf_printf(&b, "%s" STR_FMT "=%s", i ? "," : "", STR_ARG(x->at[i].name), quantity_text(x->arena, x->at[i].q));
    const char *text = arena_dup(x->arena, buf_str(&b));
    return text ? text : "";
}

bool amounts_equal(const struct amounts *x, const struct amounts *y)
{
    if (x->n != y->n)
        return false;
    for (unsigned i = 0; i < x->n; i++)
        if (!str_eq(x->at[i].name, y->at[i].name) || quantity_cmp(x->at[i].q, y->at[i].q) != 0)
            return false;
    return true;
}

/* --- pods --- */

static bool for_whole_pods(struct str name)
{
    return str_is(name, "cpu") || str_is(name, "memory") || str_starts(name, STR("hugepages-"));
}

static struct amounts container_amounts(struct arena *a, const struct val *c, const char *member)
{
    return amounts_read(a, json_get(json_get(c, STR("resources")), str_of(member)));
}

struct amounts pod_amounts(struct arena *a, const struct val *pod, const char *member, bool overhead)
{
    const struct val *spec = json_get(pod, STR("spec")), *list = json_get(spec, STR("containers")), *init = json_get(spec, STR("initContainers"));
    struct amounts sum = { .arena = a }, sidecars = { .arena = a }, most = { .arena = a };
    for (const struct val *c = val_is(list, VAL_ARR) ? list->first : NULL; c; c = c->next) {
        struct amounts one = container_amounts(a, c, member);
        amounts_add_all(&sum, &one);
    }
    for (const struct val *c = val_is(init, VAL_ARR) ? init->first : NULL; c; c = c->next) {
        struct amounts one = container_amounts(a, c, member);
        if (str_is(json_str(c, "restartPolicy"), "Always")) {
            amounts_add_all(&sum, &one);
            amounts_add_all(&sidecars, &one);
            amounts_max_all(&most, &sidecars);
            continue;
        }
        amounts_add_all(&one, &sidecars);
        amounts_max_all(&most, &one);
    }
    amounts_max_all(&sum, &most);
    struct amounts whole = container_amounts(a, spec, member), over = amounts_read(a, overhead ? json_get(spec, STR("overhead")) : NULL);
    for (unsigned i = 0; i < whole.n; i++)
        if (for_whole_pods(whole.at[i].name))
            amounts_set(&sum, whole.at[i].name, whole.at[i].q);
    for (unsigned i = 0; i < over.n; i++) {
        const struct quantity *there = amounts_get(&sum, over.at[i].name);
        if (strcmp(member, "limits") != 0 || (there && there->nano))    /* no limit stays no limit */
            amounts_add(&sum, over.at[i].name, over.at[i].q);
    }
    return sum;
}
