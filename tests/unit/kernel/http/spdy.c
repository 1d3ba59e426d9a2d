/* SPDY/3.1 frames: a client made by hand here, its header blocks packed by the same zlib code. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "http/spdy.h"

static struct spdy *s;
static struct spdy_pack *client;
static struct buf out, got;
static bool refuse;

static bool on_open(void *ctx, uint32_t id, const struct http_header *h, unsigned n)
{
    (void)ctx;
    buf_printf(&got, "open %u", id);
    for (unsigned i = 0; i < n; i++)
        buf_printf(&got, " " STR_FMT "=" STR_FMT, STR_ARG(h[i].name), STR_ARG(h[i].value));
    buf_add_z(&got, "; ");
    return !refuse;
}

static void on_data(void *ctx, uint32_t id, struct str bytes)
{
    (void)ctx;
    buf_printf(&got, "data %u " STR_FMT "; ", id, STR_ARG(bytes));
}

static void on_eof(void *ctx, uint32_t id)
{
    (void)ctx;
    buf_printf(&got, "eof %u; ", id);
}

static void on_reset(void *ctx, uint32_t id)
{
    (void)ctx;
    buf_printf(&got, "reset %u; ", id);
}

static void put(void *ctx, struct str bytes)
{
    (void)ctx;
    buf_add_str(&out, bytes);
}

static void setup(void)
{
    static const struct spdy_events ev = { on_open, on_data, on_eof, on_reset, put };
    refuse = false;
    s = spdy_new(&ev, NULL);
    client = spdy_pack_new();
    cr_assert(s && client);
}

static void done(void)
{
    spdy_free(s);
    spdy_pack_free(client);
    buf_free(&out);
    buf_free(&got);
}

static void add_u32(struct buf *b, uint32_t v)
{
    buf_add(b, (char[]){ (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v }, 4);
}

static void add_control(struct buf *b, unsigned type, unsigned flags, struct str body)
{
    add_u32(b, 0x80030000u | type);
    add_u32(b, flags << 24 | (uint32_t)body.len);
    buf_add_str(b, body);
}

static void add_syn(struct buf *b, uint32_t id, unsigned flags, struct str name, struct str value)
{
    struct buf body = BUF_INIT(0);
    struct http_header h = { name, value };
    add_u32(&body, id);
    add_u32(&body, 0);
    buf_add(&body, "\0\0", 2);
    buf_add_str(&body, spdy_pack(client, &h, 1));
    add_control(b, 1, flags, buf_str(&body));
    buf_free(&body);
}

static void add_data(struct buf *b, uint32_t id, bool fin, struct str bytes)
{
    add_u32(b, id);
    add_u32(b, (fin ? 1u << 24 : 0) | (uint32_t)bytes.len);
    buf_add_str(b, bytes);
}

TestSuite(spdy, .init = setup, .fini = done);

Test(spdy, streams_byte_by_byte)
{
    struct buf in = BUF_INIT(0);
    add_syn(&in, 1, 0, STR("streamtype"), STR("stdin"));
    add_syn(&in, 3, 0, STR("streamtype"), STR("stdout"));
    add_data(&in, 1, false, STR("x"));
    add_data(&in, 1, true, STR(""));
    add_data(&in, 1, false, STR("late"));
    for (size_t i = 0; i < in.len; i++)
        cr_assert(spdy_input(s, str_n(in.at + i, 1)));
    cr_expect_str_eq(got.at, "open 1 streamtype=stdin; open 3 streamtype=stdout; data 1 x; eof 1; ");
    cr_expect_arr_eq(out.at, "\x80\x03\0\x02", 4, "the first frame is a SYN_REPLY");
    buf_clear(&out);
    spdy_send(s, 3, STR("hello"), false);
    spdy_send(s, 3, STR(""), true);
    spdy_send(s, 3, STR("more"), true);
    cr_assert_eq(out.len, 13 + 8);
    cr_expect_arr_eq(out.at, "\0\0\0\x03\0\0\0\x05hello\0\0\0\x03\x01\0\0\0", out.len);
    buf_free(&in);
}

Test(spdy, pings_and_resets)
{
    struct buf in = BUF_INIT(0);
    add_control(&in, 6, 0, str_n("\0\0\0\x01", 4));
    add_control(&in, 6, 0, str_n("\0\0\0\x02", 4));
    cr_assert(spdy_input(s, buf_str(&in)));
    cr_assert_eq(out.len, 12, "the client's ping comes back, the answer to ours does not");
    cr_expect_arr_eq(out.at, "\x80\x03\0\x06\0\0\0\x04\0\0\0\x01", 12);
    buf_clear(&in);
    buf_clear(&out);
    add_syn(&in, 1, 0, STR("a"), STR("b"));
    add_control(&in, 3, 0, str_n("\0\0\0\x01\0\0\0\x05", 8));
    add_data(&in, 1, false, STR("x"));
    cr_assert(spdy_input(s, buf_str(&in)));
    cr_expect_str_eq(got.at, "open 1 a=b; reset 1; ");
    cr_expect_arr_eq(out.at + out.len - 16, "\x80\x03\0\x03\0\0\0\x08\0\0\0\x01\0\0\0\x02", 16, "data for nobody is answered");
    buf_free(&in);
}

Test(spdy, refused_and_too_many)
{
    struct buf in = BUF_INIT(0);
    refuse = true;
    add_syn(&in, 1, 0, STR("a"), STR("b"));
    cr_assert(spdy_input(s, buf_str(&in)));
    cr_expect_arr_eq(out.at, "\x80\x03\0\x03\0\0\0\x08\0\0\0\x01\0\0\0\x03", 16);
    refuse = false;
    buf_clear(&in);
    for (uint32_t i = 0; i <= SPDY_STREAMS_MOST; i++)
        add_syn(&in, 3 + 2 * i, 0, STR("a"), STR("b"));
    cr_assert(spdy_input(s, buf_str(&in)));
    cr_expect_arr_eq(out.at + out.len - 4, "\0\0\0\x03", 4);
    buf_free(&in);
}

Test(spdy, what_breaks_the_protocol)
{
    static char big[SPDY_HEADER_BYTES + 100];
    static const struct {
        const char *what;
        struct str frame;
    } rows[] = {
        { "another version", { "\x80\x02\0\x06\0\0\0\x04\0\0\0\x01", 12 } },
        { "a long control frame", { "\x80\x03\0\x06\0\xff\xff\xff", 8 } },
        { "a short ping", { "\x80\x03\0\x06\0\0\0\0", 8 } },
        { "a stream without headers", { "\x80\x03\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0\0\0\0", 18 } },
        { "headers that are not packed", { "\x80\x03\0\x01\0\0\0\x0e\0\0\0\x01\0\0\0\0\0\0abcd", 22 } },
        { "a short stream", { "\x80\x03\0\x01\0\0\0\x04\0\0\0\x01", 12 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_not(spdy_input(s, rows[i].frame), "%s", rows[i].what);
        cr_expect_arr_eq(out.at + out.len - 16, "\x80\x03\0\x07\0\0\0\x08", 8, "%s: GOAWAY", rows[i].what);
        cr_expect_not(spdy_input(s, STR("more")), "%s", rows[i].what);
        done();
        setup();
    }
    struct buf in = BUF_INIT(0);
    add_syn(&in, 1, 0, STR("a"), str_n(big, sizeof big));
    cr_expect_not(spdy_input(s, buf_str(&in)), "a header that unpacks to too much");
    buf_clear(&in);
    done();
    setup();
    add_syn(&in, 2, 0, STR("a"), STR("b"));
    cr_expect_not(spdy_input(s, buf_str(&in)), "an even number");
    buf_clear(&in);
    done();
    setup();
    add_syn(&in, 3, 0, STR("a"), STR("b"));
    add_syn(&in, 3, 0, STR("a"), STR("b"));
    cr_expect_not(spdy_input(s, buf_str(&in)), "a number that was used");
    buf_free(&in);
}

/* "streamtype: error" as zlib packs it with the dictionary: the id 0xe3c6a7c2 proves that ours is the protocol's. */
Test(spdy, the_dictionary_is_the_protocols)
{
    struct http_header h = { STR("streamtype"), STR("error") }, back[SPDY_HEADERS_MOST];
    struct str block = spdy_pack(client, &h, 1);
    struct spdy_unpack *u = spdy_unpack_new();
    cr_assert_gt(block.len, 6);
    cr_expect_arr_eq(block.at + 2, "\xe3\xc6\xa7\xc2", 4);
    cr_assert_eq(spdy_unpack(u, block, back), 1);
    cr_expect(str_is(back[0].name, "streamtype") && str_is(back[0].value, "error"));
    block = spdy_pack(client, NULL, 0);
    cr_expect_eq(spdy_unpack(u, block, back), 0, "the history goes on");
    spdy_unpack_free(u);
}
