/* node.h - a whole API server in this process with one pod on a node of ours, and clients on a thread that speak raw bytes to it. */
#ifndef TEST_API_NODE_H
#define TEST_API_NODE_H

#include <stdatomic.h>

#include "api/api.h"
#include "base/cleanup.h"

/* What the node of ours was asked for, and what it does about it is told by the command: see node.c. */
extern atomic_int node_calls, node_cancelled;
extern struct kl_log_options node_log;
extern bool deny_create;                /* authorization */
extern struct api_hooks more_hooks;     /* admit, authorize and over count, where set */
extern struct api *served_api;
extern int64_t serve_grace_ns;         /* that requests under way have at the end */

/* Runs client() on a thread while the server runs here; then ends both. */
void serve(void (*client)(void));

/* --- for clients; a failure is told by cr_assert in the thread --- */
int dial(void);
void put(int fd, struct str s);
/* Exactly n bytes; false: the end came before. */
bool take(int fd, void *at, size_t n);
/* One request on a connection of its own: the whole answer, to be freed with buf_free. */
struct buf ask(const char *method, const char *path, const char *body);
/* The head of an upgrade's answer; the connection's bytes follow. extra: more header lines. */
int upgrade(const char *method, const char *path, const char *extra, struct buf *ret_head);

int ws_open(const char *path, const char *protocol);
void ws_send(int fd, unsigned char head, struct str s);
/* One frame; *ret is emptied first. Opcode, or -1: the end. */
int ws_take(int fd, struct buf *ret);
/* Next data message that is not empty behind its channel; 0xff: a close or the end. */
unsigned ws_channel(int fd, struct buf *ret);

#endif
