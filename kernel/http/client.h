/* client.h - HTTP client on the loop: HTTP/1.1 and HTTP/2 over TCP, TLS or a unix socket. Used by nodes (the API), probes and the
 * server (a node's port, webhooks). One connection pool per client. Never follows redirects. All [loop].
 *
 * Life of a call: waits for a connection -> its request is written -> head -> data ... -> end. It is freed behind end, or by http_call_cancel.
 * A call that certainly was not worked on (the connection was refused or closed before it) is tried once more on a new connection.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "http/http.h"

struct http_client;
struct http_call;

struct http_client_conf {
    const char *url;                    /* "https://127.0.0.1:6443", "http://10.244.0.3:8080", "unix:/run/keelson/api.sock" */
    const char *server_name;            /* TLS name; NULL: the host of url */
    const char *ca_file, *cert_file, *key_file;
    struct str ca, cert, key;           /* the same as PEM text; at NULL: see the files */
    bool insecure;                      /* do not verify (https probes) */
    bool http1;                         /* do not offer HTTP/2 */
    bool prior_h2;                      /* HTTP/2 over clear text, by prior knowledge */
};

struct http_result_events {
    /* Status and headers are there; they live until head returns. */
    void (*head)(void *ctx, int status, const struct http_header *headers, unsigned n);
    void (*data)(void *ctx, struct str bytes);
    /* The end; err NULL: clean. Last call of all. KL_UNAVAILABLE (no connection, or it broke), KL_TIMEOUT, KL_TOO_LARGE. */
    void (*end)(void *ctx, const struct kl_err *err);
};

int http_client_new(struct loop *l, const struct http_client_conf *c, struct http_client **ret, struct kl_err *err);
/* New connections show and trust what conf says (its url does not count). What is under way goes on where it is; new calls do not join it. */
int http_client_renew(struct http_client *c, const struct http_client_conf *conf, struct kl_err *err);
/* Cancels what is under way. Not from within a callback of one of its calls (post it). */
void http_client_free(struct http_client *c);
/* Headers and body are copied. timeout_ns: until the end; 0: none. Callbacks come later, never from within. NULL: out of memory. */
struct http_call *http_call_new(struct http_client *c, const char *method, const char *path_and_query,
                                const struct http_header *headers, unsigned n, struct str body, int64_t timeout_ns,
                                const struct http_result_events *ev, void *ctx);
void http_call_cancel(struct http_call *c);                 /* end is not called after it */
/* No more data for now (what is being read may still come). The other side is slowed down, memory stays bounded. */
void http_call_pause(struct http_call *c, bool paused);
/* No call is under way and no tunnel stands: it may be freed. */
bool http_client_idle(const struct http_client *c);
/* The host and port of the url, as a Host header has it. */
struct str http_client_authority(const struct http_client *c);

/* Sends r (an upgrade request) on to url's host as it came, with that client's credentials and `path`, and ties both connections together until
 * one ends. Only a 101 (SPDY, WebSocket) or, for plain requests, the answer's bytes go back; a redirect is never followed. The client must live
 * as long as the request, and as the tunnel it may become. */
void http_proxy(struct http_req *r, struct http_client *c, const char *path_and_query);
/* The same, with more said and something withheld. What is pointed to is used before it returns. */
struct http_proxy_conf {
    const char *path_and_query;
    const char *below;                  /* a redirect of the other side to a path of its own is told as one below this (copied). NULL: as it is */
    const struct http_header *headers;  /* added; names in lower case */
    unsigned n_headers;
    bool whole;                         /* who asks goes with it: credentials pass, and where it came from is said otherwise (relay.h) */
    const struct http_header *answer;   /* of an answer that passes, in front of the other side's own; they live as long as the request */
    unsigned n_answer;
    bool final;                         /* redirects do not pass */
    const char *const *without;         /* beginnings of names of headers that do not pass; NULL-terminated. NULL: none */
    /* Answers a request whose answer is no success, which then does not pass; body: its first 10,000 bytes. NULL: it passes as any other. */
    void (*failed)(void *ctx, int status, struct str type, struct str body);
    void *ctx;
};
void http_proxy_as(struct http_req *r, struct http_client *c, const struct http_proxy_conf *conf);

#endif
