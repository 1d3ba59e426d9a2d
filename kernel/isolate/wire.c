/* wire.c - see wire.h: the values. Numbers go as they are in memory (both sides are one machine), lengths before what they measure. */
#include "isolate/wire-internal.h"

#define NOTHING 0xffffffffu             /* the length of what is NULL */

void wire_put_u32(struct wire *w, uint32_t v)
{
    buf_add(w->out, &v, sizeof v);
}

void wire_put_u64(struct wire *w, uint64_t v)
{
    buf_add(w->out, &v, sizeof v);
}

void wire_put_bytes(struct wire *w, const char *at, size_t n)
{
    if (n >= NOTHING || (!at && n)) {
        w->out->failed = true;
        return;
    }
    wire_put_u32(w, at ? (uint32_t)n : NOTHING);
    if (at) {
        buf_add(w->out, at, n);
        buf_add_c(w->out, '\0');
    }
}

void wire_put_str(struct wire *w, const char *s)
{
    wire_put_bytes(w, s, s ? strlen(s) : 0);
}

void wire_put_strs(struct wire *w, const char *const *list)
{
    uint32_t n = 0;
    while (list && list[n])
        n++;
    wire_put_u32(w, list ? n : NOTHING);
    for (uint32_t i = 0; i < n && list; i++)
        wire_put_str(w, list[i]);
}

static const char *get(struct wire *w, size_t n)
{
    if (w->bad || n > (size_t)(w->end - w->at)) {
        w->bad = true;
        return NULL;
    }
    const char *at = w->at;
    w->at += n;
    return at;
}

uint32_t wire_get_u32(struct wire *w)
{
    uint32_t v = 0;
    const char *at = get(w, sizeof v);
    if (at)
        memcpy(&v, at, sizeof v);
    return v;
}

uint64_t wire_get_u64(struct wire *w)
{
    uint64_t v = 0;
    const char *at = get(w, sizeof v);
    if (at)
        memcpy(&v, at, sizeof v);
    return v;
}

struct kl_bytes wire_get_bytes(struct wire *w)
{
    uint32_t n = wire_get_u32(w);
    if (w->bad || n == NOTHING)
        return (struct kl_bytes){ NULL, 0 };
    const char *at = get(w, (size_t)n + 1);
    if (at && at[n] != '\0')
        w->bad = true;
    return w->bad ? (struct kl_bytes){ NULL, 0 } : (struct kl_bytes){ at, n };
}

const char *wire_get_str(struct wire *w)
{
    struct kl_bytes b = wire_get_bytes(w);
    if (b.at && memchr(b.at, '\0', b.len))
        w->bad = true;
    return w->bad ? NULL : b.at;
}

uint32_t wire_get_count(struct wire *w, uint32_t least)
{
    uint32_t n = wire_get_u32(w);
    if (n != NOTHING && n > (size_t)(w->end - w->at) / (least ? least : 1))
        w->bad = true;
    return w->bad ? 0 : n;
}

void *wire_alloc(struct wire *w, size_t n)
{
    void *at = w->bad ? NULL : w->alloc(w->alloc_ctx, n);
    w->bad |= !at;
    return at;
}

const char *const *wire_get_strs(struct wire *w)
{
    uint32_t n = wire_get_count(w, sizeof(uint32_t));
    if (w->bad || n == NOTHING)
        return NULL;
    const char **list = wire_alloc(w, ((size_t)n + 1) * sizeof *list);
    for (uint32_t i = 0; list && i < n; i++)
        if (!(list[i] = wire_get_str(w)))
            w->bad = true;              /* a NULL would end the list */
    return w->bad ? NULL : list;
}

/* --- structs --- */

/* Old plugins' structs end earlier: what they lack is zero. Who forgets the size gets what the array's stride, or this host, says. */
static bool has(const void *s, const struct kl_sig_item *m, uint32_t most)
{
    uint32_t size;
    memcpy(&size, s, sizeof size);
    return (size && size < most ? size : most) >= m->offset + m->bytes;
}

static void put_struct(struct wire *w, const struct kl_sig_struct *of, const void *s, uint32_t most)
{
    static const uint64_t zero[2];
    uint32_t n = 0;
    for (uint32_t i = 0; i < of->n; i++) {
        const struct kl_sig_item *m = &of->members[i];
        const void *at = has(s, m, most) ? (const void *)((const char *)s + m->offset) : zero;
        wire_put_value(w, m, at, n);
        if (m->kind == KL_SIG_U32)
            memcpy(&n, at, sizeof n);   /* the length of an array is the member before it */
    }
}

static void get_struct(struct wire *w, const struct kl_sig_struct *of, void *s)
{
    uint32_t n = 0;
    memcpy(s, &of->bytes, sizeof of->bytes);
    for (uint32_t i = 0; i < of->n && !w->bad; i++) {
        const struct kl_sig_item *m = &of->members[i];
        wire_get_value(w, m, (char *)s + m->offset, n);
        if (m->kind == KL_SIG_U32)
            memcpy(&n, (char *)s + m->offset, sizeof n);
    }
}

void wire_put_struct_or_null(struct wire *w, const struct kl_sig_struct *of, const void *s)
{
    buf_add_c(w->out, s ? 1 : 0);
    if (s)
        put_struct(w, of, s, of->bytes);
}

void *wire_get_struct_or_null(struct wire *w, const struct kl_sig_struct *of)
{
    const char *there = get(w, 1);
    void *s = there && *there ? wire_alloc(w, of->bytes) : NULL;
    if (s)
        get_struct(w, of, s);
    return w->bad ? NULL : s;
}

void wire_put_structs(struct wire *w, const struct kl_sig_struct *of, const void *at, uint32_t n, uint32_t stride)
{
    wire_put_u32(w, at ? n : 0);
    for (uint32_t i = 0; at && i < n; i++)
        put_struct(w, of, (const char *)at + (size_t)i * stride, stride);
}

/* n: how many there must be; NOTHING: as many as come. */
void *wire_get_structs(struct wire *w, const struct kl_sig_struct *of, uint32_t *n)
{
    *n = wire_get_count(w, of->n ? of->n : 1);
    char *at = wire_alloc(w, (size_t)*n * of->bytes + 1);
    for (uint32_t i = 0; at && i < *n && !w->bad; i++)
        get_struct(w, of, at + (size_t)i * of->bytes);
    return w->bad ? NULL : at;
}

static void put_bytes_list(struct wire *w, const struct kl_bytes *at, uint32_t n)
{
    wire_put_u32(w, at ? n : 0);
    for (uint32_t i = 0; at && i < n; i++)
        wire_put_bytes(w, at[i].at, at[i].len);
}

static const struct kl_bytes *get_bytes_list(struct wire *w, uint32_t *n)
{
    *n = wire_get_count(w, sizeof(uint32_t));
    struct kl_bytes *at = wire_alloc(w, (size_t)*n * sizeof *at + 1);
    for (uint32_t i = 0; at && i < *n; i++)
        at[i] = wire_get_bytes(w);
    return w->bad ? NULL : at;
}

/* --- one value; n: the length of an array --- */

struct array {                          /* as KL_ARRAY makes them */
    const void *at;
    uint32_t n, stride;
};

static void put_fd(struct wire *w, const void *at)
{
    int32_t fd;
    memcpy(&fd, at, sizeof fd);
    if (fd >= 0 && w->n_fds == WIRE_FDS)
        w->out->failed = true;
    bool goes = fd >= 0 && w->n_fds < WIRE_FDS;
    wire_put_u32(w, goes ? w->n_fds : NOTHING);
    if (goes)
        w->fds[w->n_fds++] = fd;
}

static void get_fd(struct wire *w, void *at)
{
    uint32_t k = wire_get_u32(w);
    int32_t fd = -1;
    if (k != NOTHING && (k >= w->n_fds || w->fds[k] < 0))
        w->bad = true;
    else if (k != NOTHING)
        fd = w->fds[k];
    memcpy(at, &fd, sizeof fd);
}

static void put_handle(struct wire *w, const void *at)
{
    void *handle;
    memcpy(&handle, at, sizeof handle);
    wire_put_u64(w, w->give ? w->give(w->ctx, handle) : (uint64_t)(uintptr_t)handle);
}

static void get_handle(struct wire *w, void *at)
{
    uint64_t number = wire_get_u64(w);
    void *handle = w->take ? w->take(w->ctx, number, &w->bad) : (void *)(uintptr_t)number;
    memcpy(at, &handle, sizeof handle);
}

void wire_put_value(struct wire *w, const struct kl_sig_item *m, const void *at, uint32_t n)
{
    const void *p;
    struct kl_bytes b;
    switch (m->kind) {
    case KL_SIG_I32:
    case KL_SIG_U32:
        buf_add(w->out, at, 4);
        return;
    case KL_SIG_I64:
    case KL_SIG_U64:
    case KL_SIG_SIZE:
        buf_add(w->out, at, 8);
        return;
    case KL_SIG_FD:
        put_fd(w, at);
        return;
    case KL_SIG_HANDLE:
        put_handle(w, at);
        return;
    case KL_SIG_BYTES:
        memcpy(&b, at, sizeof b);
        wire_put_bytes(w, b.len && !b.at ? "" : b.at, b.at ? b.len : 0);
        return;
    case KL_SIG_ARRAY: {
        struct array a;
        memcpy(&a, at, sizeof a);
        wire_put_structs(w, m->of, a.at, a.n, a.stride);
        return;
    }
    default:
        break;
    }
    memcpy(&p, at, sizeof p);
    switch (m->kind) {
    case KL_SIG_STR: wire_put_str(w, p); break;
    case KL_SIG_STRS: wire_put_strs(w, p); break;
    case KL_SIG_BYTES_LIST: put_bytes_list(w, p, n); break;
    case KL_SIG_STRUCT: wire_put_struct_or_null(w, m->of, p); break;
    case KL_SIG_STRUCTS: wire_put_structs(w, m->of, p, n, m->of->bytes); break;
    default: w->out->failed = true;     /* a kind that does not cross (TABLE: isolate/serve.c has its own way) */
    }
}

static void get_array(struct wire *w, const struct kl_sig_item *m, void *at)
{
    struct array a = { NULL, 0, m->of->bytes };
    a.at = wire_get_structs(w, m->of, &a.n);
    memcpy(at, &a, sizeof a);
}

void wire_get_value(struct wire *w, const struct kl_sig_item *m, void *at, uint32_t n)
{
    const void *p = NULL;
    const char *number;
    struct kl_bytes b;
    uint32_t count = n;
    switch (m->kind) {
    case KL_SIG_I32:
    case KL_SIG_U32:
        if ((number = get(w, 4)))
            memcpy(at, number, 4);
        return;
    case KL_SIG_I64:
    case KL_SIG_U64:
    case KL_SIG_SIZE:
        if ((number = get(w, 8)))
            memcpy(at, number, 8);
        return;
    case KL_SIG_FD:
        get_fd(w, at);
        return;
    case KL_SIG_HANDLE:
        get_handle(w, at);
        return;
    case KL_SIG_BYTES:
        b = wire_get_bytes(w);
        memcpy(at, &b, sizeof b);
        return;
    case KL_SIG_ARRAY:
        get_array(w, m, at);
        return;
    case KL_SIG_STR: p = wire_get_str(w); break;
    case KL_SIG_STRS: p = wire_get_strs(w); break;
    case KL_SIG_BYTES_LIST: p = get_bytes_list(w, &count); break;
    case KL_SIG_STRUCT: p = wire_get_struct_or_null(w, m->of); break;
    case KL_SIG_STRUCTS: p = wire_get_structs(w, m->of, &count); break;
    default: w->bad = true;
    }
    w->bad |= n != WIRE_ANY && count != n;
    memcpy(at, &p, sizeof p);
}

/* --- a table's data --- */

void wire_put_data(struct wire *w, const struct kl_sig_table *t, const void *table)
{
    static const uint64_t zero[2];
    for (uint32_t i = 0; i < t->n_data; i++)
        wire_put_value(w, &t->data[i], has(table, &t->data[i], t->bytes) ? (const void *)((const char *)table + t->data[i].offset) : zero, 0);
}

void wire_get_data(struct wire *w, const struct kl_sig_table *t, void *table)
{
    for (uint32_t i = 0; i < t->n_data; i++)
        wire_get_value(w, &t->data[i], (char *)table + t->data[i].offset, WIRE_ANY);
}
