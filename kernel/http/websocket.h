/* websocket.h - frames of RFC 6455, the server's side (libwslay). Bytes go in, messages come out in parts as they arrive, so that no message
 * is too long; what is to be sent comes out as bytes. No input or output of its own. [loop]
 */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include "base/str.h"

struct websocket;

struct websocket_events {
    void (*part)(void *ctx, bool text, struct str bytes);       /* some bytes of the present message */
    void (*end)(void *ctx, bool text);                          /* the message is whole */
    void (*out)(void *ctx, struct str bytes);                   /* frames to send */
};

/* NULL: out of memory. */
struct websocket *websocket_new(const struct websocket_events *ev, void *ctx);
void websocket_free(struct websocket *w);                       /* not within its own events; NULL is fine */
/* Pings are answered. False: the peer has closed or broken the protocol; the close frame that answers it is out, nothing more comes in. */
bool websocket_input(struct websocket *w, struct str bytes);
/* One message: head, then body. False: out of memory, or closed before. */
bool websocket_send(struct websocket *w, bool text, struct str head, struct str body);
void websocket_pong(struct websocket *w);                       /* unasked: tells the peer that we live */
void websocket_close(struct websocket *w, unsigned code);       /* the close frame, once */
/* Sec-WebSocket-Accept for that key. False: not a key (16 bytes in base64). */
bool websocket_accept(struct str key, char ret[32]);

#endif
