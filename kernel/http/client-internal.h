/* client-internal.h - what the files of the client share. All [loop].
 *
 * client.c makes calls wait and gives them to connections; dial.c opens these; link.c is a connection's life as the client sees it;
 * client_h1.c and client_h2.c write requests and read answers; proxy.c ties a server's request to a call.
 */
#ifndef HTTP_CLIENT_INTERNAL_H
#define HTTP_CLIENT_INTERNAL_H

#include <sys/socket.h>

#include "http-internal.h"
#include "http/client.h"

#define LINKS_MOST       64             /* connections of one client */
#define ADDRESSES_MOST   8
#define DIAL_NS          (10 * NS_PER_S)     /* connect and handshake */
#define KEEP_NS          (90 * NS_PER_S)     /* an idle connection is kept */
#define PING_AFTER_NS    (30 * NS_PER_S)     /* of silence while calls are open (HTTP/2) */
#define PING_ANSWER_NS   (15 * NS_PER_S)
#define WINDOW           (256 << 10)
#define RESOLVED_NS      (30 * NS_PER_S)     /* a name's addresses are believed that long */

struct tls_client;

struct address {
    struct sockaddr_storage at;
    socklen_t len;
};

enum speaks { SPEAKS_UNKNOWN = 0, SPEAKS_H1, SPEAKS_H2 };

struct http_client {
    struct conn_owner owner;            /* first */
    struct tls_client *tls;             /* NULL: clear text */
    char *host, *port, *authority, *unix_path;
    bool http1, prior_h2;
    enum speaks speaks;
    struct list waiting;                /* calls without a connection, oldest first */
    bool stir;                          /* something changed: look at what waits */
    struct loop_timer kick;
    char why[200];                      /* the newest attempt to connect failed */
    unsigned n_dialing;
    unsigned n_again;                   /* calls that went out once more because their connection broke, not because it refused them */
    struct address addresses[ADDRESSES_MOST];
    unsigned n_addresses;
    int64_t resolved_ns;
    struct resolve *resolving;
};

/* Status and headers as they come in. */
struct result_head {
    struct arena *arena;
    struct http_header *at;
    unsigned n;
    size_t bytes;
    int status;
    bool http10;
};

struct http_call {
    struct list link;                   /* client->waiting, or its connection's calls */
    struct http_client *client;
    struct link *on;                    /* NULL: it waits */
    const struct http_result_events *ev;
    void *ctx;
    struct arena *arena;                /* of the request */
    struct str method, path, body;
    struct http_header *headers;
    unsigned n_headers;
    size_t body_at;
    struct loop_timer timer;
    int64_t timeout_ns;
    int32_t stream_id;
    unsigned tries;
    unsigned busy;                      /* callbacks under way */
    bool upgrade;                       /* wants a connection of its own, which a 101 turns into a tunnel */
    bool written;                       /* maybe worked on */
    bool got_head, cancelled, paused;
    size_t unread;                      /* HTTP/2: taken, not yet credited to the window */
    struct result_head head;            /* being read */
};

/* A connection of a client. */
struct link {
    struct conn conn;                   /* first */
    struct http_client *client;
    struct list calls;
    unsigned n_calls;
    unsigned address;                   /* index of what was dialled */
    bool ready, used, leaving;          /* handshake over; a call has ended well on it; takes no new calls */
    bool only_h1;                       /* for an upgrade: it never serves other calls */
    bool given_up;                      /* its end is wanted: no other address is tried */
    int64_t idle_since_ns, ping_since_ns;
    struct h1_result *h1;
};

/* client.c */
void client_stir(struct http_client *c);
void call_on(struct http_call *k, struct link *l);
/* Each of these may end in the caller's code, which may cancel: false when the call is gone. */
bool call_head(struct http_call *k);
bool call_data(struct http_call *k, struct str bytes);
void call_end(struct http_call *k, const struct kl_err *err);
/* Its connection is gone or refused it: again elsewhere if that is certain to be harmless, else the end. */
void call_lost(struct http_call *k, bool refused, const char *why);
bool call_idempotent(const struct http_call *k);
void client_fail_waiting(struct http_client *c);  /* for the reason in c->why */
struct http_call *call_new(struct http_client *c, struct str method, struct str path, const struct http_header *headers, unsigned n,
                           struct str body, int64_t timeout_ns, const struct http_result_events *ev, void *ctx, bool upgrade);
int head_add(struct result_head *h, struct str name, struct str value);
void head_free(struct result_head *h);

/* dial.c */
bool client_resolved(struct http_client *c);    /* the addresses are known; else they will be, and then it stirs */
/* NULL: it failed at once, for the reason in c->why. */
struct link *client_dial(struct http_client *c, bool only_h1);
/* l could not be reached: its calls go on to the next address. False: that was the last. */
bool client_dial_next(struct link *l);
void resolve_abandon(struct http_client *c);

/* link.c */
extern const struct conn_protocol link_protocol;
struct link *link_new(struct http_client *c, int fd);
bool link_takes(const struct link *l, const struct http_call *k);
void link_leave(struct link *l, struct http_call *k, bool whole);      /* the call is over; whole: the connection may serve another */

/* client_h1.c */
struct h1_result {                      /* one answer after the other */
    struct buf in;
    struct h1_body body;
    bool head_request, closing, parsing;
};
/* Its bytes are in order: a call that is paused or cancelled leaves them in `in`. */
int client_h1_send(struct link *l, struct http_call *k);
int client_h1_input(struct link *l, struct str bytes);
void client_h1_resume(struct link *l);
/* The other side has closed: an answer that lasts until then ends well. */
void client_h1_eof(struct link *l);
/* 1: a final head is in h; 0: more is needed; < 0: malformed. Eats from *s; skips 1xx but 101. Pure. */
int h1_read_status(struct str *s, struct result_head *h);
int h1_choose_body(const struct result_head *h, bool head_request, struct h1_body *b, bool *closing);

/* client_h2.c */
int client_h2_start(struct link *l);
int client_h2_send(struct link *l, struct http_call *k);
void client_h2_cancel(struct link *l, struct http_call *k);
void client_h2_credit(struct link *l, struct http_call *k);
unsigned client_h2_room(const struct link *l);

/* tls_client.c */
int tls_client_new(const struct http_client_conf *c, const char *host, struct tls_client **ret, struct kl_err *err);
void tls_client_free(struct tls_client *t);
int tls_connect(struct conn *c, struct tls_client *t, bool offer_h2);

#endif
