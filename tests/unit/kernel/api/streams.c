/* exec, attach, logs and port-forward from a client's bytes to a node's table and back, by every protocol; and what is refused. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "http/spdy.h"
#include "node.h"

#define POD "/api/v1/namespaces/default/pods/p"

static void expect(unsigned channel, const char *text, int fd)
{
    struct buf b = BUF_INIT(0);
    /* What was written at once may come in several messages. */
    struct buf all = BUF_INIT(0);
    unsigned got;
    do {
        got = ws_channel(fd, &b);
        if (got == channel)
            buf_add(&all, b.at + 1, b.len - 1);
    } while (got == channel && all.len < strlen(text));
    cr_expect(got == channel && strcmp(all.at ? all.at : "", text) == 0, "wanted %u '%s', got %u '%s'", channel, text, got, all.at ? all.at : "");
    buf_free(&all);
    buf_free(&b);
}

static const char failure3[] =
    "{\"metadata\":{},\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"3\"}]},"
    "\"message\":\"command terminated with non-zero exit code: error executing command [both], exit code 3\"}";

static void websocket_commands(void)
{
    int fd = ws_open(POD "/exec?command=where&stdout=true&container=side", "v5.channel.k8s.io");
    expect(1, "default p side", fd);
    expect(3, "{\"metadata\":{},\"status\":\"Success\"}", fd);
    expect(0xff, "\xe8", fd);
    close(fd);
    fd = ws_open(POD "/exec?command=both&stdout=1&stderr=1&container=main", "v4.channel.k8s.io");
    struct buf b = BUF_INIT(0);
    bool out = false, err = false;
    for (int i = 0; i < 2; i++) {
        unsigned channel = ws_channel(fd, &b);
        out |= channel == 1 && strcmp(b.at + 1, "out") == 0;
        err |= channel == 2 && strcmp(b.at + 1, "err") == 0;
    }
    cr_expect(out && err);
    expect(3, failure3, fd);
    close(fd);
    fd = ws_open(POD "/exec?command=both&stderr=1&container=main", "channel.k8s.io");
    expect(2, "err", fd);
    expect(3, "command terminated with non-zero exit code: error executing command [both], exit code 3", fd);
    close(fd);
    fd = ws_open(POD "/exec?command=nothing&stdout=1&container=main", "v5.channel.k8s.io");
    expect(3, "{\"metadata\":{},\"status\":\"Failure\",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":\"error executing command in container: "
           "no such command\"}]},\"code\":500,\"message\":\"Internal error occurred: error executing command in container: no such command\"}", fd);
    close(fd);
    fd = ws_open(POD "/exec?command=where&stdout=true&container=side", "base64url.bearer.authorization.k8s.io.YSB0b2tlbj8, v5.channel.k8s.io");
    expect(1, "default p side", fd);
    close(fd);
    buf_free(&b);
}

Test(streams, commands_over_websocket)
{
    serve(websocket_commands);
}

/* The first byte of input that is not read yet must not be lost by the half-close that follows. */
static void websocket_input(void)
{
    int fd = ws_open(POD "/exec?command=cat&stdin=1&stdout=1&container=main", "v5.channel.k8s.io");
    ws_send(fd, 0x02, str_n("\0hel", 4));
    ws_send(fd, 0x89, STR("ping"));
    ws_send(fd, 0x80, STR("lo"));
    ws_send(fd, 0x82, str_n("\xff\0", 2));
    struct buf all = BUF_INIT(0), b = BUF_INIT(0);
    unsigned channel;
    while ((channel = ws_channel(fd, &b)) == 1)
        buf_add(&all, b.at + 1, b.len - 1);
    cr_expect_str_eq(all.at, "hello");
    cr_expect(channel == 3 && strstr(b.at + 1, "Success"));
    close(fd);
    fd = ws_open(POD "/exec?command=cat&stdin=1&stdout=1&container=main", "v4.base64.channel.k8s.io");
    ws_send(fd, 0x01, STR("0aGVsb"));   /* "hello" in two parts that are no whole groups */
    ws_send(fd, 0x80, STR("G8="));
    while (ws_take(fd, &b) != 1 || b.len < 2)
        ;
    cr_expect(b.at[0] == '1' && strncmp(b.at + 1, "aGVsbG8=", 4) == 0, "%s", b.at);
    close(fd);
    fd = ws_open(POD "/exec?command=size&stdin=1&stdout=1&tty=1&container=main", "v5.channel.k8s.io");
    ws_send(fd, 0x82, STR("\x04{\"Width\":81,"));
    ws_send(fd, 0x82, STR("\x04\"Height\":25}"));
    expect(1, "81 25\n", fd);
    close(fd);
    fd = ws_open(POD "/attach?stdin=1&stdout=1&container=main", "v5.channel.k8s.io");
    expect(1, "attached", fd);
    ws_send(fd, 0x82, str_n("\0x", 2));
    expect(1, "x", fd);
    ws_send(fd, 0x82, str_n("\xff\0", 2));
    expect(3, "{\"metadata\":{},\"status\":\"Success\"}", fd);
    close(fd);
    buf_free(&all);
    buf_free(&b);
}

Test(streams, input_over_websocket)
{
    serve(websocket_input);
}

/* More than every buffer on the way holds, while nobody reads: it must neither be lost nor be kept in memory. */
static void much_input(void)
{
    enum { PIECE = 100000, PIECES = 300 };
    static char piece[PIECE + 1];
    int fd = ws_open(POD "/exec?command=cat&stdin=1&stdout=1&container=main", "v5.channel.k8s.io");
    pid_t writer = fork();
    if (writer == 0) {
        for (int i = 0; i < PIECES; i++) {
            memset(piece + 1, 'a' + i % 26, PIECE);
            ws_send(fd, 0x82, str_n(piece, sizeof piece));
        }
        ws_send(fd, 0x82, str_n("\xff\0", 2));
        _exit(0);
    }
    usleep(300000);                     /* everything has come to a halt */
    struct buf b = BUF_INIT(0);
    size_t total = 0, wrong = 0;
    unsigned channel;
    while ((channel = ws_channel(fd, &b)) == 1)
        for (size_t i = 1; i < b.len; i++, total++)
            wrong += b.at[i] != (char)('a' + total / PIECE % 26);
    cr_expect_eq(total, (size_t)PIECE * PIECES);
    cr_expect_eq(wrong, 0);
    cr_expect_eq(channel, 3);
    close(fd);
    buf_free(&b);
}

Test(streams, much_input_and_a_slow_reader)
{
    serve(much_input);
}

static void await_cancelled(int n)
{
    for (int i = 0; i < 3000 && node_cancelled < n; i++)
        usleep(5000);
    cr_expect_eq(node_cancelled, n);
}

static void clients_that_leave(void)
{
    node_cancelled = 0;
    int fd = ws_open(POD "/exec?command=sleep&stdin=1&stdout=1&container=main", "v5.channel.k8s.io");
    usleep(50000);
    close(fd);
    await_cancelled(1);
    fd = dial();
    put(fd, STR("GET " POD "/log?follow=true&container=main HTTP/1.1\r\nhost: x\r\n\r\n"));
    char head[64];
    cr_assert(take(fd, head, sizeof head));
    close(fd);
    await_cancelled(2);
    /* One whose input nobody takes is not read any more: it must be missed all the same. */
    static char piece[1 << 20];
    fd = ws_open(POD "/exec?command=sleep&stdin=1&stdout=1&container=main", "v5.channel.k8s.io");
    pid_t writer = fork();
    if (writer == 0) {
        for (;;)
            ws_send(fd, 0x82, str_n(piece, sizeof piece));
    }
    usleep(300000);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    close(fd);
    await_cancelled(3);
    ws_open(POD "/exec?command=sleep&stdout=1&container=main", "v5.channel.k8s.io");    /* ends with the server */
}

Test(streams, who_leaves_cancels)
{
    serve(clients_that_leave);
}

static void expect_answer(const char *path, const char *status, const char *text)
{
    struct buf b = ask("GET", path, "");
    char want[16];
    snprintf(want, sizeof want, " %s ", status);
    cr_expect(strstr(b.at, want) && strstr(b.at, text), "%s: wanted %s %s, got %s", path, status, text, b.at);
    buf_free(&b);
}

static void logs(void)
{
    expect_answer(POD "/log?container=main", "200", "first\n");
    expect_answer(POD "/log?container=side", "200", "text/plain");
    expect_answer(POD "/log?container=main&tailLines=5&limitBytes=10&timestamps=true&sinceSeconds=60", "200", "first\n");
    cr_expect(node_log.tail_lines == 5 && node_log.limit_bytes == 10 && node_log.timestamps && node_log.since_wall_ns > 0);
    expect_answer(POD "/log?container=main", "200", "first\n");
    cr_expect(node_log.tail_lines < 0 && node_log.limit_bytes < 0 && !node_log.timestamps && !node_log.since_wall_ns && !node_log.follow);
    expect_answer(POD "/log?container=main&sinceTime=2026-01-02T03:04:05Z&stream=Stderr", "200", "first\n");
    cr_expect(node_log.since_wall_ns == 1767323045000000000 && node_log.streams == 2);
    int fd = ws_open(POD "/log?container=main", "binary.k8s.io");
    struct buf b = BUF_INIT(0);
    cr_expect(ws_take(fd, &b) == 2 && b.len == 0);
    cr_expect(ws_take(fd, &b) == 2 && strcmp(b.at, "first\n") == 0);
    cr_expect_eq(ws_take(fd, &b), 8);
    close(fd);
    buf_free(&b);
}

Test(streams, logs)
{
    serve(logs);
}

static void refused(void)
{
    static const struct {
        const char *path, *status, *text;
    } rows[] = {
        { POD "/log", "400", "a container name must be specified for pod p, choose one of: [first main side]" },
        { POD "/log?container=x", "400", "container x is not valid for pod p" },
        { POD "/log?container=main&previous=true", "400", "previous terminated container \\\"main\\\" in pod \\\"p\\\" not found" },
        { POD "/log?container=main&tailLines=-1", "422", "PodLogOptions \\\"p\\\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0" },
        { POD "/log?container=main&limitBytes=0", "422", "limitBytes: Invalid value: 0: must be greater than 0" },
        { POD "/log?container=main&sinceSeconds=0", "422", "sinceSeconds: Invalid value: 0: must be greater than 0" },
        { POD "/log?container=main&sinceSeconds=5&sinceTime=2026-01-02T03:04:05Z", "422", "at most one of `sinceTime` or `sinceSeconds` may be specified" },
        { POD "/log?container=main&tailLines=x", "400", "strconv.ParseInt: parsing \\\"x\\\": invalid syntax" },
        { POD "/log?container=main&stream=Both", "422", "supported values" },
        { POD "/exec?command=x&stdout=1&container=main", "400", "Upgrade request required" },
        { POD "/portforward", "400", "Upgrade request required" },
        { POD "/portforward?ports=70000", "400", "unable to parse \\\"70000\\\" as a port" },
        { POD "/proxy/", "400", "address not allowed" },
        { "/api/v1/namespaces/default/pods/local/proxy/", "400", "address not allowed" },
        { "/api/v1/namespaces/default/pods/a:b:c:d/proxy/", "400", "invalid pod request \\\"a:b:c:d\\\"" },
        { "/api/v1/namespaces/default/pods/ftp:p:80/proxy/", "400", "invalid pod request" },
        { "/api/v1/namespaces/default/pods/p:x/proxy/", "400", "invalid pod request" },
        { "/api/v1/namespaces/default/services/none:80/proxy/", "404", "services \\\"none\\\" not found" },
        { "/api/v1/nodes/n1/proxy/", "404", "nodes \\\"n1\\\" not found" },
        { "/api/v1/namespaces/default/pods/none/log", "404", "pods \\\"none\\\" not found" },
        { "/api/v1/namespaces/default/pods/homeless/log", "204", "" },
        { "/api/v1/namespaces/default/pods/homeless/exec?command=x", "400", "pod homeless does not have a host assigned" },
        { "/api/v1/namespaces/default/pods/solo/log", "404", "pods \\\"far\\\" not found" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_answer(rows[i].path, rows[i].status, rows[i].text);
    static const struct {
        const char *path, *extra, *text;
    } upgrades[] = {
        { POD "/exec?command=x&stdout=1&container=first", "upgrade: SPDY/3.1\r\n", " 500 " },
        { POD "/exec?command=x&container=main", "upgrade: SPDY/3.1\r\n", " 400 " },
        { POD "/exec?stdout=1&container=main", "upgrade: SPDY/3.1\r\n", " 400 " },
        { POD "/exec?command=x&stdout=1&container=main", "upgrade: SPDY/3.1\r\nx-stream-protocol-version: v9.channel.k8s.io\r\n", " 403 " },
        { POD "/exec?command=x&stdout=1&container=main", "upgrade: h3\r\n", " 400 " },
        { POD "/exec?command=x&stdout=1&container=main", "upgrade: websocket\r\nsec-websocket-version: 12\r\n", " 400 " },
        { POD "/exec?command=x&stdout=1&container=main", "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n", " 400 " },
        { POD "/exec?command=x&stdout=1&container=main", "upgrade: websocket\r\nsec-websocket-protocol: base64url.bearer.authorization.k8s.io.YWJj\r\n", " 401 " },
        { POD "/portforward", "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
          "sec-websocket-protocol: v4.channel.k8s.io\r\n", " 400 " },
    };
    struct buf head = BUF_INIT(0);
    for (size_t i = 0; i < sizeof upgrades / sizeof *upgrades; i++) {
        close(upgrade("GET", upgrades[i].path, upgrades[i].extra, &head));
        cr_expect(strstr(head.at, upgrades[i].text), "%s %s: %s", upgrades[i].path, upgrades[i].extra, head.at);
    }
    node_calls = 0;
    deny_create = true;                 /* who may only "get" must not get in by GET */
    close(upgrade("GET", POD "/exec?command=where&stdout=1&container=main", "upgrade: SPDY/3.1\r\n", &head));
    cr_expect(strstr(head.at, " 403 "), "%s", head.at);
    expect_answer(POD "/log?container=main", "200", "first\n");
    cr_expect_eq(node_calls, 1);
    buf_free(&head);
}

Test(streams, refused)
{
    serve(refused);
}

/* --- SPDY --- */

static struct spdy_pack *pack;

static void add_u32(struct buf *b, uint32_t v)
{
    buf_add(b, (char[]){ (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v }, 4);
}

static void spdy_open(struct buf *b, uint32_t id, const char *type, const char *to)
{
    struct http_header h[] = { { STR("streamtype"), str_of(type) }, { STR("port"), str_of(to) }, { STR("requestid"), STR("7") } };
    struct str block = spdy_pack(pack, h, to ? 3 : 1);
    add_u32(b, 0x80030001);
    add_u32(b, (uint32_t)(10 + block.len));
    add_u32(b, id);
    add_u32(b, 0);
    buf_add(b, "\0\0", 2);
    buf_add_str(b, block);
}

static void spdy_data(struct buf *b, uint32_t id, bool fin, struct str s)
{
    add_u32(b, id);
    add_u32(b, (fin ? 1u << 24 : 0) | (uint32_t)s.len);
    buf_add_str(b, s);
}

/* Data of streams until they have all ended: "1:text;" in order of ending. */
static void spdy_gather(int (*read_frame)(int fd, unsigned char head[8], struct buf *body), int fd, unsigned streams, struct buf *ret)
{
    struct buf data[16] = { 0 }, body = BUF_INIT(0);
    unsigned char h[8];
    while (streams && read_frame(fd, h, &body) == 0) {
        uint32_t id = h[3];
        if (h[0] & 0x80 || id > 15)
            continue;
        buf_add_str(&data[id], buf_str(&body));
        if (h[4] & 1) {
            buf_printf(ret, "%u:" STR_FMT ";", id, STR_ARG(buf_str(&data[id])));
            streams--;
        }
    }
    for (int i = 0; i < 16; i++)
        buf_free(&data[i]);
    buf_free(&body);
}

static int bare_frame(int fd, unsigned char h[8], struct buf *body)
{
    buf_clear(body);
    if (!take(fd, h, 8))
        return -1;
    size_t n = (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
    char *at = buf_room(body, n);
    if (!take(fd, at, n))
        return -1;
    body->len = n;
    return 0;
}

static void spdy_commands(void)
{
    struct buf head = BUF_INIT(0), b = BUF_INIT(0), got = BUF_INIT(0);
    int fd = upgrade("POST", POD "/exec?command=cat&stdin=1&stdout=1&container=main",
                     "upgrade: SPDY/3.1\r\nx-stream-protocol-version: v4.channel.k8s.io\r\nx-stream-protocol-version: v3.channel.k8s.io\r\n", &head);
    cr_assert(strstr(head.at, " 101 ") && strstr(head.at, "X-Stream-Protocol-Version: v4.channel.k8s.io"), "%s", head.at);
    pack = spdy_pack_new();
    spdy_open(&b, 1, "error", NULL);
    spdy_open(&b, 3, "stdin", NULL);
    spdy_open(&b, 5, "stdout", NULL);
    spdy_data(&b, 3, false, STR("some "));
    spdy_data(&b, 3, true, STR("text"));
    put(fd, buf_str(&b));
    spdy_gather(bare_frame, fd, 2, &got);
    cr_expect(strstr(got.at, "5:some text;") && strstr(got.at, "1:{\"metadata\":{},\"status\":\"Success\"};"), "%s", got.at);
    close(fd);
    spdy_pack_free(pack);
    buf_free(&head);
    buf_free(&b);
    buf_free(&got);
}

Test(streams, commands_over_spdy)
{
    serve(spdy_commands);
}

static void spdy_ports(void)
{
    struct buf head = BUF_INIT(0), b = BUF_INIT(0), got = BUF_INIT(0);
    int fd = upgrade("POST", POD "/portforward", "upgrade: SPDY/3.1\r\nx-stream-protocol-version: portforward.k8s.io\r\n", &head);
    cr_assert(strstr(head.at, " 101 "), "%s", head.at);
    pack = spdy_pack_new();
    spdy_open(&b, 1, "error", "80");
    spdy_data(&b, 1, true, STR(""));
    spdy_open(&b, 3, "data", "80");
    spdy_data(&b, 3, true, STR("echoed"));
    put(fd, buf_str(&b));
    spdy_gather(bare_frame, fd, 2, &got);
    cr_expect_str_eq(got.at, "3:echoed;1:;");
    buf_clear(&b);
    buf_clear(&got);
    spdy_open(&b, 5, "error", "81");
    spdy_open(&b, 7, "data", "81");
    put(fd, buf_str(&b));
    spdy_gather(bare_frame, fd, 2, &got);
    cr_expect(strstr(got.at, "5:error forwarding port 81 to pod p, uid : connection refused;"), "%s", got.at);
    close(fd);
    spdy_pack_free(pack);
    buf_free(&head);
    buf_free(&b);
    buf_free(&got);
}

Test(streams, ports_over_spdy)
{
    serve(spdy_ports);
}

static void websocket_ports(void)
{
    struct buf b = BUF_INIT(0), echoed = BUF_INIT(0);
    int fd = ws_open(POD "/portforward?ports=80,81", "v4.channel.k8s.io");
    for (int i = 0; i < 4; i++) {
        unsigned channel = ws_channel(fd, &b);
        cr_expect(channel == (unsigned)i && b.len == 3 && b.at[1] == 80 + i / 2 && b.at[2] == 0, "%u", channel);
    }
    expect(3, "error forwarding port 81 to pod p, uid : connection refused", fd);
    ws_send(fd, 0x82, str_n("\0x", 2));
    expect(0, "x", fd);
    close(fd);
    fd = ws_open(POD "/portforward", "SPDY/3.1+portforward.k8s.io");
    pack = spdy_pack_new();
    buf_clear(&b);
    spdy_open(&b, 1, "error", "80");
    spdy_open(&b, 3, "data", "80");
    spdy_data(&b, 3, true, STR("within"));
    ws_send(fd, 0x82, str_n(b.at, 11));
    ws_send(fd, 0x82, str_skip(buf_str(&b), 11));
    while (!memmem(buf_str(&echoed).at, echoed.len, "within", 6) && ws_take(fd, &b) == 2)
        buf_add_str(&echoed, buf_str(&b));
    cr_expect(memmem(buf_str(&echoed).at, echoed.len, "\0\0\0\x03\0\0\0\x06within", 14) != NULL);
    close(fd);
    spdy_pack_free(pack);
    buf_free(&b);
    buf_free(&echoed);
}

Test(streams, ports_over_websocket)
{
    serve(websocket_ports);
}
