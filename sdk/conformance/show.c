/* show.c - see bench.h. */
#include "bench.h"

static void show_bytes(struct buf *to, const char *at, size_t len)
{
    if (!at && !len) {
        buf_lit(to, "-");
        return;
    }
    json_write_str(to, str_n(at, len));
}

static void show_texts(struct buf *to, const char *const *at)
{
    buf_add_c(to, '[');
    for (; at && *at; at++)
        show_bytes(to, *at, strlen(*at));
    buf_add_c(to, ']');
}

static void show_struct(struct buf *to, const struct kl_sig_struct *s, const void *at)
{
    uint32_t size = 0, n = 1;
    if (!at) {
        buf_lit(to, "-");
        return;
    }
    memcpy(&size, at, sizeof size);
    buf_add_c(to, '{');
    for (uint32_t i = 0; i < s->n; i++) {
        const struct kl_sig_item *m = &s->members[i];
        const void *member = (const char *)at + m->offset;
        if (size < m->offset + m->bytes)
            break;
        buf_printf(to, "%s%s=", i ? " " : "", m->name);
        show_item(to, m, member, n);
        n = 1;
        if (m->kind == KL_SIG_U32)      /* the length of an array is the member before it */
            memcpy(&n, member, sizeof n);
    }
    buf_add_c(to, '}');
}

void show_item(struct buf *to, const struct kl_sig_item *m, const void *at, uint32_t n)
{
    const void *pointer = NULL;
    switch (m->kind) {
    case KL_SIG_I32: case KL_SIG_FD: case KL_SIG_OUT_I32: buf_add_int(to, *(const int32_t *)at); return;
    case KL_SIG_U32: case KL_SIG_OUT_U32: buf_add_uint(to, *(const uint32_t *)at); return;
    case KL_SIG_I64: case KL_SIG_OUT_I64: buf_add_int(to, *(const int64_t *)at); return;
    case KL_SIG_U64: case KL_SIG_SIZE: buf_add_uint(to, *(const uint64_t *)at); return;
    case KL_SIG_BYTES: case KL_SIG_OUT_BYTES: show_bytes(to, ((const struct kl_bytes *)at)->at, ((const struct kl_bytes *)at)->len); return;
    case KL_SIG_OUT_STRUCT: show_struct(to, m->of, at); return;
    case KL_SIG_OUT_FD: buf_add_z(to, *(const int32_t *)at >= 0 ? "fd" : "-"); return;
    default: break;
    }
    memcpy(&pointer, at, sizeof pointer);
    switch (m->kind) {
    case KL_SIG_STR: case KL_SIG_OUT_STR: show_bytes(to, pointer, pointer ? strlen(pointer) : 0); return;
    case KL_SIG_STRS: case KL_SIG_OUT_STRS: show_texts(to, pointer); return;
    case KL_SIG_STRUCT: show_struct(to, m->of, pointer); return;
    case KL_SIG_BYTES_LIST:
        for (uint32_t i = 0; pointer && i < n; i++)
            show_bytes(to, ((const struct kl_bytes *)pointer)[i].at, ((const struct kl_bytes *)pointer)[i].len);
        return;
    case KL_SIG_STRUCTS: case KL_SIG_OUT_STRUCTS:
        for (uint32_t i = 0; pointer && i < n; i++)
            show_struct(to, m->of, (const char *)pointer + (size_t)i * m->of->bytes);
        return;
    default: buf_add_c(to, '*'); return;          /* handles and tables: who knows */
    }
}
