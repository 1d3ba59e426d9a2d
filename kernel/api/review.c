/* review.c - kinds that are questions: who am I, who bears this token, what may I; access reviews are in review_access.c. Nothing is stored. */
#include "api-internal.h"
#include "base/clock.h"
#include "base/env.h"

bool api_is_review(const struct schema_kind *k)
{
    return k && !(k->flags & K_STORED) && strstr(k->kind, "Review");
}

/* What a client has no say in, of nothing that is made. */
static const char *const wiped[] = { "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink" };

/* The question as a new object: with the namespace of its request, with who owns its fields, and admitted like any other. */
static int read_body(struct api_rq *rq, struct val **ret)
{
    struct api_op op = { .api = rq->api, .arena = rq->arena, .user = &rq->user, .kind = rq->info.kind, .ns = str_of(rq->info.tuple.ns), .kept = &rq->kept,
                         .request = rq->id, .query = &rq->info.q, .dry_run = rq->info.q.dry_run.len > 0 };
    api_op_strict(rq, &op);
    enum api_media media = api_media_of(http_header(rq->http, STR("content-type")));
    if (api_check_write_options(rq, false) < 0)
        return -1;
    if (!media)
        return api_fail(&rq->err, rq->arena, KL_UNSUPPORTED_MEDIA, "the body of the request was in an unknown format");
    if (api_op_decode(&op, rq->info.kind->type, media, http_body(rq->http), ret) < 0 || api_fit_namespace(&op, *ret) < 0) {
        rq->err = op.err;
        return -1;
    }
    if (rq->audit)
        audit_asked(rq, api_group_version(rq->arena, rq->info.kind), rq->info.kind->kind, rq->info.kind->type, *ret);
    for (size_t i = 0; i < sizeof wiped / sizeof *wiped; i++)
        if (json_get(*ret, STR("metadata")))
            json_del(json_get(*ret, STR("metadata")), str_of(wiped[i]));
    api_track_create(&op, *ret);
    if (api_admit(&op, true, "create", ret, NULL) < 0 || api_admit(&op, false, "create", ret, NULL) < 0) {
        rq->err = op.err;
        return -1;
    }
    return 0;
}

static const char *text(struct arena *a, const struct val *v, const char *path)
{
    struct str s = json_str(v, path);
    return s.len ? arena_dup(a, s) : "";
}

/* metav1's UserInfo. */
static void put_user(struct arena *a, struct val *info, const struct kl_user *u)
{
    json_set_str(a, info, STR("username"), str_of(u->name));
    if (u->uid && u->uid[0])
        json_set_str(a, info, STR("uid"), str_of(u->uid));
    for (const char *const *g = u->groups; g && *g; g++)
        val_push(json_arr(a, info, STR("groups")), val_of_str(a, str_of(*g)));
    for (const char *const *x = KL_HAS(u, extra) ? u->extra : NULL; x && x[0] && x[1]; x += 2)
        val_push(json_arr(a, json_obj(a, info, STR("extra")), str_of(x[0])), val_of_str(a, str_of(x[1])));
}

/* An answer that has nothing of the question but its kind. */
static struct val *answer_new(struct api_rq *rq)
{
    struct arena *a = rq->arena;
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("kind"), str_of(rq->info.kind->kind));
    json_set_str(a, v, STR("apiVersion"), str_of(api_group_version(a, rq->info.kind)));
    json_obj(a, v, STR("metadata"));
    return v;
}

static void self_subject(struct api_rq *rq)
{
    struct arena *a = rq->arena;
    char now[CLOCK_TEXT];
    struct val *v = answer_new(rq);
    clock_format(env_wall_ns(), now);
    json_set_str(a, json_get(v, STR("metadata")), STR("creationTimestamp"), arena_str(a, str_of(now)));
    put_user(a, json_obj(a, json_obj(a, v, STR("status")), STR("userInfo")), &rq->user);
    api_send_tree(rq, 201, rq->info.kind->type, v);
}

/* This server's audience, if it is among those. */
static const char *const *own_audience(struct api_rq *rq, const char *const *asked)
{
    const char *own = api_issuer(rq->api);
    const char **ret = own ? arena_alloc(rq->arena, 2 * sizeof *ret) : NULL;
    for (; ret && *asked; asked++)
        if (strcmp(*asked, own) == 0) {
            ret[0] = own;
            return ret;
        }
    return NULL;
}

static void token_review(struct api_rq *rq, struct val *v)
{
    struct arena *a = rq->arena;
    struct val *asked = json_path(v, "spec.audiences");
    struct kl_credentials cred = { .size = sizeof cred, .bearer = text(a, v, "spec.token"),
                                   .audiences = val_is(asked, VAL_ARR) && asked->n ? api_text_list(a, asked) : NULL };
    if (!cred.bearer[0]) {
        api_fail(&rq->err, a, KL_BAD_REQUEST, "token is required for TokenReview in authentication");
        api_send_error(rq);
        return;
    }
    struct kl_user user = { .size = sizeof user };
    struct kl_call c;
    api_rq_call(rq, &c, NULL);
    int rc = rq->api->hooks.authenticate ? rq->api->hooks.authenticate(rq->api->hooks.ctx, &c, &cred, &user) : 0;
    if (rc == -KL_PENDING) {
        api_fail(&rq->err, rq->arena, KL_PENDING, "the decision is pending");
        api_send_error(rq);
        return;
    }
    if (rc == 1 && cred.audiences && !user.audiences && !(user.audiences = own_audience(rq, cred.audiences)))
        rc = 0;                         /* credentials for this server, asked about for others */
    struct val *st = val_new(a, VAL_OBJ);
    struct val *info = json_obj(a, st, STR("user"));
    if (rc == 1) {
        json_set_bool(a, st, STR("authenticated"), true);
        put_user(a, info, &user);
        for (const char *const *x = user.audiences; x && *x; x++)
            val_push(json_arr(a, st, STR("audiences")), val_of_str(a, str_of(*x)));
    } else {
        json_set_str(a, st, STR("error"), rc < 0 && c.err.msg[0] ? arena_str(a, str_of(c.err.msg)) : STR("invalid bearer token"));
    }
    json_set(a, v, STR("status"), st);
    api_send_tree(rq, 201, rq->info.kind->type, object_encoded(a, rq->info.kind->type, v));
}

static void rules_review(struct api_rq *rq, struct val *v)
{
    struct arena *a = rq->arena;
    struct kl_call c;
    const char *ns = text(a, v, "spec.namespace");
    if (!ns[0]) {
        api_fail(&rq->err, a, KL_BAD_REQUEST, "no namespace on request");
        api_send_error(rq);
        return;
    }
    api_call_init(&c, a, rq->user.name);
    struct val *st = val_new(a, VAL_OBJ), *resource = json_arr(a, st, STR("resourceRules")), *other = json_arr(a, st, STR("nonResourceRules"));
    bool all = rq->api->hooks.rules &&
               rq->api->hooks.rules(rq->api->hooks.ctx, &c, &rq->user, ns, a, resource, other);
    json_set_bool(a, st, STR("incomplete"), !all);
    if (!all && c.err.msg[0])
        json_set_str(a, st, STR("evaluationError"), arena_str(a, str_of(c.err.msg)));
    v = answer_new(rq);
    json_obj(a, v, STR("spec"));
    json_set(a, v, STR("status"), st);
    api_send_tree(rq, 201, rq->info.kind->type, v);
}

void api_review(struct api_rq *rq)
{
    struct val *v;
    const char *kind = rq->info.kind->kind;
    if (strcmp(rq->info.tuple.verb, "create") != 0) {
        api_fail_method(&rq->err, rq->arena);
        api_send_error(rq);
        return;
    }
    if (read_body(rq, &v) < 0)
        api_send_error(rq);
    else if (strstr(kind, "AccessReview"))
        api_access_review(rq, v);
    else if (strcmp(kind, "SelfSubjectReview") == 0)
        self_subject(rq);
    else if (strcmp(kind, "TokenReview") == 0)
        token_review(rq, v);
    else
        rules_review(rq, v);
}
