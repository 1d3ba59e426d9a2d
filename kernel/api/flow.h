/* flow.h - priority and fairness: FlowSchemas sort requests into priority levels, fair.h says who runs. [loop]
 *
 * Life of a request: who asks is known -> flow_wait: the first schema (by precedence) that matches names its level -> it runs at once, or it waits
 * and is run when its turn comes, or it is told to come again (429) -> its answer is complete (flow_end), or, of a watch, has begun
 * (flow_begun): its seats are free. In the usual case, where nobody waits, that is a walk over the schemas and two counters.
 *
 * Life of the configuration: flow_objects.c makes the objects that every cluster has and keeps them; each change of a FlowSchema or
 * PriorityLevelConfiguration is taken over here, levels keep who runs and waits in them.
 */
#ifndef API_FLOW_H
#define API_FLOW_H

#include "api/fair.h"
#include "base/json.h"
#include "base/prom.h"
#include "loop/loop.h"
#include "store/store.h"

struct api;
struct api_rq;
struct http_req;
struct http_header;
struct flow;

enum flow_by { BY_NOTHING = 0, BY_USER, BY_NAMESPACE };
enum flow_rejected { REJECTED_FULL = 0, REJECTED_NO_SEAT, REJECTED_LATE, REJECTED_GONE, REJECTED_REASONS };

struct flow_level {
    struct fair_level fair;             /* first */
    char *name;
    char uid[40];
    bool listed;                        /* its object is there */
    uint64_t dispatched, rejected[REJECTED_REASONS];
};

struct flow_subject {
    char kind;                          /* 'U', 'G', 'S' */
    struct str name, ns;
};
struct flow_resource_rule {
    const struct val *verbs, *groups, *resources, *namespaces;
    bool cluster;
};
struct flow_url_rule {
    const struct val *verbs, *urls;
};
struct flow_rule {
    struct flow_subject *subjects;
    struct flow_resource_rule *resources;
    struct flow_url_rule *urls;
    unsigned n_subjects, n_resources, n_urls;
};

struct flow_schema {
    struct list link;                   /* by precedence, then name */
    char *name;
    char uid[40];
    int64_t precedence;
    uint8_t by;                         /* enum flow_by */
    bool listed;
    struct str level_name;
    struct flow_level *level;           /* NULL: there is no such level, nothing matches */
    struct arena *arena;                /* of the rules */
    struct flow_rule *rules;
    unsigned n_rules;
    uint64_t revision;
    unsigned running, waiting, seats;
    uint64_t dispatched, rejected[REJECTED_REASONS];
    struct prom_histogram waited[2], ran;        /* until it was given up, until it ran; how long it ran */
};

struct flow_request {
    struct fair_item item;              /* first */
    struct list link;                   /* of all that run or wait */
    struct api_rq *rq;
    struct flow_schema *schema;
    void (*go)(struct api_rq *rq);
    int64_t began_ns;
};

struct flow {
    struct api *api;
    struct fair fair;
    struct list schemas, requests;
    struct store_watch *watches[2];
    struct loop_timer late, settle;
    struct loop_hook hook;
    bool posted, looking;
    int64_t turn_ns, last_ns;           /* when the turn's first request came (0: none yet), when its newest answer was over */
};

int flow_new(struct api *api, unsigned seats, struct flow **ret, struct kl_err *err);
void flow_stop(struct flow *f);         /* no more changes are seen; while the store is there */
void flow_free(struct flow *f);         /* NULL is fine */

/* True: it waits, and go(rq) follows, or it has been refused and answered. */
bool flow_wait(struct api_rq *rq, void (*go)(struct api_rq *rq));
void flow_begun(struct api_rq *rq);
void flow_end(struct api_rq *rq, struct http_req *r, int64_t now_ns);
/* Adds at most two. */
unsigned flow_headers(const struct api_rq *rq, struct http_header *h);

/* flow_match.c */
int flow_read_rules(struct flow_schema *s, const struct val *spec);     /* into s->arena, where spec is */
bool flow_matches(const struct flow_schema *s, const struct api_rq *rq);
uint64_t flow_hash(const struct flow_schema *s, const struct api_rq *rq);
struct str flow_distinguisher(const struct flow_schema *s, const struct api_rq *rq);

/* flow_objects.c: makes and keeps the objects that every cluster has; conditions. False: something was written, its change follows. */
bool flow_keep_objects(struct flow *f);

/* flow_debug.c */
void flow_metrics(struct flow *f, struct prom *p);
bool flow_dump(struct api_rq *rq, struct str what);                     /* /debug/api_priority_and_fairness/WHAT; false: there is none */

#endif
