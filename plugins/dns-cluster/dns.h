/* dns.h - what the files of dns-cluster share. */
#ifndef DNS_CLUSTER_DNS_H
#define DNS_CLUSTER_DNS_H

#include <netinet/in.h>
#include <pthread.h>

#include <keelson/iface/controller.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/map.h"

#define DNS_TTL     5
#define DNS_MESSAGE 65535
#define DNS_PORT 53

struct conf {
    const char *service_cidr, *cluster_cidr, *domain, *resolv_conf;
};

struct range {
    uint32_t first, last;               /* host order */
};
bool range_read(struct str text, struct range *ret);
static inline bool range_has(struct range r, uint32_t ip)
{
    return ip >= r.first && ip <= r.last;
}

/* --- zone.c: what there is; [any], under its own lock --- */

struct dns_port {
    char name[64];                      /* "http"; "" without a name */
    const char *protocol;               /* "tcp", "udp", "sctp" */
    uint16_t port;
};

struct dns_endpoint {
    uint32_t ip;                        /* host order */
    char host[64];                      /* its hostname, or the address with dashes */
    bool named;                         /* has a hostname of its own */
    struct dns_port *ports;             /* shared by all of a slice */
    uint32_t n_ports;
};

enum dns_kind { DNS_CLUSTER_IP, DNS_HEADLESS, DNS_EXTERNAL };

struct dns_service {
    char *ns, *name, *external;         /* external: a name */
    enum dns_kind kind;
    uint32_t ip;                        /* host order; of DNS_CLUSTER_IP */
    struct dns_port *ports;
    struct dns_endpoint *endpoints;
    uint32_t n_ports, n_endpoints;
    struct arena *arena;                /* of all that is above */
};

/* From a Service and its EndpointSlices (JSON arrays of trees); NULL: there is nothing to say about it, or no memory (err). */
struct dns_service *service_new(const struct val *service, const struct val *const *slices, unsigned n, struct kl_err *err);
void service_free(struct dns_service *s);

struct zone {
    pthread_rwlock_t lock;
    struct map services, namespaces, owners;    /* "ns/name" -> service; ns -> struct space; "10.96.0.1" -> struct owner */
    const char *domain;                 /* lower case, "cluster.local" */
    struct range service_range, pod_range;
};

void zone_init(struct zone *z, const struct conf *c);
void zone_free(struct zone *z);
/* Takes s (NULL: the name has nothing any more). False: out of memory; s is freed. */
bool zone_put(struct zone *z, struct str ns, struct str name, struct dns_service *s);
/* With the lock held for reading. */
const struct dns_service *zone_find(const struct zone *z, struct str ns, struct str name);
bool zone_has_namespace(const struct zone *z, struct str ns);
/* The Service that has the address, and (or NULL) its endpoint with that address. */
const struct dns_service *zone_by_ip(const struct zone *z, uint32_t ip, const struct dns_endpoint **ret);

/* --- answer.c --- */
enum dns_answer { DNS_DROP, DNS_REPLY, DNS_FORWARD, DNS_CHASE };
/* The answer to one message. most: bytes that fit (the asker's size and ours); longer ones are cut with TC. DNS_FORWARD: not ours to answer.
 * DNS_CHASE: an alias (ExternalName): ret is what to ask others first, dns_chased makes the answer from theirs. */
enum dns_answer dns_answer(struct zone *z, const uint8_t *q, size_t n, size_t most_by_default, uint8_t *ret, size_t *ret_n);
/* 0: it cannot be made. */
size_t dns_chased(const uint8_t *q, size_t n, const uint8_t *answer, size_t answer_n, size_t most_by_default, uint8_t *ret);
/* The same question with SERVFAIL. */
size_t dns_failure(const uint8_t *q, size_t n, uint8_t *ret);

/* --- server.c --- */
struct server;
/* Who asked: an address (UDP) or a connection (TCP). */
struct asker {
    struct sockaddr_in from;
    struct connection *c;               /* NULL: UDP */
};
void server_reply(struct server *s, const struct asker *who, const uint8_t *at, size_t n);

/* --- forward.c: questions to others. [server's thread] --- */
struct forward;
struct forward *forward_new(struct server *s, int epoll, const char *resolv_conf, uint32_t own_address);
void forward_free(struct forward *f);
/* asked: what came, kept for the answer; question: what to ask (the same, or for an alias another). Replies to the asker in the end, always. */
void forward_ask(struct forward *f, const struct asker *who, const uint8_t *asked, size_t asked_n, const uint8_t *question, size_t question_n, bool alias);
void forward_forget(struct forward *f, const struct connection *c);     /* it is closed */
void forward_event(struct forward *f, void *handle, uint32_t events);
void forward_tick(struct forward *f, int64_t now_ms);
bool forward_waiting(const struct forward *f);
void forward_sweep(struct forward *f);  /* frees what ended in this turn */

struct handle {
    void (*event)(struct server *s, struct handle *h, uint32_t events);
    int fd;
};
/* Serves address:port (UDP and TCP) on a thread of its own, which keeps the address alive. resolv_conf: whom to ask what is not ours. */
int server_start(struct zone *z, const struct kl_host *host, uint32_t address, uint16_t port, const char *resolv_conf, struct server **ret,
                 struct kl_err *err);
void server_stop(struct server *s);
bool server_elsewhere(uint32_t address, uint16_t port);          /* somebody listens there (when we do not) */

/* --- address.c --- */
/* The address on lo, as /32, for ADDRESS_LIFE_S seconds from now: what is killed leaves nothing behind for good. There already: success. */
#define ADDRESS_LIFE_S 90
int address_add(uint32_t ip, struct kl_err *err);
void address_remove(uint32_t ip);

#endif
