/* http_answer.c - any bytes as HTTP/1.1 answers, in pieces whose size the first byte says. The parser must end, stay within its input, and
 * give the same content whatever the pieces. */
#include <stdlib.h>

#include "http/client-internal.h"

static void part(void *ctx, struct str bytes)
{
    buf_add_str(ctx, bytes);
}

/* The state of link.c's reader without a connection. */
static int read_all(struct str text, size_t piece, struct buf *body, int *ret_status)
{
    struct buf in = BUF_INIT(0);
    struct result_head h = { 0 };
    struct h1_body b = { 0 };
    bool closing, head = false;
    int rc = 0;
    for (size_t at = 0; at < text.len && rc == 0; at += piece) {
        struct str now = str_n(text.at + at, text.len - at < piece ? text.len - at : piece);
        buf_add_str(&in, now);
        struct str s = buf_str(&in);
        if (!head && (rc = h1_read_status(&s, &h)) > 0) {
            head = true;
            rc = h1_choose_body(&h, false, &b, &closing);
        }
        if (head && rc == 0)
            rc = h1_body_read(&b, &s, part, body);
        if (in.at)
            memmove(in.at, s.at, s.len);
        in.len = s.len;
    }
    *ret_status = h.status;
    head_free(&h);
    buf_free(&in);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
    struct buf whole = BUF_INIT(0), pieces = BUF_INIT(0);
    int a, b;
    if (n < 1 || n > 8192)
        return 0;
    struct str text = str_n((const char *)at + 1, n - 1);
    int x = read_all(text, n, &whole, &a), y = read_all(text, (size_t)at[0] % 32 + 1, &pieces, &b);
    if (x != y || (x >= 0 && (a != b || !str_eq(buf_str(&whole), buf_str(&pieces)))))
        abort();
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
