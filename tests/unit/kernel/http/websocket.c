/* The frame layer alone: messages in parts, fragments, pings, closes, and what must be refused. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "http/websocket.h"

static struct websocket *w;
static struct buf out, got;

static void part(void *ctx, bool text, struct str bytes)
{
    (void)ctx;
    buf_add_c(&got, text ? 't' : 'b');
    buf_add_str(&got, bytes);
}

static void end(void *ctx, bool text)
{
    (void)ctx;
    (void)text;
    buf_add_c(&got, '.');
}

static void put(void *ctx, struct str bytes)
{
    (void)ctx;
    buf_add_str(&out, bytes);
}

static void setup(void)
{
    static const struct websocket_events ev = { part, end, put };
    w = websocket_new(&ev, NULL);
    cr_assert_not_null(w);
}

static void done(void)
{
    websocket_free(w);
    buf_free(&out);
    buf_free(&got);
}

/* A client's frame: masked. */
static void add_frame(struct buf *b, unsigned head, struct str s)
{
    static const char mask[4] = { 0x11, 0x22, 0x33, 0x44 };
    buf_add_c(b, (char)head);
    if (s.len < 126) {
        buf_add_c(b, (char)(0x80 | s.len));
    } else {
        buf_add_c(b, (char)(0x80 | 126));
        buf_add_c(b, (char)(s.len >> 8));
        buf_add_c(b, (char)s.len);
    }
    buf_add(b, mask, 4);
    for (size_t i = 0; i < s.len; i++)
        buf_add_c(b, (char)(s.at[i] ^ mask[i & 3]));
}

TestSuite(websocket, .init = setup, .fini = done);

Test(websocket, messages_byte_by_byte)
{
    struct buf in = BUF_INIT(0);
    add_frame(&in, 0x82, STR("abc"));
    add_frame(&in, 0x81, STR("x"));
    add_frame(&in, 0x82, STR(""));
    for (size_t i = 0; i < in.len; i++)
        cr_assert(websocket_input(w, str_n(in.at + i, 1)));
    cr_expect_str_eq(got.at, "babbbc.tx..");
    buf_free(&in);
}

Test(websocket, fragments_with_a_ping_between)
{
    struct buf in = BUF_INIT(0);
    add_frame(&in, 0x02, STR("ab"));
    add_frame(&in, 0x89, STR("hey"));
    add_frame(&in, 0x80, STR("cd"));
    cr_assert(websocket_input(w, buf_str(&in)));
    cr_expect_str_eq(got.at, "babbcd.");
    cr_assert_eq(out.len, 5);
    cr_expect_arr_eq(out.at, "\x8a\x03hey", 5);
    buf_free(&in);
}

Test(websocket, a_close_is_answered_once)
{
    struct buf in = BUF_INIT(0);
    add_frame(&in, 0x88, STR("\x03\xe8"));
    cr_expect_not(websocket_input(w, buf_str(&in)));
    cr_assert_eq(out.len, 4);
    cr_expect_arr_eq(out.at, "\x88\x02\x03\xe8", 4);
    websocket_close(w, 1000);
    cr_expect_eq(out.len, 4);
    cr_expect_not(websocket_send(w, false, STR("a"), STR("b")));
    buf_free(&in);
}

Test(websocket, broken_frames_are_refused)
{
    static const struct {
        const char *what;
        struct str frame;
    } rows[] = {
        { "no mask", { "\x82\x01" "a", 3 } },
        { "reserved bit", { "\xc2\x81\0\0\0\0" "a", 7 } },
        { "unknown opcode", { "\x83\x80\0\0\0\0", 6 } },
        { "a control frame in parts", { "\x09\x80\0\0\0\0", 6 } },
        { "a long control frame", { "\x89\xfe\0\x7e\0\0\0\0", 8 } },
        { "a continuation of nothing", { "\x80\x80\0\0\0\0", 6 } },
        { "text that is not UTF-8", { "\x81\x82\0\0\0\0\xff\xff", 8 } },
        { "a length that is too large", { "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_not(websocket_input(w, rows[i].frame), "%s", rows[i].what);
        done();
        setup();
    }
}

Test(websocket, lengths_on_the_way_out)
{
    static char body[70000];
    cr_expect(websocket_send(w, false, STR("\x01"), STR("hi")));
    cr_expect_arr_eq(out.at, "\x82\x03\x01hi", 5);
    buf_clear(&out);
    cr_expect(websocket_send(w, true, STR(""), str_n(body, 300)));
    cr_expect_arr_eq(out.at, "\x81\x7e\x01\x2c", 4);
    cr_expect_eq(out.len, 304);
    buf_clear(&out);
    cr_expect(websocket_send(w, false, STR("\x01"), str_n(body, sizeof body)));
    cr_expect_arr_eq(out.at, "\x82\x7f\0\0\0\0\0\x01\x11\x71\x01", 11);
    cr_expect_eq(out.len, 10 + 70001);
    buf_clear(&out);
    cr_expect(websocket_send(w, false, STR("\x01"), STR("")));
    cr_expect_arr_eq(out.at, "\x82\x01\x01", 3);
    buf_clear(&out);
    websocket_pong(w);
    cr_expect_arr_eq(out.at, "\x8a\0", 2);
}

Test(websocket, the_key_of_the_standard)
{
    char text[32];
    cr_assert(websocket_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), text));
    cr_expect_str_eq(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    cr_expect_not(websocket_accept(STR("dGhlIHNhbXBsZSBub25jZQ="), text));
    cr_expect_not(websocket_accept(STR(""), text));
    cr_expect_not(websocket_accept(STR("dGhlIHNhbXBsZSBub25jZXhhYmNk"), text));
}
