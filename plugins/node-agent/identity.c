/* identity.c - under which name and address this node is known. */
#include "agent.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

static bool in_range(struct in_addr ip, const char *cidr)
{
    char text[64];
    struct in_addr base;
    snprintf(text, sizeof text, "%s", cidr ? cidr : "");
    char *slash = strchr(text, '/');
    int64_t bits = 32;
    if (slash && !str_int(str_of(slash + 1), &bits))
        return false;
    if (slash)
        *slash = '\0';
    if (inet_pton(AF_INET, text, &base) != 1 || bits < 0 || bits > 32)
        return false;
    uint32_t mask = bits ? htonl(UINT32_MAX << (32 - bits)) : 0;
    return (ip.s_addr & mask) == (base.s_addr & mask);
}

/* Not the node's end of a pod's link, nor a Service. */
static bool of_the_machine(const struct agent *a, struct in_addr ip)
{
    return !in_range(ip, "127.0.0.0/8") && !in_range(ip, a->conf->cluster_cidr) && !in_range(ip, a->conf->service_cidr);
}

/* From which address would this machine speak to the world? Nothing is sent. */
static bool address_by_route(const struct agent *a, struct in_addr *ret)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0xc0000201) }, own;
    socklen_t len = sizeof own;
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 || getsockname(fd, (struct sockaddr *)&own, &len) < 0)
        return false;
    *ret = own.sin_addr;
    return of_the_machine(a, *ret);
}

static bool address_by_link(const struct agent *a, struct in_addr *ret)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP))
            continue;
        struct sockaddr_in at;
        memcpy(&at, i->ifa_addr, sizeof at);
        *ret = at.sin_addr;
        found = of_the_machine(a, *ret);
    }
    freeifaddrs(all);
    return found;
}

void identity_address(struct agent *a)
{
    struct in_addr ip;
    if (a->conf->node_ip && a->conf->node_ip[0])
        snprintf(a->ip, sizeof a->ip, "%s", a->conf->node_ip);
    else if (!(address_by_route(a, &ip) || address_by_link(a, &ip)) || !inet_ntop(AF_INET, &ip, a->ip, sizeof a->ip))
        snprintf(a->ip, sizeof a->ip, "127.0.0.1");
}

int identity_name(struct agent *a, struct kl_call *c)
{
    if (a->conf->node && a->conf->node[0]) {
        snprintf(a->node, sizeof a->node, "%s", a->conf->node);
    } else {
        char host[128];
        if (gethostname(host, sizeof host) != 0)
            return kl_fail(c, KL_INTERNAL, "the host has no name");
        host[sizeof host - 1] = '\0';
        snprintf(a->node, sizeof a->node, "%s", host);
    }
    for (char *p = a->node; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    return 0;
}
