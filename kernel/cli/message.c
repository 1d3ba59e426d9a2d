/* message.c - see message.h. */
#include "cli/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int))];
};

int message_pair(int ret[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0 ? -errno : 0;
}

int message_send(int fd, const char *text, int passed)
{
    union control c = { .room = { 0 } };
    struct iovec part = { (void *)(size_t)text, strlen(text) };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
    if (part.iov_len >= MESSAGE_MOST)
        part.iov_len = MESSAGE_MOST - 1;
    if (passed >= 0) {
        m.msg_control = c.room;
        m.msg_controllen = sizeof c.room;
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(sizeof passed), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &passed, sizeof passed);
    }
    ssize_t n;
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int message_receive(int fd, char text[MESSAGE_MOST], int *passed)
{
    union control c = { .room = { 0 } };
    struct iovec part = { text, MESSAGE_MOST - 1 };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = c.room, .msg_controllen = sizeof c.room };
    ssize_t n;
    *passed = -1;
    do
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? 0 : -errno;
    text[n] = '\0';
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof *passed))
        memcpy(passed, CMSG_DATA(h), sizeof *passed);
    return 1;
}
