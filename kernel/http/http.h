/* http.h - HTTP server: TLS with ALPN, HTTP/2 (nghttp2) and HTTP/1.1, one request type for both. All [loop].
 *
 * The handler is called once per request, when its headers and whole body (at most http_conf.body_max) are there. It answers at
 * once or later with http_reply, or streams, or upgrades. Until it has answered the request lives; after the end (or when the
 * client goes away, see http_on_close) it is gone with its arena.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <keelson/error.h>

#include "base/arena.h"
#include "base/buf.h"
#include "loop/loop.h"

struct http_server;
struct http_req;

struct http_header {
    struct str name, value;             /* names in lower case */
};

/* Who is at the other end; valid as long as the request. */
struct http_peer {
    struct str address;                 /* "127.0.0.1:3456" */
    bool tls;
    struct str cert_shown;              /* a client certificate that the client CA does not vouch for: proves nothing by itself; empty: none */
    struct str cert_der;                /* verified client certificate; empty: none */
    struct str cert_cn;
    const struct str *cert_orgs;
    unsigned n_cert_orgs;
};

typedef void (*http_handler)(void *ctx, struct http_req *r);

struct http_conf {
    const char *address;                /* "127.0.0.1" or "0.0.0.0"; a path with a leading '/': unix socket, no TLS */
    uint16_t port;                      /* 0: any (see http_server_port) */
    const char *cert_file, *key_file;   /* PEM chain and key; NULL: no TLS (tests, h2 by prior knowledge and h1) */
    const char *client_ca_file;         /* PEM; NULL: client certificates are not asked for */
    struct str cert, key, client_ca;    /* the same as PEM text; at NULL: see the files */
    size_t body_max;                    /* 0: 3 MiB */
    unsigned connections_max;           /* 0: 4096 */
    int fd;                             /* a socket that listens already, taken over; address and port are its. 0: none */
    bool relayed;                       /* only for processes of ours: each request carries who asks (relay.h) */
};

int http_server_new(struct loop *l, const struct http_conf *c, http_handler h, void *ctx, struct http_server **ret,
                    struct kl_err *err);
/* New connections are made with c's certificate, key and client CA; those that stand keep theirs. */
int http_server_renew(struct http_server *s, const struct http_conf *c, struct kl_err *err);
uint16_t http_server_port(const struct http_server *s);
/* No new connections; GOAWAY; free when the last request is over or after grace_ns. done may be NULL. */
void http_server_close(struct http_server *s, int64_t grace_ns, loop_fn done, void *ctx);

/* --- another process goes on with the socket (kernel/cli/handover.c) --- */
int http_server_fd(const struct http_server *s);
/* Connections wait in the socket's queue, or are taken again. */
void http_server_hold(struct http_server *s, bool hold);
/* Requests whose handler has not answered yet; but for those that were sent on to other servers (http_proxy), who answer them here. */
unsigned http_server_waiting(const struct http_server *s);
unsigned http_server_connections(const struct http_server *s);
/* As http_server_close, but so that no client notices: the socket's file stays, HTTP/2 connections hear first that they should go and a moment later
 * that they must, HTTP/1.1 connections with their next answer. Requests that come meanwhile are handled. */
void http_server_retire(struct http_server *s, int64_t grace_ns, loop_fn done, void *ctx);
/* Every request of these connections that waits for its answer, as http_server_waiting counts, is taken from its handler, as though its client had gone, and given to the handler
 * again: only for handlers that then do something else with it. */
void http_server_rehandle(struct http_server *s);

/* --- the request --- */
struct str http_method(const struct http_req *r);
struct str http_path(const struct http_req *r);                         /* as sent, still %-encoded, without query */
struct str http_query(const struct http_req *r);                        /* behind '?', as sent */
struct str http_header(const struct http_req *r, struct str name);      /* several: joined with ", "; at NULL: none */
struct str http_header_of(const struct http_header *h, unsigned n, struct str name);    /* the first of that name, in any case; at NULL: none */
/* Each header in the order in which it came. False: each returned false. */
bool http_each_header(const struct http_req *r, bool (*each)(void *ctx, struct str name, struct str value), void *ctx);
struct str http_body(const struct http_req *r);
struct arena *http_arena(struct http_req *r);
const struct http_peer *http_peer(const struct http_req *r);
int http_version(const struct http_req *r);                             /* 1 or 2 */
/* The client went away before the answer was over. Called at most once; the request is gone when it returns. */
void http_on_close(struct http_req *r, loop_fn fn, void *ctx);
/* fn(ctx, r) once, when the answer is complete (whatever of it still waits to be sent), it went on as another protocol, or the client is
 * gone: in the call that ends it. For those who count and account; it answers nothing. */
void http_on_end(struct http_req *r, void (*fn)(void *ctx, struct http_req *r), void *ctx);
/* on_end comes now; the answer goes on uncounted. */
void http_end_account(struct http_req *r);
int64_t http_began(const struct http_req *r);                           /* monotonic ns: its first bytes */
int http_status(const struct http_req *r);                              /* of the answer; 0: none yet */
uint64_t http_sent(const struct http_req *r);                           /* bytes of body given so far */

/* --- the answer --- */
/* Bytes that someone else owns: sent without a copy; release(owner) once they are no longer needed (also on failure). */
struct http_slice {
    struct str data;
    void (*release)(void *owner);       /* NULL: the bytes live as long as the request */
    void *owner;
};

/* Whole answer. Headers are copied. content-length, date are added. */
void http_reply(struct http_req *r, int status, const struct http_header *headers, unsigned n, struct http_slice body);

/* Streamed answer (chunked in HTTP/1.1). Headers go out at once. */
void http_stream_begin(struct http_req *r, int status, const struct http_header *headers, unsigned n);
void http_stream_write(struct http_req *r, struct http_slice s);        /* queued; sent at the end of the turn */
size_t http_stream_queued(const struct http_req *r);                    /* bytes not sent yet: stop writing past 256 KiB */
/* Called when what was queued has been sent down to less than 64 KiB. fn NULL: no more. */
void http_stream_on_drain(struct http_req *r, loop_fn fn, void *ctx);
/* Calls that when the connection next makes output, before the turn ends unless the client does not read. Whoever has news for many streams says so to each
 * of them, and makes for one connection after the other what it sends. */
void http_stream_wake(struct http_req *r);
void http_stream_end(struct http_req *r);                               /* clean end; the request is gone when it returns */
void http_stream_abort(struct http_req *r);                             /* reset: the client sees a broken stream */

/* --- streaming protocols: exec, attach, port-forward, logs and watch over WebSocket or SPDY/3.1 --- see remote.h */

/* --- helpers --- */
/* Percent-decoding; '+' is a blank only in queries. STR_NONE with bad escapes. In the arena when it changes anything. */
struct str http_decode(struct arena *a, struct str s, bool query);
/* Everything but letters, digits and -._~ as %XX. */
void http_encode(struct buf *b, struct str s);
/* Next "k=v" of a query, decoded. False: the end. */
bool http_query_next(struct arena *a, struct str *rest, struct str *ret_key, struct str *ret_value);
/* The last value of that name; at NULL: it is not there. */
struct str http_query_find(struct arena *a, struct str query, const char *name);

#endif
