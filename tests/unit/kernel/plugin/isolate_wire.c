/* Every call of every interface and service as bytes: what is written comes out the same; what is cut short or altered is refused or at least harmless
 * (under AddressSanitizer); nothing is asked of memory that the bytes do not stand for. */
#include "isolate/wire.h"

#include <criterion/criterion.h>
#include <keelson/iface/layer.h>
#include <keelson/iface/node.h>
#include <keelson/iface/scheduler.h>
#include <keelson/iface/store.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "isolate/tables.h"
#include "plugin/signature.h"
#include "reconcile/call.h"

static size_t asked;

static void *counted(void *ctx, size_t n)
{
    asked += n;
    return arena_alloc(ctx, n);
}

static void fill_struct(struct arena *a, const struct kl_sig_struct *of, char *s)
{
    static const char *const texts[] = { "a", "bc", NULL };
    static const struct kl_bytes list[] = { { "x", 1 }, { "yz", 2 } };
    memcpy(s, &of->bytes, sizeof of->bytes);
    for (uint32_t i = 0; i < of->n; i++) {
        const struct kl_sig_item *m = &of->members[i];
        struct kl_bytes b = { "{\"k\":1}", 7 };
        const void *p = NULL;
        uint32_t two = 2;
        int32_t none = -1;
        switch (m->kind) {
        case KL_SIG_FD: memcpy(s + m->offset, &none, 4); continue;
        case KL_SIG_U32: memcpy(s + m->offset, &two, 4); continue;
        case KL_SIG_BYTES: memcpy(s + m->offset, &b, sizeof b); continue;
        case KL_SIG_STR: p = "text"; break;
        case KL_SIG_STRS: p = texts; break;
        case KL_SIG_BYTES_LIST: p = list; break;
        case KL_SIG_STRUCT:
        case KL_SIG_STRUCTS: {
            char *two_of = arena_alloc(a, 2 * (size_t)m->of->bytes);
            fill_struct(a, m->of, two_of);
            fill_struct(a, m->of, two_of + m->of->bytes);
            p = two_of;
            break;
        }
        default: continue;
        }
        memcpy(s + m->offset, &p, sizeof p);
    }
}

/* Arguments of every kind, in a frame. */
static void fill(struct arena *a, const struct kl_sig_call *c, struct wire_frame *f, struct kl_call *call)
{
    static const char *const texts[] = { "one", "", NULL };
    static const struct kl_bytes list[] = { { "x", 1 }, { "", 0 } };
    memset(f, 0, sizeof *f);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct kl_sig_item *m = &c->arguments[i];
        const void *p = f->store[i];
        struct kl_bytes b = { "bytes\0more", 10 };
        uint64_t two = 2;
        int32_t none = -1;
        f->at[i] = f->arg[i];
        switch (m->kind) {
        case KL_SIG_CALL: p = call; break;
        case KL_SIG_STR: p = "text"; break;
        case KL_SIG_STRS: p = texts; break;
        case KL_SIG_BYTES_LIST: p = list; break;
        case KL_SIG_FD: memcpy(f->arg[i], &none, 4); continue;
        case KL_SIG_BYTES: memcpy(f->arg[i], &b, sizeof b); continue;
        case KL_SIG_U32:
        case KL_SIG_SIZE: memcpy(f->arg[i], &two, m->kind == KL_SIG_U32 ? 4 : 8); continue;
        case KL_SIG_STRUCT:
        case KL_SIG_STRUCTS:
        case KL_SIG_OUT_STRUCT: {
            char *s = arena_alloc(a, 2 * (size_t)m->of->bytes);
            fill_struct(a, m->of, s);
            fill_struct(a, m->of, s + m->of->bytes);
            p = s;
            break;
        }
        case KL_SIG_OUT_MEMORY: p = arena_alloc(a, 16); break;
        default:
            if (m->kind < KL_SIG_OUT_HANDLE)
                continue;
        }
        memcpy(f->arg[i], &p, sizeof p);
    }
}

static void each_call(void (*test)(const struct table_row *row, const struct kl_sig_call *c))
{
    tables_init(signature_find);
    for (uint32_t r = 0; table_at(r); r++)
        for (uint32_t k = 0; k < table_at(r)->sig->n_calls; k++)
            if (strcmp(table_at(r)->id, KL_HOST_PLUGINS_0) != 0)
                test(table_at(r), &table_at(r)->sig->calls[k]);
}

static void encode(struct arena *a, const struct kl_sig_call *c, struct buf *out, struct kl_call *call)
{
    struct wire_frame f;
    struct wire w = { .out = out };
    host_call_init(call, a, "somebody");
    call->deadline_ns = 77;
    fill(a, c, &f, call);
    wire_put_arguments(&w, c, f.at);
}

static void goes_and_comes(const struct table_row *row, const struct kl_sig_call *c)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf once = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    struct kl_call call, got = { .size = sizeof got };
    struct wire_frame f = { .call = &got };
    encode(a, c, &once, &call);
    cr_assert_not(once.failed, "%s.%s", row->id, c->name);
    struct wire w = { .at = once.at ? once.at : "", .end = once.at ? once.at + once.len : "", .alloc = counted, .alloc_ctx = a };
    wire_get_arguments(&w, c, &f);
    cr_assert_not(w.bad, "%s.%s", row->id, c->name);
    cr_expect_eq(w.at, w.end, "%s.%s: %zu bytes are left", row->id, c->name, (size_t)(w.end - w.at));
    struct wire back = { .out = &again };
    wire_put_arguments(&back, c, f.at);
    cr_expect(str_eq(buf_str(&once), buf_str(&again)), "%s.%s", row->id, c->name);
}

Test(isolate_wire, every_interface_and_service_can_be_in_another_process)
{
    tables_init(signature_find);
    for (size_t i = 0; i < signature_count(); i++)
        cr_expect(strcmp(signature_at(i)->id, KL_LAYER_0) == 0 || table_find(signature_at(i)->id), "%s (kernel/isolate/tables.c)", signature_at(i)->id);
}

Test(isolate_wire, what_is_written_comes_out_the_same)
{
    each_call(goes_and_comes);
}

static void is_cut(const struct table_row *row, const struct kl_sig_call *c)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct kl_call call, got = { .size = sizeof got };
    encode(a, c, &b, &call);
    for (size_t n = 0; n < b.len; n++) {
        struct wire_frame f = { .call = &got };
        _cleanup_free_ char *copy = mem_dup(b.at, n);
        struct wire w = { .at = copy, .end = copy + n, .alloc = counted, .alloc_ctx = a };
        wire_get_arguments(&w, c, &f);
        cr_assert(w.bad, "%s.%s cut to %zu of %zu bytes", row->id, c->name, n, b.len);
    }
}

Test(isolate_wire, what_is_cut_short_is_refused)
{
    each_call(is_cut);
}

static void is_altered(const struct table_row *row, const struct kl_sig_call *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
    struct kl_call call, got = { .size = sizeof got };
    {
        _cleanup_arena_ struct arena *a = arena_new(0);
        encode(a, c, &b, &call);
    }
    for (size_t i = 0; i < b.len; i++)
        for (size_t v = 0; v < sizeof values; v++) {
            _cleanup_arena_ struct arena *a = arena_new(0);
            _cleanup_buf_ struct buf again = BUF_INIT(1 << 20);
            _cleanup_free_ char *copy = mem_dup(b.at, b.len);
            struct wire_frame f = { .call = &got };
            copy[i] = (char)values[v];
            struct wire w = { .at = copy, .end = copy + b.len, .alloc = counted, .alloc_ctx = a }, back = { .out = &again };
            asked = 0;
            wire_get_arguments(&w, c, &f);
            cr_assert_lt(asked, WIRE_MEMORY + 64 * b.len + 65536, "%s.%s: %zu bytes of memory for %zu", row->id, c->name, asked, b.len);
            if (!w.bad)
                wire_put_arguments(&back, c, f.at);     /* all that was read can be looked at */
        }
}

Test(isolate_wire, what_is_altered_is_harmless)
{
    each_call(is_altered);
}

/* A plugin of an older SDK: its struct ends earlier. */
Test(isolate_wire, members_that_an_old_plugin_lacks_are_zero)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct kl_node_view v = { .size = offsetof(struct kl_node_view, matching_pods), .name = "n1", .used_pods = 3, .matching_pods = 9 };
    struct kl_pod_view p = { .size = sizeof p };
    struct kl_call call, *c = &call, got = { .size = sizeof got };
    const struct kl_pod_view *pod = &p;
    const struct kl_node_view *node = &v, *read;
    void *cycle = NULL;
    tables_init(signature_find);
    const struct kl_sig_call *score = &table_find(KL_SCHEDULER_0)->sig->calls[2];
    cr_assert_str_eq(score->name, "score");
    host_call_init(c, a, NULL);
    struct wire w = { .out = &b };
    wire_put_arguments(&w, score, (const void *const[]){ &c, &cycle, &pod, &node });
    struct wire_frame f = { .call = &got };
    struct wire in = { .at = b.at, .end = b.at + b.len, .alloc = counted, .alloc_ctx = a };
    wire_get_arguments(&in, score, &f);
    cr_assert_not(in.bad);
    memcpy(&read, f.arg[3], sizeof read);
    cr_expect_eq(read->used_pods, 3);
    cr_expect_eq(read->matching_pods, 0);
    cr_expect_eq(read->size, sizeof *read);
}

/* The caller's memory is written only when the whole answer is sound. */
Test(isolate_wire, a_count_that_differs_from_its_array_is_refused)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    tables_init(signature_find);
    const struct kl_sig_call *range = &table_find(KL_STORE_0)->sig->calls[1];
    cr_assert_str_eq(range->name, "range");
    const struct kl_store_record records[2] = { { .size = sizeof records[0], .revision = 4 }, { .size = sizeof records[0] } }, *list = records;
    uint32_t n = 2;
    struct wire_frame f;
    memset(&f, 0, sizeof f);
    const void *out[] = { &list, &n };
    memcpy(f.arg[3], &out[0], sizeof out[0]);
    memcpy(f.arg[4], &out[1], sizeof out[1]);
    for (unsigned i = 0; i < range->n; i++)
        f.at[i] = f.arg[i];
    struct wire w = { .out = &b };
    wire_put_results(&w, range, &f, 0);
    for (int turn = 0; turn < 2; turn++) {
        const struct kl_store_record *got = NULL, **ret = &got;
        uint32_t count = 0, *ret_n = &count;
        const void *none = NULL;
        struct wire in = { .at = b.at, .end = b.at + b.len, .alloc = counted, .alloc_ctx = a };
        wire_get_results(&in, range, (const void *const[]){ &none, &none, &none, &ret, &ret_n }, 0);
        cr_expect_eq(in.bad, turn == 1);
        cr_expect(turn || (count == 2 && got[0].revision == 4));
        b.at[b.len - 4] = 3;            /* the count is what comes last */
    }
}
