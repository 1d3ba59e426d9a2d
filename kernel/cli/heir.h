/* heir.h - a process that was started to go on with what another one does (handover.h): it has that one's listening sockets, makes ready what it can,
 * waits for the word, and says when it serves. In any other process heir_is is false and the rest does nothing.
 *
 * The two say, in this order: "ready" -> <- "events" + pipe -> "read" -> (again and again, until little is new) <- "go" + file -> "serving". Instead of
 * any of the heir's: "failed REASON".
 */
#ifndef CLI_HEIR_H
#define CLI_HEIR_H

#include <stdbool.h>

#include "store/store.h"

#define HEIR_VARIABLE "KEELSON_HANDOVER"        /* "to=FD api=FD ..." */

/* The sockets that go over. */
enum { SOCKET_API, SOCKET_DOOR, SOCKET_NODE, SOCKET_RELAY, SOCKET_CONTROL, SOCKETS };
extern const char *const socket_names[SOCKETS];

void heir_begin(void);                          /* reads the environment; first of all */
bool heir_is(void);
int heir_socket(int which);                     /* its descriptor, once; 0: there is none */
/* Everything is ready that can be before the store is free. Returns when it is. *ret: what happened before; NULL: it is not known. < 0: the other one
 * does not want us. */
int heir_wait(struct store_heritage **ret, struct kl_err *err);
void heir_serves(void);
void heir_failed(const char *why);
/* For tests of what becomes of a handover: the process kills itself where the file that KEELSON_HANDOVER_FAULT names says so. */
void heir_point(const char *name);

#endif
