/* api.h - the Kubernetes API over the store. All [loop].
 *
 * Life of a request: http -> api_handle (request.c parses the URL into one tuple) -> authentication -> authorization ->
 * a verb (read.c, watch.c, write.c over create.c, update.c, delete.c, subresource.c) or a document (discovery.c, openapi.c, health.c) ->
 * rq.c and forms.c in the form that was asked for.
 * A hook that answers -KL_PENDING makes the request wait (wait.c) and start again when api_wake says so.
 */
#ifndef API_API_H
#define API_API_H

#include <keelson/iface/auth.h>
#include <keelson/iface/node.h>

#include "base/json.h"
#include "http/http.h"
#include "loop/loop.h"
#include "schema/schema.h"
#include "store/store.h"

struct api;
struct prom;

/* What the server itself does within a half of the admission chain: in front of the first plugin that asks elsewhere, or behind all. */
struct api_stage {
    /* < 0: refused, and the stage knows why; 1: *object is another now. again: the second walk of the mutating half. */
    int (*run)(struct api_stage *s, struct val **object, bool again);
};

/* What swappable parts answer; filled by the wiring in kernel/cli. ctx goes to each. Unset functions: nobody is known, nothing is
 * allowed, everything is admitted, no node is reachable. */
struct api_hooks {
    void *ctx;
    /* 1 known, 0 anonymous, < 0 refused. */
    int (*authenticate)(void *ctx, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret);
    /* 1 yes, else no (reason in c->err, may be empty). */
    int (*authorize)(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r);
    /* Adds the rules that the user holds in ns to both lists. True: these are all; false: some authorizer cannot list its own. */
    bool (*rules)(void *ctx, struct kl_call *c, const struct kl_user *user, const char *ns, struct arena *a, struct val *resource,
                  struct val *other);
    /* Walks one half of the admission chain. 0 or < 0. The mutating half changes *object, a tree of r's kind in arena a (NULL: a deletion);
     * r->object is made from it only for plugins that are concerned. stage: NULL: none. */
    int (*admit)(void *ctx, struct kl_call *c, bool mutating, struct kl_admission_review *r, struct arena *a, const struct schema_kind *kind,
                 struct val **object, struct api_stage *stage, struct kl_admission_verdict *ret);
    /* A request that one of the above had answered with -KL_PENDING is over. */
    void (*over)(void *ctx, uint64_t request);
    /* The table that serves the node of that name in this process, or NULL: it is elsewhere. */
    const struct kl_node *(*node)(void *ctx, struct str node, void **ret_self);
    /* Debug documents below /debug/ ("plugins", "queues"); NULL tree: not found. */
    struct val *(*debug)(void *ctx, struct arena *a, struct str what);
    /* A change of one of this process's plugin instances: POST /debug/plugins/INSTANCE/ACTION with body, an object, or NULL. done comes once, maybe at once:
     * text: what was done; err: why not. */
    void (*change)(void *ctx, struct str instance, const char *action, const struct val *body, const char *user,
                   void (*done)(void *ctx, const struct kl_err *err, const char *text), void *done_ctx);
    /* n audit events, a line of JSON each. < 0: some are lost. Set when api_conf has a policy. */
    int (*audit)(void *ctx, uint32_t n, struct str lines);
};

struct api_conf {
    const char *version;                /* "v1.36.0+keelson-0.1.0" */
    const char *service_cidr;           /* "10.96.0.0/12" */
    int node_port_first, node_port_last;
    const char *advertise_address;      /* told to clients in discovery documents */
    int advertise_port;
    const char *cluster_dns_domain;     /* "cluster.local" */
    const char *signer_file;            /* PEM, ECDSA P-256: signs service account tokens; NULL: none are given out. Read in api_new */
    unsigned seats;                     /* of all priority levels; 0: no priorities, no queues */
    const char *audit_policy_file;      /* NULL: nothing is kept */
    size_t audit_event_max;             /* bytes of an event that may have objects; 0: any */
    /* The server's own client certificate towards nodes in other processes. */
    const char *node_ca_file, *node_cert_file, *node_key_file;
    const char *node_name, *node_client_name;   /* of a node in this process: its name, and the common name in that certificate; NULL: there is none */
    /* Towards servers of aggregated groups: who we are, and (told in a ConfigMap) whom they may believe about who asks. NULL: nothing is told. */
    const char *front_proxy_cert_file, *front_proxy_key_file, *front_proxy_ca_file, *client_ca_file;
};

int api_new(struct loop *l, struct store *s, const struct api_conf *c, const struct api_hooks *h, struct api **ret,
            struct kl_err *err);
/* Ends what streams from and to nodes; done(ctx) when the last call of a node has come back. Before api_free, when there were requests. */
void api_stop(struct api *a, loop_fn done, void *ctx);
void api_free(struct api *a);
/* Another process goes on with the API: every watch asks it for what follows and hands that on; what the API does by itself ends. Streams from and to
 * nodes stay until they end, or api_stop. */
struct http_relay;
void api_retire(struct api *a, struct http_relay *x);
/* The http_handler; ctx is the api. */
void api_handle(void *ctx, struct http_req *r);
/* The same, of the port of the node in this process: its paths (node_paths.h), behind a gate of their own (node_gate.h). */
void api_node_handle(void *ctx, struct http_req *r);
/* Namespaces, the kubernetes Service, priority classes: what every cluster starts with. Idempotent. */
int api_bootstrap(struct api *a, struct kl_err *err);
/* From here on /readyz says ok. */
void api_set_ready(struct api *a, bool ready);
/* [any] A decision that answered -KL_PENDING for that request (kl_call.request) may be there: the request is run again, if it still waits. */
void api_wake(struct api *a, uint64_t request);
/* [any] All of them: who was to wake some may be gone. */
void api_wake_everybody(struct api *a);
/* --- names.c: resources that have several names --- */
#define API_NAMES 32                    /* most of one resource that are looked at */
unsigned api_other_names(const struct schema_kind *k, const struct schema_kind **ret);         /* into API_NAMES places */
/* The object *v (which is changed) in that apiVersion; with a patch: what it makes of it there, in its own version again. < 0: c->err; -KL_PENDING:
 * c->request is woken. */
int api_in_version(struct api *api, struct kl_call *c, struct arena *a, struct str api_version, const struct val *patch, struct val **v);
/* Adds to /readyz and /livez: reason(ctx) is NULL while well. */
void api_check_add(struct api *a, const char *name, const char *(*reason)(void *ctx), void *ctx);

/* Adds a ComponentStatus. */
void api_component_add(struct api *a, const char *name, const char *(*reason)(void *ctx), void *ctx);
/* /flagz: the i-th setting's name and value; NULL: there are no more. */
void api_flags_set(struct api *a, const char *(*flag)(void *ctx, unsigned i, const char **value), void *ctx);

/* Adds whole families to /metrics (base/prom.h). */
void api_metrics_add(struct api *a, void (*write)(void *ctx, struct prom *p), void *ctx);

struct http_client;
/* Towards the own port of a node in another process; NULL: err says why. Good until the loop turns. [loop] */
struct http_client *api_node_client(struct api *api, struct arena *a, struct str name, struct kl_err *err);

#endif
