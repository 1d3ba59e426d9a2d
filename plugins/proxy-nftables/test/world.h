/* world.h - a node of its own for each test: namespaces, pods by network-bridge, a machine outside, servers that answer with their name and
 * the client's address. */
#ifndef PROXY_TEST_WORLD_H
#define PROXY_TEST_WORLD_H

#include <keelson/iface/network.h>
#include <keelson/iface/proxy.h>

#define NODE_IP    "192.0.2.1"
#define OUTSIDE_IP "192.0.2.2"
#define OUTSIDE    "outside"            /* for `from` below; NULL is the node; else a pod's name */

struct world {
    const struct kl_network *network;
    const struct kl_proxy *proxy;
    void *net, *self;
    uint64_t generation;
    struct kl_err err;                  /* of the last call */
};
extern struct world world;

void world_open(void);
void world_close(void);
void world_proxy_restart(void);         /* a new instance, as after kill -9 */
const char *pod(const char *name);      /* its address; made and served (TCP and UDP, port 8080) the first time */
void serve(const char *from, int port); /* another port there */
/* The answer of a connection "name client", or "" with errno. */
struct answer {
    char name[32], client[32];
    int error;
};
struct answer ask_tcp(const char *from, const char *ip, int port);
struct answer ask_udp(const char *from, const char *ip, int port);
/* A UDP socket that stays: the same client port for all that is asked. */
int udp_open(const char *from, const char *ip, int port);
struct answer udp_ask(int fd);
int apply(const char *services);        /* the services' JSON array */
int update(const char *services, const char *removed);
int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));    /* a command in the node; its status */
/* Runs fn(ctx) on a thread in there. */
void in_there(const char *from, void (*fn)(void *ctx), void *ctx);

#endif
