/* ruleset.c - the table: its sets, the rules that all Services share, and the chains that pick endpoints. In nft's words:
 *
 *   chain prerouting  { type nat hook prerouting priority -100; ip saddr @pods jump inside; jump services }
 *   chain output      { type nat hook output priority -100; jump inside; jump services }
 *   chain services    { ip daddr . meta l4proto . th dport map @services != 0 goto dispatch
 *                       ip daddr @cluster-ips goto refuse }
 *   chain dispatch    { ip daddr . meta l4proto . th dport map @services == 1 goto refuse; == 2 drop; == 3 goto pick-1; ...; drop }
 *   chain pick-3      { dnat to ip daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints }
 *   chain postrouting { type nat hook postrouting priority 100; ct status & dnat == 0 return; ... masquerade }
 *
 * Nothing is looked up by what a map gave, which would spare the walk through the classes: nft 1.0 aborts when it lists such a rule. Nor are
 * there maps from fronts to verdicts: with each change of one the kernel checks all that it can lead to.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>

#include "proxy.h"

/* Numbers of types, by which nft shows elements; joined types have 6 bits each. */
enum { TYPE_IPV4 = 7, TYPE_PROTOCOL = 12, TYPE_PORT = 13, TYPE_NUMBER = 19 };
#define JOIN(a, b) ((unsigned)(a) << 6 | (unsigned)(b))

#define FRONT JOIN(JOIN(TYPE_IPV4, TYPE_PROTOCOL), TYPE_PORT)
#define PLACE JOIN(TYPE_IPV4, TYPE_PORT)

const struct set_kind set_kinds[N_SETS] = {
    [SET_SERVICES] = { "services", NFT_SET_MAP, FRONT, TYPE_NUMBER, 3, 1, .numbers = true },
    [SET_ENDPOINTS] = { "endpoints", NFT_SET_MAP, JOIN(FRONT, TYPE_NUMBER), PLACE, 4, 2 },
    [SET_INSIDE] = { "inside", NFT_SET_MAP, FRONT, TYPE_NUMBER, 3, 1, .numbers = true },
    [SET_INSIDE_ENDPOINTS] = { "inside-endpoints", NFT_SET_MAP, JOIN(FRONT, TYPE_NUMBER), PLACE, 4, 2 },
    [SET_CLUSTER_IPS] = { "cluster-ips", 0, TYPE_IPV4, 0, 1, 0 },
    [SET_HAIRPIN] = { "hairpin", 0, JOIN(TYPE_IPV4, TYPE_IPV4), 0, 2, 0 },
    [SET_AS_NODE] = { "as-node", 0, FRONT, 0, 3, 0 },
    [SET_AFFINITY] = { "affinity", NFT_SET_MAP | NFT_SET_EVAL | NFT_SET_TIMEOUT, JOIN(JOIN(JOIN(TYPE_IPV4, TYPE_IPV4), TYPE_PROTOCOL), TYPE_PORT),
                       TYPE_NUMBER, 4, 1, .numbers = true, .most = 1u << 20 },
    [SET_PODS] = { "pods", NFT_SET_INTERVAL, TYPE_IPV4, 0, 1, 0 },
};

#define NAME(id) set_kinds[id].name

/* Chains and maps come in twos: for everybody, and for the inside. */
struct side {
    const char *chain, *dispatch, *fronts, *endpoints, *suffix;
};

static const struct side sides[2] = { { "services", "dispatch", "services", "endpoints", "" },
                                      { "inside", "dispatch-inside", "inside", "inside-endpoints", "-inside" } };

/* --- packets --- */

static void source(struct batch *b, int reg)
{
    x_payload(b, reg, NFT_PAYLOAD_NETWORK_HEADER, 12, 4);
}

static void destination(struct batch *b, int reg)
{
    x_payload(b, reg, NFT_PAYLOAD_NETWORK_HEADER, 16, 4);
}

/* What a packet asks for, in three registers. */
static void front(struct batch *b, int reg)
{
    destination(b, reg);
    x_meta(b, reg + 1, NFT_META_L4PROTO);
    x_payload(b, reg + 2, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
}

/* The same as it was before we changed it. */
static void front_before(struct batch *b)
{
    x_ct(b, 0, NFT_CT_DST_IP, IP_CT_DIR_ORIGINAL);
    x_meta(b, 1, NFT_META_L4PROTO);
    x_ct(b, 2, NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL);
}

/* --- rules that all Services share --- */

static void jump(struct batch *b, const char *from, const char *to)
{
    rule_begin(b, from, "a rule with a jump");
    x_verdict(b, NFT_JUMP, to);
    rule_end(b);
}

static void write_ways_in(struct batch *b)
{
    put_base_chain(b, "prerouting", "nat", NF_INET_PRE_ROUTING, -100);
    put_base_chain(b, "output", "nat", NF_INET_LOCAL_OUT, -100);
    rule_begin(b, "prerouting", "a rule with a set look-up");
    source(b, 0);
    x_lookup(b, NAME(SET_PODS), 0, NO_REG, false);
    x_verdict(b, NFT_JUMP, "inside");
    rule_end(b);
    jump(b, "prerouting", "services");
    jump(b, "output", "inside");
    jump(b, "output", "services");
}

static void write_entrance(struct batch *b, const struct side *s)
{
    const uint32_t none = 0;
    rule_begin(b, s->chain, "a rule with a map look-up");
    front(b, 0);
    x_lookup(b, s->fronts, 0, 4, false);
    x_cmp(b, 4, false, &none, sizeof none);
    x_verdict(b, NFT_GOTO, s->dispatch);
    rule_end(b);
}

static void write_reject(struct batch *b)
{
    static const struct {
        uint8_t protocol;
        uint32_t type;
    } rows[] = { { IPPROTO_TCP, NFT_REJECT_TCP_RST }, { IPPROTO_UDP, NFT_REJECT_ICMP_UNREACH }, { IPPROTO_SCTP, NFT_REJECT_ICMP_UNREACH } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rule_begin(b, "refuse", "to reject connections before routing (CONFIG_NFT_REJECT, Linux 5.9)");
        x_meta(b, 0, NFT_META_L4PROTO);
        x_cmp(b, 0, true, &rows[i].protocol, 1);
        x_reject(b, rows[i].type);
        rule_end(b);
    }
}

/* A port of a Service's address that the Service does not have. */
static void write_unknown_port(struct batch *b)
{
    rule_begin(b, "services", "a rule with a set look-up");
    destination(b, 0);
    x_lookup(b, NAME(SET_CLUSTER_IPS), 0, NO_REG, false);
    x_verdict(b, NFT_GOTO, "refuse");
    rule_end(b);
}

static void masquerade(struct batch *b)
{
    x_masquerade(b);
    rule_end(b);
}

static const char masquerade_what[] = "to masquerade (CONFIG_NFT_MASQ, CONFIG_NFT_CT)";

static void write_postrouting(struct batch *b)
{
    const uint32_t zero = 0, loopback = htonl(0x7f000000);
    put_base_chain(b, "postrouting", "nat", NF_INET_POST_ROUTING, 100);
    rule_begin(b, "postrouting", "a rule with a connection's state (CONFIG_NFT_CT)");
    x_ct(b, 0, NFT_CT_STATUS, -1);
    x_and(b, 0, IPS_DST_NAT);
    x_cmp(b, 0, true, &zero, sizeof zero);
    x_verdict(b, NFT_RETURN, NULL);
    rule_end(b);

    rule_begin(b, "postrouting", masquerade_what);      /* an endpoint that came back to itself */
    source(b, 0);
    destination(b, 1);
    x_lookup(b, NAME(SET_HAIRPIN), 0, NO_REG, false);
    masquerade(b);

    rule_begin(b, "postrouting", masquerade_what);      /* from outside, where any endpoint may answer */
    front_before(b);
    x_lookup(b, NAME(SET_AS_NODE), 0, NO_REG, false);
    masquerade(b);

    rule_begin(b, "postrouting", masquerade_what);      /* to a cluster IP, not from a pod */
    x_ct(b, 0, NFT_CT_DST_IP, IP_CT_DIR_ORIGINAL);
    x_lookup(b, NAME(SET_CLUSTER_IPS), 0, NO_REG, false);
    source(b, 0);
    x_lookup(b, NAME(SET_PODS), 0, NO_REG, true);
    masquerade(b);

    rule_begin(b, "postrouting", masquerade_what);      /* 127.0.0.1 cannot be answered from elsewhere */
    front_before(b);
    x_lookup(b, NAME(SET_SERVICES), 0, 4, false);
    x_cmp(b, 4, false, &zero, sizeof zero);
    source(b, 0);
    x_and(b, 0, htonl(0xff000000));
    x_cmp(b, 0, true, &loopback, sizeof loopback);
    masquerade(b);
}

static void write_pods(struct batch *b, const struct range *pods, unsigned n)
{
    if (!n)
        return;
    elems_begin(b, NAME(SET_PODS), true);
    for (unsigned i = 0; i < n; i++) {
        uint32_t first = htonl(pods[i].first);
        elem_put(b, NAME(SET_PODS), true, &first, 1, NULL, 0);
        if (pods[i].last != UINT32_MAX)
            elem_put_end(b, htonl(pods[i].last + 1));
    }
    elems_end(b);
}

void ruleset_write(struct batch *b, const struct range *pods, unsigned n_pods)
{
    static const char *const chains[] = { "inside", "services", "dispatch-inside", "dispatch", "refuse" };
    put_table(b, true);                 /* so that removing it cannot fail */
    put_table(b, false);
    put_table(b, true);
    for (uint32_t i = 0; i < N_SETS; i++)
        put_set(b, &set_kinds[i], i + 1);
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
        put_chain(b, chains[i]);
    write_pods(b, pods, n_pods);
    write_entrance(b, &sides[0]);
    write_entrance(b, &sides[1]);
    write_unknown_port(b);
    write_reject(b);
    write_ways_in(b);
    write_postrouting(b);
}

/* --- classes --- */

struct pick_name {
    char at[64];
};

static struct pick_name pick_name(const struct pick *p, const struct side *s)
{
    struct pick_name n;
    int len = snprintf(n.at, sizeof n.at, "pick-%u", p->n);
    if (p->sticky_s)
        len += snprintf(n.at + len, sizeof n.at - (size_t)len, "-sticky-%u", p->sticky_s);
    snprintf(n.at + len, sizeof n.at - (size_t)len, "%s", s->suffix);
    return n;
}

static void write_drop(struct batch *b, const char *chain)
{
    rule_begin(b, chain, "a rule that drops");
    x_verdict(b, NF_DROP, NULL);
    rule_end(b);
}

static void write_class(struct batch *b, const struct side *s, uint32_t class, int32_t code, const char *chain)
{
    rule_begin(b, s->dispatch, "a rule with a map look-up");
    front(b, 0);
    x_lookup(b, s->fronts, 0, 4, false);
    x_cmp(b, 4, true, &class, sizeof class);
    x_verdict(b, code, chain);
    rule_end(b);
}

void ruleset_write_dispatch(struct batch *b, const struct pick *picks, uint32_t n)
{
    for (const struct side *s = sides; s < sides + 2; s++) {
        put_chain_empty(b, s->dispatch);
        for (uint32_t i = 0; i < n; i++)
            if (picks[i].refs)
                write_class(b, s, CLASS_FIRST + i, NFT_GOTO, pick_name(&picks[i], s).at);
        write_class(b, s, CLASS_REFUSE, NFT_GOTO, "refuse");
        write_class(b, s, CLASS_DROP, NF_DROP, NULL);
        write_drop(b, s->dispatch);     /* the map is of the next transaction, these rules are of the last: the client asks again */
    }
}

static const char pick_what[] = "a rule that picks endpoints (CONFIG_NFT_NUMGEN, CONFIG_NFT_NAT)";

/* The number in register 4 behind the front in 1 to 3: to that endpoint. */
static void go(struct batch *b, const struct side *s)
{
    x_lookup(b, s->endpoints, 1, 8, false);
    x_dnat(b, 8, 9);
    rule_end(b);
}

/* Any endpoint; then the first one, should the drawn one be gone: a packet may meet two transactions. */
static void write_any(struct batch *b, const struct pick *p, const struct side *s, const char *chain)
{
    rule_begin(b, chain, pick_what);
    front(b, 1);
    x_random(b, 4, p->n);
    go(b, s);
    rule_begin(b, chain, pick_what);
    front(b, 1);
    x_value(b, 4, 0);
    go(b, s);
    write_drop(b, chain);
}

enum how { AS_BEFORE, DRAW, TAKE };

/* To endpoint i, and remember that: if the client had it before; or if the lot falls on it; or because no other was there. */
static void write_sticky(struct batch *b, const struct pick *p, const struct side *s, const char *chain, enum how how, uint32_t i)
{
    const uint32_t zero = 0;
    rule_begin(b, chain, "a rule that remembers clients (CONFIG_NFT_NUMGEN, Linux 5.4)");
    if (how == DRAW) {
        x_random(b, 5, p->n - i);
        x_cmp(b, 5, true, &zero, sizeof zero);
    }
    source(b, 0);
    front(b, 1);
    if (how == AS_BEFORE) {
        x_lookup(b, NAME(SET_AFFINITY), 0, 4, false);
        x_cmp(b, 4, true, &i, sizeof i);
    }
    x_value(b, 4, i);
    x_lookup(b, s->endpoints, 1, 8, false);
    if (how != AS_BEFORE)               /* an update of what is there keeps its number */
        x_dynset(b, NAME(SET_AFFINITY), NFT_DYNSET_OP_DELETE, 0, 4, 0);
    x_dynset(b, NAME(SET_AFFINITY), NFT_DYNSET_OP_UPDATE, 0, 4, p->sticky_s * 1000ULL);
    x_dnat(b, 8, 9);
    rule_end(b);
}

void ruleset_add_pick(struct batch *b, const struct pick *p)
{
    for (const struct side *s = sides; s < sides + 2; s++) {
        struct pick_name n = pick_name(p, s);
        put_chain(b, n.at);
        for (enum how how = AS_BEFORE; p->sticky_s && how <= TAKE; how++)
            for (uint32_t i = 0; i < p->n; i++)
                write_sticky(b, p, s, n.at, how, i);
        write_any(b, p, s, n.at);
    }
}

void ruleset_drop_pick(struct batch *b, const struct pick *p)
{
    for (const struct side *s = sides; s < sides + 2; s++)
        put_chain_gone(b, pick_name(p, s).at);
}
