/* websocket.c - what a client sends after its WebSocket was accepted: frames, channels, base64, and SPDY within. */
#include "remote.h"

#define HEAD { "connection", "Upgrade" }, { "upgrade", "websocket" }, { "sec-websocket-version", "13" }, \
             { "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==" }

FUZZ(data)
{
    static const uint16_t ports[] = { 80, 8080 };
    static const struct {
        const char *protocol;
        struct remote_conf conf;
    } rows[] = {
        { "v5.channel.k8s.io", { .kind = REMOTE_EXEC, .channels = 31 } },
        { "v4.channel.k8s.io", { .kind = REMOTE_EXEC, .channels = 7 } },
        { "v4.base64.channel.k8s.io", { .kind = REMOTE_EXEC, .channels = 31 } },
        { "channel.k8s.io", { .kind = REMOTE_EXEC, .channels = 2 } },
        { "binary.k8s.io", { .kind = REMOTE_STREAM } },
        { "v4.channel.k8s.io", { .kind = REMOTE_PORTFORWARD, .ports = ports, .n_ports = 2 } },
        { "SPDY/3.1+portforward.k8s.io", { .kind = REMOTE_PORTFORWARD } },
    };
    unsigned i = fuzz_pick(&data, sizeof rows / sizeof *rows);
    const char *const headers[][2] = { HEAD, { "sec-websocket-protocol", rows[i].protocol }, { NULL, NULL } };
    remote_fuzz("GET", headers, &rows[i].conf, data);
}
