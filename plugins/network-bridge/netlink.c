/* netlink.c - the few route netlink requests that are needed, over libmnl. One request, one acknowledgement. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <time.h>

#include "bridge.h"

#define MESSAGE_BYTES 2048

struct mnl_socket *nl_open(void)
{
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
        mnl_socket_close(s);
        return NULL;
    }
    return s;
}

void nl_close(struct mnl_socket *s)
{
    if (s)
        mnl_socket_close(s);
}

static struct nlmsghdr *begin(char *at, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(at);
    h->nlmsg_type = type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    h->nlmsg_seq = 1;
    return h;
}

static int ask(struct mnl_socket *s, struct nlmsghdr *h)
{
    char answer[8192];
    if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
        return -errno;
    ssize_t n = mnl_socket_recvfrom(s, answer, sizeof answer);
    if (n < 0)
        return -errno;
    return mnl_cb_run(answer, (size_t)n, 1, mnl_socket_get_portid(s), NULL, NULL) < 0 ? -errno : 0;
}

static struct ifinfomsg *link_message(struct nlmsghdr *h, unsigned char family, int index)
{
    struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof *i);
    i->ifi_family = family;
    i->ifi_index = index;
    return i;
}

int nl_veth_add(struct mnl_socket *s, const char *name, const char *peer, int peer_netns_fd, int mtu)
{
    char at[MESSAGE_BYTES];
    struct nlmsghdr *h = begin(at, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    link_message(h, AF_UNSPEC, 0);
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    if (mtu)
        mnl_attr_put_u32(h, IFLA_MTU, (uint32_t)mtu);
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
    struct nlattr *other = mnl_attr_nest_start(h, VETH_INFO_PEER);
    struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof *i);
    memset(i, 0, sizeof *i);
    mnl_attr_put_strz(h, IFLA_IFNAME, peer);
    mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)peer_netns_fd);
    if (mtu)
        mnl_attr_put_u32(h, IFLA_MTU, (uint32_t)mtu);
    mnl_attr_nest_end(h, other);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
    return ask(s, h);
}

int nl_nft_table_find(const char *name)
{
    char at[MESSAGE_BYTES];
    struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    struct nlmsghdr *h = begin(at, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE, 0);
    struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = NFPROTO_IPV4;
    g->version = NFNETLINK_V0;
    mnl_attr_put_strz(h, NFTA_TABLE_NAME, name);
    int rc = s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0 ? ask(s, h) : -errno;
    nl_close(s);
    return rc;
}

int nl_link_del(struct mnl_socket *s, const char *name)
{
    char at[MESSAGE_BYTES];
    struct nlmsghdr *h = begin(at, RTM_DELLINK, 0);
    link_message(h, AF_UNSPEC, 0);
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    return ask(s, h);
}

int nl_link_up(struct mnl_socket *s, int index)
{
    char at[MESSAGE_BYTES];
    struct nlmsghdr *h = begin(at, RTM_NEWLINK, 0);
    struct ifinfomsg *i = link_message(h, AF_UNSPEC, index);
    i->ifi_change = IFF_UP;
    i->ifi_flags = IFF_UP;
    return ask(s, h);
}

int nl_addr_add(struct mnl_socket *s, int index, uint32_t ip, int prefix)
{
    char at[MESSAGE_BYTES];
    struct nlmsghdr *h = begin(at, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifa_family = AF_INET;
    m->ifa_prefixlen = (unsigned char)prefix;
    m->ifa_index = (unsigned)index;
    m->ifa_scope = RT_SCOPE_UNIVERSE;
    mnl_attr_put_u32(h, IFA_LOCAL, htonl(ip));
    mnl_attr_put_u32(h, IFA_ADDRESS, htonl(ip));
    return ask(s, h);
}

static struct nlmsghdr *route_message(char *at, uint16_t type, uint16_t flags, uint32_t to, int prefix, unsigned char scope)
{
    struct nlmsghdr *h = begin(at, type, flags);
    struct rtmsg *r = mnl_nlmsg_put_extra_header(h, sizeof *r);
    r->rtm_family = AF_INET;
    r->rtm_dst_len = (unsigned char)prefix;
    r->rtm_table = RT_TABLE_MAIN;
    r->rtm_protocol = RTPROT_STATIC;
    r->rtm_scope = scope;
    r->rtm_type = RTN_UNICAST;
    if (prefix)
        mnl_attr_put_u32(h, RTA_DST, htonl(to));
    return h;
}

int nl_route_add(struct mnl_socket *s, int index, uint32_t to, int prefix, uint32_t via, uint32_t from)
{
    char at[MESSAGE_BYTES];
    struct nlmsghdr *h = route_message(at, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, to, prefix, via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
    mnl_attr_put_u32(h, RTA_OIF, (uint32_t)index);
    if (via)
        mnl_attr_put_u32(h, RTA_GATEWAY, htonl(via));
    if (from)
        mnl_attr_put_u32(h, RTA_PREFSRC, htonl(from));
    return ask(s, h);
}

int nl_route_del(struct mnl_socket *s, int index, uint32_t to, int prefix)
{
    char at[MESSAGE_BYTES];
    struct nlmsghdr *h = route_message(at, RTM_DELROUTE, 0, to, prefix, RT_SCOPE_LINK);
    mnl_attr_put_u32(h, RTA_OIF, (uint32_t)index);
    return ask(s, h);
}

int nl_route_find(struct mnl_socket *s, uint32_t to)
{
    char at[MESSAGE_BYTES];
    struct nlmsghdr *h = route_message(at, RTM_GETROUTE, 0, to, 32, RT_SCOPE_UNIVERSE);
    return ask(s, h);
}
