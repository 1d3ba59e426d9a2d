/* remote.h - channels over an upgraded connection: WebSocket (v5/v4/base64 channel.k8s.io, binary, text) and SPDY/3.1 (v1..v4), also SPDY
 * tunnelled in WebSocket (SPDY/3.1+portforward.k8s.io). Users see numbered channels only. All [loop].
 */
#ifndef HTTP_REMOTE_H
#define HTTP_REMOTE_H

#include "http/http.h"

struct remote;

enum remote_channel { REMOTE_STDIN = 0, REMOTE_STDOUT, REMOTE_STDERR, REMOTE_ERROR, REMOTE_RESIZE };

struct remote_events {
    /* SPDY port-forward: a new pair of streams for `port`; data = channel 2*id, error = 2*id+1. WebSocket v4 port-forward: one
     * per port of the query, at the start. */
    void (*port)(void *ctx, unsigned id, uint16_t port);
    void (*data)(void *ctx, unsigned channel, struct str bytes);
    void (*eof)(void *ctx, unsigned channel);               /* the client closed its side of that channel */
    void (*closed)(void *ctx);                              /* the connection is gone; last call of all */
    void (*drain)(void *ctx);                               /* queued output fell below 64 KiB */
};

enum remote_kind { REMOTE_EXEC = 1, REMOTE_PORTFORWARD, REMOTE_STREAM };    /* STREAM: one way, logs and watch */

/* Does the request ask for an upgrade (any kind)? */
bool remote_wanted(const struct http_req *r);
/* Negotiates and answers 101 (or 200 for extended CONNECT). channels: bit set of enum remote_channel in use for EXEC. ports for v4 port-forward.
 * NULL: err says why; the caller replies with a Status. From then on the request is gone. */
struct remote *remote_accept(struct http_req *r, enum remote_kind kind, unsigned channels, const uint16_t *ports, unsigned n_ports,
                             const struct remote_events *ev, void *ctx, struct kl_err *err);
void remote_write(struct remote *r, unsigned channel, struct str bytes);    /* copies */
size_t remote_queued(const struct remote *r);
void remote_close_channel(struct remote *r, unsigned channel);
/* EXEC: the Status JSON on the error channel, in the form that the negotiated protocol wants; then a clean close. */
void remote_finish(struct remote *r, struct str status_json);
void remote_close(struct remote *r);                                        /* closed is not called after it */
/* Reading from the client pauses: back-pressure. */
void remote_pause(struct remote *r, bool paused);

#endif
