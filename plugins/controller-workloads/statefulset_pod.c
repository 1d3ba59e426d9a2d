/* statefulset_pod.c - one pod of a StatefulSet: its name, its revision, its claims. */
#include "statefulset.h"

#define CLAIMS "/persistentvolumeclaims"
#define POD_NAME "statefulset.kubernetes.io/pod-name"
#define POD_INDEX "apps.kubernetes.io/pod-index"

static struct val *set_of(const struct stateful *s)
{
    return s->h.owner;
}

int64_t ordinal_of(const struct stateful *s, const struct val *pod)
{
    struct str name = meta_name(pod), set = meta_name(set_of(s));
    int64_t n;
    if (!str_starts(name, set) || name.len < set.len + 2 || name.at[set.len] != '-' || !str_int(str_skip(name, set.len + 1), &n) || n < 0)
        return -1;
    return n;
}

bool of_revision(const struct stateful *s, const struct val *pod, const struct val *revision)
{
    return pod && revision && str_eq(meta_label(pod, REVISION_HASH), history_label(&s->h, revision));
}

bool sound(const struct stateful *s, const struct val *pod)
{
    int64_t wait = 0;
    bool ok = pod && str_is(json_str(pod, "status.phase"), "Running") && !meta_deleting(pod) && pod_available(pod, s->min_ready, s->r->now_ns, &wait);
    if (wait)
        ctl_again(s->r, wait);
    return ok;
}

/* --- what is told --- */

static struct str pod_name(const struct stateful *s, int64_t ordinal)
{
    return str_of(arena_printf(s->r->arena, STR_FMT "-%lld", STR_ARG(meta_name(set_of(s))), (long long)ordinal));
}

/* verb: "Create". rc: how it went. */
static int tell(struct stateful *s, const char *verb, struct str pod, int rc)
{
    char *reason = arena_printf(s->r->arena, "%s%s", rc < 0 ? "Failed" : "Successful", verb);
    if (!reason)
        return ctl_no_memory(s->r);
    ctl_event(s->r, set_of(s), rc < 0 ? "Warning" : "Normal", reason, "%s Pod " STR_FMT " in StatefulSet " STR_FMT " %s%s", verb, STR_ARG(pod),
              STR_ARG(meta_name(set_of(s))), rc < 0 ? "failed error: " : "successful", rc < 0 ? s->r->call->err.msg : "");
    return rc;
}

static void tell_claim(struct stateful *s, struct str claim, struct str pod, int rc)
{
    ctl_event(s->r, set_of(s), rc < 0 ? "Warning" : "Normal", rc < 0 ? "FailedCreate" : "SuccessfulCreate",
              "Create Claim " STR_FMT " %sPod " STR_FMT " in StatefulSet " STR_FMT " %s%s", STR_ARG(claim), rc < 0 ? "for " : "", STR_ARG(pod),
              STR_ARG(meta_name(set_of(s))), rc < 0 ? "failed error: " : "success", rc < 0 ? s->r->call->err.msg : "");
}

/* --- claims --- */

static struct str claim_name(struct stateful *s, const struct val *claim_template, int64_t ordinal)
{
    return str_of(arena_printf(s->r->arena, STR_FMT "-" STR_FMT "-%lld", STR_ARG(meta_name(claim_template)), STR_ARG(meta_name(set_of(s))),
                               (long long)ordinal));
}

static struct val *new_claim(struct stateful *s, const struct val *claim_template, struct str name)
{
    struct arena *a = s->r->arena;
    struct val *v = val_copy(a, claim_template), *labels = json_path(set_of(s), "spec.selector.matchLabels");
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("name"), name);
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("namespace"), meta_ns(set_of(s)));
    json_del(v, STR("status"));
    if (labels)
        val_each(l, labels) json_set_str(a, json_obj(a, json_obj(a, v, STR("metadata")), STR("labels")), val_key(l), val_str(l));
    return v;
}

/* Who is said to own a claim: the set, the pod, an earlier one of either's name (stale), somebody else who controls it. */
struct owners {
    bool set, pod, stale, other, loose; /* loose: owned, but not controlled */
};

static bool names(const struct val *ref, const char *version, const char *kind, struct str name)
{
    return str_is(json_str(ref, "apiVersion"), version) && str_is(json_str(ref, "kind"), kind) && str_eq(json_str(ref, "name"), name);
}

static struct owners owners_of(struct stateful *s, const struct val *claim, int64_t ordinal, const struct val *pod)
{
    struct owners o = { 0 };
    struct val *refs = json_path(claim, "metadata.ownerReferences");
    struct str name = pod_name(s, ordinal);
    if (!val_is(refs, VAL_ARR))
        return o;
    val_each(ref, refs) {
        struct str uid = json_str(ref, "uid");
        bool of_set = str_eq(uid, meta_uid(set_of(s))), of_pod = pod && str_eq(uid, meta_uid(pod)), controls = json_bool(ref, "controller", false);
        o.set |= of_set;
        o.pod |= of_pod;
        o.loose |= (of_set || of_pod) && !controls;
        if (of_set || of_pod)
            continue;
        if (names(ref, "apps/v1", "StatefulSet", meta_name(set_of(s))) || names(ref, "v1", "Pod", name))
            o.stale = true;
        else
            o.other |= controls;
    }
    return o;
}

static void set_owners(struct stateful *s, struct val *claim, const struct val *pod, bool with_set, bool with_pod)
{
    struct arena *a = s->r->arena;
    meta_drop_owner(claim, meta_uid(set_of(s)));
    if (pod)
        meta_drop_owner(claim, meta_uid(pod));
    const struct val *owner = with_set ? set_of(s) : with_pod ? pod : NULL;
    if (owner)
        val_push(json_arr(a, json_obj(a, claim, STR("metadata")), STR("ownerReferences")), meta_owner_ref(a, owner));
}

/* Who takes the claim along when it goes: the set, or (scaled down) the pod. 1: that was changed. */
static int own_claim(struct stateful *s, int64_t ordinal, const struct val *pod, const struct val *claim)
{
    struct val *policy = json_path(set_of(s), "spec.persistentVolumeClaimRetentionPolicy");
    bool condemned = ordinal < s->start || ordinal >= s->start + s->n;
    bool deleted = str_is(json_str(policy, "whenDeleted"), "Delete"), scaled = str_is(json_str(policy, "whenScaled"), "Delete");
    bool with_pod = condemned && scaled && pod, with_set = deleted && !(condemned && scaled);
    struct owners o = owners_of(s, claim, ordinal, pod);
    if (o.stale)
        return 0;
    if (o.other && (deleted || scaled)) {
        if (!o.set && !o.pod)
            return 0;
        ctl_event(s->r, set_of(s), "Warning", "ConflictingController", "PersistentVolumeClaim " STR_FMT " has a conflicting OwnerReference "
                  "that acts as a manging controller, the retention policy is ignored for this claim", STR_ARG(meta_name(claim)));
        with_set = with_pod = false;
    } else if (o.set == with_set && o.pod == with_pod && !o.loose) {
        return 0;
    }
    struct val *now = val_copy(s->r->arena, claim);
    set_owners(s, now, pod, with_set, with_pod);
    int rc = ctl_update(s->r, CLAIMS, NULL, claim, now, NULL);
    return rc < 0 ? rc : 1;
}

typedef int (*claim_fn)(struct stateful *s, int64_t ordinal, const struct val *pod, const struct val *claim_template, struct val *claim);

/* For each of the pod's claims, which may not be there. The sum of what the function says, or its failure. */
static int each_claim(struct stateful *s, int64_t ordinal, const struct val *pod, claim_fn fn)
{
    struct val *list = json_path(set_of(s), "spec.volumeClaimTemplates"), *claim;
    int sum = 0, rc = 0;
    if (!val_is(list, VAL_ARR))
        return 0;
    val_each(t, list) {
        rc = ctl_get(s->r, CLAIMS, meta_ns(set_of(s)), claim_name(s, t, ordinal), &claim);
        if (rc == 0)
            rc = fn(s, ordinal, pod, t, claim);
        if (rc < 0)
            return rc;
        sum += rc;
    }
    return sum;
}

static int make_claim(struct stateful *s, int64_t ordinal, const struct val *pod, const struct val *claim_template, struct val *claim)
{
    (void)pod;
    struct str name = claim_name(s, claim_template, ordinal);
    if (claim && meta_deleting(claim))
        return kl_fail(s->r->call, KL_UNAVAILABLE, "pvc " STR_FMT " is being deleted", STR_ARG(name));
    if (claim)
        return 0;
    int rc = ctl_create(s->r, CLAIMS, meta_ns(set_of(s)), new_claim(s, claim_template, name), NULL);
    tell_claim(s, name, pod_name(s, ordinal), rc);
    return rc;
}

static int own(struct stateful *s, int64_t ordinal, const struct val *pod, const struct val *claim_template, struct val *claim)
{
    (void)claim_template;
    return claim ? own_claim(s, ordinal, pod, claim) : 0;
}

/* 1: it belongs to an earlier pod of that name, and will go with it. */
static int stale(struct stateful *s, int64_t ordinal, const struct val *pod, const struct val *claim_template, struct val *claim)
{
    (void)claim_template;
    return claim && owners_of(s, claim, ordinal, pod).stale;
}

int make_claims(struct stateful *s, int64_t ordinal, const struct val *pod)
{
    int rc = each_claim(s, ordinal, pod, make_claim);
    return rc < 0 ? rc : each_claim(s, ordinal, pod, own);
}

int own_claims(struct stateful *s, int64_t ordinal, const struct val *pod)
{
    return each_claim(s, ordinal, pod, own);
}

/* --- pods --- */

int keep_pod(struct stateful *s, int64_t ordinal, const struct val *pod)
{
    struct arena *a = s->r->arena;
    bool known = str_eq(meta_label(pod, POD_NAME), meta_name(pod));
    int rc = own_claims(s, ordinal, pod);
    if (rc == 0 && known)
        return 0;
    if (rc >= 0 && !known) {
        struct val *now = val_copy(a, pod);
        meta_set_label(a, now, POD_NAME, meta_name(pod));
        meta_set_label(a, now, POD_INDEX, str_of(arena_printf(a, "%lld", (long long)ordinal)));
        rc = ctl_update(s->r, PODS, NULL, pod, now, NULL);
    }
    rc = tell(s, "Update", meta_name(pod), rc);
    return rc < 0 ? rc : 0;
}

/* A volume of each claim, in place of one of that name. */
static void add_volumes(struct stateful *s, struct val *spec, int64_t ordinal)
{
    struct arena *a = s->r->arena;
    struct val *list = json_path(set_of(s), "spec.volumeClaimTemplates");
    if (!val_is(list, VAL_ARR) || !list->n)
        return;
    struct val *volumes = json_arr(a, spec, STR("volumes"));
    val_each(t, list) {
        for (struct val *v = volumes->first, *next; v; v = next) {
            next = v->next;
            if (str_eq(json_str(v, "name"), meta_name(t)))
                val_unlink(volumes, v);
        }
        struct val *v = val_push(volumes, val_new(a, VAL_OBJ));
        json_set_str(a, v, STR("name"), meta_name(t));
        json_set_str(a, json_obj(a, v, STR("persistentVolumeClaim")), STR("claimName"), claim_name(s, t, ordinal));
    }
}

int make_pod(struct stateful *s, int64_t ordinal, const struct val *revision)
{
    struct arena *a = s->r->arena;
    struct val *set = set_of(s), **made = &s->at[ordinal - s->start];
    struct str name = pod_name(s, ordinal);
    if (str_is(json_str(set, "spec.persistentVolumeClaimRetentionPolicy.whenScaled"), "Delete")) {
        int old = each_claim(s, ordinal, NULL, stale);
        if (old != 0) {
            ctl_again(s->r, NS_S);
            return old;
        }
    }
    struct val *pod = pod_of_template(s->r, set, history_template(&s->h, revision), STR_NONE), *spec = json_obj(a, pod, STR("spec"));
    json_set_str(a, json_get(pod, STR("metadata")), STR("name"), name);
    meta_set_label(a, pod, POD_NAME, name);
    meta_set_label(a, pod, POD_INDEX, str_of(arena_printf(a, "%lld", (long long)ordinal)));
    meta_set_label(a, pod, REVISION_HASH, history_label(&s->h, revision));
    json_set_str(a, spec, STR("hostname"), name);
    if (json_str(set, "spec.serviceName").len)
        json_set_str(a, spec, STR("subdomain"), json_str(set, "spec.serviceName"));
    add_volumes(s, spec, ordinal);
    int rc = each_claim(s, ordinal, NULL, make_claim);
    if (rc == 0)
        rc = ctl_create(s->r, PODS, meta_ns(set), pod, made);
    if (rc == -KL_FORBIDDEN && strstr(s->r->call->err.msg, "because it is being terminated")) {
        kl_err_init(&s->r->call->err);
        return 0;
    }
    rc = tell(s, "Create", name, rc);
    return rc < 0 ? rc : own_claims(s, ordinal, *made);
}

int drop_pod(struct stateful *s, const struct val *pod)
{
    return tell(s, "Delete", meta_name(pod), ctl_delete(s->r, PODS, pod, NULL));
}
