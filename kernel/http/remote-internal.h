/* remote-internal.h - an upgraded connection's parts: remote_accept.c negotiates, remote.c carries, remote_ports.c pairs streams. */
#ifndef HTTP_REMOTE_INTERNAL_H
#define HTTP_REMOTE_INTERNAL_H

#include "http-internal.h"
#include "http/remote.h"
#include "http/spdy.h"
#include "http/websocket.h"

#define PORTS_MOST   256                /* connections of one port-forward at once */
#define STREAMS_NS   (30 * NS_PER_S)    /* for the client to open its streams */
#define SETTLE_NS    (5 * NS_PER_MS)    /* v5: client-go reads before it has made its streams, and throws away what comes for one it has not */
#define BEAT_NS      (5 * NS_PER_S)     /* sign of life while paused; a client that has gone answers it with a reset */
#define UNREAD_MOST  (1u << 20)         /* output queued: the client is not read any more */

struct remote_pair {                    /* of a port-forward over SPDY */
    struct list link;
    unsigned id;
    uint16_t port;
    uint32_t data, error;               /* streams; 0: not there (yet, or any more) */
    bool told;
    char request[64];
};

struct remote {
    struct loop *loop;
    struct conn *conn;                  /* NULL: gone */
    struct remote_conf conf;
    struct remote_events ev;
    void *ctx;
    struct websocket *ws;               /* NULL: SPDY on the bare connection */
    struct spdy *spdy;                  /* NULL: channels within messages */
    unsigned version;                   /* 1 to 5 */
    bool base64;
    unsigned present;                   /* EXEC over SPDY: channels that are there */
    uint32_t streams[REMOTE_CHANNELS];
    struct list pairs;
    unsigned n_pairs, next_pair;
    bool begun;                         /* WebSocket: the channel of the message under way is known */
    unsigned channel;                   /* CHANNEL_* or a number */
    char quad[4];                       /* base64: digits that are no whole group yet */
    unsigned n_quad;
    struct loop_timer start, beat;
    bool waits, ready;                  /* waits: ready once the client has opened its streams */
    bool paused, held, was_full;
    bool was_paused, beats;             /* since the last beat; the timer runs */
    bool over;                          /* no more events */
    unsigned depth;                     /* calls under way that use this: freed when they are back */
};

#define CHANNEL_CLOSE   255u
#define CHANNEL_UNKNOWN 256u

/* remote_accept.c */
int remote_negotiate(struct http_req *req, struct remote *r, struct buf *head, struct kl_err *err);

/* remote_ports.c */
bool remote_pair_open(struct remote *r, uint32_t stream, const struct http_header *h, unsigned n);
/* The channel of a stream; CHANNEL_UNKNOWN: none. *ret may be NULL. */
unsigned remote_pair_channel(struct remote *r, uint32_t stream, struct remote_pair **ret);
struct remote_pair *remote_pair_find(struct remote *r, unsigned id);
void remote_pair_free(struct remote *r, struct remote_pair *p);
void remote_pairs_free(struct remote *r);

#endif
