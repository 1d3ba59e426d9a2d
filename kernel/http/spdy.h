/* spdy.h - frames of SPDY/3.1, the server's side, as Kubernetes clients speak it for exec, attach and port-forward. Bytes go in, events on
 * streams come out; what is to be sent comes out as bytes. No input or output of its own, no flow control (its clients have none): who
 * cannot take more stops feeding it. [loop]
 */
#ifndef HTTP_SPDY_H
#define HTTP_SPDY_H

#include "http/http.h"

struct spdy;

#define SPDY_STREAMS_MOST  1000
#define SPDY_HEADERS_MOST  32           /* of one stream */
#define SPDY_HEADER_BYTES  (16u << 10)  /* of one block, packed or not */

enum spdy_status { SPDY_PROTOCOL_ERROR = 1, SPDY_INVALID_STREAM, SPDY_REFUSED_STREAM, SPDY_CANCEL = 5, SPDY_INTERNAL_ERROR };

struct spdy_events {
    /* The client opened a stream. False: it is refused. Headers live during the call. */
    bool (*open)(void *ctx, uint32_t id, const struct http_header *headers, unsigned n);
    void (*data)(void *ctx, uint32_t id, struct str bytes);     /* in parts as they arrive */
    void (*eof)(void *ctx, uint32_t id);                        /* the client has sent all of it */
    void (*reset)(void *ctx, uint32_t id);                      /* the client dropped it: it is gone */
    void (*out)(void *ctx, struct str bytes);
};

/* NULL: out of memory. */
struct spdy *spdy_new(const struct spdy_events *ev, void *ctx);
void spdy_free(struct spdy *s);                                 /* not within its own events; NULL is fine */
/* False: the client has broken the protocol (a GOAWAY that says so is out). */
bool spdy_input(struct spdy *s, struct str bytes);
/* Nothing happens for a stream that is not there, or that we have ended. end: no more will come from us. */
void spdy_send(struct spdy *s, uint32_t id, struct str bytes, bool end);
void spdy_reset(struct spdy *s, uint32_t id, enum spdy_status status);
void spdy_ping(struct spdy *s);
void spdy_goaway(struct spdy *s);

/* --- spdy_headers.c: header blocks, packed by zlib with the protocol's dictionary, one history per direction --- */
struct spdy_unpack;
struct spdy_unpack *spdy_unpack_new(void);                      /* NULL: out of memory */
void spdy_unpack_free(struct spdy_unpack *u);
/* How many headers; they live until the next call. -1: damaged, or beyond the limits. */
int spdy_unpack(struct spdy_unpack *u, struct str block, struct http_header ret[SPDY_HEADERS_MOST]);
struct spdy_pack;
struct spdy_pack *spdy_pack_new(void);
void spdy_pack_free(struct spdy_pack *p);
/* Packed bytes, alive until the next call; at NULL: failed. */
struct str spdy_pack(struct spdy_pack *p, const struct http_header *h, unsigned n);

#endif
