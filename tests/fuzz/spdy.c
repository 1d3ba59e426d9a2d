/* spdy.c - what a client sends after its SPDY/3.1 was accepted. */
#include "remote.h"

#define HEAD { "connection", "Upgrade" }, { "upgrade", "SPDY/3.1" }

FUZZ(data)
{
    static const struct {
        const char *protocol;
        struct remote_conf conf;
    } rows[] = {
        { "v4.channel.k8s.io", { .kind = REMOTE_EXEC, .channels = 31 } },
        { "channel.k8s.io", { .kind = REMOTE_EXEC, .channels = 3 } },
        { "portforward.k8s.io", { .kind = REMOTE_PORTFORWARD } },
    };
    unsigned i = fuzz_pick(&data, sizeof rows / sizeof *rows);
    const char *const headers[][2] = { HEAD, { "x-stream-protocol-version", rows[i].protocol }, { NULL, NULL } };
    remote_fuzz("POST", headers, &rows[i].conf, data);
}
