/* resourceclaim.c - claims on devices (resource.k8s.io): made of templates for pods that want some, told in the pods' status, reserved for pods that no
 * scheduler placed, given back and deleted when nobody uses them any more. Keys: a pod's, and "claim NS/NAME". */
#include "base/json_scan.h"
#include "claims.h"

#define TEMPLATES  "resource.k8s.io/resourceclaimtemplates"
#define FINALIZER  "resource.kubernetes.io/delete-protection"
#define OF_POD     "resource.kubernetes.io/pod-claim-name"
#define NAME_MOST  57                   /* of a generated name's beginning: a hyphen and five characters follow in 63 */
#define USERS_MOST 256
#define CLAIM_KEY  "claim "

/* --- whose claim --- */

struct str claim_of(const struct val *pod, const struct val *entry)
{
    const struct val *statuses = json_path(pod, "status.resourceClaimStatuses");
    struct str name = json_str(entry, "resourceClaimName");
    if (name.len || !val_is(statuses, VAL_ARR))
        return name;
    val_each(s, statuses)
        if (str_eq(json_str(s, "name"), json_str(entry, "name")))
            return json_str(s, "resourceClaimName");
    return STR_NONE;
}

static bool is_template(const struct val *entry)
{
    return json_str(entry, "resourceClaimTemplateName").len > 0;
}

/* It will not run any more. */
static bool pod_done(const struct val *pod)
{
    return pod_finished(pod) || (meta_deleting(pod) && !json_str(pod, "spec.nodeName").len);
}

const struct val *claim_user(const struct val *claim, struct str uid)
{
    const struct val *list = json_path(claim, "status.reservedFor");
    if (val_is(list, VAL_ARR))
        val_each(u, list)
            if (str_eq(json_str(u, "uid"), uid))
                return u;
    return NULL;
}

/* --- pods: claims of templates --- */

static struct str generate_name(struct ctl_run *r, const struct val *pod, struct str entry)
{
    struct str name = meta_name(pod);
    size_t whole = name.len + entry.len + 2;
    bool fits = whole <= NAME_MOST;
    size_t n = fits ? name.len : name.len * NAME_MOST / whole, m = fits ? entry.len : entry.len * NAME_MOST / whole;
    return str_of(arena_printf(r->arena, "%.*s-%.*s%s", (int)n, name.at, (int)m, entry.at, fits ? "-" : ""));
}

static struct val *claim_of_template(struct ctl_run *r, const struct val *pod, struct str entry, const struct val *template_)
{
    struct arena *a = r->arena;
    struct val *v = val_new(a, VAL_OBJ), *meta = json_obj(a, v, STR("metadata"));
    const struct val *labels = json_path(template_, "spec.metadata.labels"), *annotations = json_path(template_, "spec.metadata.annotations");
    struct val *owner = meta_owner_ref(a, pod);
    json_del(owner, STR("blockOwnerDeletion"));
    json_set_str(a, v, STR("apiVersion"), STR("resource.k8s.io/v1"));
    json_set_str(a, v, STR("kind"), STR("ResourceClaim"));
    json_set_str(a, meta, STR("generateName"), generate_name(r, pod, entry));
    json_set_str(a, meta, STR("namespace"), meta_ns(pod));
    val_push(json_arr(a, meta, STR("ownerReferences")), owner);
    if (labels)
        json_set(a, meta, STR("labels"), val_copy(a, labels));
    if (annotations)
        json_set(a, meta, STR("annotations"), val_copy(a, annotations));
    meta_set_annotation(a, v, OF_POD, entry);
    json_set(a, v, STR("spec"), val_copy(a, json_path(template_, "spec.spec")));
    return v;
}

/* One that was made before, but not told in the pod's status. */
static int find_made(struct ctl_run *r, const struct val *pod, struct str entry, struct val **ret)
{
    struct ctl_list l;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = CLAIMS, .ns = arena_dup(r->arena, meta_ns(pod)), .owner_uid = arena_dup(r->arena, meta_uid(pod)) }, &l);
    *ret = NULL;
    for (uint32_t i = 0; rc == 0 && i < l.n && !*ret; i++)
        if (meta_controlled_by(l.at[i], meta_uid(pod)) && str_eq(meta_annotation(l.at[i], OF_POD), entry))
            *ret = l.at[i];
    return rc;
}

static int make_claim(struct ctl_run *r, const struct val *pod, const struct val *entry, struct str *ret)
{
    struct str name = json_str(entry, "name"), from = json_str(entry, "resourceClaimTemplateName");
    struct val *claim, *template_;
    int rc = find_made(r, pod, name, &claim);
    if (rc == 0 && !claim && (rc = ctl_get(r, TEMPLATES, meta_ns(pod), from, &template_)) == 0) {
        if (!template_)
            return kl_fail(r->call, KL_NOT_FOUND, "resource claim template \"" STR_FMT "\": resourceclaimtemplate.resource.k8s.io \"" STR_FMT "\" not found",
                           STR_ARG(from), STR_ARG(from));
        rc = ctl_create(r, CLAIMS, meta_ns(pod), claim_of_template(r, pod, name, template_), &claim);
    }
    if (rc == 0)
        *ret = meta_name(claim);
    return rc;
}

/* *ret_made: the new claim's name; STR_NONE: none was wanted. */
static int handle(struct ctl_run *r, const struct val *pod, const struct val *entry, struct str *ret_made)
{
    struct str name = claim_of(pod, entry);
    struct val *claim = NULL;
    *ret_made = STR_NONE;
    if (!is_template(entry))
        return 0;
    int rc = name.len ? ctl_get(r, CLAIMS, meta_ns(pod), name, &claim) : 0;
    if (rc < 0 || (claim && meta_controlled_by(claim, meta_uid(pod))))
        return rc;
    return make_claim(r, pod, entry, ret_made);
}

static void tell(struct arena *a, struct val *pod, struct str entry, struct str claim)
{
    struct val *list = json_arr(a, json_obj(a, pod, STR("status")), STR("resourceClaimStatuses")), *found = NULL;
    val_each(s, list)
        if (str_eq(json_str(s, "name"), entry))
            found = s;
    if (!found) {
        found = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, found, STR("name"), entry);
    }
    json_set_str(a, found, STR("resourceClaimName"), claim);
}

static int reserve(struct ctl_run *r, const struct val *pod, const struct val *entry)
{
    struct str name = claim_of(pod, entry);
    struct val *claim = NULL;
    int rc = name.len ? ctl_get(r, CLAIMS, meta_ns(pod), name, &claim) : 0;
    const struct val *users = json_path(claim, "status.reservedFor");
    if (rc < 0 || !claim || (is_template(entry) && !meta_controlled_by(claim, meta_uid(pod))) || !json_path(claim, "status.allocation") ||
        claim_user(claim, meta_uid(pod)) || (users && users->n >= USERS_MOST))
        return rc;
    struct arena *a = r->arena;
    struct val *now = val_copy(a, claim), *user = val_push(json_arr(a, json_obj(a, now, STR("status")), STR("reservedFor")), val_new(a, VAL_OBJ));
    json_set_str(a, user, STR("resource"), STR("pods"));
    json_set_str(a, user, STR("name"), meta_name(pod));
    json_set_str(a, user, STR("uid"), meta_uid(pod));
    return ctl_update(r, CLAIMS, "status", claim, now, NULL);
}

static int run_pod(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *pod, *now;
    int rc = ctl_get(r, PODS, ns, name, &pod);
    const struct val *entries = json_path(pod, "spec.resourceClaims");
    if (rc < 0 || !pod || meta_deleting(pod) || pod_finished(pod) || !val_is(entries, VAL_ARR))
        return rc;
    now = val_copy(r->arena, pod);
    val_each(e, entries) {
        struct str made;
        if ((rc = handle(r, pod, e, &made)) < 0) {
            if (rc != -KL_PENDING)
                ctl_event(r, pod, "Warning", "FailedResourceClaimCreation", "PodResourceClaim " STR_FMT ": %s", STR_ARG(json_str(e, "name")), r->call->err.msg);
            return rc;
        }
        if (made.len)
            tell(r->arena, now, json_str(e, "name"), made);
    }
    rc = ctl_update(r, PODS, "status", pod, now, NULL);
    if (rc == 0 && json_str(pod, "spec.nodeName").len)
        val_each(e, entries)
            if (rc == 0)
                rc = reserve(r, now, e);
    return rc;
}

/* --- claims: who still uses them --- */

static int uses(struct ctl_run *r, struct str ns, const struct val *user, bool *ret)
{
    struct val *pod = NULL;
    *ret = true;
    if (json_str(user, "apiGroup").len || !str_is(json_str(user, "resource"), "pods"))
        return 0;
    int rc = ctl_get(r, PODS, ns, json_str(user, "name"), &pod);
    *ret = pod && str_eq(meta_uid(pod), json_str(user, "uid")) && !pod_done(pod);
    return rc;
}

static int drop_finalizer(struct ctl_run *r, const struct val *claim)
{
    struct val *now = val_copy(r->arena, claim);
    meta_set_finalizer(r->arena, now, FINALIZER, false);
    return ctl_update(r, CLAIMS, NULL, claim, now, NULL);
}

/* Those that are no users any more go; with the last one the devices are given back. *ret_left: how many stay. */
static int release(struct ctl_run *r, struct val *claim, uint32_t *ret_left)
{
    struct val *now = val_copy(r->arena, claim), *status = json_get(now, STR("status")), *list = json_get(status, STR("reservedFor"));
    uint32_t was = list ? list->n : 0;
    bool used, ours = meta_has_finalizer(claim, FINALIZER);
    int rc = 0;
    for (struct val *u = val_is(list, VAL_ARR) ? list->first : NULL, *next; rc == 0 && u; u = next) {
        next = u->next;
        rc = uses(r, meta_ns(claim), u, &used);
        if (rc == 0 && !used)
            val_unlink(list, u);
    }
    *ret_left = list ? list->n : 0;
    bool idle = !*ret_left && ours && (was || meta_deleting(claim));
    if (rc < 0 || (*ret_left == was && !idle))
        return rc;
    if (!*ret_left)
        json_del(status, STR("reservedFor"));
    if (idle)
        json_del(status, STR("allocation"));
    rc = ctl_update(r, CLAIMS, "status", claim, now, &claim);
    return rc == 0 && idle && claim ? drop_finalizer(r, claim) : rc;
}

static int run_claim(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *claim, *pod;
    uint32_t left = 0;
    int rc = ctl_get(r, CLAIMS, ns, name, &claim);
    if (rc < 0 || !claim || (rc = release(r, claim, &left)) < 0 || left)
        return rc;
    const struct val *owner = meta_controller(claim);
    if (!owner || !str_is(json_str(owner, "kind"), "Pod") || !str_is(json_str(owner, "apiVersion"), "v1"))
        return 0;
    rc = ctl_get(r, PODS, ns, json_str(owner, "name"), &pod);
    if (rc == 0 && pod && (!str_eq(meta_uid(pod), json_str(owner, "uid")) || pod_done(pod)) && !meta_deleting(claim))
        rc = ctl_delete(r, CLAIMS, claim, NULL);
    return rc;
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct str claim = STR(CLAIM_KEY);
    return str_starts(ns, claim) ? run_claim(r, str_skip(ns, claim.len), name) : run_pod(r, ns, name);
}

/* --- keys --- */

static void add_claim(struct ctl_run *r, struct buf *keys, struct str ns, struct str name)
{
    char *text = arena_printf(r->arena, CLAIM_KEY STR_FMT, STR_ARG(ns));
    if (text && name.len)
        ctl_key_add(keys, str_of(text), name);
}

static int map_pod(struct ctl_run *r, struct str obj, struct buf *keys)
{
    struct kl_err *err = &r->call->err;
    if (!json_scan_member(ctl_part(r, CTL_SPEC), STR("resourceClaims")).len)
        return 0;
    struct val *pod = json_parse(r->arena, obj, err);
    if (!pod)
        return -err->code;
    bool gone = r->call->flags & KL_CALL_DELETED;
    if (!gone)
        ctl_key_add(keys, meta_ns(pod), meta_name(pod));
    if (gone || pod_done(pod))
        val_each(e, json_path(pod, "spec.resourceClaims"))
            add_claim(r, keys, meta_ns(pod), claim_of(pod, e));
    return 0;
}

static int map_claim(struct ctl_run *r, struct str obj, struct buf *keys)
{
    struct kl_err *err = &r->call->err;
    struct val *claim = json_parse(r->arena, obj, err);
    if (!claim)
        return -err->code;
    const struct val *owner = meta_controller(claim);
    add_claim(r, keys, meta_ns(claim), meta_name(claim));
    if (owner && str_is(json_str(owner, "kind"), "Pod") && r->call->flags & KL_CALL_DELETED)
        ctl_key_add(keys, meta_ns(claim), json_str(owner, "name"));
    return 0;
}

/* Pods that wait for a template. */
static int map_template(struct ctl_run *r, struct str obj, struct buf *keys)
{
    struct ctl_list l;
    struct str ns = json_scan_text(json_scan_path(obj, "metadata.namespace")), name = json_scan_text(json_scan_path(obj, "metadata.name"));
    int rc = ctl_list(r, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(r->arena, ns) }, &l);
    for (uint32_t i = 0; rc == 0 && i < l.n; i++) {
        const struct val *entries = json_path(l.at[i], "spec.resourceClaims");
        if (val_is(entries, VAL_ARR))
            val_each(e, entries)
                if (str_eq(json_str(e, "resourceClaimTemplateName"), name))
                    ctl_key_add(keys, ns, meta_name(l.at[i]));
    }
    return rc;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)old;
    return strcmp(resource, PODS) == 0 ? map_pod(r, obj, keys) : strcmp(resource, CLAIMS) == 0 ? map_claim(r, obj, keys) : map_template(r, obj, keys);
}

CTL_RUN(resourceclaim, run)
CTL_MAP(resourceclaim, map)
static const struct kl_watch watches[] = { { sizeof(struct kl_watch), PODS, NULL, "map" }, { sizeof(struct kl_watch), CLAIMS, NULL, "map" },
                                           { sizeof(struct kl_watch), TEMPLATES, NULL, "map" } };
CTL_TABLE(resourceclaim, watches, resourceclaim_map);
