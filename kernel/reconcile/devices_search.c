/* devices_search.c - the first set of devices of a node that meets all of a pod's claims, found by trying: claim after claim, request after request, each
 * with the devices in their order, and back when there is no way on. Devices of one request are tried in ascending order only, so that no set is tried
 * twice. */
#include "base/env.h"
#include "reconcile/devices-internal.h"

#define STEPS_MOST 200000u              /* devices looked at for one node */

enum found { NO, YES, TOO_MANY, STOP }; /* TOO_MANY: a claim would have more devices than its result can hold; STOP: q's reason is set */

struct search {
    struct devices_ask *q;
    const struct ledger_node *node;
    const char *why;
    bool fatal;
};

struct place {                          /* what is to be found next */
    unsigned claim, choice, device;
};

static enum found stop(struct search *s, const char *why, bool fatal)
{
    s->why = why ? why : "out of memory";
    s->fatal = fatal;
    return STOP;
}

static const char *shown(struct devices_ask *q, const struct wanted *w)
{
    char *text = arena_printf(q->arena, STR_FMT "/" STR_FMT, STR_ARG(json_str(w->v, "metadata.namespace")), STR_ARG(json_str(w->v, "metadata.name")));
    return text ? text : "";
}

/* --- does a device do? --- */

static enum found ask_selectors(struct search *s, const struct wanted *w, const struct request *r, struct device *d)
{
    const char *why = NULL;
    if (!d->seen && !(d->seen = cel_device_new(s->q->arena, d->pool->driver, d->v, &why)))
        return stop(s, why, true);
    for (unsigned i = 0; i < r->n_selectors; i++) {
        int rc = cel_device_matches(r->selectors[i], d->seen, s->q->arena, &why);
        if (rc == 0)
            return NO;
        if (rc < 0)
            return stop(s, i < r->n_of_class ? arena_printf(s->q->arena, "class " STR_FMT ": selector #%u: CEL runtime error: %s", STR_ARG(json_str(r->class, "metadata.name")), i, why) :
                           arena_printf(s->q->arena, "claim %s: selector #%u: CEL runtime error: %s", shown(s->q, w), i - r->n_of_class, why), true);
    }
    return YES;
}

static enum found is_selectable(struct search *s, const struct wanted *w, struct request *r, struct device *d)
{
    int8_t *known = &r->matches[d - s->q->offer->at];
    if (*known >= 0)
        return *known ? YES : NO;
    enum found f = ask_selectors(s, w, r, d);
    if (f != STOP)
        *known = f == YES;
    return f;
}

static bool tolerates(const struct val *t, const struct val *taint)
{
    struct str op = json_str(t, "operator"), key = json_str(t, "key"), effect = json_str(t, "effect");
    if ((effect.len && !str_eq(effect, json_str(taint, "effect"))) || (key.len && !str_eq(key, json_str(taint, "key"))))
        return false;
    return str_is(op, "Exists") || ((!op.len || str_is(op, "Equal")) && str_eq(json_str(t, "value"), json_str(taint, "value")));
}

static bool is_tainted(const struct request *r, const struct device *d)
{
    const struct val *taints = json_get(d->v, STR("taints")), *tolerations = json_get(r->v, STR("tolerations"));
    if (!val_is(taints, VAL_ARR))
        return false;
    val_each(t, taints) {
        struct str effect = json_str(t, "effect");
        bool borne = !str_is(effect, "NoSchedule") && !str_is(effect, "NoExecute");
        if (!borne && val_is(tolerations, VAL_ARR))
            val_each(x, tolerations)
                borne |= tolerates(x, t);
        if (!borne)
            return true;
    }
    return false;
}

static bool is_whole(const struct search *s, const struct device *d)
{
    const struct used *u = devices_used(s->q->of, d->id);
    return d->claims || (u && u->whole);
}

/* --- constraints --- */

static const struct val *attribute(const struct device *d, struct str name)
{
    const struct val *all = json_get(d->v, STR("attributes")), *v = json_get(all, name);
    struct str id = name, domain = str_cut(&id, '/');
    return v ? v : id.at && str_eq(domain, d->pool->driver) ? json_get(all, id) : NULL;
}

static bool concerns(const struct val *constraint, const struct request *r)
{
    const struct val *names = json_get(constraint, STR("requests"));
    if (!val_is(names, VAL_ARR) || !names->n)
        return true;
    val_each(n, names) {
        struct str sub = val_str(n), head = str_cut(&sub, '/');
        if (r->parent.len ? str_eq(head, r->parent) && (!sub.at || str_eq(sub, r->name)) : !sub.at && str_eq(head, r->name))
            return true;
    }
    return false;
}

/* Beside the devices that the claim has already. */
static bool meets(const struct wanted *w, const struct val *constraint, const struct request *r, const struct device *d)
{
    const struct val *match = json_get(constraint, STR("matchAttribute"));
    struct str name = match ? val_str(match) : json_str(constraint, "distinctAttribute");
    const struct val *v = attribute(d, name);
    if (!concerns(constraint, r))
        return true;
    for (unsigned i = 0; v && i < w->n_results; i++)
        if (concerns(constraint, w->results[i].request) && val_equal(v, attribute(w->results[i].device, name)) != (match != NULL))
            return false;
    return v != NULL;
}

static bool meets_all(const struct wanted *w, const struct request *r, const struct device *d)
{
    const struct val *list = json_path(w->v, "spec.devices.constraints");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (!meets(w, c, r, d))
                return false;
    return true;
}

/* --- one device --- */

static const char *new_share(struct arena *a)
{
    unsigned char b[16];
    env_random(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    return arena_printf(a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
                        b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* Is it free for the claim, and is it what the request means? Then it is the claim's next result. */
static enum found take(struct search *s, unsigned claim, const struct request *r, struct device *d, bool must)
{
    struct wanted *w = &s->q->claims[claim];
    uint64_t bit = (uint64_t)1 << claim;
    if (r->admin ? !d->shared && d->claims & bit : is_whole(s, d))
        return NO;
    if (!capacity_fits(s->q, r, d) || !counters_fit(s->q, s->q->offer, d) || is_tainted(r, d))
        return NO;
    if (!meets_all(w, r, d))
        return !must ? NO : stop(s, arena_printf(s->q->arena, "claim %s, request " STR_FMT ": cannot add device " STR_FMT " because a claim constraint would not be satisfied",
                                                 shown(s->q, w), STR_ARG(r->name), STR_ARG(d->id)), true);
    w->results[w->n_results++] = (struct result){ d, r, d->shared ? new_share(s->q->arena) : NULL, d->shared ? capacity_consumed(s->q->arena, r, d) : NULL };
    if (!d->shared)
        d->claims |= bit;
    return YES;
}

static void untake(struct search *s, unsigned claim)
{
    struct wanted *w = &s->q->claims[claim];
    struct device *d = w->results[--w->n_results].device;
    if (!d->shared)
        d->claims &= ~((uint64_t)1 << claim);
}

/* --- trying --- */

static enum found next(struct search *s, struct place at);

static enum found fill(struct search *s, struct place at, struct request *r, unsigned from)
{
    struct wanted *w = &s->q->claims[at.claim];
    const struct offer *o = s->q->offer;
    if (at.device >= r->n)
        return next(s, (struct place){ at.claim, at.choice + 1, 0 });
    if (w->n_results + r->n - at.device > RESULTS_MOST)
        return TOO_MANY;
    struct place then = { at.claim, at.choice, at.device + 1 };
    for (unsigned i = r->all ? r->which[at.device] : from; i < o->n; i++) {
        struct device *d = &o->at[i];
        if (!s->q->steps)
            return stop(s, arena_printf(s->q->arena, "node %s: timed out trying to allocate devices", s->node->name), false);
        s->q->steps--;
        if (!r->all && !r->admin && is_whole(s, d))
            continue;
        enum found f = is_selectable(s, w, r, d);
        f = f == YES ? take(s, at.claim, r, d, r->all) : f;
        if (f == YES && (f = fill(s, then, r, i + 1)) != YES)
            untake(s, at.claim);
        if (f != NO)
            return f;
        if (r->all)                     /* without this one it is not all */
            return NO;
    }
    return NO;
}

/* One choice: its request, or the first of those that would do for which everything behind can be found too. */
static enum found next(struct search *s, struct place at)
{
    if (at.claim >= s->q->n)
        return YES;
    struct wanted *w = &s->q->claims[at.claim];
    if (w->allocated || at.choice >= w->n) {
        enum found f = next(s, (struct place){ at.claim + 1, 0, 0 });
        return f == TOO_MANY ? NO : f;
    }
    struct choice *c = &w->choices[at.choice];
    bool too_many = true;
    for (c->chosen = 0; c->chosen < c->n; c->chosen++) {
        struct request *r = &c->at[c->chosen];
        enum found f = r->all && !r->n ? NO : fill(s, at, r, 0);
        if (f == YES || f == STOP)
            return f;
        too_many &= f == TOO_MANY;
    }
    return too_many ? TOO_MANY : NO;
}

/* --- before: how many are "all", and can there be so many? --- */

static enum found count_all(struct search *s, const struct wanted *w, struct request *r)
{
    struct devices_ask *q = s->q;
    const struct offer *o = q->offer;
    for (unsigned i = 0; i < o->n_pools; i++)
        if (o->pools[i].incomplete || o->pools[i].invalid)
            return stop(s, arena_printf(q->arena, "claim %s, request " STR_FMT ": asks for all devices, but resource pool " STR_FMT "/" STR_FMT " is currently %s", shown(q, w),
                                        STR_ARG(r->name), STR_ARG(o->pools[i].driver), STR_ARG(o->pools[i].name), o->pools[i].incomplete ? "being updated" : "invalid"), true);
    r->which = o->n ? arena_alloc(q->arena, o->n * sizeof *r->which) : NULL;
    if (o->n && !r->which)
        return stop(s, NULL, true);
    for (unsigned i = 0; i < o->n; i++) {
        enum found f = is_selectable(s, w, r, &o->at[i]);
        if (f == STOP)
            return f;
        if (f == YES && capacity_fits(q, r, &o->at[i]))
            r->which[r->n++] = i;
    }
    return YES;
}

static enum found prepare_request(struct search *s, const struct wanted *w, struct request *r)
{
    unsigned n = s->q->offer->n;
    r->matches = n ? arena_alloc(s->q->arena, n) : NULL;
    if (n && !r->matches)
        return stop(s, NULL, true);
    if (n)
        memset(r->matches, -1, n);
    r->n = 0;
    if (r->all)
        return count_all(s, w, r);
    int64_t count = json_int(r->v, "count", 1);
    r->n = count > UINT16_MAX ? UINT16_MAX : (unsigned)count;
    return YES;
}

static enum found prepare(struct search *s)
{
    for (unsigned i = 0; i < s->q->n; i++) {
        struct wanted *w = &s->q->claims[i];
        unsigned least = 0;
        w->n_results = 0;
        for (unsigned k = 0; k < w->n && !w->allocated; k++) {
            unsigned fewest = UINT32_MAX;
            for (unsigned j = 0; j < w->choices[k].n; j++) {
                if (prepare_request(s, w, &w->choices[k].at[j]) == STOP)
                    return STOP;
                fewest = w->choices[k].at[j].n < fewest ? w->choices[k].at[j].n : fewest;
            }
            least += w->choices[k].n ? fewest : 0;
        }
        if (least > RESULTS_MOST)
            return stop(s, arena_printf(s->q->arena, "claim %s: number of requested devices %u exceeds the claim limit of %d", shown(s->q, w), least, RESULTS_MOST), true);
    }
    return YES;
}

bool devices_search(struct devices_ask *q, const struct ledger_node *n, const char **ret_why, bool *ret_fatal)
{
    struct search s = { .q = q, .node = n };
    q->steps = STEPS_MOST;
    enum found f = prepare(&s);
    if (f == YES)
        f = next(&s, (struct place){ 0 });
    *ret_why = s.why;
    *ret_fatal = s.fatal;
    for (unsigned i = 0; f != YES && f != STOP && i < q->offer->n_pools && !s.why; i++)
        if (q->offer->pools[i].invalid)
            *ret_why = "invalid resource pools were encountered";
    return f == YES;
}
