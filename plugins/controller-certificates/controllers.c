/* controllers.c - requests for certificates: nodes' own are approved when they may, approved ones are signed, old ones go. */
#include <keelson/iface/auth.h>

#include "certificates.h"

#define HOUR_NS (3600 * NS_S)
#define SERVING_PATIENCE_NS (300 * NS_S)

static bool cond_true(const struct val *csr, const char *type)
{
    const struct val *c = cond_find(json_path(csr, "status.conditions"), type);
    struct str status = json_str(c, "status");
    return c && (!status.len || str_is(status, "True"));
}

static void add_condition(struct ctl_run *r, struct val *csr, const char *type, const char *reason, const char *message)
{
    struct arena *a = r->arena;
    struct val *c = val_push(json_arr(a, json_obj(a, csr, STR("status")), STR("conditions")), val_new(a, VAL_OBJ));
    json_set_str(a, c, STR("type"), str_of(type));
    json_set_str(a, c, STR("status"), STR("True"));
    json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), arena_str(a, str_of(message)));
    json_set_str(a, c, STR("lastUpdateTime"), ctl_now(r));
    json_set_str(a, c, STR("lastTransitionTime"), ctl_now(r));
}

/* --- approving --- */

static const char *const *texts(struct arena *a, const struct val *list)
{
    const char **out = arena_alloc(a, ((val_is(list, VAL_ARR) ? list->n : 0) + 1) * sizeof *out);
    unsigned n = 0;
    for (const struct val *v = out && val_is(list, VAL_ARR) ? list->first : NULL; v; v = v->next)
        out[n++] = arena_dup(a, val_str(v));
    return out;
}

static const char *const *extras(struct arena *a, const struct val *extra)
{
    unsigned n = 0;
    for (const struct val *m = val_is(extra, VAL_OBJ) ? extra->first : NULL; m; m = m->next)
        n += m->n;
    const char **out = arena_alloc(a, (2 * n + 1) * sizeof *out);
    n = 0;
    for (const struct val *m = out && val_is(extra, VAL_OBJ) ? extra->first : NULL; m; m = m->next)
        for (const struct val *v = val_is(m, VAL_ARR) ? m->first : NULL; v; v = v->next) {
            out[n++] = arena_dup(a, val_key(m));
            out[n++] = arena_dup(a, val_str(v));
        }
    return out;
}

/* May whoever made the request create such a one? */
static int may(struct ctl_run *r, const struct val *csr, const char *subresource)
{
    const struct kl_host_authz *authz = r->ctl->host->service(r->ctl->host, KL_HOST_AUTHZ_0);
    struct kl_user user = { .size = sizeof user, .name = arena_dup(r->arena, json_str(csr, "spec.username")), .uid = arena_dup(r->arena, json_str(csr, "spec.uid")),
                            .groups = texts(r->arena, json_path(csr, "spec.groups")), .extra = extras(r->arena, json_path(csr, "spec.extra")) };
    struct kl_request q = { .size = sizeof q, .verb = "create", .path = "", .is_resource = 1, .group = "certificates.k8s.io", .version = "*",
                            .resource = "certificatesigningrequests", .subresource = subresource, .ns = "", .name = "" };
    user.name = user.name ? user.name : "";
    user.uid = user.uid ? user.uid : "";
    if (!user.groups || !user.extra)
        return ctl_no_memory(r);
    int rc = authz ? authz->authorize(r->ctl->host, r->call, &user, &q) : 0;
    return rc == -KL_PENDING ? kl_fail(r->call, KL_UNAVAILABLE, "an authorizer has to ask elsewhere") : rc == 1;
}

static bool among(const struct val *list, const char *member, struct str text)
{
    for (const struct val *v = val_is(list, VAL_ARR) ? list->first : NULL; v; v = v->next)
        if (str_eq(json_str(v, member), text))
            return true;
    return false;
}

/* A node asks for itself, by its name and by addresses that its Node object shows: 1. */
static int own_names(struct ctl_run *r, const struct val *csr, const struct cert_request *q)
{
    struct str user = json_str(csr, "spec.username"), node = str_skip(user, strlen("system:node:"));
    struct val *object;
    if (!str_starts(user, STR("system:node:")) || !str_eq(q->cn, user) || q->dns + q->ip != q->names->n)
        return 0;
    int rc = ctl_get(r, "/nodes", STR(""), node, &object);
    if (rc < 0)
        return rc;
    for (const struct val *n = q->names->first; n; n = n->next)
        if (!str_eq(val_str(n), node) && !among(json_path(object, "status.addresses"), "address", val_str(n)))
            return 0;
    return object != NULL;
}

static int approve(struct ctl_run *r, const struct val *csr, const char *message)
{
    kl_err_init(&r->call->err);
    struct val *now = val_copy(r->arena, csr);
    add_condition(r, now, "Approved", "AutoApproved", message);
    return ctl_update(r, CSRS, "approval", csr, now, NULL);
}

/* Its Node object may come a moment later. */
static int approve_serving(struct ctl_run *r, const struct val *csr, const struct cert_request *q)
{
    int rc = own_names(r, csr, q);
    if (rc == 0 && r->now_ns - meta_time(csr, "metadata.creationTimestamp") < SERVING_PATIENCE_NS)
        ctl_again(r, NS_S);
    return rc == 1 ? approve(r, csr, "Auto approving kubelet serving certificate for the names of its own node.") : rc;
}

static int approve_run(struct ctl_run *r, struct str ns, struct str name)
{
    static const struct {
        const char *subresource, *message;
    } ways[] = { { "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview." },
                 { "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview." } };
    struct val *csr;
    struct cert_request q;
    int rc = ctl_get(r, CSRS, ns, name, &csr);
    if (rc < 0 || !csr || json_str(csr, "status.certificate").len || cond_true(csr, "Approved") || cond_true(csr, "Denied"))
        return rc;
    const struct cert_conf *conf = r->ctl->conf;
    bool serving = conf->approve_serving && str_is(json_str(csr, "spec.signerName"), SIGNER_SERVING);
    if (serving)
        return request_read(r->arena, json_str(csr, "spec.request"), &q, NULL) &&
               !request_unfit(r->arena, &q, json_path(csr, "spec.usages"), STR(SIGNER_SERVING)) ? approve_serving(r, csr, &q) : 0;
    if (!str_is(json_str(csr, "spec.signerName"), SIGNER_KUBELET) || !request_read(r->arena, json_str(csr, "spec.request"), &q, NULL) ||
        request_unfit(r->arena, &q, json_path(csr, "spec.usages"), STR(SIGNER_KUBELET)))
        return 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (i == 0 && !str_eq(q.cn, json_str(csr, "spec.username")))
            continue;
        rc = may(r, csr, ways[i].subresource);
        if (rc < 0)
            return rc;
        if (!rc)
            continue;
        return approve(r, csr, ways[i].message);
    }
    return 0;
}

/* --- signing --- */

static bool is_ours(struct str signer)
{
    return str_is(signer, SIGNER_CLIENT) || str_is(signer, SIGNER_KUBELET) || str_is(signer, SIGNER_SERVING) || str_is(signer, SIGNER_LEGACY);
}

static int sign_run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *csr;
    struct cert_request q;
    struct str certificate = STR_NONE;
    const char *why;
    int rc = ctl_get(r, CSRS, ns, name, &csr);
    if (rc < 0 || !csr || !is_ours(json_str(csr, "spec.signerName")) || !cond_true(csr, "Approved") || cond_true(csr, "Denied") || cond_true(csr, "Failed") ||
        json_str(csr, "status.certificate").len)
        return rc;
    struct val *now = val_copy(r->arena, csr);
    if (request_read(r->arena, json_str(csr, "spec.request"), &q, &why))
        why = request_unfit(r->arena, &q, json_path(csr, "spec.usages"), json_str(csr, "spec.signerName"));
    if (!why) {
        rc = sign_request(r->arena, r->ctl->conf, json_str(csr, "spec.request"), json_path(csr, "spec.usages"), json_int(csr, "spec.expirationSeconds", 0), r->now_ns,
                          &certificate, &r->call->err);
        why = rc == -KL_INVALID ? r->call->err.msg : NULL;
        if (rc < 0 && !why)
            return rc;
    }
    if (why)
        add_condition(r, now, "Failed", "SignerValidationFailure", why);
    else
        json_set_str(r->arena, json_obj(r->arena, now, STR("status")), STR("certificate"), certificate);
    kl_err_init(&r->call->err);
    return ctl_update(r, CSRS, "status", csr, now, NULL);
}

/* --- cleaning --- */

/* When the request has been there long enough; 0: never. */
static int64_t last_moment(struct ctl_run *r, const struct val *csr)
{
    const struct val *list = json_path(csr, "status.conditions");
    struct str certificate = json_str(csr, "status.certificate");
    int64_t end = 0;
    for (const struct val *c = val_is(list, VAL_ARR) ? list->first : NULL; c; c = c->next) {
        bool counts = str_is(json_str(c, "type"), "Denied") || str_is(json_str(c, "type"), "Failed") || certificate.len;
        int64_t at = meta_time(c, "lastUpdateTime") + HOUR_NS;
        if (counts && (!end || at < end))
            end = at;
    }
    if (!val_is(list, VAL_ARR) || !list->n)
        end = meta_time(csr, "metadata.creationTimestamp") + 24 * HOUR_NS;
    int64_t expires = certificate.len ? certificate_end(r->arena, certificate) : 0;
    return expires && (!end || expires < end) ? expires : end;
}

static int clean_run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *csr;
    int rc = ctl_get(r, CSRS, ns, name, &csr);
    int64_t end = rc == 0 && csr ? last_moment(r, csr) : 0;
    if (rc < 0 || !end)
        return rc;
    if (end <= r->now_ns)
        return ctl_delete(r, CSRS, csr, NULL);
    ctl_again(r, end - r->now_ns);
    return 0;
}

static const struct kl_watch watches[] = { { sizeof(struct kl_watch), CSRS, NULL, NULL } };
CTL_RUN(csrapproving, approve_run)
CTL_RUN(csrsigning, sign_run)
CTL_RUN(csrcleaner, clean_run)
CTL_TABLE(csrapproving, watches, NULL);
CTL_TABLE(csrsigning, watches, NULL);
CTL_TABLE(csrcleaner, watches, NULL);
