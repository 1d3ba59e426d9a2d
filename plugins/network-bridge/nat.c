/* nat.c - one nftables table of our own, replaced as a whole, atomically: masquerading of what leaves the cluster, host ports, and what pods
 * may not send. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/close_range.h>
#include <nftables/libnftables.h>

#include "bridge.h"

#define TABLE "keelson-net"

static int apply(const char *text, struct kl_err *err)
{
    struct nft_ctx *n = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!n)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    nft_ctx_buffer_output(n);
    nft_ctx_buffer_error(n);
    int rc = nft_run_cmd_from_buffer(n, text);
    if (rc != 0) {
        const char *why = nft_ctx_get_error_buffer(n);
        kl_err_set(err, KL_INTERNAL, "nftables refuses table '" TABLE "': %.*s", (int)strcspn(why, "\n"), why);
    }
    nft_ctx_free(n);
    return rc ? -KL_INTERNAL : 0;
}

struct job {
    const char *text;
    struct kl_err *err;
    int rc;
};

/* The library waits by select, which ends a process whose descriptors have numbers above 1023: here it finds low ones, whatever the process has open. */
static void *run_apart(void *ctx)
{
    struct job *j = ctx;
    if (close_range(3, ~0u, CLOSE_RANGE_UNSHARE) < 0)
        j->rc = kl_err_set(j->err, KL_INTERNAL, "descriptors of its own for nftables: %s", strerror(errno));
    else
        j->rc = apply(j->text, j->err);
    return NULL;
}

static int run(const char *text, struct kl_err *err)
{
    struct job j = { text, err, 0 };
    pthread_t t;
    int e = pthread_create(&t, NULL, run_apart, &j);
    if (e)
        return kl_err_set(err, KL_UNAVAILABLE, "no thread for nftables: %s", strerror(e));
    pthread_join(t, NULL);
    return j.rc;
}

static void ip_text(uint32_t ip, char ret[INET_ADDRSTRLEN])
{
    struct in_addr at = { htonl(ip) };
    inet_ntop(AF_INET, &at, ret, INET_ADDRSTRLEN);
}

/* Links to pods let 127.0.0.1 through (route_localnet, for host ports): that is for the node alone. And a pod speaks with its own address. */
static const char guard[] = "chain guard { type filter hook prerouting priority raw;\n"
                            "iifname \"kl*\" ip daddr 127.0.0.0/8 drop\n"
                            "iifname \"kl*\" fib saddr . iif oif missing drop\n}\n";

static void add_postrouting(struct bridge *b, struct buf *t)
{
    buf_printf(t, "chain leaving {\nip daddr %s return\nip daddr 224.0.0.0/4 return\n", b->pod_cidr);
    for (unsigned i = 0; i < b->n_cluster_cidrs; i++)
        buf_printf(t, "ip daddr %s return\n", b->cluster_cidrs[i]);
    buf_printf(t, "masquerade fully-random\n}\nchain postrouting { type nat hook postrouting priority srcnat;\n");
    /* The answer must come back here: a pod that reaches itself by a host port, the node by 127.0.0.1. */
    buf_printf(t, "ct status dnat ip saddr . ip daddr @themselves masquerade\nip saddr 127.0.0.0/8 ip daddr %s ct status dnat masquerade\n",
               b->pod_cidr);
    if (b->conf->masquerade)
        buf_printf(t, "ip saddr %s jump leaving\n", b->pod_cidr);
    buf_add_z(t, "}\n");
}

static void add_host_ports(struct bridge *b, struct buf *t)
{
    char ip[INET_ADDRSTRLEN];
    const char *between = "elements = { ";
    buf_add_z(t, "set themselves { type ipv4_addr . ipv4_addr;\n");
    list_each(n, &b->records)
    {
        const struct record *r = list_item(n, struct record, link);
        if (!r->n_ports)
            continue;
        ip_text(r->ip, ip);
        buf_printf(t, "%s%s . %s", between, ip, ip);
        between = ", ";
    }
    buf_add_z(t, between[0] == ',' ? " }\n}\nchain hostports {\n" : "}\nchain hostports {\n");
    list_each(n, &b->records)
    {
        const struct record *r = list_item(n, struct record, link);
        ip_text(r->ip, ip);
        for (unsigned i = 0; i < r->n_ports; i++) {
            const struct host_port *p = &r->ports[i];
            if (p->ip[0])
                buf_printf(t, "ip daddr %s ", p->ip);
            buf_printf(t, "%s dport %d dnat to %s:%d\n", p->protocol, p->host_port, ip, p->container_port);
        }
    }
    buf_printf(t, "}\nchain prerouting { type nat hook prerouting priority dstnat;\nfib daddr type local jump hostports\n}\n"
                  "chain output { type nat hook output priority -100;\nfib daddr type local jump hostports\n}\n");
}

int nat_apply(struct bridge *b, struct kl_err *err)
{
    _cleanup_buf_ struct buf t = BUF_INIT(16 << 20);
    buf_printf(&t, "table ip " TABLE " {}\ndelete table ip " TABLE "\ntable ip " TABLE " {\n%s", guard);
    add_host_ports(b, &t);
    add_postrouting(b, &t);
    buf_add_z(&t, "}\n");
    return t.failed ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : run(t.at, err);
}

int nat_repair(struct bridge *b, struct kl_err *err)
{
    return nl_nft_table_find(TABLE) == -ENOENT ? nat_apply(b, err) : 0;
}

void nat_remove(void)
{
    struct kl_err err;
    kl_err_init(&err);
    run("table ip " TABLE " {}\ndelete table ip " TABLE "\n", &err);
}
