/* aggregate.h - groups that other servers answer for (APIServices with a service): what the aggregate*.c files share. [loop]
 *
 * aggregate.c follows the APIServices and keeps one struct aggregated for each remote one; aggregate_probe.c finds its endpoint, asks it at times
 * whether it answers, and writes the Available condition; aggregate_proxy.c sends requests on; aggregate_docs.c puts what it serves into the
 * documents; aggregate_read.c reads for plugins; aggregate_local.c registers what this server answers for itself.
 */
#ifndef API_AGGREGATE_H
#define API_AGGREGATE_H

#include "api-internal.h"
#include "base/list.h"
#include "http/client.h"

#define APISERVICES "apiregistration.k8s.io/apiservices"

struct aggregated {
    struct aggregates *of;
    struct arena *arena;                /* the texts below, and the object */
    const char *key, *name;             /* "metrics.k8s.io/v1beta1", "v1beta1.metrics.k8s.io" */
    const char *group, *version;
    const char *ns, *service;
    const char *server_name;
    struct str ca;                      /* PEM; at NULL: none */
    int64_t port, group_priority, version_priority;
    bool insecure;
    uint64_t revision;                  /* of the APIService that this was made from */
    struct str spec;                    /* its text */
    /* Where it is now. */
    struct http_client *client;         /* NULL: nowhere */
    char *url;
    bool available, known;              /* known: it was asked, or there is nobody to ask */
    struct loop_timer timer;
    unsigned failures;                  /* in a row */
    struct http_call *probe;            /* under way */
    bool probing_openapi;
    int status;
    struct buf body;
    char *resources, *openapi;          /* APIResourceList as it was last told; path of its OpenAPI v3, NULL: it has none */
    unsigned until_openapi;             /* probes until the path is asked for again */
};

struct aggregates {
    struct api *api;
    struct store_watch *watch, *services, *slices;      /* the last two only while something is remote */
    struct map remote;                  /* key -> struct aggregated */
    struct list reads;                  /* of plugins, under way */
    struct list retired;                /* clients of before, with requests under way */
    struct loop_timer look;             /* at endpoints, soon; at retired clients, later */
    bool looking, register_wanted;
};

/* NULL: it is not remote. */
struct aggregated *aggregate_find(struct api *api, struct str group, struct str version);

/* aggregate_probe.c */
void aggregate_probe(struct aggregated *g);             /* now */
bool aggregate_resolve(struct aggregated *g);           /* true: the endpoint is another one than before */
void aggregate_probe_end(struct aggregated *g);         /* nothing is under way behind it */
void aggregate_retire(struct aggregates *x, struct http_client *c);
void aggregate_sweep(struct aggregates *x, bool all);
int aggregate_write(struct api *api, struct arena *a, struct val *object, const char *verb, const char *subresource);
/* The Available condition, written when it says something else than before. */
void aggregate_say(struct api *api, struct str name, bool available, const char *reason, const char *message);

/* aggregate_read.c */
void aggregate_reads_stop(struct aggregates *x);

/* aggregate_local.c */
int aggregate_register(struct api *api, bool start);

#endif
