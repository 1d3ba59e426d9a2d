/* bridge.h - what the files of network-bridge share.
 *
 * Every pod has a namespace of its own with one veth whose other end is in the node's. A pod's address is a /32 and all it sends goes to the
 * gateway, an address that every link's node end has: the node bridges pods with its IP stack, not with a bridge device. Connections to
 * Services so find their way back whatever br_netfilter is set to, and no pod can answer for another on the wire.
 */
#ifndef NETWORK_BRIDGE_H
#define NETWORK_BRIDGE_H

#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>

#include <keelson/iface/network.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/list.h"

#define LOOPBACK 1                      /* index of lo in every namespace */

struct conf {
    const char *run_dir;
    int64_t mtu;
    int32_t masquerade;
};

struct host_port {
    int host_port, container_port;
    char protocol[8];
    char ip[INET_ADDRSTRLEN];           /* "" or 0.0.0.0: all of the node's */
};

/* One attached pod: a file records/<uid> says the same, written before anything is made. */
struct record {
    struct list link;
    char uid[128], veth[IFNAMSIZ];
    uint32_t ip;                        /* host byte order */
    struct host_port *ports;
    unsigned n_ports;
};

struct bridge {
    const struct kl_host *host;
    const struct conf *conf;
    pthread_mutex_t lock;               /* everything below, and the nft context */
    struct list records;
    bool loaded, configured;
    uint32_t net, mask, gateway, last;  /* pod range in host byte order; last given out */
    char pod_cidr[32];
    char (*cluster_cidrs)[32];          /* checked, without masquerading */
    unsigned n_cluster_cidrs;
};

/* --- netlink.c: each returns 0 or -errno. fd: a socket of nl_open, in the namespace of the thread that opened it --- */
struct mnl_socket;
struct mnl_socket *nl_open(void);
void nl_close(struct mnl_socket *s);
int nl_veth_add(struct mnl_socket *s, const char *name, const char *peer, int peer_netns_fd, int mtu);
int nl_link_del(struct mnl_socket *s, const char *name);
int nl_link_up(struct mnl_socket *s, int index);
int nl_addr_add(struct mnl_socket *s, int index, uint32_t ip, int prefix);
/* via 0: on the link. from 0: the kernel chooses the source address. */
int nl_route_add(struct mnl_socket *s, int index, uint32_t to, int prefix, uint32_t via, uint32_t from);
int nl_route_del(struct mnl_socket *s, int index, uint32_t to, int prefix);
int nl_route_find(struct mnl_socket *s, uint32_t to);           /* -ENETUNREACH: nothing leads there */

int nl_nft_table_find(const char *name);        /* of family ip, in the thread's namespace; -ENOENT: there is none */

/* --- netns.c --- */
/* Makes a new network namespace and keeps it at path (a mount). Already there: success. */
int netns_make(const char *path, struct kl_err *err);
void netns_drop(const char *path);
/* Runs fn(ctx) on a thread inside the namespace; returns what it returns. */
int netns_run(const char *path, int (*fn)(void *ctx, struct kl_err *err), void *ctx, struct kl_err *err);
int write_sysctl(const char *name, const char *value);          /* name: "net/ipv4/ip_forward" */
int read_sysctl(const char *name, char *ret, size_t room);

/* --- records.c; with the lock held --- */
int records_load(struct bridge *b, struct kl_err *err);
struct record *records_find(struct bridge *b, const char *uid);
/* A record with a free address, written to disk. */
int records_add(struct bridge *b, const char *uid, const struct val *host_ports, struct record **ret, struct kl_err *err);
void records_remove(struct bridge *b, struct record *r);        /* from disk too; frees it */
void record_path(const struct bridge *b, const char *kind, const char *uid, char *ret, size_t room);

/* --- node.c; with the lock held --- */
int node_configure(struct bridge *b, struct kl_bytes config, struct kl_err *err);
void node_restore(struct bridge *b);                            /* routes, rules, sysctls, folders: as before configure */

/* --- nat.c; with the lock held --- */
int nat_apply(struct bridge *b, struct kl_err *err);            /* the whole table, atomically */
int nat_repair(struct bridge *b, struct kl_err *err);           /* when somebody removed it (nft flush ruleset) */
void nat_remove(void);

#endif
