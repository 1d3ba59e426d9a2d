/* address.c - the name server's address on lo. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "dns.h"

static int change(uint16_t type, uint16_t flags, uint32_t ip)
{
    char at[512], answer[4096];
    struct nlmsghdr *h = mnl_nlmsg_put_header(at);
    h->nlmsg_type = type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    h->nlmsg_seq = 1;
    struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifa_family = AF_INET;
    m->ifa_prefixlen = 32;
    m->ifa_index = 1;                   /* lo */
    m->ifa_scope = RT_SCOPE_HOST;       /* never a source of what leaves the node */
    mnl_attr_put_u32(h, IFA_LOCAL, htonl(ip));
    mnl_attr_put_u32(h, IFA_ADDRESS, htonl(ip));
    const struct ifa_cacheinfo life = { .ifa_prefered = ADDRESS_LIFE_S, .ifa_valid = ADDRESS_LIFE_S };
    if (type == RTM_NEWADDR)
        mnl_attr_put(h, IFA_CACHEINFO, sizeof life, &life);
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!s)
        return -errno;
    ssize_t n = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -1 : mnl_socket_recvfrom(s, answer, sizeof answer);
    int rc = n < 0 || mnl_cb_run(answer, (size_t)n, 1, mnl_socket_get_portid(s), NULL, NULL) < 0 ? -errno : 0;
    mnl_socket_close(s);
    return rc;
}

int address_add(uint32_t ip, struct kl_err *err)
{
    int rc = change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ip);
    return rc < 0 ? kl_err_set(err, rc == -EPERM ? KL_FORBIDDEN : KL_INTERNAL, "the name server's address cannot be put on lo: %s", strerror(-rc)) : 0;
}

void address_remove(uint32_t ip)
{
    change(RTM_DELADDR, 0, ip);
}
