/* endpoints.c - which endpoints of a Service's port this node uses.
 *
 * Those that are ready; when there is none, those that serve while they end: once for policy Cluster (over all nodes) and once for policy Local (of this node). Hints narrow
 * policy Cluster down to endpoints that are meant for this node, or for its zone, if every ready one has such a hint and at least one names it.
 */
#include "proxy.h"

struct endpoint {
    struct endpoint *next;
    const struct val *v;
    int64_t port;
    bool ready, ending, local;          /* ending: it serves while it terminates */
};

static int64_t port_number(const struct val *slice, struct str name, struct str protocol)
{
    struct val *ports = json_get(slice, STR("ports"));
    if (val_is(ports, VAL_ARR))
        val_each(p, ports) {
            struct str proto = json_str(p, "protocol");
            if (str_eq(json_str(p, "name"), name) && str_eq(proto.len ? proto : STR("TCP"), protocol))
                return json_int(p, "port", 0);
        }
    return 0;
}

static const struct val *address_of(const struct val *endpoint)
{
    const struct val *addresses = json_get(endpoint, STR("addresses"));
    return val_is(addresses, VAL_ARR) ? addresses->first : NULL;
}

static void collect_slice(struct arena *a, const struct here *here, const struct val *slice, int64_t port, struct endpoint ***tail)
{
    struct val *endpoints = json_get(slice, STR("endpoints"));
    if (!port || !val_is(endpoints, VAL_ARR))
        return;
    val_each(v, endpoints) {
        struct endpoint *e = address_of(v) ? arena_alloc(a, sizeof *e) : NULL;
        if (!e)
            continue;
        struct val *c = json_get(v, STR("conditions"));
        bool ready = json_bool(c, "ready", true);
        *e = (struct endpoint){ .v = v, .port = port, .ready = ready, .local = str_eq(json_str(v, "nodeName"), here->node),
                                .ending = json_bool(c, "serving", ready) && json_bool(c, "terminating", false) };
        **tail = e;
        *tail = &e->next;
    }
}

static struct endpoint *collect(struct arena *a, const struct here *here, const struct slices *all, const struct val *port)
{
    struct endpoint *first = NULL, **tail = &first;
    for (const struct slices *s = all; s; s = s->next)
        if (str_is(json_str(s->slice, "addressType"), "IPv4") && !state_is_others(s->slice))
            collect_slice(a, here, s->slice, port_number(s->slice, json_str(port, "name"), json_str(port, "protocol")), &tail);
    return first;
}

/* --- hints --- */

struct hint {
    const char *list;                   /* NULL: none counts */
    struct str name;
};

static bool hinted(const struct val *endpoint, const struct hint *h)
{
    return !h->list || (h->name.len && json_named(json_path(endpoint, h->list), h->name));
}

static struct hint hint_that_counts(const struct here *here, const struct endpoint *all)
{
    const struct hint kinds[] = { { "hints.forNodes", here->node }, { "hints.forZones", here->zone } };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        bool all_have = true, ours = false;
        for (const struct endpoint *e = all; e; e = e->next)
            if (e->ready) {
                struct val *list = json_path(e->v, kinds[i].list);
                all_have = all_have && val_is(list, VAL_ARR) && list->n;
                ours = ours || hinted(e->v, &kinds[i]);
            }
        if (all_have && ours)
            return kinds[i];
    }
    return (struct hint){ NULL, STR_NONE };
}

/* --- the choice --- */

static bool any_ready(const struct endpoint *all, bool only_local)
{
    for (const struct endpoint *e = all; e; e = e->next)
        if (e->ready && (e->local || !only_local))
            return true;
    return false;
}

void endpoints_add(struct arena *a, const struct here *here, const struct slices *slices, const struct val *port, bool some_local, struct val *out)
{
    const struct endpoint *all = collect(a, here, slices, port);
    bool ready = any_ready(all, false), local_ready = any_ready(all, true);
    struct hint hint = hint_that_counts(here, all);
    for (const struct endpoint *e = all; e; e = e->next) {
        bool cluster = ready ? e->ready && hinted(e->v, &hint) : e->ending;
        bool local = e->local && (local_ready ? e->ready : e->ending);
        if (!cluster && !(local && some_local))
            continue;
        struct val *one = val_push(out, val_new(a, VAL_OBJ));
        json_set_str(a, one, STR("ip"), val_str(address_of(e->v)));
        json_set_int(a, one, STR("port"), e->port);
        json_set_bool(a, one, STR("local"), local);
        if (!cluster)
            json_set_bool(a, one, STR("cluster"), false);
    }
}

int64_t endpoints_ready_here(struct arena *a, const struct here *here, const struct slices *slices, const struct val *ports)
{
    struct val *seen = val_new(a, VAL_ARR);
    val_each(port, ports)
        for (const struct endpoint *e = collect(a, here, slices, port); e; e = e->next)
            if (e->ready && e->local && !json_lists(seen, val_str(address_of(e->v))))
                val_push(seen, val_of_str(a, val_str(address_of(e->v))));
    return seen ? (int64_t)seen->n : 0;
}
