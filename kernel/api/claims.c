/* claims.c - claims on devices (resource.k8s.io): who may say what of their status, who may ask for access as an administrator, and what drivers said of
 * devices that are given back. */
#include "object/validate.h"
#include "policy.h"

#define ADMIN_LABEL "resource.kubernetes.io/admin-access"
#define NODE_NAME   "authentication.kubernetes.io/node-name"

/* --- drivers' words about devices --- */

static bool same_device(const struct val *a, const struct val *b)
{
    static const char *const members[] = { "driver", "pool", "device", "shareID" };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!str_eq(json_str(a, members[i]), json_str(b, members[i])))
            return false;
    return true;
}

static const struct val *find_device(const struct val *list, const struct val *device)
{
    if (val_is(list, VAL_ARR))
        val_each(x, list)
            if (same_device(x, device))
                return x;
    return NULL;
}

void claim_forget_devices(struct val *v, const struct val *old)
{
    const struct val *was = json_path(old, "status.allocation.devices.results"), *now = json_path(v, "status.allocation.devices.results");
    struct val *status = json_get(v, STR("status")), *devices = json_get(status, STR("devices"));
    if (!val_is(devices, VAL_ARR))
        return;
    for (struct val *d = devices->first, *next; d; d = next) {
        next = d->next;
        if (find_device(was, d) && !find_device(now, d))
            val_unlink(devices, d);
    }
    if (!devices->n)
        json_del(status, STR("devices"));
}

/* --- access as an administrator --- */

static void check_admin(struct api_op *op, causes c, const struct path *p)
{
    struct store_object *o = store_head(op->api->store, STR("/namespaces"), STR(""), op->ns);
    struct val *ns = o ? api_tree(op->arena, o, &op->err) : NULL;
    if (!str_is(val_str(json_get(json_path(ns, "metadata.labels"), STR(ADMIN_LABEL))), "true"))
        say_forbidden(c, p, "admin access to devices requires the `" ADMIN_LABEL ": true` label on the containing namespace");
}

void claim_check_admin(struct api_op *op, const struct val *spec, causes c)
{
    const struct path *p = IN(IN(IN(NULL, "spec"), "devices"), "requests");
    LIST_EACH (r, at, json_path(spec, "devices.requests"))
        if (json_bool(json_get(r, STR("exactly")), "adminAccess", false)) {
            check_admin(op, c, IN(ITEM(p, at.i), "adminAccess"));
            return;
        }
}

static bool wants_admin(const struct val *v, long *ret_i)
{
    LIST_EACH (r, at, json_path(v, "status.allocation.devices.results")) {
        *ret_i = at.i;
        if (json_bool(r, "adminAccess", false))
            return true;
    }
    return false;
}

/* --- who may write the status --- */

/* NULL: he may; else why not, in upstream's words. */
static const char *refused(struct api_op *op, struct kl_request *r)
{
    struct kl_call c;
    api_call_init(&c, op->arena, op->user->name);
    c.request = op->request;
    int rc = op->api->hooks.authorize ? op->api->hooks.authorize(op->api->hooks.ctx, &c, op->user, r) : 0;
    if (rc == -KL_PENDING)
        api_fail(&op->err, op->arena, KL_PENDING, "the decision is pending");
    if (rc == 1)
        return NULL;
    const char *why = api_forbidden_text(op->arena, op->user, r, c.err.msg[0] ? arena_dup(op->arena, str_of(c.err.msg)) : "");
    return why ? why : "out of memory";
}

static struct kl_request question(struct api_op *op, const char *verb, const char *subresource)
{
    return (struct kl_request){ .size = sizeof(struct kl_request), .verb = verb, .path = "", .is_resource = 1, .group = op->kind->group,
                                .version = op->kind->version, .resource = op->kind->plural, .subresource = subresource, .ns = "", .name = "" };
}

static void check_allocation(struct api_op *op, causes c, const struct val *v, const struct val *old, const char *verb)
{
    static const char *const members[] = { "status.allocation", "status.reservedFor" };
    bool changed = false;
    for (int i = 0; i < 2; i++) {
        const struct val *now = json_path(v, members[i]), *was = json_path(old, members[i]);
        changed |= !val_equal(now, was) && ((now && now->n) || (was && was->n));
    }
    struct kl_request r = question(op, verb, "binding");
    const char *why = changed ? refused(op, &r) : NULL;
    if (why)
        say_forbidden(c, IN(IN(NULL, "status"), "allocation"),
                      words(c, "changing status.allocation or status.reservedFor requires resource=\"resourceclaims/binding\", verb=\"%s\" permission: %s", verb, why));
}

/* The one node that the allocation is for. */
static struct str node_of(const struct val *v)
{
    const struct val *terms = json_path(v, "status.allocation.nodeSelector.nodeSelectorTerms"), *term = val_is(terms, VAL_ARR) && terms->n == 1 ? terms->first : NULL;
    const struct val *expressions = json_get(term, STR("matchExpressions")), *fields = json_get(term, STR("matchFields"));
    const struct val *f = val_is(fields, VAL_ARR) && fields->n == 1 && !(expressions && expressions->n) ? fields->first : NULL;
    const struct val *values = json_get(f, STR("values"));
    if (!str_is(json_str(f, "key"), "metadata.name") || !str_is(json_str(f, "operator"), "In") || !val_is(values, VAL_ARR) || values->n != 1)
        return STR("");
    return val_str(values->first);
}

/* A service account whose token is bound to that node. */
static bool is_on(const struct kl_user *user, struct str node)
{
    const char *found = NULL;
    unsigned n = 0;
    if (!node.len || !str_starts(str_of(user->name), STR("system:serviceaccount:")))
        return false;
    for (const char *const *x = KL_HAS(user, extra) ? user->extra : NULL; x && x[0] && x[1]; x += 2)
        if (strcmp(x[0], NODE_NAME) == 0) {
            found = x[1];
            n++;
        }
    return n == 1 && str_is(node, found);
}

/* One driver's devices: with the right for the node that he is on, else with that for any. */
static void check_driver_rights(struct api_op *op, causes c, struct str driver, bool on_node, const char *verb)
{
    const char *names[2] = { arena_printf(op->arena, "associated-node:%s", verb), arena_printf(op->arena, "arbitrary-node:%s", verb) }, *first = NULL;
    for (int i = on_node ? 0 : 1; i < 2; i++) {
        struct kl_request r = question(op, names[i] ? names[i] : "", "driver");
        r.ns = arena_dup(op->arena, op->ns);
        r.name = arena_dup(op->arena, driver);
        const char *why = r.ns && r.name ? refused(op, &r) : "out of memory";
        if (!why)
            return;
        first = first ? first : why;
    }
    say_forbidden(c, IN(IN(NULL, "status"), "devices"),
                  words(c, "changing status.devices requires resource=\"resourceclaims/driver\", verb=\"[%s%s%s]\" permission: %s", on_node ? names[0] : "",
                        on_node ? " " : "", names[1], first));
}

static void check_devices(struct api_op *op, causes c, const struct val *v, const struct val *old, const char *verb)
{
    const struct val *now = json_path(v, "status.devices"), *was = json_path(old, "status.devices");
    const struct val *lists[2][2] = { { now, was }, { was, now } };
    _cleanup_met_ struct met drivers = { 0 };
    bool on_node = is_on(op->user, node_of(v));
    for (int i = 0; i < 2; i++)
        LIST_EACH (d, at, lists[i][0]) {
            const struct val *other = find_device(lists[i][1], d);
            if (!(other && val_equal(d, other)) && !met_again(&drivers, json_str(d, "driver")))
                check_driver_rights(op, c, json_str(d, "driver"), on_node, verb);
        }
}

void claim_check_status(struct api_op *op, const struct val *v, const struct val *old, causes c)
{
    long i = 0, was = 0;
    const char *verb = op->patches ? "patch" : "update";
    if (!wants_admin(old, &was) && wants_admin(v, &i))
        check_admin(op, c, IN(ITEM(IN(IN(IN(IN(NULL, "status"), "allocation"), "devices"), "results"), i), "adminAccess"));
    if (!op->query || !op->user)        /* the server's own writers */
        return;
    check_allocation(op, c, v, old, verb);
    if (json_path(v, "status.allocation"))
        check_devices(op, c, v, old, verb);
}
