/* door.h - where pods reach an API server that listens on the loopback alone (`keelson up`): the last address of the cluster's range, on this machine's
 * loopback device. The server listens there too; nobody outside has a route to it. */
#ifndef CLI_DOOR_H
#define CLI_DOOR_H

#include <keelson/error.h>
#include <stdbool.h>

/* "10.244.0.0/16": "10.244.255.254". False: the range is not IPv4, or too small to spare one. */
bool door_address(const char *cluster_cidr, char ret[16]);
/* Puts the address on the device; the file `door` in run_dir remembers that, for door_close in this or a later process. */
int door_open(const char *run_dir, const char *address, struct kl_err *err);
/* Somebody has made that one, and it is there. */
bool door_is_open(const char *run_dir, const char *address);
void door_close(const char *run_dir);                   /* nothing is open: fine */

#endif
