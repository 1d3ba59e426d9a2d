/* show.c - see show.h. */
#include "show.h"

#include "base/json.h"

static bool is_text(const unsigned char *at, size_t len)
{
    for (size_t i = 0; i < len;) {
        unsigned char c = at[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 9;
        if (more == 9 || i + more >= len + (more == 0) || (c < 0x20 && c != '\n' && c != '\t' && c != '\r'))
            return false;
        for (size_t k = 1; k <= more; k++)
            if ((at[i + k] & 0xc0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

static void show_bytes(struct buf *to, const char *at, size_t len, size_t most)
{
    if (!at) {
        buf_lit(to, "null");
    } else if (!is_text((const unsigned char *)at, len)) {
        buf_lit(to, "{\"hex\":\"");
        for (size_t i = 0; i < len && i < most; i++)
            buf_printf(to, "%02x", (unsigned char)at[i]);
        buf_lit(to, "\"}");
    } else if (len > most) {
        while (most && ((unsigned char)at[most] & 0xc0) == 0x80)
            most--;                     /* whole letters */
        json_write_str(to, str_n(at, most));
        to->len -= to->failed ? 0 : 1;  /* the quote comes behind what tells that there is more */
        buf_printf(to, "... (%zu bytes)\"", len);
    } else {
        json_write_str(to, str_n(at, len));
    }
}

static void show_texts(struct buf *to, const char *const *at, size_t most)
{
    if (!at) {
        buf_lit(to, "null");
        return;
    }
    buf_add_c(to, '[');
    for (unsigned i = 0; at[i]; i++) {
        if (i)
            buf_add_c(to, ',');
        show_bytes(to, at[i], strlen(at[i]), most);
    }
    buf_add_c(to, ']');
}

static bool is_secret(const char *name)
{
    static const char *const names[] = { "bearer", "key", "token", "password", "auth" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* "key" is a secret of a TLS target, and no secret of a controller or a store. */
static bool hidden(const struct kl_sig_struct *s, const char *name)
{
    return is_secret(name) && (strcmp(name, "key") != 0 || strcmp(s->name, "kl_http_target") == 0);
}

static void show_struct(struct buf *to, const struct kl_sig_struct *s, const void *at, size_t most)
{
    uint32_t size = 0, n = 1;
    if (!at) {
        buf_lit(to, "null");
        return;
    }
    memcpy(&size, at, sizeof size);
    buf_add_c(to, '{');
    for (uint32_t i = 0; i < s->n; i++) {
        const struct kl_sig_item *m = &s->members[i];
        const void *member = (const char *)at + m->offset;
        if (size < m->offset + m->bytes)
            break;
        buf_printf(to, "%s\"%s\":", i ? "," : "", m->name);
        if (most != SIZE_MAX && hidden(s, m->name))
            buf_lit(to, "\"(not shown)\"");
        else
            show_item(to, m, member, n, most);
        n = 1;
        if (m->kind == KL_SIG_U32)      /* the length of an array is the member before it */
            memcpy(&n, member, sizeof n);
    }
    buf_add_c(to, '}');
}

static void show_list(struct buf *to, const struct kl_sig_item *m, const void *pointer, uint32_t n, size_t most)
{
    buf_add_c(to, '[');
    for (uint32_t i = 0; pointer && i < n; i++) {
        if (i)
            buf_add_c(to, ',');
        if (m->of)
            show_struct(to, m->of, (const char *)pointer + (size_t)i * m->of->bytes, most);
        else
            show_bytes(to, ((const struct kl_bytes *)pointer)[i].at, ((const struct kl_bytes *)pointer)[i].len, most);
    }
    buf_add_c(to, ']');
}

void show_item(struct buf *to, const struct kl_sig_item *m, const void *at, uint32_t n, size_t most)
{
    const void *pointer = NULL;
    switch (m->kind) {
    case KL_SIG_I32: case KL_SIG_OUT_I32: buf_add_int(to, *(const int32_t *)at); return;
    case KL_SIG_U32: case KL_SIG_OUT_U32: buf_add_uint(to, *(const uint32_t *)at); return;
    case KL_SIG_I64: case KL_SIG_OUT_I64: buf_add_int(to, *(const int64_t *)at); return;
    case KL_SIG_U64: case KL_SIG_SIZE: buf_add_uint(to, *(const uint64_t *)at); return;
    case KL_SIG_BYTES: case KL_SIG_OUT_BYTES: show_bytes(to, ((const struct kl_bytes *)at)->at, ((const struct kl_bytes *)at)->len, most); return;
    case KL_SIG_OUT_STRUCT: show_struct(to, m->of, at, most); return;
    case KL_SIG_FD: case KL_SIG_OUT_FD: buf_add_z(to, *(const int32_t *)at >= 0 ? "\"open\"" : "null"); return;
    default: break;
    }
    memcpy(&pointer, at, sizeof pointer);
    switch (m->kind) {
    case KL_SIG_STR: case KL_SIG_OUT_STR: show_bytes(to, pointer, pointer ? strlen(pointer) : 0, most); return;
    case KL_SIG_STRS: case KL_SIG_OUT_STRS: show_texts(to, pointer, most); return;
    case KL_SIG_STRUCT: show_struct(to, m->of, pointer, most); return;
    case KL_SIG_BYTES_LIST: case KL_SIG_STRUCTS: case KL_SIG_OUT_STRUCTS: show_list(to, m, pointer, n, most); return;
    default: buf_add_z(to, pointer ? "\"-\"" : "null"); return;          /* handles and tables: who knows */
    }
}

bool show_is_result(uint32_t kind)
{
    return kind >= KL_SIG_OUT_HANDLE && kind != KL_SIG_OUT_MEMORY;
}

/* The length of an array is the argument behind it. */
static uint32_t length_of(const struct kl_sig_call *call, const void *const *args, uint32_t i)
{
    uint32_t n = 1;
    if (i + 1 >= call->n)
        return n;
    uint32_t kind = call->arguments[i + 1].kind;
    const void *at = args[i + 1];
    if (kind == KL_SIG_OUT_U32)
        memcpy(&at, at, sizeof at);
    if (kind == KL_SIG_U32 || kind == KL_SIG_OUT_U32 || kind == KL_SIG_SIZE)
        memcpy(&n, at, sizeof n);
    return n;
}

static void show_some(struct buf *to, const struct kl_sig_call *call, const void *const *args, bool results, size_t most)
{
    bool any = false;
    buf_add_c(to, '{');
    for (uint32_t i = 0; i < call->n; i++) {
        const struct kl_sig_item *m = &call->arguments[i];
        const void *at = args[i];
        if (m->kind == KL_SIG_CALL || m->kind == KL_SIG_OUT_MEMORY || show_is_result(m->kind) != results)
            continue;
        if (results)
            memcpy(&at, at, sizeof at);
        buf_printf(to, "%s\"%s\":", any ? "," : "", m->name);
        any = true;
        if (!at)
            buf_lit(to, "null");        /* nobody wants that result */
        else if (most != SIZE_MAX && is_secret(m->name) && strcmp(m->name, "key") != 0)
            buf_lit(to, "\"(not shown)\"");
        else
            show_item(to, m, at, length_of(call, args, i), most);
    }
    buf_add_c(to, '}');
}

void show_arguments(struct buf *to, const struct kl_sig_call *call, const void *const *args, size_t most)
{
    show_some(to, call, args, false, most);
}

void show_results(struct buf *to, const struct kl_sig_call *call, const void *const *args, size_t most)
{
    show_some(to, call, args, true, most);
}
