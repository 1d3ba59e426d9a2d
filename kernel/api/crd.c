/* crd.c - definitions become kinds that are served, and go again. A watch of our own over the definitions keeps the look-ups of
 * kernel/schema in step with what lasts; a kind that was replaced stays in memory for a while, for requests under way. */
#include "crd.h"

#include "base/env.h"
#include "base/log.h"
#include "loop/loop.h"

#define RETIRED_NS (24 * 3600 * NS_PER_S)       /* longer than any watch */
#define QUIET_NS   (1 * NS_PER_S)
#define SWEEP_NS   (100 * NS_PER_MS)            /* between two looks at a definition that ends */

struct crds {
    struct api *api;
    struct store_watch *watch;
    struct crd_kinds *live, *retired;
    struct list names;                  /* struct crd_names */
    struct loop_timer timer, quiet;
    bool ending;                        /* some definition waits for its objects to go */
};

/* Who writes definitions' status and deletes their objects: the server itself. */
static const char *const groups[] = { "system:masters", NULL };
static const struct kl_user user = { .size = sizeof user, .name = "system:apiserver", .uid = "", .groups = groups };

static bool wake_up(struct crds *x);

/* --- look-ups --- */

static struct crd_kinds **place_of(struct crds *x, struct str name)
{
    struct crd_kinds **at = &x->live;
    while (*at && !str_eq(store_object_name((*at)->source), name))
        at = &(*at)->next;
    return at;
}

static void withdraw(struct crds *x, struct str name)
{
    struct crd_kinds **at = place_of(x, name), *d = *at;
    int64_t now = loop_now(x->api->loop);
    if (!d)
        return;
    *at = d->next;
    api_aggregates_kinds_changed(x->api);
    for (unsigned i = 0; i < d->n; i++)
        if (d->at[i].served)
            schema_remove(&d->at[i].kind);
    d->retired_ns = now;
    d->next = x->retired;
    x->retired = d;
    for (at = &x->retired; *at;) {
        struct crd_kinds *old = *at;
        if (now - old->retired_ns < RETIRED_NS) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        crd_kinds_free(old);
    }
}

static bool same_spec(const struct crd_kinds *d, const struct val *crd, struct arena *a)
{
    struct val *was = json_parse(a, store_object_json(d->source), NULL);
    return val_equal(json_get(was, STR("spec")), json_get(crd, STR("spec"))) &&
           !json_path(was, "metadata.deletionTimestamp") == !json_path(crd, "metadata.deletionTimestamp");
}

static void serve(struct crds *x, struct store_object *o, const struct val *crd, struct arena *a)
{
    struct crd_kinds *d = *place_of(x, store_object_name(o));
    if (d && same_spec(d, crd, a)) {
        crd_kinds_move(d, o);
        return;
    }
    d = crd_kinds_new(o, crd);
    if (!d) {
        log_error("api", "custom resource '" STR_FMT "' cannot be served", STR_ARG(store_object_name(o)));
        return;
    }
    withdraw(x, store_object_name(o));
    for (unsigned i = 0; i < d->n; i++) {
        if (json_path(crd, "metadata.deletionTimestamp"))
            d->at[i].kind.flags |= K_TERMINATING;
        if (d->at[i].served && !schema_add(&d->at[i].kind))
            log_error("api", "out of memory for the kind '%s'", d->at[i].kind.kind);
    }
    d->next = x->live;
    x->live = d;
    api_aggregates_kinds_changed(x->api);
}

/* --- the end of a definition: its objects first --- */

struct sweep {
    struct crds *x;
    const struct schema_kind *kind;
};

static bool delete_one(void *ctx, struct store_object *o)
{
    struct sweep *s = ctx;
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct api_op op = { .api = s->x->api, .arena = a, .user = &user, .kind = s->kind, .ns = store_object_ns(o), .name = store_object_name(o),
                         .grace_s = -1 };
    if (a && api_op_delete(&op) < 0 && op.err.code != KL_NOT_FOUND)
        log_warn("api", "%s '" STR_FMT "' cannot be deleted: %s", s->kind->kind, STR_ARG(op.name), op.err.message);
    return true;
}

static int update(struct crds *x, struct arena *a, struct val *crd, const char *subresource)
{
    struct api_op op = { .api = x->api, .arena = a, .user = &user, .kind = schema_resource_by_name(STR(CRD_RESOURCE)), .subresource = subresource,
                         .name = json_str(crd, "metadata.name") };
    int rc = api_op_update(&op, crd);
    if (rc < 0 && op.err.code != KL_CONFLICT && op.err.code != KL_NOT_FOUND)
        log_warn("api", "definition '" STR_FMT "': %s", STR_ARG(op.name), op.err.message);
    return rc;
}

/* All of a definition's objects are asked to go; the finalizer goes when none is left. */
static void end_definition(struct crds *x, struct val *crd, struct arena *a)
{
    struct crd_kinds *d = *place_of(x, json_str(crd, "metadata.name"));
    const struct schema_kind *k = d ? d->at[0].kind.storage : NULL;
    struct val *list = json_path(crd, "metadata.finalizers");
    if (k) {
        struct store_range all = { .resource = str_of(k->resource), .head = true };
        struct sweep s = { x, k };
        store_list(x->api->store, &all, delete_one, &s);
        if (store_count(x->api->store, all.resource)) {
            x->ending = true;
            return;
        }
    }
    if (!val_is(list, VAL_ARR))
        return;
    for (struct val *f = list->first, *next; f; f = next) {
        next = f->next;
        if (str_is(val_str(f), CRD_FINALIZER))
            val_unlink(list, f);
    }
    update(x, a, crd, NULL);
}

/* --- names --- */

static void names_forget(struct crds *x, struct str definition)
{
    list_each(l, &x->names) {
        struct crd_names *n = list_item(l, struct crd_names, link);
        if (!str_eq(n->definition, definition))
            continue;
        list_remove(&n->link);
        mem_free(n);
    }
}

static struct str keep_text(char **at, struct str s)
{
    struct str kept = { *at, s.len };
    if (s.len)
        memcpy(*at, s.at, s.len);
    *at += s.len;
    return kept;
}

/* What that definition holds now. */
static void names_keep(struct crds *x, const struct val *crd, const struct val *status)
{
    struct str definition = json_str(crd, "metadata.name"), group = json_str(crd, "spec.group");
    const struct val *accepted = json_get(status, STR("acceptedNames"));
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    names_forget(x, definition);
    if (accepted)
        json_write(&b, accepted);
    struct crd_names *n = accepted && !b.failed ? mem_alloc(sizeof *n + definition.len + group.len + b.len) : NULL;
    if (!n)
        return;
    char *at = n->text;
    n->definition = keep_text(&at, definition);
    n->group = keep_text(&at, group);
    n->accepted = keep_text(&at, buf_str(&b));
    list_push(&x->names, &n->link);
}

static bool names_read(void *ctx, struct store_object *o)
{
    struct crds *x = ctx;
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct val *crd = a ? json_parse(a, store_object_json(o), NULL) : NULL;
    if (crd)
        names_keep(x, crd, json_get(crd, STR("status")));
    return true;
}

/* --- one definition --- */

static void follow(struct crds *x, struct store_object *o)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct val *crd = a ? json_parse(a, store_object_json(o), NULL) : NULL;
    bool established = false;
    if (!crd)
        return;
    struct val *status = crd_status(&x->names, a, crd, &established);
    names_keep(x, crd, status);
    if (established)                    /* as everybody reads it: who finds the kind served finds a definition that we write no more */
        serve(x, o, crd, a);
    bool ending = json_path(crd, "metadata.deletionTimestamp") != NULL;
    if (!val_equal(status, json_get(crd, STR("status")))) {
        json_set(a, crd, STR("status"), status);
        update(x, a, crd, "status");    /* its event brings us back */
    } else if (ending) {
        end_definition(x, crd, a);
    }
}

static bool follow_listed(void *ctx, struct store_object *o)
{
    follow(ctx, o);
    return true;
}

/* Names that were refused may be free now; what ends is looked at again. */
static void look_at_all(struct crds *x)
{
    struct store_range all = { .resource = STR(CRD_RESOURCE) };
    x->ending = false;
    store_list(x->api->store, &all, follow_listed, x);
}

static void on_timer(void *ctx)
{
    struct crds *x = ctx;
    look_at_all(x);
    if (x->ending)
        loop_timer_start(x->api->loop, &x->timer, SWEEP_NS, on_timer, x);
}

/* Definitions come in crowds, and each is parsed some times: what that took goes back. */
static void on_quiet(void *ctx)
{
    (void)ctx;
    mem_trim();
}

static void on_wake(void *ctx)
{
    struct crds *x = ctx;
    loop_timer_start(x->api->loop, &x->quiet, QUIET_NS, on_quiet, x);
    bool gone = wake_up(x);
    if (gone)
        look_at_all(x);
    if (x->ending)
        loop_timer_start(x->api->loop, &x->timer, SWEEP_NS, on_timer, x);
}

static bool begin(struct crds *x, struct kl_err *err)
{
    return store_watch_new(x->api->store, STR(CRD_RESOURCE), STR_NONE, store_revision(x->api->store), on_wake, x, &x->watch, err) == 0;
}

/* True: some definition has gone, or we fell behind. */
static bool wake_up(struct crds *x)
{
    struct store_event e;
    struct kl_err err;
    bool expired = false, gone = false;
    kl_err_init(&err);
    while (store_watch_next(x->watch, &e, &expired)) {
        if (e.type == STORE_DELETED) {
            withdraw(x, store_object_name(e.object));
            names_forget(x, store_object_name(e.object));
            gone = true;
        } else {
            follow(x, e.object);
        }
    }
    if (!expired)
        return gone;
    store_watch_free(x->watch);
    x->watch = NULL;
    if (!begin(x, &err))
        log_error("api", "custom resources: %s", err.msg);
    return true;
}

/* --- life --- */

int api_crds_new(struct api *api, struct crds **ret, struct kl_err *err)
{
    struct crds *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    struct store_range all = { .resource = STR(CRD_RESOURCE) };
    x->api = api;
    list_init(&x->names);
    *ret = x;
    if (!begin(x, err))
        return -err->code;
    store_list(api->store, &all, names_read, x);        /* who holds names is known before anybody asks for them */
    look_at_all(x);
    if (x->ending)
        loop_timer_start(api->loop, &x->timer, SWEEP_NS, on_timer, x);
    return 0;
}

static void free_list(struct crd_kinds *d, bool listed)
{
    while (d) {
        struct crd_kinds *next = d->next;
        for (unsigned i = 0; listed && i < d->n; i++)
            if (d->at[i].served)
                schema_remove(&d->at[i].kind);
        crd_kinds_free(d);
        d = next;
    }
}

void api_crds_stop(struct crds *x)
{
    if (!x)
        return;
    loop_timer_stop(&x->timer);
    loop_timer_stop(&x->quiet);
    if (x->watch)
        store_watch_free(x->watch);
    x->watch = NULL;
}

void api_crds_free(struct crds *x)
{
    if (!x)
        return;
    api_crds_stop(x);
    list_each(l, &x->names)
        mem_free(list_item(l, struct crd_names, link));
    free_list(x->live, true);
    free_list(x->retired, false);
    mem_free(x);
}
