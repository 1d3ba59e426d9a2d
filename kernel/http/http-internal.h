/* http-internal.h - what the files of kernel/http share. All [loop].
 *
 * A connection reads bytes (through TLS or not) into its protocol, h1.c or h2.c, which make requests; answers are queued per
 * request as slices and drained into the connection's output at the end of the turn, one write per connection.
 */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <gnutls/gnutls.h>
#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/mem.h"
#include "http/http.h"

#define HEADERS_MOST       100
#define HEADER_BYTES_MOST  (64u << 10)
#define STREAMS_MOST       250
#define OUT_MOST           (256u << 10)        /* bytes of output made ahead of the socket */
#define RECORD             16384u              /* most bytes in one TLS record */
#define DRAIN_BELOW        (64u << 10)
#define HANDSHAKE_NS       (10 * NS_PER_S)
#define HEADER_NS          (10 * NS_PER_S)
#define BODY_NS            (60 * NS_PER_S)
#define IDLE_NS            (300 * NS_PER_S)
#define STUCK_NS           (30 * NS_PER_S)
#define GOODBYE_NS         (1 * NS_PER_S)          /* between "you should go" and "go" */
#define KEEP_IDLE_NS       (60 * NS_PER_S)         /* a connection that says nothing, of a server that ends */
#define LINGER_NS          (2 * NS_PER_S)          /* after the last byte of an upgraded connection, for the client to take it */

struct tls_server;

/* First member of what sessions are made from: it lives as long as the last connection that uses it. */
struct tls_shared {
    unsigned refs;
    void (*free)(struct tls_shared *t);
};
static inline void tls_shared_unref(struct tls_shared *t)
{
    if (t && --t->refs == 0)
        t->free(t);
}
struct conn;

/* What a side (the server, the client) does with its connections. */
struct conn_protocol {
    int (*start)(struct conn *c, bool h2);              /* connected, keys agreed */
    int (*input)(struct conn *c, struct str bytes);     /* decrypted; < 0: close once what is queued has gone */
    int (*fill)(struct conn *c);                        /* output into c->out; < 0: broken */
    bool (*more)(const struct conn *c);                 /* has fill more to give? */
    void (*timer)(struct conn *c);
    void (*gone)(struct conn *c);                       /* the connection ends: ends what depends on it */
};

/* The connections of one listener or one client. */
struct conn_owner {
    struct loop *loop;
    const struct conn_protocol *protocol;
    struct list conns, dirty;
    unsigned n_conns;
    struct loop_hook hook;
    struct buf out, wire;               /* lent to each connection while it makes output: one piece of memory that stays warm */
};

struct http_server {
    struct conn_owner owner;            /* first */
    http_handler handler;
    void *ctx;
    int fd, spare;
    uint16_t port;
    char *unix_path;
    struct loop_fd *watch;
    struct tls_server *tls;             /* NULL: clear text */
    size_t body_max;
    unsigned conns_max;
    struct loop_timer grace;
    bool closing, relayed;
    loop_fn done;
    void *done_ctx;
};

struct queued {
    struct queued *next;
    struct http_slice slice;
    size_t at;
};

enum conn_state { CONN_DIALING = 1, CONN_HANDSHAKE, CONN_OPEN, CONN_RAW, CONN_DEAD };

struct conn {
    struct list link, dirty_link;
    struct conn_owner *owner;
    struct http_server *server;         /* NULL: a client's connection */
    int fd;
    struct loop_fd *watch;
    enum conn_state state;
    gnutls_session_t tls;
    struct tls_shared *tls_of;          /* what it was made from; counted */
    nghttp2_session *h2;                /* NULL: HTTP/1.1 */
    struct http_peer peer;
    char address[64];
    char *peer_text;                    /* memory behind peer's strings */
    struct str *orgs;
    struct buf in;                      /* HTTP/1.1: bytes not parsed yet */
    struct buf out;                     /* plain bytes not handed to the socket or TLS yet */
    size_t out_at;
    struct buf wire;                    /* TLS: records not written yet */
    size_t wire_at;
    char why[160];                      /* it broke; empty: it was closed */
    struct loop_timer timer;
    int64_t heard_ns;                   /* of the newest bytes */
    int64_t header_since_ns;            /* a request head is being read since; 0: none */
    struct list reqs;
    struct list ready;                  /* requests that have something to write as soon as there is room */
    unsigned n_reqs, n_handlers;        /* streams; requests whose handler has not answered */
    unsigned n_full;                    /* requests that were full */
    uint64_t resets, ignored;           /* flood counters, see h2.c */
    uint64_t updates_owed;              /* window updates that our DATA frames may still bring */
    int64_t flood_since_ns;
    bool want_read, want_write, close_after, eof;
    bool warned;                        /* it heard that it should go */
    /* raw mode (upgrades) */
    void (*raw_data)(void *ctx, struct str bytes);      /* len 0: the end */
    void (*raw_drain)(void *ctx);
    void *raw_ctx;
    bool raw_paused, lingering;
    bool unread;                        /* it was answered before all of it was sent: the rest is thrown away for a while before the end */
    bool hangup_ends;                   /* a client that ends its part has gone, even while it is not read */
    struct http_req *h1_req;            /* the one being read or answered */
    struct h1_body *h1_body;
};

enum req_answer { REQ_OPEN = 0, REQ_STREAMING, REQ_ENDED };

/* Lives in its own arena. */
struct http_req {
    struct list link;                   /* conn->reqs */
    struct list ready_link;             /* conn->ready */
    struct conn *conn;
    struct arena *arena;
    int32_t stream_id;
    struct str method, path, query, authority;
    struct http_header *headers;
    unsigned n_headers, cap_headers;
    size_t header_bytes;
    struct buf body;
    bool body_done, too_large, bad, handled;
    enum req_answer answer;
    int status;
    struct queued *first, *last;
    size_t queued;
    uint64_t sent;
    bool was_full;
    bool deferred;                      /* h2: the data provider waits for more */
    bool chunked, head_request, closing;
    bool in_handler;
    int64_t began_ns, stuck_since_ns;
    loop_fn on_close, on_drain;
    void *close_ctx, *drain_ctx;
    void (*on_end)(void *ctx, struct http_req *r);
    void *end_ctx;
    struct http_peer *peer;             /* NULL: the connection's */
    bool elsewhere;                     /* a proxy has sent it on: another server is at it */
};

/* As much output is made as should be ahead of the socket. */
static inline bool conn_is_full(const struct conn *c)
{
    return c->out.len - c->out_at + c->wire.len - c->wire_at > OUT_MOST;
}

/* conn.c */
/* size: of the struct that begins with the conn. Takes fd when it succeeds. The caller sets state and watch. */
struct conn *conn_new(struct conn_owner *o, int fd, size_t size);
void conn_free(struct conn *c);
void conn_dirty(struct conn *c);                        /* output is waiting: flush at the end of the turn */
void conn_kill(struct conn *c);                         /* closes at the end of the turn, without more output */
void conn_set_timer(struct conn *c, int64_t ns);
void conns_flush(struct conn_owner *o);
void owner_init(struct conn_owner *o, struct loop *l, const struct conn_protocol *p);
void owner_end(struct conn_owner *o);                   /* all its connections have gone */

/* server.c */
void server_conn_freed(struct http_server *s);

/* request.c */
struct http_req *req_new(struct conn *c);
void req_free(struct http_req *r);                      /* calls nothing but on_end */
void req_gone(struct http_req *r);                      /* the client went away: tells on_close, frees */
/* Head and body are there: calls the handler (or answers the error found while reading). */
void req_handle(struct http_req *r);
/* Takes it from its handler, which hears that the client has gone; it waits as before. */
void req_take_back(struct http_req *r);
int req_add_header(struct http_req *r, struct str name, struct str value);      /* copies; counts limits */
void req_set_target(struct http_req *r, struct str target);
void req_pop(struct http_req *r, size_t n);             /* n bytes of the queue were taken */
void req_after_drain(struct http_req *r);
void reqs_ready(struct conn *c);                        /* lets those write that wait in conn->ready */
/* A Status object, as the API answers failures. */
void req_reply_status(struct http_req *r, int status, const char *reason, const char *message);
const char *status_text(int status);
size_t http_date(char *ret, size_t room);

/* h2.c */
int h2_start(struct conn *c);
int h2_input(struct conn *c, struct str bytes);
int h2_fill(struct conn *c);                            /* frames into conn->out */
void h2_answer(struct http_req *r, const struct http_header *h, unsigned n, bool end);
void h2_more(struct http_req *r);
void h2_abort(struct http_req *r);
void h2_goaway(struct conn *c);
void h2_warn(struct conn *c);                           /* of a goaway that will come */

/* relay.c: who asks, as the header that came says. < 0: it says nothing usable. */
#define RELAY_PEER "x-keelson-peer"
int relay_read_peer(struct http_req *r);

/* h1_parse.c: lines, fields and bodies of HTTP/1.1. */
#define H1_NAME 128                     /* longest field name */
#define H1_LINE 4096                    /* longest line of a chunked body */
enum body_state { BODY_NONE = 0, BODY_LENGTH, BODY_CHUNK_SIZE, BODY_CHUNK, BODY_CHUNK_END, BODY_TRAILER, BODY_UNTIL_END, BODY_DONE };
struct h1_body {
    enum body_state state;
    uint64_t left;
    size_t trailer;
    bool paused;                        /* set within part: nothing more now */
};
bool h1_token(struct str s);
bool h1_text(struct str s);
/* The next line without CR LF. False: none yet. A bare LF or CR makes it bad. */
bool h1_line(struct str *s, struct str *line, bool *bad);
/* "Name: value"; the name in lower case, in room. */
bool h1_field(struct str line, char room[H1_NAME], struct str *ret_name, struct str *ret_value);
/* Eats from *s and hands over content. 1 whole, 0 more is needed (or part has paused it), < 0 malformed. */
int h1_body_read(struct h1_body *b, struct str *s, void (*part)(void *ctx, struct str part), void *ctx);

/* h1.c */
int h1_input(struct conn *c, struct str bytes);
int h1_fill(struct conn *c);
void h1_answer(struct http_req *r, const struct http_header *h, unsigned n, bool end);
void h1_free(struct conn *c);

/* tls.c */
int tls_server_new(const struct http_conf *c, struct tls_server **ret, struct kl_err *err);
void tls_server_free(struct tls_server *t);
int tls_accept(struct conn *c);                         /* session for a new connection */
void tls_attach(struct conn *c);                        /* c->tls reads and writes through c */
/* 1 done (*ret_h2), 0 more bytes are needed, < 0 failed. */
int tls_handshake(struct conn *c, bool *ret_h2);
ssize_t tls_read(struct conn *c, void *at, size_t n);   /* -EAGAIN: later; 0: end */
/* conn->out to conn->wire; whole: records that are full only, while what they are made of is warm. */
int tls_write(struct conn *c, bool whole);

/* Takes the connection of an HTTP/1.1 request over after its upgrade head has been written; the request is freed. */
struct conn *conn_take(struct http_req *r, struct str response_head, void (*data)(void *ctx, struct str bytes),
                       void (*drain)(void *ctx), void *ctx);
void conn_raw_write(struct conn *c, struct str bytes);
size_t conn_raw_queued(const struct conn *c);
void conn_raw_close(struct conn *c);                    /* after what is queued has gone */
void conn_raw_pause(struct conn *c, bool paused);

/* Such an answer has no body, and says nothing of its length. */
static inline bool http_bodiless(int status)
{
    return status == 204 || status == 304;
}

#endif
