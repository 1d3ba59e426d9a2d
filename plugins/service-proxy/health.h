/* health.h - what load balancers and people ask the proxy of a node. */
#ifndef SERVICE_PROXY_HEALTH_H
#define SERVICE_PROXY_HEALTH_H

#include <keelson/host.h>

#include "base/json.h"

#define PROXY_PATIENCE_NS 60000000000LL         /* rules that could not be written for so long: not healthy */

struct health;
struct health_ports {
    int64_t health, status;             /* of the proxy itself: of every address, of 127.0.0.1; 0: none */
};

/* --- health.c: the ports. [worker], one at a time --- */
struct health *health_new(const struct kl_host *host, const struct health_ports *ports);
void health_free(struct health *h);
/* After each attempt. well: the rules are as they should be. eligible: the node is not about to go. mode: how the proxy is called; NULL: not known yet. */
void health_proxy(struct health *h, bool well, bool eligible, const char *mode);
/* Takes "healthCheck" out of Services (state_service) and serves what is there; those removed ({"namespace","name"}), and after a whole state those not in it, no more. */
void health_take(struct health *h, struct val *services, const struct val *removed, bool whole);

/* --- answers.c [any] --- */
struct answer {
    char status[40], type[40], more[60];        /* more: further lines of the head */
    char body[800];
};
struct proxy_state {
    int64_t stale_ns;                   /* since the rules were as they should be */
    bool healthy, eligible;
};
void answer_service(struct answer *r, const char *service, int64_t endpoints, bool healthy);
void answer_proxy(struct answer *r, struct str path, const struct proxy_state *p);
void answer_status(struct answer *r, struct str path, const char *mode);
void answer_none(struct answer *r);

#endif
