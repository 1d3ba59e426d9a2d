/* pool.h - whole calls to many servers (webhooks): clients that are shared by equal addresses and credentials, kept for a while, and answers
 * as one piece. All [loop].
 */
#ifndef HTTP_POOL_H
#define HTTP_POOL_H

#include "http/client.h"

struct http_pool;
struct http_fetch;

struct http_answer {
    int status;
    struct str body;
    const struct http_header *headers;  /* names in lower case */
    unsigned n_headers;
};

struct http_ask {
    const char *method, *path;          /* path with query */
    const struct http_header *headers;
    unsigned n_headers;
    struct str body;
    int64_t timeout_ns;                 /* until the end; 0: none */
    size_t body_most;                   /* of the answer */
};

/* The answer, valid until it returns, or why there is none (answer NULL): KL_UNAVAILABLE, KL_TIMEOUT, KL_TOO_LARGE. */
typedef void (*http_answered)(void *ctx, const struct http_answer *answer, const struct kl_err *err);

struct http_pool *http_pool_new(struct loop *l);
void http_pool_free(struct http_pool *p);       /* nobody is told any more; NULL is fine */
/* What is given is copied (files of conf are not: use the texts). done comes later, never from within. NULL: KL_INVALID (url, certificates),
 * KL_TOO_MANY_REQUESTS, KL_NO_MEMORY. */
struct http_fetch *http_fetch_new(struct http_pool *p, const struct http_client_conf *conf, const struct http_ask *ask, http_answered done,
                                  void *ctx, struct kl_err *err);
void http_fetch_cancel(struct http_fetch *f);           /* done is not called after it */

#endif
