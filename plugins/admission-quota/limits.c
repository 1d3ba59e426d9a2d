/* limits.c - LimitRanger: what the LimitRanges of a namespace give to containers that say nothing, and what they hold pods and claims to. */
#include "quota.h"

#define ANNOTATION "kubernetes.io/limit-ranger"

struct limiting {
    struct review *w;
    struct val *faults;                 /* texts, each once */
    const char *type;                   /* of the present item: "Container" */
    struct amounts requests, limits;    /* of what is measured */
};

/* --- defaults --- */

static struct val *default_of(struct review *w, const struct val *ranges, const char *member)
{
    struct val *all = val_new(w->arena, VAL_OBJ);
    for (const struct val *r = ranges->first; r; r = r->next) {
        const struct val *items = json_path(r, "spec.limits");
        for (const struct val *i = val_is(items, VAL_ARR) ? items->first : NULL; i; i = i->next) {
            const struct val *map = json_get(i, str_of(member));
            if (!str_is(json_str(i, "type"), "Container") || !val_is(map, VAL_OBJ))
                continue;
            val_each(m, map)
                json_set(w->arena, all, val_key(m), val_copy(w->arena, m));
        }
    }
    return all;
}

static void append_set(struct buf *b, struct amounts *set, const char *what, const char *kind, struct str name)
{
    if (!set->n)
        return;
    buf_add_z(b, b->len ? "; " : "LimitRanger plugin set: ");
    for (unsigned i = 0; i < set->n; i++)
        buf_printf(b, "%s" STR_FMT, i ? ", " : "", STR_ARG(set->at[i].name));
    buf_printf(b, " %s for %s " STR_FMT, what, kind, STR_ARG(name));
}

/* Members of defaults that are not in resources.<member> yet. */
static void fill(struct review *w, struct val *resources, const char *member, const struct val *defaults, struct amounts *set)
{
    *set = (struct amounts){ .arena = w->arena };
    val_each(d, defaults) {
        if (json_get(json_get(resources, str_of(member)), val_key(d)))
            continue;
        json_set(w->arena, json_obj(w->arena, resources, str_of(member)), val_key(d), val_copy(w->arena, d));
        amounts_set(set, val_key(d), (struct quantity){ 0 });
    }
}

static int give_defaults(struct review *w, const struct val *ranges)
{
    static const struct {
        const char *list, *kind;
    } lists[] = { { "containers", "container" }, { "initContainers", "init container" } };
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    struct val *pod = review_object(w), *requests = default_of(w, ranges, "defaultRequest"), *limits = default_of(w, ranges, "default");
    struct amounts set;
    if (!pod || !requests || !limits)
        return review_no_memory(w);
    for (int l = 0; l < 2; l++) {
        struct val *list = json_get(json_get(pod, STR("spec")), str_of(lists[l].list));
        unsigned i = 0;
        for (struct val *c = val_is(list, VAL_ARR) ? list->first : NULL; c; c = c->next, i++) {
            struct val *resources = json_obj(w->arena, c, STR("resources"));
            size_t before = b.len;
            fill(w, resources, "requests", requests, &set);
            append_set(&b, &set, "request", lists[l].kind, json_str(c, "name"));
            fill(w, resources, "limits", limits, &set);
            append_set(&b, &set, "limit", lists[l].kind, json_str(c, "name"));
            if (b.len > before)
                review_set(w, arena_printf(w->arena, "/spec/%s/%u/resources", lists[l].list, i), val_copy(w->arena, resources));
        }
    }
    if (b.len)
        review_set_annotation(w, pod, ANNOTATION, arena_str(w->arena, buf_str(&b)));
    return b.failed ? review_no_memory(w) : 0;
}

/* --- constraints --- */

__attribute__((format(printf, 2, 3))) static void fault(struct limiting *x, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (const struct val *v = x->faults->first; v; v = v->next)
        if (str_is(val_str(v), text))
            return;
    val_push(x->faults, val_of_str(x->w->arena, arena_str(x->w->arena, str_of(text))));
}

static const char *text_of(struct limiting *x, struct quantity q)
{
    return quantity_text(x->w->arena, q);
}

static void check_min(struct limiting *x, struct str name, struct quantity least)
{
    const struct quantity *request = amounts_get(&x->requests, name), *limit = amounts_get(&x->limits, name);
    const char *want = text_of(x, least);
    if (!request)
        fault(x, "minimum " STR_FMT " usage per %s is %s.  No request is specified", STR_ARG(name), x->type, want);
    else if (quantity_cmp(*request, least) < 0)
        fault(x, "minimum " STR_FMT " usage per %s is %s, but request is %s", STR_ARG(name), x->type, want, text_of(x, *request));
    else if (limit && quantity_cmp(*limit, least) < 0)
        fault(x, "minimum " STR_FMT " usage per %s is %s, but limit is %s", STR_ARG(name), x->type, want, text_of(x, *limit));
}

static void check_max(struct limiting *x, struct str name, struct quantity most)
{
    const struct quantity *request = amounts_get(&x->requests, name), *limit = amounts_get(&x->limits, name);
    const char *want = text_of(x, most);
    bool claim = strcmp(x->type, "PersistentVolumeClaim") == 0;         /* these have no limits */
    if (claim && !request)
        fault(x, "maximum " STR_FMT " usage per %s is %s.  No request is specified", STR_ARG(name), x->type, want);
    else if (!claim && !limit)
        fault(x, "maximum " STR_FMT " usage per %s is %s.  No limit is specified", STR_ARG(name), x->type, want);
    else if (!claim && quantity_cmp(*limit, most) > 0)
        fault(x, "maximum " STR_FMT " usage per %s is %s, but limit is %s", STR_ARG(name), x->type, want, text_of(x, *limit));
    else if (request && quantity_cmp(*request, most) > 0)
        fault(x, "maximum " STR_FMT " usage per %s is %s, but request is %s", STR_ARG(name), x->type, want, text_of(x, *request));
}

static void check_ratio(struct limiting *x, struct str name, struct quantity most)
{
    const struct quantity *request = amounts_get(&x->requests, name), *limit = amounts_get(&x->limits, name);
    const char *want = text_of(x, most);
    if (!request || !request->nano) {
        fault(x, STR_FMT " max limit to request ratio per %s is %s, but no request is specified or request is 0", STR_ARG(name), x->type, want);
        return;
    }
    if (!limit || !limit->nano) {
        fault(x, STR_FMT " max limit to request ratio per %s is %s, but no limit is specified or limit is 0", STR_ARG(name), x->type, want);
        return;
    }
    double ratio = (double)limit->nano / (double)request->nano;
    if (ratio * 1000 > (double)quantity_milli(most))
        fault(x, STR_FMT " max limit to request ratio per %s is %s, but provided ratio is %f", STR_ARG(name), x->type, want, ratio);
}

static void check_each(struct limiting *x, const struct val *item, const char *member, void (*check)(struct limiting *x, struct str name, struct quantity q))
{
    struct amounts all = amounts_read(x->w->arena, json_get(item, str_of(member)));
    for (unsigned i = 0; i < all.n; i++)
        check(x, all.at[i].name, all.at[i].q);
}

static void check_item(struct limiting *x, const struct val *item)
{
    check_each(x, item, "min", check_min);
    check_each(x, item, "max", check_max);
    if (strcmp(x->type, "PersistentVolumeClaim") != 0)
        check_each(x, item, "maxLimitRequestRatio", check_ratio);
}

static void check_containers(struct limiting *x, const struct val *pod, const char *member, const struct val *item)
{
    const struct val *list = json_get(json_get(pod, STR("spec")), str_of(member));
    for (const struct val *c = val_is(list, VAL_ARR) ? list->first : NULL; c; c = c->next) {
        x->requests = amounts_read(x->w->arena, json_path(c, "resources.requests"));
        x->limits = amounts_read(x->w->arena, json_path(c, "resources.limits"));
        check_item(x, item);
    }
}

static void measure(struct limiting *x, const struct val *object, const struct val *item, bool is_pod)
{
    struct str type = json_str(item, "type");
    if (is_pod && str_is(type, "Container")) {
        x->type = "Container";
        check_containers(x, object, "containers", item);
        check_containers(x, object, "initContainers", item);
    } else if (is_pod && str_is(type, "Pod")) {
        x->type = "Pod";
        x->requests = pod_amounts(x->w->arena, object, "requests", false);
        x->limits = pod_amounts(x->w->arena, object, "limits", false);
        check_item(x, item);
    } else if (!is_pod && str_is(type, "PersistentVolumeClaim")) {
        x->type = "PersistentVolumeClaim";
        x->requests = amounts_read(x->w->arena, json_path(object, "spec.resources.requests"));
        x->limits = (struct amounts){ .arena = x->w->arena };
        check_item(x, item);
    }
}

static int hold_to(struct review *w, const struct val *ranges)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    struct val *object = review_object(w);
    bool is_pod = strcmp(w->r->request->resource, "pods") == 0;
    if (!object)
        return review_no_memory(w);
    for (const struct val *r = ranges->first; r; r = r->next) {     /* the first range that is not kept is the answer */
        struct limiting x = { .w = w, .faults = val_new(w->arena, VAL_ARR) };
        const struct val *items = json_path(r, "spec.limits");
        if (!x.faults)
            return review_no_memory(w);
        for (const struct val *i = val_is(items, VAL_ARR) ? items->first : NULL; i; i = i->next)
            measure(&x, object, i, is_pod);
        for (const struct val *f = x.faults->first; f; f = f->next)
            buf_printf(&b, "%s" STR_FMT, b.len ? ", " : "", STR_ARG(val_str(f)));
        if (x.faults->n)
            return x.faults->n > 1 ? review_forbid(w, "[%s]", b.at) : review_forbid(w, "%s", b.at);
    }
    return 0;
}

static int rule(struct review *w)
{
    struct kl_object_list list;
    struct val *ranges = val_new(w->arena, VAL_ARR);
    bool is_pod = strcmp(w->r->request->resource, "pods") == 0;
    int rc = review_list(w, "/limitranges", w->r->request->ns, &list);
    if (rc < 0)
        return rc;
    if (w->r->old_object.len && json_path(review_old(w), "metadata.deletionTimestamp"))
        return 0;
    for (uint32_t i = 0; i < list.n; i++)
        if (!val_push(ranges, json_parse(w->arena, str_n(list.at[i].at, list.at[i].len), &w->call->err)))
            return review_no_memory(w);
    if (review_validates(w))
        return hold_to(w, ranges);
    return is_pod && review_is(w, "create") ? give_defaults(w, ranges) : 0;
}

static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_run(self, c, r, ret, rule);
}

/* Pods when they are made or resized, claims always; and only where there is a LimitRange. */
static int wants(void *self, struct kl_call *c, const struct kl_request *r, const struct kl_user *user)
{
    const struct core *x = self;
    bool update = strcmp(r->verb, "create") != 0;
    (void)user;
    if (strcmp(r->resource, "pods") == 0 && update != (r->subresource[0] != 0))
        return 0;
    struct kl_list_options o = { .size = sizeof o, .resource = "/limitranges", .ns = r->ns };
    struct kl_object_list list = { .size = sizeof list };
    int rc = x->objects->list(x->host, c, &o, &list);
    return rc < 0 ? rc : list.n != 0;
}

static const char *const resources[] = { "/pods", "/pods/resize", "/persistentvolumeclaims", NULL };

const struct kl_admission limits_admission = { .size = sizeof limits_admission, .life = { .open = core_open, .close = core_close }, .resources = resources,
                                               .operations = "CREATE,UPDATE", .mutates = 2, .review = review, .wants = wants };
