/* conntrack.c - UDP has no end of a connection: a client that goes on asking would be sent to an endpoint that is gone until the entry of its
 * connection expires, which asking prevents. Such entries are removed. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "base/mem.h"
#include "proxy.h"

struct tuple {
    uint32_t ip[2];                     /* source, destination */
    uint16_t port[2];
    uint8_t protocol;
    const struct nlattr *at;
};

struct flush {
    const struct model *m;
    struct buf requests;                /* whole messages that remove entries */
    uint32_t seq;
    unsigned n;
};

static const struct nlattr *inner(const struct nlattr *nest, uint16_t type)
{
    struct nlattr *a;
    if (nest)
        mnl_attr_for_each_nested(a, nest) if (mnl_attr_get_type(a) == type) return a;
    return NULL;
}

static bool read_tuple(const struct nlattr *at, struct tuple *t)
{
    const struct nlattr *ip = inner(at, CTA_TUPLE_IP), *proto = inner(at, CTA_TUPLE_PROTO);
    const struct nlattr *from = inner(ip, CTA_IP_V4_SRC), *to = inner(ip, CTA_IP_V4_DST), *number = inner(proto, CTA_PROTO_NUM);
    const struct nlattr *from_port = inner(proto, CTA_PROTO_SRC_PORT), *to_port = inner(proto, CTA_PROTO_DST_PORT);
    if (!from || !to || !number || !from_port || !to_port)
        return false;
    *t = (struct tuple){ { mnl_attr_get_u32(from), mnl_attr_get_u32(to) },
                         { mnl_attr_get_u16(from_port), mnl_attr_get_u16(to_port) },
                         mnl_attr_get_u8(number),
                         at };
    return true;
}

/* Is that one of the front's endpoints, as the kernel has them now? */
static bool answers_for(const struct model *m, const struct entry *front, const struct tuple *answers)
{
    const struct pick *p = front && front->refs ? model_pick(m, front->e.data[0]) : NULL;
    uint8_t set = front && front->e.set == SET_INSIDE ? SET_INSIDE_ENDPOINTS : SET_ENDPOINTS;
    for (uint32_t i = 0; p && i < p->n; i++) {
        const uint32_t key[4] = { front->e.key[0], front->e.key[1], front->e.key[2], i };
        const struct entry *e = model_find(m, set, key);
        if (e && e->refs && e->e.data[0] == answers->ip[0] && e->e.data[1] == answers->port[0])
            return true;
    }
    return false;
}

static bool is_stale(const struct model *m, const struct tuple *asked, const struct tuple *answers)
{
    const uint32_t key[4] = { asked->ip[1], asked->protocol, asked->port[1], 0 };
    const struct entry *front = model_find(m, SET_SERVICES, key);       /* one that goes in this transaction is still found */
    return front && !answers_for(m, front, answers) && !answers_for(m, model_find(m, SET_INSIDE, key), answers);
}

static struct nlmsghdr *message(char *at, uint16_t type, uint16_t flags, uint32_t seq)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(at);
    h->nlmsg_type = (uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | type);
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    h->nlmsg_seq = seq;
    struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = AF_INET;
    g->version = NFNETLINK_V0;
    return h;
}

static int look(const struct nlmsghdr *h, void *ctx)
{
    struct flush *f = ctx;
    struct tuple asked = { 0 }, answers = { 0 };
    const struct nlattr *kept[3] = { NULL };    /* what names the entry */
    struct nlattr *a;
    mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
    {
        uint16_t t = mnl_attr_get_type(a);
        if (t == CTA_TUPLE_ORIG && read_tuple(a, &asked))
            kept[0] = a;
        else if (t == CTA_TUPLE_REPLY)
            read_tuple(a, &answers);
        else if (t == CTA_ID || t == CTA_ZONE)
            kept[t == CTA_ID ? 1 : 2] = a;
    }
    if (!asked.at || !answers.at || asked.protocol != IPPROTO_UDP || !is_stale(f->m, &asked, &answers))
        return MNL_CB_OK;
    char at[1024];
    struct nlmsghdr *r = message(at, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, ++f->seq);
    for (int i = 0; i < 3; i++)
        if (kept[i]) {
            memcpy((char *)r + r->nlmsg_len, kept[i], kept[i]->nla_len);
            r->nlmsg_len += MNL_ALIGN(kept[i]->nla_len);
        }
    buf_add(&f->requests, r, r->nlmsg_len);
    return MNL_CB_OK;
}

static int dump(struct mnl_socket *s, struct flush *f)
{
    size_t room = 65536;
    char *at = mem_alloc(room);
    struct nlmsghdr *h = at ? message(at, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 1) : NULL;
    int rc = !h ? -ENOMEM : mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -errno : MNL_CB_OK;
    while (rc > MNL_CB_STOP) {
        ssize_t n = mnl_socket_recvfrom(s, at, room);
        rc = n < 0 ? -errno : mnl_cb_run(at, (size_t)n, 1, mnl_socket_get_portid(s), look, f);
        if (rc == MNL_CB_ERROR)
            rc = -errno;
    }
    mem_free(at);
    return rc < 0 ? rc : 0;
}

/* An entry that ended by itself meanwhile is none that is left. */
static int remove_all(struct mnl_socket *s, struct flush *f)
{
    char answer[4096];
    for (size_t at = 0; at < f->requests.len;) {
        struct nlmsghdr *h = (void *)(f->requests.at + at);
        at += MNL_ALIGN(h->nlmsg_len);
        if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
            return -errno;
        ssize_t n = mnl_socket_recvfrom(s, answer, sizeof answer);
        if (n < 0 || (mnl_cb_run(answer, (size_t)n, h->nlmsg_seq, mnl_socket_get_portid(s), NULL, NULL) < 0 && errno != ENOENT))
            return -errno;
        f->n++;
    }
    return 0;
}

int conntrack_flush(struct mnl_socket *s, const struct model *m, unsigned *ret_n, struct kl_err *err)
{
    struct flush f = { .m = m, .requests = BUF_INIT(64 << 20), .seq = 1 };
    int rc = dump(s, &f);
    if (rc == 0)
        rc = f.requests.failed ? -ENOMEM : remove_all(s, &f);
    buf_free(&f.requests);
    *ret_n = f.n;
    return rc < 0 ? kl_err_set(err, KL_UNSUPPORTED, "UDP connections to endpoints that are gone cannot be ended (CONFIG_NF_CT_NETLINK): %s", strerror(-rc)) : 0;
}
