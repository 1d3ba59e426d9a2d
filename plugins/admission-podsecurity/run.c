/* run.c - see check.h. */
#include "check.h"

bool run_in(const char *const *list, struct str s)
{
    for (; list && *list; list++)
        if (str_is(s, *list))
            return true;
    return false;
}

void run_insert(struct run *r, struct str s)
{
    if (!r->values)
        return;
    struct val **at = &r->values->first, *v;
    while (*at && str_cmp(val_str(*at), s) < 0)
        at = &(*at)->next;
    if ((*at && str_eq(val_str(*at), s)) || !(v = val_of_str(r->a, s)))
        return;
    v->next = *at;
    *at = v;
    if (!v->next)
        r->values->last = v;
    r->values->n++;
}

const char *run_join(struct arena *a, const struct val *list, const char *quote)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    for (const struct val *v = list ? list->first : NULL; v; v = v->next) {
        buf_add_z(&b, v == list->first ? "" : ", ");
        buf_add_z(&b, quote);
        buf_add_str(&b, val_str(v));
        buf_add_z(&b, quote);
    }
    return arena_dup(a, buf_str(&b));
}

const char *run_quoted(struct run *r, const struct val *list)
{
    return run_join(r->a, list, "\"");
}

const char *run_some(const struct val *list, const char *one, const char *many)
{
    return run_n(list) == 1 ? one : many;
}

const char *run_containers(struct run *r, const struct val *list)
{
    return arena_printf(r->a, "%s %s", run_some(list, "container", "containers"), run_quoted(r, list));
}

const char *run_setters(struct run *r, bool pod, const struct val *list)
{
    if (!run_n(list))
        return pod ? "pod" : NULL;
    return arena_printf(r->a, "%s%s", pod ? "pod and " : "", run_containers(r, list));
}

struct val *run_bad(struct run *r, bad_fn bad)
{
    static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };
    struct val *names = val_new(r->a, VAL_ARR);
    for (int i = 0; i < 3; i++) {
        const struct val *list = json_get(r->spec, str_of(lists[i]));
        if (val_is(list, VAL_ARR))
            val_each(c, list)
                if (bad(r, c))
                    val_push(names, val_of_str(r->a, json_str(c, "name")));
    }
    return names;
}

bool run_windows(const struct run *r)
{
    return str_is(json_str(r->spec, "os.name"), "windows");
}

bool run_user_namespace(const struct run *r)
{
    return !json_bool(r->spec, "hostUsers", true);
}

void run_say(struct run *r, const struct val *names, const char *reason, const char *must)
{
    if (!run_n(names))
        return;
    r->reason = reason;
    r->detail = arena_printf(r->a, "%s %s", run_containers(r, names), must);
}
