/* daemon-internal.h - a server process, for daemon.c and handover.c. */
#ifndef CLI_DAEMON_INTERNAL_H
#define CLI_DAEMON_INTERNAL_H

#include "api/encrypt.h"
#include "cli/daemon.h"
#include "cli/heir.h"
#include "http/relay.h"

struct handover;
struct daemon;

enum daemon_mode {
    MODE_SERVE = 0,
    MODE_HOLD,                          /* it has just begun, or another process takes the store over: requests wait */
    MODE_RELAY                          /* it has: requests are its */
};

struct daemon {
    struct options *o;
    unsigned roles;
    struct loop *loop;
    struct plugin_host *host;
    struct encryption *encryption;      /* NULL: nothing is encrypted */
    struct store *store;
    struct store_heritage *heritage;    /* until the store is open */
    struct api *api;
    struct objects *objects;
    struct schedule *schedule;
    struct daemon_socket {
        struct daemon *daemon;
        struct http_server *server;     /* NULL: none. door: for pods, when the API is on the loopback; relay: from a process that we follow */
    } sockets[SOCKETS];
    struct loop_timer patience;
    unsigned ending;                    /* parts still to end */
    bool stopping, hasty, has_door;
    bool has_roles;                     /* those that every cluster starts with were there once */
    int port;
    enum daemon_mode mode;
    struct list held;                   /* requests of MODE_HOLD */
    unsigned n_held;
    struct loop_hook deciding;          /* after the start: requests wait until they can be decided */
    int64_t deciding_ns;
    struct handover *handover;          /* NULL: none is under way, and none was */
    struct http_relay *relay;           /* of MODE_RELAY */
    struct loop_timer node_renew;       /* of the certificate of the node's port */
    char node_port[8], node_ca[PATH_MAX];
    char pki_dir[PATH_MAX], files[3][PATH_MAX], towards_nodes[3][PATH_MAX], front_proxy[3][PATH_MAX], pid_file[PATH_MAX], relay_path[PATH_MAX + 32];
};

void daemon_handle(void *ctx, struct http_req *r);
int daemon_open_socket(struct daemon *d, int which, struct http_conf *hc, http_handler h, struct kl_err *err);
/* node_socket.c: of a node in this process; none with --node-port 0. The number is in the options then. */
int node_socket_open(struct daemon *d, struct kl_err *err);

/* --- handover.c --- */
#define CONTROL_SOCKET "control.sock"   /* in the folder of the state */
#define RELAY_SOCKET   "relay.sock"
void handover_control(void *ctx, struct http_req *r);          /* the handler of the control socket */
void handover_signal(void *ctx);                               /* as asked without anything said */
void handover_free(struct handover *h);                         /* when the loop has stopped; NULL is fine */
void handover_release(struct daemon *d);                       /* what was held is handled */
bool handover_stop(struct daemon *d);                          /* the process is to end. True: it has been followed, and ends its connections here */

#endif
