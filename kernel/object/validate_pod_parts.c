/* validate_pod_parts.c - what pods/ephemeralcontainers and pods/resize may change of a pod. That the rest stays is strategy's work. */
#include "object/validate.h"

#define MIRROR "kubernetes.io/config.mirror"

static bool is_mirror(const struct val *pod)
{
    return json_get(json_path(pod, "metadata.annotations"), STR(MIRROR)) != NULL;
}

/* Equal, where absent and empty are the same, as they are to Go. */
static bool is_same(const struct val *a, const struct val *b)
{
    bool none_a = !a || a->type == VAL_NULL || (a->type >= VAL_ARR && !a->n), none_b = !b || b->type == VAL_NULL || (b->type >= VAL_ARR && !b->n);
    if (none_a || none_b)
        return none_a && none_b;
    if (a->type != VAL_OBJ || b->type != VAL_OBJ)
        return val_equal(a, b);
    for (const struct val *m = a->first; m; m = m->next)
        if (!is_same(m, json_get(b, val_key(m))))
            return false;
    for (const struct val *m = b->first; m; m = m->next)
        if (!json_get(a, val_key(m)) && !is_same(NULL, m))
            return false;
    return true;
}

KIND_RULES(part_ephemeral)
{
    const struct path *p = IN(IN(NULL, "spec"), "ephemeralContainers");
    struct val *now = json_path(v, "spec.ephemeralContainers");
    if (is_mirror(old)) {
        c->n = 0;
        say_forbidden(c, NULL, "static pods do not support ephemeral containers");
        return;
    }
    LIST_EACH (was, at, json_path(old, "spec.ephemeralContainers")) {
        struct str name = json_str(was, "name");
        const struct val *is = json_named(now, name);
        if (!is)
            say_forbidden(c, p, words(c, "existing ephemeral containers \"" STR_FMT "\" may not be removed\n", STR_ARG(name)));
        else if (!is_same(is, was))
            say_forbidden(c, p, words(c, "existing ephemeral containers \"" STR_FMT "\" may not be changed\n", STR_ARG(name)));
    }
}

/* --- resize --- */

static const char *const lists[] = { "initContainers", "containers" };

static bool runs_where_it_cannot(const struct val *pod)
{
    LIST_EACH (s, at, json_path(pod, "status.containerStatuses"))
        if (json_path(s, "state.running"))
            return !json_get(s, STR("resources"));
    return false;
}

/* True: they stand where they stood. */
static bool check_order(causes c, const struct path *p, const struct val *spec, const struct val *was)
{
    static const struct {
        const char *list, *count, *name;
    } rows[] = {
        { "containers", "containers may not be added or removed on resize", "containers may not be renamed or reordered on resize" },
        { "initContainers", "initContainers may not be added or removed on resize", "initContainers may not be renamed or reordered on resize" },
    };
    unsigned before = c->n;
    for (int i = 0; i < 2; i++) {
        struct val *x = json_get(spec, str_of(rows[i].list)), *y = json_get(was, str_of(rows[i].list));
        if ((x ? x->n : 0) != (y ? y->n : 0)) {
            say_forbidden(c, p, rows[i].count);
            continue;
        }
        for (struct val *a = x ? x->first : NULL, *b = y ? y->first : NULL; a && b; a = a->next, b = b->next)
            if (!str_eq(json_str(a, "name"), json_str(b, "name"))) {
                say_forbidden(c, p, rows[i].name);
                break;
            }
    }
    return c->n == before;
}

static void check_kept(causes c, const struct path *p, const struct val *now, const struct val *was)
{
    static const char *const kinds[][2] = { { "requests", "resource requests cannot be removed" }, { "limits", "resource limits cannot be removed" } };
    for (int i = 0; i < 2; i++) {
        const struct val *set = json_get(was, str_of(kinds[i][0])), *is = json_get(now, str_of(kinds[i][0]));
        for (const struct val *m = val_is(set, VAL_OBJ) ? set->first : NULL; m; m = m->next)
            if (!json_get(is, val_key(m))) {
                say_forbidden(c, IN(p, kinds[i][0]), kinds[i][1]);
                break;
            }
    }
}

/* A container, or the pod, without what a resize may change. */
static struct val *without_compute(causes c, const struct val *x)
{
    static const char *const kinds[] = { "requests", "limits" }, *const names[] = { "cpu", "memory" };
    struct val *v = val_copy(c->arena, x), *res = json_get(v, STR("resources"));
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            json_del(json_get(res, str_of(kinds[i])), str_of(names[j]));
    json_del(v, STR("resizePolicy"));
    for (int i = 0; i < 2; i++)
        if (json_get(res, str_of(kinds[i])) && !json_get(res, str_of(kinds[i]))->n)
            json_del(res, str_of(kinds[i]));
    return v;
}

static void check_rest(causes c, const struct path *p, const struct val *now, const struct val *was, bool init)
{
    bool sidecar = init && str_is(json_str(was, "restartPolicy"), "Always");
    if (init && !sidecar) {
        if (!is_same(now, was))
            say_forbidden(c, p, "resources for non-sidecar init containers are immutable");
    } else if (!is_same(without_compute(c, now), without_compute(c, was))) {
        say_forbidden(c, p, sidecar ? "only cpu and memory resources for sidecar containers are mutable" : "only cpu and memory resources are mutable");
    }
}

KIND_RULES(part_resize)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *was = json_get(old, STR("spec"));
    struct str qos = json_str(old, "status.qosClass");
    const char *os = is_mirror(old) ? "static pods cannot be resized" : str_is(json_str(was, "os.name"), "windows") ? "windows pods cannot be resized" : NULL;
    if (os) {
        c->n = 0;
        say_forbidden(c, NULL, os);
        return;
    }
    if (!str_is(qos.len ? qos : str_of(object_qos(was)), object_qos(spec)))
        say_invalid(c, p, qos, "Pod QOS Class may not change as a result of resizing");
    if (runs_where_it_cannot(old))
        say_forbidden(c, p, "Pod running on node without support for resize");
    if (!check_order(c, p, spec, was))
        return;
    for (int l = 0; l < 2; l++) {
        struct val *x = json_get(spec, str_of(lists[l])), *y = json_get(was, str_of(lists[l]));
        long i = 0;
        for (struct val *a = x ? x->first : NULL, *b = y ? y->first : NULL; a && b; a = a->next, b = b->next, i++)
            check_kept(c, IN(ITEM(IN(p, lists[l]), i), "resources"), json_get(a, STR("resources")), json_get(b, STR("resources")));
    }
    check_kept(c, IN(p, "resources"), json_get(spec, STR("resources")), json_get(was, STR("resources")));
    for (int l = 1; l >= 0; l--) {
        struct val *x = json_get(spec, str_of(lists[l])), *y = json_get(was, str_of(lists[l]));
        for (struct val *a = x ? x->first : NULL, *b = y ? y->first : NULL; a && b; a = a->next, b = b->next)
            check_rest(c, p, a, b, l == 0);
    }
}
