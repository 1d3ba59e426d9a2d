/* proxy.h - what the files of proxy-nftables share.
 *
 * Services are data, not rules. A front (address, protocol, port that clients ask for) has a class in a map: how many endpoints, sticky or
 * not. The class leads to a chain that draws a number and looks the endpoint up by front and number. So a changed endpoint is a changed
 * element, whatever the number of Services, and a first packet costs the same few look-ups.
 */
#ifndef PROXY_NFTABLES_PROXY_H
#define PROXY_NFTABLES_PROXY_H

#include <stdint.h>

#include <keelson/iface/proxy.h>

#include "base/json.h"
#include "base/map.h"
#include "nft.h"

struct conf {
    int32_t localhost;
};

/* --- what is in the kernel and what is wanted there (model.c) --- */

enum set_id {
    SET_SERVICES,                       /* front -> class */
    SET_ENDPOINTS,                      /* front . number -> ip . port */
    SET_INSIDE,                         /* the same two, before them: for what comes from pods and from the node itself */
    SET_INSIDE_ENDPOINTS,
    SET_CLUSTER_IPS,                    /* ip */
    SET_HAIRPIN,                        /* ip . ip of every endpoint */
    SET_AS_NODE,                        /* front: whoever asks here is seen as the node */
    N_MODEL_SETS,
    SET_AFFINITY = N_MODEL_SETS,        /* client . front -> number; filled by rules */
    SET_PODS,                           /* ranges of pods */
    N_SETS
};

struct elem {
    uint32_t key[4], data[2];           /* as registers hold them */
    uint8_t set;
};

struct entry {
    struct elem e;                      /* data: as wanted */
    uint32_t was[2];                    /* data in the kernel */
    uint32_t refs, next, next_dirty;
    bool had, dirty;                    /* had: is in the kernel */
};

#define CLASS_REFUSE 1u                 /* 0 is none */
#define CLASS_DROP   2u
#define CLASS_FIRST  3u                 /* of picks[0] */

/* A class of fronts: two chains (one for the maps that only the inside sees) pick one of n endpoints. */
struct pick {
    uint32_t n, sticky_s, refs;
    bool in_kernel;
};

struct model {
    struct entry *entries;              /* [0] is none */
    uint32_t *buckets, n_entries, cap, n_buckets, live, free_head, dirty_head;
    struct pick *picks;
    uint32_t n_picks, cap_picks;
    uint64_t hash_key[2];
    bool lost;                          /* memory ran out: nothing of it may be committed */
};

bool model_init(struct model *m);
void model_free(struct model *m);
/* Who claims a key of a map is alone: ask model_find before. Elements of sets may be claimed by many. */
void model_claim(struct model *m, const struct elem *e);
void model_release(struct model *m, const struct elem *e);
const struct entry *model_find(const struct model *m, uint8_t set, const uint32_t key[4]);
uint32_t model_class(struct model *m, uint32_t n, uint32_t sticky_s);
const struct pick *model_pick(const struct model *m, uint32_t class);
/* Messages that make the kernel's elements the wanted ones; whole: into empty sets. After the commit: model_done. */
void model_write(struct model *m, struct batch *b, bool whole);
void model_done(struct model *m, bool whole);

/* --- ruleset.c --- */
struct range {
    uint32_t first, last;               /* host order */
};
extern const struct set_kind set_kinds[N_SETS];
void ruleset_write(struct batch *b, const struct range *pods, unsigned n_pods);       /* the table anew, without elements of the model */
void ruleset_add_pick(struct batch *b, const struct pick *p);
void ruleset_drop_pick(struct batch *b, const struct pick *p);
void ruleset_write_dispatch(struct batch *b, const struct pick *picks, uint32_t n);  /* from classes to chains, anew */

/* --- services.c --- */
struct pool {
    uint32_t n;
    uint32_t (*at)[2];                  /* ip, port; ip 0: a hole, in sticky pools: the others keep their numbers */
};

struct port {
    uint8_t protocol;
    uint16_t port;
    struct pool all, local;
};

struct service {
    char *name;                         /* "namespace/name" */
    char *text;                         /* of one that did not get all its fronts: others have them; else NULL */
    uint64_t text_hash;
    uint32_t seen, n_ports, n_elems, sticky_s;
    struct port *ports;
    struct elem *elems;
};

struct proxy {
    const struct kl_host *host;
    const struct conf *conf;
    struct mnl_socket *socket;          /* opened when it is needed first */
    struct model model;
    struct map services;
    uint32_t *node_ips;
    unsigned n_node_ips, n_pods;
    struct range *pods;
    uint64_t node_hash, pods_hash;
    uint64_t generation, handle;        /* handle 0: what is in the kernel is not known */
    uint32_t nft_generation, round;
    unsigned n_blocked;                 /* Services with a text */
    bool udp_changed;                   /* some UDP port since the last commit */
};

/* The whole wanted state, or what changed since the last one ("removed": [{"namespace","name"}] beside "services"). Texts. */
int services_read(struct proxy *p, struct str state, bool whole, struct kl_err *err);
void services_free(struct proxy *p);

/* --- conntrack.c --- */
/* Ends UDP connections to endpoints that are no longer one of the Service they were asked for. After a commit, before model_done. */
int conntrack_flush(struct mnl_socket *s, const struct model *m, unsigned *ret_n, struct kl_err *err);

#endif
