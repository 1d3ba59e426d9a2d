/* wire_call.c - see wire.h: a call's arguments there, its results back. OUT pointers go as "is there one"; what they point to comes back when the
 * call has succeeded, or always with KL_SIG_OUT_ALWAYS. */
#include "isolate/wire-internal.h"

static bool is_out(uint32_t kind)
{
    return kind >= KL_SIG_OUT_HANDLE;
}

static const void *pointer_at(const void *at)
{
    const void *p;
    memcpy(&p, at, sizeof p);
    return p;
}

/* The argument behind an array tells its length. */
static uint32_t length_behind(const struct kl_sig_call *c, uint32_t i, const void *const *at)
{
    uint32_t n32 = 0;
    uint64_t n64 = 0;
    if (i + 1 >= c->n)
        return 0;
    switch (c->arguments[i + 1].kind) {
    case KL_SIG_U32:
        memcpy(&n32, at[i + 1], sizeof n32);
        return n32;
    case KL_SIG_SIZE:
        memcpy(&n64, at[i + 1], sizeof n64);
        return n64 < WIRE_ANY ? (uint32_t)n64 : WIRE_ANY - 1;
    default:
        return 0;
    }
}

static bool returns(const struct kl_sig_call *c, int64_t result)
{
    return c->result != KL_SIG_R_INT || result >= 0 || c->flags & KL_SIG_OUT_ALWAYS;
}

/* --- the caller --- */

static void put_call(struct wire *w, const struct kl_call *c)
{
    wire_put_u32(w, c->flags);
    wire_put_u64(w, (uint64_t)c->deadline_ns);
    wire_put_u64(w, c->request);
    wire_put_str(w, c->trace_id);
    wire_put_str(w, c->user);
}

void wire_put_arguments(struct wire *w, const struct kl_sig_call *c, const void *const *at)
{
    for (uint32_t i = 0; i < c->n; i++) {
        const struct kl_sig_item *m = &c->arguments[i];
        if (m->kind == KL_SIG_CALL)
            put_call(w, pointer_at(at[i]));
        else if (is_out(m->kind))
            buf_add_c(w->out, pointer_at(at[i]) ? 1 : 0);
        else
            wire_put_value(w, m, at[i], length_behind(c, i, at));
    }
}

static void copy_struct(const struct kl_sig_struct *of, void *to, const void *from)
{
    uint32_t size;
    memcpy(&size, to, sizeof size);
    size = size >= sizeof size && size < of->bytes ? size : of->bytes;
    memcpy((char *)to + sizeof size, (const char *)from + sizeof size, size - sizeof size);
    memcpy(to, &size, sizeof size);
}

/* A result that is one value crosses as an argument of that kind does. */
static uint32_t told_as(uint32_t kind)
{
    switch (kind) {
    case KL_SIG_OUT_HANDLE: return KL_SIG_HANDLE;
    case KL_SIG_OUT_I32: return KL_SIG_I32;
    case KL_SIG_OUT_U32: return KL_SIG_U32;
    case KL_SIG_OUT_I64: return KL_SIG_I64;
    case KL_SIG_OUT_FD: return KL_SIG_FD;
    case KL_SIG_OUT_STR: return KL_SIG_STR;
    case KL_SIG_OUT_STRS: return KL_SIG_STRS;
    default: return KL_SIG_BYTES;
    }
}

static void get_result(struct wire *w, const struct kl_sig_item *m, void *to, uint32_t n)
{
    struct kl_sig_item in = *m;
    struct kl_bytes b;
    const void *s;
    uint32_t count;
    switch (m->kind) {
    case KL_SIG_OUT_MEMORY:
        b = wire_get_bytes(w);
        w->bad |= b.len != n;
        if (!w->bad && n)
            memcpy(to, b.at, n);
        return;
    case KL_SIG_OUT_STRUCT:
        s = wire_get_struct_or_null(w, m->of);
        w->bad |= !s;
        if (s)
            copy_struct(m->of, to, s);
        return;
    case KL_SIG_OUT_STRUCTS:
        s = wire_get_structs(w, m->of, &count);
        if (!w->bad)
            memcpy(to, &s, sizeof s);
        return;
    default: in.kind = told_as(m->kind); break;
    }
    uint64_t value[2] = { 0, 0 };       /* nothing is told by halves */
    wire_get_value(w, &in, value, WIRE_ANY);
    bool half = in.kind == KL_SIG_I32 || in.kind == KL_SIG_U32 || in.kind == KL_SIG_FD;
    if (!w->bad)
        memcpy(to, value, half ? 4 : in.kind == KL_SIG_BYTES ? 16 : 8);
}

/* The caller's array is as long as the count that came with it says. */
static void check_count(struct wire *w, const struct kl_sig_call *c, const void *const *at, const uint32_t *counts)
{
    for (uint32_t i = 0; i + 1 < c->n && !w->bad; i++) {
        const void *n = c->arguments[i].kind == KL_SIG_OUT_STRUCTS ? pointer_at(at[i + 1]) : NULL;
        uint32_t said = 0;
        if (n)
            memcpy(&said, n, sizeof said);
        w->bad |= n && said != counts[i];
    }
}

struct kl_call *wire_call(const struct kl_sig_call *c, const void *const *at)
{
    struct kl_call *ret = NULL;
    for (uint32_t i = 0; i < c->n && !ret; i++)
        if (c->arguments[i].kind == KL_SIG_CALL)
            memcpy(&ret, at[i], sizeof ret);
    return ret;
}

void wire_get_results(struct wire *w, const struct kl_sig_call *c, const void *const *at, int64_t result)
{
    uint32_t counts[WIRE_ARGUMENTS] = { 0 };
    for (uint32_t i = 0; i < c->n && returns(c, result) && !w->bad; i++) {
        const struct kl_sig_item *m = &c->arguments[i];
        void *to = is_out(m->kind) ? (void *)(uintptr_t)pointer_at(at[i]) : NULL;
        if (m->kind == KL_SIG_OUT_STRUCTS && w->end - w->at >= 4)
            memcpy(&counts[i], w->at, sizeof counts[i]);
        if (to)
            get_result(w, m, to, length_behind(c, i, at));
    }
    if (returns(c, result))
        check_count(w, c, at, counts);
}

/* --- the callee --- */

static void get_call(struct wire *w, struct kl_call *c)
{
    c->flags = wire_get_u32(w);
    c->deadline_ns = (int64_t)wire_get_u64(w);
    c->request = wire_get_u64(w);
    c->trace_id = wire_get_str(w);
    c->user = wire_get_str(w);
}

static void make_room(struct wire *w, const struct kl_sig_item *m, struct wire_frame *f, uint32_t i, uint32_t n)
{
    void *room = f->store[i];
    if (m->kind == KL_SIG_OUT_STRUCT && (room = wire_alloc(w, m->of->bytes)))
        memcpy(room, &m->of->bytes, sizeof m->of->bytes);
    else if (m->kind == KL_SIG_OUT_MEMORY) {
        w->bad |= n > WIRE_MEMORY;
        room = wire_alloc(w, (size_t)n + 1);
    }
    memcpy(f->arg[i], &room, sizeof room);
}

void wire_get_arguments(struct wire *w, const struct kl_sig_call *c, struct wire_frame *f)
{
    uint32_t lengths[WIRE_ARGUMENTS] = { 0 };
    bool there[WIRE_ARGUMENTS] = { false };
    memset(f->arg, 0, sizeof f->arg);
    memset(f->store, 0, sizeof f->store);
    w->bad |= c->n > WIRE_ARGUMENTS;
    for (uint32_t i = 0; i < c->n && !w->bad; i++) {
        const struct kl_sig_item *m = &c->arguments[i];
        f->at[i] = f->arg[i];
        if (m->kind == KL_SIG_CALL) {
            get_call(w, f->call);
            memcpy(f->arg[i], &f->call, sizeof f->call);
        } else if (is_out(m->kind)) {
            there[i] = w->at < w->end && *w->at;
            w->bad |= w->at == w->end;
            w->at += w->at < w->end;
        } else {
            if ((m->kind == KL_SIG_STRUCTS || m->kind == KL_SIG_BYTES_LIST) && w->end - w->at >= 4)
                memcpy(&lengths[i], w->at, sizeof lengths[i]);
            wire_get_value(w, m, f->arg[i], WIRE_ANY);
        }
    }
    for (uint32_t i = 0; i < c->n && !w->bad; i++) {
        const struct kl_sig_item *m = &c->arguments[i];
        if (m->kind == KL_SIG_STRUCTS || m->kind == KL_SIG_BYTES_LIST)
            w->bad |= length_behind(c, i, f->at) != lengths[i];
        if (there[i])
            make_room(w, m, f, i, length_behind(c, i, f->at));
    }
}

static void put_result(struct wire *w, const struct kl_sig_item *m, const void *from, uint32_t n)
{
    struct kl_sig_item in = *m;
    switch (m->kind) {
    case KL_SIG_OUT_MEMORY: wire_put_bytes(w, from, n); return;
    case KL_SIG_OUT_STRUCT: wire_put_struct_or_null(w, m->of, from); return;
    case KL_SIG_OUT_STRUCTS: wire_put_structs(w, m->of, pointer_at(from), n, m->of->bytes); return;
    default: in.kind = told_as(m->kind); break;
    }
    wire_put_value(w, &in, from, n);
}

void wire_put_results(struct wire *w, const struct kl_sig_call *c, const struct wire_frame *f, int64_t result)
{
    for (uint32_t i = 0; i < c->n && returns(c, result); i++) {
        const struct kl_sig_item *m = &c->arguments[i];
        const void *from = is_out(m->kind) ? pointer_at(f->arg[i]) : NULL;
        uint32_t n = length_behind(c, i, f->at);
        if (from && m->kind == KL_SIG_OUT_STRUCTS && i + 1 < c->n && pointer_at(f->arg[i + 1]))
            memcpy(&n, pointer_at(f->arg[i + 1]), sizeof n);
        if (from)
            put_result(w, m, from, n);
    }
}
