/* view.c - matchPolicy Equivalent: other names of the resource that is asked about, the object under the one that a hook's rule has, and the hook's
 * patch turned back. */
#include "webhook.h"

static int no_memory(struct kl_call *c)
{
    return kl_fail(c, KL_NO_MEMORY, "out of memory");
}

const char *const *view_others(struct inquiry *q)
{
    struct webhooks *x = q->x;
    struct kl_call *c = q->call;
    const struct kl_request *r = q->subject.r;
    static const char *const none[] = { NULL };
    const char *const *list;
    if (x->versions->others(x->host, c, r->group, r->version, r->resource, &list) == 0)
        return list;
    kl_err_init(&c->err);
    return none;
}

static int in_version(struct inquiry *q, const char *version, struct kl_bytes object, struct kl_bytes *ret)
{
    *ret = object;
    if (!object.len)
        return 0;
    int rc = q->x->versions->convert(q->x->host, q->call, object, version, ret);
    if (rc == 0 || rc == -KL_PENDING)
        return rc;
    char *why = arena_dup(q->arena, str_of(q->call->err.msg));
    kl_err_init(&q->call->err);
    return kl_fail(q->call, KL_INTERNAL, "Internal error occurred: %s", why ? why : "out of memory");
}

/* What is sent to a subresource (a Scale) is of its own kind, under whichever name. */
static bool is_part(const struct kl_admission_review *r)
{
    return KL_HAS(r, kind_group) && (strcmp(r->kind_group, r->request->group) != 0 || strcmp(r->kind_version, r->request->version) != 0);
}

static const char *version_of(struct inquiry *q, const char *const *name)
{
    return name[0][0] ? arena_printf(q->arena, "%s/%s", name[0], name[1]) : name[1];
}

int view_as(struct inquiry *q, const char *const *name)
{
    struct subject *s = &q->subject;
    if (s->as == name)
        return 0;
    s->as = name;
    q->request = STR_NONE;
    if (!name)
        return 0;
    s->object_as = s->review->object;
    s->old_as = s->review->old_object;
    if (is_part(s->review))
        return 0;
    const char *version = version_of(q, name);
    int rc = version ? in_version(q, version, s->review->object, &s->object_as) : no_memory(q->call);
    rc = rc == 0 ? in_version(q, version, s->review->old_object, &s->old_as) : rc;
    if (rc < 0)
        s->as = NULL;
    return rc;
}

/* The patch that a hook made for what it saw, as one for what the client sent. */
int view_patch(struct inquiry *q, struct str patch, struct kl_bytes *ret)
{
    const struct subject *s = &q->subject;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct kl_bytes whole;
    if (!s->as || is_part(s->review)) {
        char *copy = kl_dup(q->call, patch.at, patch.len);
        *ret = (struct kl_bytes){ copy, patch.len };
        return copy ? 0 : no_memory(q->call);
    }
    int rc = q->x->versions->patch(q->x->host, q->call, s->review->object, version_of(q, s->as), (struct kl_bytes){ patch.at, patch.len }, &whole);
    if (rc < 0)
        return rc;
    buf_lit(&b, "[{\"op\":\"replace\",\"path\":\"\",\"value\":");
    buf_add(&b, whole.at, whole.len);
    buf_lit(&b, "}]");
    char *copy = b.failed ? NULL : kl_dup(q->call, b.at, b.len);
    *ret = (struct kl_bytes){ copy, b.len };
    return copy ? 0 : no_memory(q->call);
}
