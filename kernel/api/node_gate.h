/* node_gate.h - who may ask a node's own port what: authentication, then authorization, as upstream's kubelet does it. [loop]
 *
 * A client certificate of the cluster's CA says who asks; else a bearer token does, which the API knows; nobody else is let in (401). What may be asked is a question
 * about a subresource of the node (nodes/metrics, nodes/proxy ...). Whoever runs something in a container needs `create`, by whatever method it comes.
 * The server itself, by its name, is believed: it has authorized already.
 */
#ifndef API_NODE_GATE_H
#define API_NODE_GATE_H

#include <keelson/iface/auth.h>

#include "api/node_paths.h"
#include "http/client.h"

/* One question under way, in the arena of the request that it is about. */
struct node_question {
    struct arena *arena;
    const char *token;                  /* who bears it? NULL: may `user`? */
    struct kl_user user;                /* of a token: the answer, in the arena */
    const char *node, *verb, *subresource;
    void (*told)(struct node_question *q, int rc);      /* 1 yes, 0 no, < 0 it is not known */
    void *asker;                        /* whoever answers */
};

/* Who knows. `told` comes once, maybe at once; not after `drop`. */
struct node_reviews {
    void *ctx;
    void (*ask)(void *ctx, struct node_question *q);
    void (*drop)(void *ctx, struct node_question *q);
};

struct node_gate {
    struct node_reviews reviews;
    const char *node;                   /* name of the Node */
    const char *server_name;            /* common name of the server's certificate towards nodes */
    void *ctx;
    void (*pass)(void *ctx, struct http_req *r);        /* it may be answered */
};

void node_gate_enter(const struct node_gate *g, struct http_req *r);
/* The subresources of which one must be allowed, in order; how many (0: only the server may). verb: what of them. */
unsigned node_gate_attributes(struct str method, const struct node_path *p, const char *ret[2], const char **ret_verb);

/* A node of the server's own process asks the API there (node_here.c); one elsewhere: */
/* --- node_ask.c: asks the API by TokenReview and SubjectAccessReview. Answers are kept as upstream's kubelet keeps them: tokens for 2 min, yes for 5 min, no for 30 s. --- */
struct node_ask;
struct node_ask *node_ask_new(struct http_client *http);        /* http lives longer. NULL: out of memory */
void node_ask_reviews(struct node_ask *a, struct node_reviews *ret);
void node_ask_free(struct node_ask *a);                 /* when nothing is asked any more; NULL is fine */

#endif
