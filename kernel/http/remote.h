/* remote.h - channels over an upgraded HTTP/1.1 connection: WebSocket (v5, v4 and older channel.k8s.io, base64 forms, plain streams) and
 * SPDY/3.1 (v1 to v4), also SPDY within WebSocket (SPDY/3.1+portforward.k8s.io). Users see numbered channels only. All [loop].
 *
 * Life: remote_wanted, remote_accept (101 is out, the request is gone) -> ready -> data both ways -> closed (the client left), or
 * remote_finish or remote_close (we end it). After any of the last three the remote is gone. Every function may be called from within events.
 */
#ifndef HTTP_REMOTE_H
#define HTTP_REMOTE_H

#include "http/http.h"

struct remote;

enum remote_channel { REMOTE_STDIN = 0, REMOTE_STDOUT, REMOTE_STDERR, REMOTE_ERROR, REMOTE_RESIZE, REMOTE_CHANNELS };

struct remote_events {
    /* EXEC and STREAM: every channel that was asked for is there. PORTFORWARD: the connection is. */
    void (*ready)(void *ctx);
    /* PORTFORWARD: a new connection to that port; data = channel 2*id, error = 2*id+1. */
    void (*port)(void *ctx, unsigned id, uint16_t port);
    void (*data)(void *ctx, unsigned channel, struct str bytes);        /* in parts as they arrive */
    void (*eof)(void *ctx, unsigned channel);                           /* the client has sent all of it */
    void (*reset)(void *ctx, unsigned channel);                         /* the client dropped it: what is written there is lost */
    void (*drain)(void *ctx);                                           /* what was queued beyond 64 KiB has gone below */
    void (*closed)(void *ctx);                                          /* the connection is gone; last call of all */
};                                                                      /* unset: not wanted */

enum remote_kind { REMOTE_EXEC = 1, REMOTE_PORTFORWARD, REMOTE_STREAM, REMOTE_WATCH };       /* one way: STREAM bytes (logs), WATCH messages */

/* Does the request ask for an upgrade (any kind)? */
bool remote_wanted(const struct http_req *r);
/* Bearer token among the WebSocket's protocols, still in base64url; empty: none. */
struct str remote_bearer(const struct http_req *r);
/* Negotiates and answers 101. channels: bits (1 << enum remote_channel) in use, for EXEC. ports: for WebSocket's channels to ports; alive as long
 * as the remote. * text: a STREAM's or WATCH's messages are text unless base64 was asked for. NULL: err says why; the caller replies. */
struct remote_conf {
    enum remote_kind kind;
    unsigned channels;
    const uint16_t *ports;
    unsigned n_ports;
    bool text;
};
struct remote *remote_accept(struct http_req *r, const struct remote_conf *c, const struct remote_events *ev, void *ctx,
                             struct kl_err *err);
/* One message (STREAM and WATCH: to the client, the channel does not count). Copies. Stop past 256 KiB queued. */
void remote_write(struct remote *r, unsigned channel, struct str bytes);
size_t remote_queued(const struct remote *r);
bool remote_fixed(const struct remote *r);                              /* PORTFORWARD: no ports but those of the start */
/* No more from us. PORTFORWARD: closing its error channel ends a connection to a port altogether. */
void remote_close_channel(struct remote *r, unsigned channel);
/* EXEC: how it ended on the error channel, then a clean close. status: the Status as JSON; failure: its message, empty for success (older
 * protocols tell no more). */
void remote_finish(struct remote *r, struct str status, struct str failure);
void remote_close(struct remote *r);                                    /* clean, after what is queued */
/* The client is not read while paused (but told that we live). */
void remote_pause(struct remote *r, bool paused);

#endif
