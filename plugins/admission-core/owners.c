/* owners.c - OwnerReferencesPermissionEnforcement: who makes an object depend on another must be allowed to delete it (that is what it comes to), and
 * to set the owner's finalizers where the reference blocks its deletion. Not in the chain unless named there. */
#include "core.h"
#include "review.h"

static int ask(struct review *w, const char *verb, const char *group, const char *resource, const char *sub, const char *ns, const char *name)
{
    const struct kl_host_authz *authz = w->core->host->service(w->core->host, KL_HOST_AUTHZ_0);
    struct kl_request q = { .size = sizeof q, .verb = verb, .path = "", .is_resource = 1, .group = group, .version = w->r->request->version,
                            .resource = resource, .subresource = sub, .ns = ns, .name = name };
    return authz ? authz->authorize(w->core->host, w->call, w->r->user, &q) : 0;
}

/* References that block now and did not before. */
static bool newly_blocks(const struct val *ref, const struct val *old)
{
    if (!json_bool(ref, "blockOwnerDeletion", false))
        return false;
    for (const struct val *o = val_is(old, VAL_ARR) ? old->first : NULL; o; o = o->next)
        if (str_eq(json_str(o, "uid"), json_str(ref, "uid")) && json_bool(o, "blockOwnerDeletion", false))
            return false;
    return true;
}

static int check_owner(struct review *w, const struct val *ref)
{
    const char *version = arena_dup(w->arena, json_str(ref, "apiVersion")), *kind = arena_dup(w->arena, json_str(ref, "kind"));
    const char *name = arena_dup(w->arena, json_str(ref, "name"));
    struct kl_kind k = { .size = sizeof k };
    if (!version || !kind || !name)
        return review_no_memory(w);
    if (w->core->objects->kind(w->core->host, w->call, NULL, version, kind, &k) < 0)
        return review_forbid(w, "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion %s Kind %s", version, kind);
    struct str plural = str_of(k.resource), group = str_cut(&plural, '/');
    int rc = ask(w, "update", arena_dup(w->arena, group), arena_dup(w->arena, plural), "finalizers", k.flags & KL_KIND_NAMESPACED ? w->r->request->ns : "", name);
    if (rc == -KL_PENDING)
        return rc;
    return rc == 1 ? 0 : review_forbid(w, "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: %s", w->call->err.msg);
}

static int owners_rule(struct review *w)
{
    const struct kl_request *r = w->r->request;
    struct val *object = review_object(w), *old = review_old(w);
    const struct val *now = json_path(object, "metadata.ownerReferences"), *was = json_path(old, "metadata.ownerReferences");
    if (!object)
        return review_no_memory(w);
    if ((now && was && val_equal(now, was)) || !val_is(now, VAL_ARR))
        return 0;
    int rc = review_is(w, "create") ? 1 : ask(w, "delete", r->group, r->resource, "", r->ns, r->name);
    if (rc == -KL_PENDING)
        return rc;
    if (rc != 1)
        return review_forbid(w, "cannot set an ownerRef on a resource you can't delete: %s", w->call->err.msg);
    for (const struct val *ref = now->first; ref; ref = ref->next)
        if (newly_blocks(ref, was) && (rc = check_owner(w, ref)) < 0)
            return rc;
    return 0;
}

static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_run(self, c, r, ret, owners_rule);
}

static const char *const all[] = { "*", NULL }, *const with_owners[] = { "/metadata/ownerReferences", NULL };

const struct kl_admission owners_admission = { .size = sizeof owners_admission, .life = { .open = core_open, .close = core_close }, .resources = all,
                                               .operations = "CREATE,UPDATE", .review = review, .when = with_owners };
