/* relay.h - requests that another process of ours answers: one that has taken over what this one served. Connections cannot move (their keys and
 * header tables live here), so requests do, over a unix socket, each with who asks: what TLS has found out about its client. All [loop].
 */
#ifndef HTTP_RELAY_H
#define HTTP_RELAY_H

#include "http/client.h"

struct http_relay;

/* path: of the other one's http_server with `relayed`. Nothing is connected yet; a path that gets another listener later is followed. */
int http_relay_new(struct loop *l, const char *path, struct http_relay **ret, struct kl_err *err);
void http_relay_free(struct http_relay *x);                     /* not from within a request of it; NULL is fine */
/* The other one answers r. The relay lives longer. */
void http_relay_pass(struct http_relay *x, struct http_req *r);

/* Who asked for what, when the request itself may be gone. */
struct http_copy;
struct http_copy *http_copy(const struct http_req *r, struct arena *a);                 /* in the arena; NULL: out of memory */
/* Asks it of the other one, with that in place of the query. NULL: out of memory. */
struct http_call *http_relay_ask(struct http_relay *x, const struct http_copy *c, struct str query, const struct http_result_events *ev, void *ctx);

#endif
