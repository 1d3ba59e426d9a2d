/* nft.c - transactions and objects. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/mem.h"
#include "nft.h"

#define BATCH_BYTES   (256u << 20)
#define SCRATCH_BYTES (128u << 10)
#define LIST_BYTES    60000u            /* an attribute ends at 65535 */

bool batch_init(struct batch *b)
{
    *b = (struct batch){ .out = BUF_INIT(BATCH_BYTES), .seq = 1, .scratch = mem_alloc(SCRATCH_BYTES) };
    return b->scratch != NULL;
}

void batch_free(struct batch *b)
{
    buf_free(&b->out);
    mem_free(b->what);
    mem_free(b->scratch);
    *b = (struct batch){ 0 };
}

static void remember(struct batch *b, const char *what)
{
    if (b->seq >= b->what_cap) {
        uint32_t cap = b->what_cap ? b->what_cap * 2 : 64;
        const char **more = mem_resize(b->what, cap * sizeof *more);
        if (!more) {
            b->failed = true;
            return;
        }
        b->what = more;
        b->what_cap = cap;
    }
    b->what[b->seq] = what;
}

static struct nlmsghdr *header(char *at, uint16_t type, uint16_t flags, uint32_t seq, uint8_t family, uint16_t res)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(at);
    h->nlmsg_type = type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    h->nlmsg_seq = seq;
    struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = family;
    g->version = NFNETLINK_V0;
    g->res_id = htons(res);
    return h;
}

#define NFT(message) (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_##message)

static void begin(struct batch *b, uint16_t type, uint16_t flags, const char *what)
{
    remember(b, what);
    /* Each asks for an acknowledgement only when it fails; the last one of the batch always (batch_commit). */
    b->h = header(b->scratch, type, flags, b->seq++, NFPROTO_IPV4, 0);
}

static void end(struct batch *b)
{
    buf_add(&b->out, b->scratch, MNL_ALIGN(b->h->nlmsg_len));
}

/* --- the kernel's answer --- */

struct answer {
    int error;
    uint32_t seq;
    bool any;
};

static int read_answers(struct mnl_socket *s, struct answer *ret)
{
    char at[16384];
    for (;;) {
        ssize_t n = recv(mnl_socket_get_fd(s), at, sizeof at, MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        int left = (int)n;
        for (const struct nlmsghdr *h = (void *)at; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
            const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
            if (h->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(h) < sizeof *e)
                continue;
            ret->any = true;
            if (e->error && !ret->error) {
                ret->error = -e->error;
                ret->seq = h->nlmsg_seq;
            }
        }
    }
}

struct mnl_socket *nft_open(struct kl_err *err)
{
    struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0)
        return s;
    kl_err_set(err, KL_UNSUPPORTED, "the kernel has no nftables (CONFIG_NF_TABLES, CONFIG_NETFILTER_NETLINK): %s", strerror(errno));
    if (s)
        mnl_socket_close(s);
    return NULL;
}

void nft_close(struct mnl_socket *s)
{
    if (s)
        mnl_socket_close(s);
}

static int explain(const struct batch *b, const struct answer *a, struct kl_err *err)
{
    const char *what = a->seq > 0 && a->seq < b->seq && a->seq < b->what_cap ? b->what[a->seq] : "the transaction";
    if (a->error == EPERM)
        return kl_err_set(err, KL_FORBIDDEN, "nftables cannot be changed without the capability CAP_NET_ADMIN");
    return kl_err_set(err, a->error == EOPNOTSUPP || a->error == ENOSYS ? KL_UNSUPPORTED : KL_INTERNAL, "nftables table '" TABLE "': the kernel refuses %s: %s", what,
                      strerror(a->error));
}

static int send_all(struct mnl_socket *s, struct batch *b)
{
    char edge[2][64];
    struct nlmsghdr *first = header(edge[0], NFNL_MSG_BATCH_BEGIN, 0, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    struct nlmsghdr *last = header(edge[1], NFNL_MSG_BATCH_END, 0, b->seq, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    struct iovec parts[] = { { first, first->nlmsg_len }, { b->out.at, b->out.len }, { last, last->nlmsg_len } };
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    struct msghdr m = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = parts, .msg_iovlen = 3 };
    int fd = mnl_socket_get_fd(s), room = (int)b->out.len + 65536, on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return sendmsg(fd, &m, 0) < 0 ? -errno : 0;
}

int batch_commit(struct batch *b, struct mnl_socket *s, int *ret_errno, struct kl_err *err)
{
    if (b->failed || b->out.failed)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (batch_empty(b))
        return 0;
    /* The last message is still in the scratch buffer; its copy at the end of `out` gets the flag. */
    ((struct nlmsghdr *)(void *)(b->out.at + b->out.len - MNL_ALIGN(b->h->nlmsg_len)))->nlmsg_flags |= NLM_F_ACK;
    struct answer a = { 0 };
    int rc = send_all(s, b);
    if (rc == 0)
        rc = read_answers(s, &a);
    if (rc == 0 && a.any && !a.error)
        return 0;
    if (!a.error)
        a.error = rc < 0 ? -rc : EIO;
    if (ret_errno)
        *ret_errno = a.error;
    return explain(b, &a, err);
}

/* --- questions --- */

static int ask(struct mnl_socket *s, struct nlmsghdr *h, mnl_cb_t fn, void *ret, struct kl_err *err)
{
    char at[8192];
    ssize_t n = mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -1 : mnl_socket_recvfrom(s, at, sizeof at);
    int rc = n < 0 || mnl_cb_run(at, (size_t)n, h->nlmsg_seq, mnl_socket_get_portid(s), fn, ret) < 0 ? -errno : 0;
    if (rc < 0 && rc != -ENOENT)
        return kl_err_set(err, rc == -EPERM ? KL_FORBIDDEN : KL_UNSUPPORTED, "nftables does not answer: %s", strerror(-rc));
    return 0;
}

static int take_handle(const struct nlmsghdr *h, void *ret)
{
    struct nlattr *a;
    mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(a) == NFTA_TABLE_HANDLE) *(uint64_t *)ret = be64toh(mnl_attr_get_u64(a));
    return MNL_CB_STOP;
}

int nft_table_handle(struct mnl_socket *s, uint64_t *ret, struct kl_err *err)
{
    char at[256];
    struct nlmsghdr *h = header(at, NFT(GETTABLE), 0, 1, NFPROTO_IPV4, 0);
    mnl_attr_put_strz(h, NFTA_TABLE_NAME, TABLE);
    *ret = 0;
    return ask(s, h, take_handle, ret, err);
}

static int take_generation(const struct nlmsghdr *h, void *ret)
{
    struct nlattr *a;
    mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(a) == NFTA_GEN_ID) *(uint32_t *)ret = ntohl(mnl_attr_get_u32(a));
    return MNL_CB_STOP;
}

int nft_generation(struct mnl_socket *s, uint32_t *ret, struct kl_err *err)
{
    char at[256];
    struct nlmsghdr *h = header(at, NFT(GETGEN), 0, 1, AF_UNSPEC, 0);
    *ret = 0;
    return ask(s, h, take_generation, ret, err);
}

/* --- objects --- */

void put_table(struct batch *b, bool add)
{
    begin(b, add ? NFT(NEWTABLE) : NFT(DELTABLE), add ? NLM_F_CREATE : 0, add ? "a table" : "to remove the table");
    mnl_attr_put_strz(b->h, NFTA_TABLE_NAME, TABLE);
    end(b);
}

void put_set(struct batch *b, const struct set_kind *k, uint32_t id)
{
    begin(b, NFT(NEWSET), NLM_F_CREATE, k->flags & NFT_SET_MAP ? "a map (CONFIG_NF_TABLES)" : "a set (CONFIG_NF_TABLES)");
    mnl_attr_put_strz(b->h, NFTA_SET_TABLE, TABLE);
    mnl_attr_put_strz(b->h, NFTA_SET_NAME, k->name);
    mnl_attr_put_u32(b->h, NFTA_SET_FLAGS, htonl(k->flags));
    mnl_attr_put_u32(b->h, NFTA_SET_KEY_TYPE, htonl(k->key_type));
    mnl_attr_put_u32(b->h, NFTA_SET_KEY_LEN, htonl(k->key_words * 4u));
    if (k->flags & NFT_SET_MAP) {
        mnl_attr_put_u32(b->h, NFTA_SET_DATA_TYPE, htonl(k->data_type));
        mnl_attr_put_u32(b->h, NFTA_SET_DATA_LEN, htonl(k->data_words * 4u));
    }
    mnl_attr_put_u32(b->h, NFTA_SET_ID, htonl(id));
    if (k->numbers) {                   /* libnftnl's notes: byte order of keys (0) and data (1) is the host's (1) */
        const struct {
            uint8_t type, len;
            uint32_t order;
        } __attribute__((packed)) notes[] = { { 0, 4, 1 }, { 1, 4, 1 } };
        mnl_attr_put(b->h, NFTA_SET_USERDATA, sizeof notes, notes);
    }
    if (k->most) {
        struct nlattr *d = mnl_attr_nest_start(b->h, NFTA_SET_DESC);
        mnl_attr_put_u32(b->h, NFTA_SET_DESC_SIZE, htonl(k->most));
        mnl_attr_nest_end(b->h, d);
    }
    end(b);
}

static void chain_head(struct batch *b, uint16_t type, uint16_t flags, const char *name, const char *what)
{
    begin(b, type, flags, what);
    mnl_attr_put_strz(b->h, NFTA_CHAIN_TABLE, TABLE);
    mnl_attr_put_strz(b->h, NFTA_CHAIN_NAME, name);
}

void put_chain(struct batch *b, const char *name)
{
    chain_head(b, NFT(NEWCHAIN), NLM_F_CREATE, name, "a chain");
    end(b);
}

void put_base_chain(struct batch *b, const char *name, const char *type, uint32_t hook, int32_t priority)
{
    chain_head(b, NFT(NEWCHAIN), NLM_F_CREATE, name, "a chain for address translation (CONFIG_NFT_NAT, CONFIG_NF_NAT)");
    struct nlattr *at = mnl_attr_nest_start(b->h, NFTA_CHAIN_HOOK);
    mnl_attr_put_u32(b->h, NFTA_HOOK_HOOKNUM, htonl(hook));
    mnl_attr_put_u32(b->h, NFTA_HOOK_PRIORITY, htonl((uint32_t)priority));
    mnl_attr_nest_end(b->h, at);
    mnl_attr_put_strz(b->h, NFTA_CHAIN_TYPE, type);
    end(b);
}

void put_chain_empty(struct batch *b, const char *name)
{
    begin(b, NFT(DELRULE), 0, "to remove rules");
    mnl_attr_put_strz(b->h, NFTA_RULE_TABLE, TABLE);
    mnl_attr_put_strz(b->h, NFTA_RULE_CHAIN, name);
    end(b);
}

void put_chain_gone(struct batch *b, const char *name)
{
    put_chain_empty(b, name);
    chain_head(b, NFT(DELCHAIN), 0, name, "to remove a chain");
    end(b);
}

/* --- elements --- */

void elems_begin(struct batch *b, const char *set, bool add)
{
    begin(b, add ? NFT(NEWSETELEM) : NFT(DELSETELEM), add ? NLM_F_CREATE : 0, add ? "an element" : "to remove an element");
    mnl_attr_put_strz(b->h, NFTA_SET_ELEM_LIST_TABLE, TABLE);
    mnl_attr_put_strz(b->h, NFTA_SET_ELEM_LIST_SET, set);
    b->list = mnl_attr_nest_start(b->h, NFTA_SET_ELEM_LIST_ELEMENTS);
}

void elems_end(struct batch *b)
{
    mnl_attr_nest_end(b->h, b->list);
    end(b);
}

static void put_words(struct nlmsghdr *h, uint16_t type, const uint32_t *at, unsigned words)
{
    struct nlattr *n = mnl_attr_nest_start(h, type);
    mnl_attr_put(h, NFTA_DATA_VALUE, words * 4, at);
    mnl_attr_nest_end(h, n);
}

void elem_put(struct batch *b, const char *set, bool add, const uint32_t *key, unsigned key_words, const uint32_t *data, unsigned data_words)
{
    if (b->h->nlmsg_len > LIST_BYTES) {
        elems_end(b);
        elems_begin(b, set, add);
    }
    struct nlattr *e = mnl_attr_nest_start(b->h, NFTA_LIST_ELEM);
    put_words(b->h, NFTA_SET_ELEM_KEY, key, key_words);
    if (data_words)
        put_words(b->h, NFTA_SET_ELEM_DATA, data, data_words);
    mnl_attr_nest_end(b->h, e);
}

void elem_put_end(struct batch *b, uint32_t key)
{
    struct nlattr *e = mnl_attr_nest_start(b->h, NFTA_LIST_ELEM);
    put_words(b->h, NFTA_SET_ELEM_KEY, &key, 1);
    mnl_attr_put_u32(b->h, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
    mnl_attr_nest_end(b->h, e);
}

/* --- rules --- */

void rule_begin(struct batch *b, const char *chain, const char *what)
{
    begin(b, NFT(NEWRULE), NLM_F_CREATE | NLM_F_APPEND, what);
    mnl_attr_put_strz(b->h, NFTA_RULE_TABLE, TABLE);
    mnl_attr_put_strz(b->h, NFTA_RULE_CHAIN, chain);
    b->list = mnl_attr_nest_start(b->h, NFTA_RULE_EXPRESSIONS);
}

void rule_end(struct batch *b)
{
    mnl_attr_nest_end(b->h, b->list);
    end(b);
}
