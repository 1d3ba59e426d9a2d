/* devices_read.c - a pod's claims as the search wants them, and whether a node would do. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "reconcile/devices-internal.h"
#include "reconcile/filter.h"

#define RESERVED_MOST 256
#define NODE_BYTES ((size_t)64 << 20)
#define READY_NS (600 * NS_PER_S)       /* how long a device may take to become ready to be bound */

/* --- claims --- */

static struct str name_of(const struct val *pod, const struct val *entry, bool *ret_made)
{
    const struct val *statuses = json_path(pod, "status.resourceClaimStatuses");
    struct str name = json_str(entry, "resourceClaimName");
    *ret_made = name.len > 0;
    if (!name.len && val_is(statuses, VAL_ARR))
        val_each(s, statuses)
            if (str_eq(json_str(s, "name"), json_str(entry, "name"))) {
                *ret_made = true;
                name = json_str(s, "resourceClaimName");
            }
    return name;
}

static bool is_of(const struct val *claim, struct str uid)
{
    const struct val *owners = json_path(claim, "metadata.ownerReferences");
    if (val_is(owners, VAL_ARR))
        val_each(o, owners)
            if (json_bool(o, "controller", false) && str_eq(json_str(o, "uid"), uid))
                return true;
    return false;
}

static const char *look_up(struct devices_ask *q, const struct val *entry, const struct val **ret)
{
    struct arena *a = q->arena;
    struct kl_err err;
    kl_err_init(&err);
    struct str ns = json_str(q->pod, "metadata.namespace"), pod = json_str(q->pod, "metadata.name");
    bool made;
    struct str name = name_of(q->pod, entry, &made);
    *ret = NULL;
    if (!made)
        return arena_printf(a, "pod \"" STR_FMT "/" STR_FMT "\": ResourceClaim not created yet", STR_ARG(ns), STR_ARG(pod));
    if (!name.len)
        return NULL;                    /* it was found that none is needed */
    struct store_object *o = store_head(devices_store(q->of), STR("resource.k8s.io/resourceclaims"), ns, name);
    if (!o)
        return arena_printf(a, "could not find v1.ResourceClaim \"" STR_FMT "/" STR_FMT "\"", STR_ARG(ns), STR_ARG(name));
    const struct val *v = json_parse_without(a, arena_str(a, store_object_json(o)), "metadata.managedFields", &err);
    if (!v)
        return arena_dup(a, str_of(err.msg));
    if (json_path(v, "metadata.deletionTimestamp"))
        return arena_printf(a, "resourceclaim \"" STR_FMT "\" is being deleted", STR_ARG(name));
    if (!json_str(entry, "resourceClaimName").len && !is_of(v, json_str(q->pod, "metadata.uid")))
        return arena_printf(a, "ResourceClaim " STR_FMT "/" STR_FMT " was not created for Pod " STR_FMT "/" STR_FMT " (Pod is not owner)", STR_ARG(ns), STR_ARG(name),
                            STR_ARG(ns), STR_ARG(pod));
    *ret = v;
    return NULL;
}

bool devices_reserved_for(const struct val *claim, struct str uid)
{
    const struct val *list = json_path(claim, "status.reservedFor");
    if (val_is(list, VAL_ARR))
        val_each(u, list)
            if (str_eq(json_str(u, "uid"), uid))
                return true;
    return false;
}

/* --- requests --- */

static const char *add_selectors(struct devices_ask *q, struct request *r, const struct val *of, const char *whose, struct str name)
{
    const struct val *list = json_get(of, STR("selectors"));
    if (!val_is(list, VAL_ARR))
        return NULL;
    unsigned i = 0;
    val_each(s, list) {
        const char *why = NULL;
        struct cel_program *p = cel_device_compile(q->arena, json_str(s, "cel.expression"), &why);
        if (!p)
            return arena_printf(q->arena, "%s " STR_FMT ": selector #%u: CEL compile error: %s", whose, STR_ARG(name), i, why ? why : "out of memory");
        r->selectors[r->n_selectors++] = p;
        i++;
    }
    return NULL;
}

static const char *read_request(struct devices_ask *q, const struct wanted *w, struct request *r, const struct val *v, struct str name, struct str parent)
{
    struct arena *a = q->arena;
    struct kl_err err;
    kl_err_init(&err);
    struct str class = json_str(v, "deviceClassName");
    struct store_object *o = store_head(devices_store(q->of), STR("resource.k8s.io/deviceclasses"), STR(""), class);
    if (!o)
        return arena_printf(a, "request " STR_FMT "%s" STR_FMT ": device class " STR_FMT " does not exist", STR_ARG(parent), parent.len ? "/" : "", STR_ARG(name), STR_ARG(class));
    *r = (struct request){ .v = v, .name = name, .parent = parent, .all = str_is(json_str(v, "allocationMode"), "All"), .admin = json_bool(v, "adminAccess", false) };
    r->class = json_parse_without(a, arena_str(a, store_object_json(o)), "metadata.managedFields", &err);
    const struct val *spec = json_get(r->class, STR("spec")), *theirs = json_get(spec, STR("selectors")), *own = json_get(v, STR("selectors"));
    unsigned n = (theirs ? theirs->n : 0) + (own ? own->n : 0);
    r->selectors = n ? arena_alloc(a, n * sizeof *r->selectors) : NULL;
    if (!r->class || (n && !r->selectors))
        return "out of memory";
    const char *why = add_selectors(q, r, spec, "class", class);
    r->n_of_class = r->n_selectors;
    return why ? why : add_selectors(q, r, v, "claim", json_str(w->v, "metadata.name"));
}

static const char *read_requests(struct devices_ask *q, struct wanted *w)
{
    const struct val *list = json_path(w->v, "spec.devices.requests");
    unsigned n = val_is(list, VAL_ARR) ? list->n : 0;
    w->choices = n ? arena_alloc(q->arena, n * sizeof *w->choices) : NULL;
    if (n && !w->choices)
        return "out of memory";
    if (n)
        val_each(r, list) {
            const struct val *exactly = json_get(r, STR("exactly")), *several = json_get(r, STR("firstAvailable"));
            struct choice *c = &w->choices[w->n++];
            const char *why = NULL;
            c->n = exactly ? 1 : val_is(several, VAL_ARR) ? several->n : 0;
            if (!c->n)
                return arena_printf(q->arena, "resource claim " STR_FMT ", request " STR_FMT ": unknown request type", STR_ARG(json_str(w->v, "metadata.name")), STR_ARG(json_str(r, "name")));
            if (!(c->at = arena_alloc(q->arena, c->n * sizeof *c->at)))
                return "out of memory";
            if (exactly) {
                if ((why = read_request(q, w, c->at, exactly, json_str(r, "name"), STR(""))))
                    return why;
                continue;
            }
            unsigned i = 0;
            val_each(s, several)
                if ((why = read_request(q, w, &c->at[i++], s, json_str(s, "name"), json_str(r, "name"))))
                    return why;
        }
    return NULL;
}

static const char *read_claim(struct devices_ask *q, const struct val *v)
{
    struct str key = str_of(arena_printf(q->arena, STR_FMT "/" STR_FMT, STR_ARG(json_str(v, "metadata.namespace")), STR_ARG(json_str(v, "metadata.name"))));
    const struct val *reserved = json_path(v, "status.reservedFor");
    for (unsigned i = 0; i < q->n; i++)
        if (str_eq(json_str(q->claims[i].v, "metadata.uid"), json_str(v, "metadata.uid")))
            return NULL;
    struct wanted *w = &q->claims[q->n++];
    *w = (struct wanted){ .v = v, .allocated = json_path(v, "status.allocation") != NULL };
    if (w->allocated)
        return reserved && reserved->n >= RESERVED_MOST && !devices_reserved_for(v, json_str(q->pod, "metadata.uid")) ? "resourceclaim in use" : NULL;
    q->n_open++;
    if (devices_assumed(q->of, key))
        return arena_printf(q->arena, "resource claim " STR_FMT " is in the process of being allocated", STR_ARG(key));
    return read_requests(q, w);
}

const char *devices_read(struct devices_ask *q, struct devices *d, struct arena *a, const struct val *pod)
{
    const struct val *entries = json_path(pod, "spec.resourceClaims");
    *q = (struct devices_ask){ .of = d, .arena = a, .pod = pod };
    if (!val_is(entries, VAL_ARR) || !entries->n)
        return NULL;
    if (entries->n > CLAIMS_MOST)
        return "too many resource claims";
    q->claims = arena_alloc(a, entries->n * sizeof *q->claims);
    q->offer = arena_alloc(a, sizeof *q->offer);
    if (!q->claims || !q->offer)
        return "out of memory";
    val_each(e, entries) {
        const struct val *v;
        const char *why = look_up(q, e, &v);
        if (!why && v)
            why = read_claim(q, v);
        if (why)
            return why;
    }
    return NULL;
}

/* --- binding conditions --- */

static const struct val *condition(const struct val *claim, const struct val *result, struct str type)
{
    const struct val *devices = json_path(claim, "status.devices");
    if (!val_is(devices, VAL_ARR))
        return NULL;
    val_each(d, devices) {
        const struct val *list = json_get(d, STR("conditions"));
        bool same = str_eq(json_str(d, "driver"), json_str(result, "driver")) && str_eq(json_str(d, "pool"), json_str(result, "pool")) &&
                    str_eq(json_str(d, "device"), json_str(result, "device"));
        if (same && val_is(list, VAL_ARR))
            val_each(c, list)
                if (str_eq(json_str(c, "type"), type) && str_is(json_str(c, "status"), "True"))
                    return c;
    }
    return NULL;
}

enum readiness devices_readiness(const struct val *claim)
{
    const struct val *results = json_path(claim, "status.allocation.devices.results");
    bool waits = false;
    int64_t since;
    if (!val_is(results, VAL_ARR))
        return READY;
    val_each(r, results) {
        const struct val *wanted = json_get(r, STR("bindingConditions")), *bad = json_get(r, STR("bindingFailureConditions"));
        if (val_is(bad, VAL_ARR))
            val_each(x, bad)
                if (condition(claim, r, val_str(x)))
                    return FAILED;
        if (val_is(wanted, VAL_ARR))
            val_each(x, wanted)
                waits |= !condition(claim, r, val_str(x));
    }
    if (!waits)
        return READY;
    if (clock_parse(json_str(claim, "status.allocation.allocationTimestamp"), &since) && env_wall_ns() - since > READY_NS)
        return FAILED;
    return WAITS;
}

/* --- one node --- */

const char *devices_find(struct devices_ask *q, const struct ledger_node *n, struct arena *a)
{
    struct arena *own = q->arena;
    const char *why = "out of memory";
    bool fatal = true, found = false;
    q->arena = a;
    if (offer_read(q->offer, a, q->of, n))
        found = devices_search(q, n, &why, &fatal);
    q->arena = own;
    if (found)
        return NULL;
    why = why ? arena_dup(own, str_of(why)) : "cannot allocate all claims";
    q->fatal = fatal && !q->fatal ? why : q->fatal;
    return why ? why : "out of memory";
}

const char *devices_fit(struct devices_ask *q, const struct ledger_node *n)
{
    bool unavailable = false;
    for (unsigned i = 0; i < q->n; i++) {
        struct wanted *w = &q->claims[i];
        const struct val *selector = json_path(w->v, "status.allocation.nodeSelector");
        bool here = !w->allocated || ((!selector || filter_terms_match(json_get(selector, STR("nodeSelectorTerms")), n)) && devices_readiness(w->v) != FAILED);
        w->elsewhere |= !here;
        unavailable |= !here;
    }
    if (unavailable || !q->n_open)
        return unavailable ? "resourceclaim not available on the node" : NULL;
    _cleanup_arena_ struct arena *a = arena_new(NODE_BYTES);         /* gone with the node: there may be thousands */
    return a ? devices_find(q, n, a) : "out of memory";
}
