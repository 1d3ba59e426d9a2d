/* message.h - what a process and the one that follows it say to each other: short texts over a socketpair, some with a descriptor. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <stddef.h>

#define MESSAGE_MOST 1024

int message_pair(int ret[2]);                   /* SOCK_SEQPACKET, closed on exec; 0 or -errno */
/* passed: a descriptor that the other one gets a copy of; -1: none. 0 or -errno. */
int message_send(int fd, const char *text, int passed);
/* Waits unless fd does not block. 1: there is one (*passed: -1 or a descriptor for the caller to close), 0: the other one has gone, -errno. */
int message_receive(int fd, char text[MESSAGE_MOST], int *passed);

#endif
