/* child_host.c - the host as an isolated plugin sees it: services and other instances ask the daemon; time and randomness are here. */
#include "child-internal.h"

#include "base/cleanup.h"
#include "reconcile/call.h"

/* --- one question --- */

struct found {                          /* another instance */
    struct peer peer;
    struct child_instance *by;
    uint64_t handle;
    const struct table_row *row;
};

static int64_t failure(const struct kl_sig_call *c, int code)
{
    return c->result == KL_SIG_R_INT ? -code : 0;
}

static void *call_memory(void *ctx, size_t n)
{
    struct kl_call *c = ctx;
    return c && c->alloc ? c->alloc(c->arena, n) : NULL;
}

/* Sends what is in the lane's buffer; the reply's bytes: in the call's arena, or (block) the caller's to free. */
static char *exchange(struct lane *l, struct wire *w, struct lane_message *m, struct kl_call *c, char **block)
{
    const struct lane_patience p = { .call = c };
    *block = NULL;
    l->shared->cancel[SIDE_PLUGIN] = 0;
    if (lane_send(l, MESSAGE_CALL, w->fds, w->n_fds, &p) < 0)
        return NULL;
    child_converse(l, m, &p);
    char *text = c && c->alloc ? c->alloc(c->arena, m->len + 1) : (*block = mem_alloc(m->len + 1));
    if (!text)
        _exit(71);                      /* the conversation cannot go on */
    return lane_take(l, m, text, &p) == LANE_OK ? text : NULL;
}

static void put_head(struct wire *w, struct lane *l, const struct child_instance *i, uint64_t found, const struct table_row *t, uint32_t index)
{
    buf_clear(&l->out);
    l->out.failed = false;
    wire_put_u32(w, ERRAND_CALL);
    wire_put_u32(w, i->index);
    wire_put_u64(w, found);
    wire_put_u32(w, table_index(t));
    wire_put_u32(w, index);
}

static int64_t get_head(struct wire *w, struct kl_call *c)
{
    int64_t result = (int64_t)wire_get_u64(w);
    uint32_t code = wire_get_u32(w);
    const char *text = wire_get_str(w);
    if (c && text) {
        c->err.code = (int32_t)code;
        snprintf(c->err.msg, sizeof c->err.msg, "%s", text);
    }
    return result;
}

typedef void (*read_fn)(struct wire *w, const struct kl_sig_call *c, const void *const *at, int64_t result, struct child_instance *i);

static void read_results(struct wire *w, const struct kl_sig_call *c, const void *const *at, int64_t result, struct child_instance *i)
{
    (void)i;
    wire_get_results(w, c, at, result);
}

static int64_t ask(struct child_instance *i, uint64_t found, const struct table_row *t, uint32_t index, const void *const *at, read_fn read_them)
{
    const struct kl_sig_call *c = &t->sig->calls[index];
    struct kl_call *call = wire_call(c, at);
    struct lane *l = child_lane_take();
    struct wire out = { .out = &l->out };
    struct lane_message m = { .n_fds = 0 };
    char *block = NULL;
    int64_t ret = failure(c, KL_INTERNAL);
    put_head(&out, l, i, found, t, index);
    wire_put_arguments(&out, c, at);
    char *text = l->out.failed ? NULL : exchange(l, &out, &m, call, &block);
    if (text) {
        struct wire in = { .at = text, .end = text + m.len, .alloc = call_memory, .alloc_ctx = call, .n_fds = m.n_fds };
        memcpy(in.fds, m.fds, sizeof in.fds);
        ret = get_head(&in, call);
        if (c->result == KL_SIG_R_STR) {
            const char *s = wire_get_str(&in);          /* for good: such texts are few */
            ret = (int64_t)(uintptr_t)(s ? mem_dup(s, strlen(s)) : NULL);
        } else {
            read_them(&in, c, at, ret, i);
        }
    } else if (call) {
        kl_fail(call, KL_TOO_LARGE, "that is too much for an isolated plugin");
    }
    if (l->out.failed)
        buf_free(&l->out);
    mem_free(block);
    child_lane_done(l);
    return ret;
}

static int64_t ask_found(struct peer *p, const struct table_row *t, uint32_t index, const void *const *at)
{
    struct found *f = (struct found *)p;
    return ask(f->by, f->handle, t, index, at, read_results);
}

/* --- keelson.host.plugins/0: what is found is here too, or a table of ours whose self knows the daemon's --- */

static void read_found(struct wire *w, const struct kl_sig_call *c, const void *const *at, int64_t result, struct child_instance *i)
{
    const char *iface;
    struct kl_instance *ret;
    (void)c;
    memcpy(&iface, at[1], sizeof iface);
    memcpy(&ret, at[3], sizeof ret);
    if (result < 0)
        return;
    uint32_t here = wire_get_u32(w);
    if (here) {
        const struct child_instance *k = here <= child.n ? &child.instances[here - 1] : i;
        *ret = (struct kl_instance){ sizeof *ret, k->host.instance, k->provider->table, k->self };
        return;
    }
    uint64_t handle = wire_get_u64(w), functions = wire_get_u64(w);
    const char *name = wire_get_str(w);
    const struct table_row *t = table_find(iface);
    struct arena *a = t && !w->bad ? arena_new(0) : NULL;       /* lives as long as this process: few are ever found */
    struct found *f = a ? arena_alloc(a, sizeof *f) : NULL;
    char *table = f ? arena_alloc(a, t->sig->bytes) : NULL;
    if (!table)
        return;
    *f = (struct found){ { ask_found, NULL }, i, handle, t };
    table_proxy(t, functions, table);
    w->alloc_ctx = NULL;
    struct wire data = *w;
    size_t left = (size_t)(w->end - w->at);
    char *copy = arena_raw(a, left + 1);
    if (copy) {
        memcpy(copy, w->at, left);
        data.at = copy;
        data.end = copy + left;
        data.alloc = (void *(*)(void *, size_t))arena_alloc;
        data.alloc_ctx = a;
        wire_get_data(&data, t->sig, table);
    }
    *ret = (struct kl_instance){ sizeof *ret, name ? arena_dup(a, str_of(name)) : "", table, f };
}

static int64_t ask_service(struct peer *p, const struct table_row *t, uint32_t index, const void *const *at)
{
    bool find = strcmp(t->id, KL_HOST_PLUGINS_0) == 0;
    return ask((struct child_instance *)p, 0, t, index, at, find ? read_found : read_results);
}

/* --- the host --- */

static void log_one(const struct kl_host *h, int32_t level, const char *line)
{
    struct child_instance *i = h->ctx;
    struct lane *l = child_lane_take();
    struct wire w = { .out = &l->out };
    struct lane_message m = { .n_fds = 0 };
    char *block = NULL;
    buf_clear(&l->out);
    l->out.failed = false;
    wire_put_u32(&w, ERRAND_LOG);
    wire_put_u32(&w, i->index);
    wire_put_u32(&w, (uint32_t)level);
    wire_put_bytes(&w, line, strnlen(line, 4096));
    exchange(l, &w, &m, NULL, &block);
    mem_free(block);
    child_lane_done(l);
}

static const void *service(const struct kl_host *h, const char *id)
{
    const struct child_instance *i = h->ctx;
    for (const char *const *s = i->services; s && *s; s++)
        if (strcmp(*s, id) == 0) {
            const struct table_row *t = table_find(id);
            return strcmp(id, KL_HOST_ENV_0) == 0 ? &host_env : t ? t->proxy : NULL;
        }
    return NULL;
}

void child_host_init(struct child_instance *i, const char *name, const char *version, const char *instance, const char *const *services)
{
    struct arena *a = i->arena;
    uint32_t n = 0;
    while (services && services[n])
        n++;
    const char **list = arena_alloc(a, (n + 1) * sizeof *list);
    for (uint32_t k = 0; list && k < n; k++)
        list[k] = arena_dup(a, str_of(services[k]));
    i->peer = (struct peer){ ask_service, NULL };
    i->services = list;
    i->host = (struct kl_host){ .size = sizeof i->host, .abi_major = KL_ABI_MAJOR, .name = arena_dup(a, str_of(name)), .version = arena_dup(a, str_of(version)),
                                .instance = arena_dup(a, str_of(instance)), .ctx = i, .log = log_one, .service = service };
}
