/* review.c - see review.h. */
#include "review.h"

#define ARENA_BYTES ((size_t)64 << 20)

int core_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct core *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    x->env = h->service(h, KL_HOST_ENV_0);
    x->conf = conf;
    *self = x;
    return 0;
}

void core_close(void *self)
{
    mem_free(self);
}

int review_no_memory(struct review *w)
{
    return kl_fail(w->call, KL_NO_MEMORY, "out of memory");
}

static int hand_out(struct review *w)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8 << 20);      /* no larger than a request's object */
    if (arena_exhausted(w->arena))
        return review_no_memory(w);
    if (!w->ops->n)
        return 0;
    json_write(&b, w->ops);
    char *text = b.failed ? NULL : kl_dup(w->call, b.at, b.len);
    w->ret->patch = (struct kl_bytes){ text, b.len };
    return text ? 0 : review_no_memory(w);
}

int review_run(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret, review_rule rule)
{
    _cleanup_arena_ struct arena *a = arena_new(ARENA_BYTES);
    struct review w = { self, c, r, ret, a, a ? val_new(a, VAL_ARR) : NULL };
    if (!w.ops)
        return review_no_memory(&w);
    int rc = rule(&w);
    return rc < 0 ? rc : hand_out(&w);
}

/* --- trees --- */

static struct val *parse(struct review *w, struct kl_bytes b)
{
    return b.len ? json_parse(w->arena, str_n(b.at, b.len), &w->call->err) : NULL;
}

struct val *review_object(struct review *w)
{
    return parse(w, w->r->object);
}

struct val *review_old(struct review *w)
{
    return parse(w, w->r->old_object);
}

int review_get(struct review *w, const char *resource, const char *ns, struct str name, struct val **ret)
{
    struct kl_object_key k = { sizeof k, resource, ns, arena_dup(w->arena, name), NULL };
    struct kl_bytes text;
    *ret = NULL;
    if (!k.name)
        return review_no_memory(w);
    int rc = w->core->objects->get(w->core->host, w->call, &k, &text);
    if (rc == -KL_NOT_FOUND) {
        kl_err_init(&w->call->err);
        return 0;
    }
    if (rc < 0)
        return rc;
    *ret = parse(w, text);
    return *ret ? 0 : -w->call->err.code;
}

int review_list(struct review *w, const char *resource, const char *ns, struct kl_object_list *ret)
{
    struct kl_list_options o = { .size = sizeof o, .resource = resource, .ns = ns };
    *ret = (struct kl_object_list){ .size = sizeof *ret };
    return w->core->objects->list(w->core->host, w->call, &o, ret);
}

/* --- the patch --- */

void review_set(struct review *w, const char *path, struct val *v)
{
    struct val *op = val_push(w->ops, val_new(w->arena, VAL_OBJ));
    json_set_str(w->arena, op, STR("op"), STR("add"));
    json_set_str(w->arena, op, STR("path"), str_of(path));
    json_set(w->arena, op, STR("value"), v);
}

void review_push(struct review *w, const struct val *list, const char *path, struct val *v)
{
    if (val_is(list, VAL_ARR)) {
        review_set(w, arena_printf(w->arena, "%s/-", path), v);
        return;
    }
    struct val *one = val_new(w->arena, VAL_ARR);
    val_push(one, v);
    review_set(w, path, one);
}

void review_set_annotation(struct review *w, const struct val *object, const char *key, struct str value)
{
    const struct val *there = json_path(object, "metadata.annotations");
    struct val *all = val_is(there, VAL_OBJ) ? val_copy(w->arena, there) : val_new(w->arena, VAL_OBJ);
    json_set_str(w->arena, all, str_of(key), value);
    review_set(w, "/metadata/annotations", all);
}

/* --- answers --- */

int review_forbid(struct review *w, const char *fmt, ...)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *at = n >= 0 ? buf_room(&b, (size_t)n + 1) : NULL;
    if (at)
        vsnprintf(at, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    w->ret->refusal = at ? kl_dup(w->call, at, (size_t)n) : NULL;
    return kl_fail(w->call, KL_FORBIDDEN, "%s", at ? at : "forbidden");
}

int review_warn(struct review *w, const char *const *texts)
{
    size_t n = 0;
    while (texts[n])
        n++;
    const char **out = kl_alloc(w->call, (n + 1) * sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        if (!(out[i] = kl_dup(w->call, texts[i], strlen(texts[i]))))
            return review_no_memory(w);
    w->ret->warnings = out;
    return out ? 0 : review_no_memory(w);
}
