/* door.c - see door.h: one address added or removed by netlink. */
#include "cli/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

bool door_address(const char *cidr, char ret[16])
{
    char text[64];
    struct in_addr in;
    snprintf(text, sizeof text, "%.60s", cidr);
    char *slash = strchr(text, '/'), *end;
    if (!slash)
        return false;
    *slash++ = '\0';
    long bits = strtol(slash, &end, 10);
    if (*end || bits < 1 || bits > 28 || inet_pton(AF_INET, text, &in) != 1)
        return false;
    in.s_addr = htonl((ntohl(in.s_addr) | (UINT32_MAX >> bits)) - 1);
    return inet_ntop(AF_INET, &in, ret, 16) != NULL;
}

struct message {
    struct nlmsghdr head;
    struct ifaddrmsg body;
    struct rtattr local;
    struct in_addr address;
};

/* 0 or errno. */
static int change(uint16_t type, uint16_t flags, const char *address)
{
    struct message m = { .head = { sizeof m, type, (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags), 1, 0 },
                         .body = { .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_scope = RT_SCOPE_HOST, .ifa_index = if_nametoindex("lo") },
                         .local = { RTA_LENGTH(sizeof m.address), IFA_LOCAL } };
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
        char rest[256];
    } answer;
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0 || inet_pton(AF_INET, address, &m.address) != 1)
        return fd < 0 ? errno : EINVAL;
    if (send(fd, &m, sizeof m, 0) != (ssize_t)sizeof m || recv(fd, &answer, sizeof answer, 0) < (ssize_t)sizeof answer.head)
        return errno ? errno : EIO;
    return answer.head.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EIO;
}

static void file_of(const char *run_dir, char ret[PATH_MAX])
{
    snprintf(ret, PATH_MAX, "%.4000s/door", run_dir);
}

int door_open(const char *run_dir, const char *address, struct kl_err *err)
{
    char path[PATH_MAX];
    door_close(run_dir);                /* of a process that was killed */
    file_of(run_dir, path);
    int rc = change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address);
    if (rc == EEXIST)
        return 0;                       /* somebody else's, who takes it away again */
    if (rc)
        return kl_err_set(err, KL_UNAVAILABLE, "address %s on the loopback device: %s", address, strerror(rc));
    _cleanup_file_ FILE *f = fopen(path, "we");
    if (f && fprintf(f, "%s\n", address) > 0)
        return 0;
    change(RTM_DELADDR, 0, address);
    return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be written: %s", path, strerror(errno));
}

bool door_is_open(const char *run_dir, const char *address)
{
    char path[PATH_MAX], text[64] = "";
    file_of(run_dir, path);
    _cleanup_file_ FILE *f = fopen(path, "re");
    if (!f || !fgets(text, sizeof text, f))
        return false;
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, address) == 0;
}

void door_close(const char *run_dir)
{
    char path[PATH_MAX], text[64] = "";
    file_of(run_dir, path);
    _cleanup_file_ FILE *f = fopen(path, "re");
    if (!f || !fgets(text, sizeof text, f))
        return;
    text[strcspn(text, "\n")] = '\0';
    change(RTM_DELADDR, 0, text);
    unlink(path);
}
