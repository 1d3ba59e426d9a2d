/* expr.c - the expressions of rules. */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/ip_icmp.h>

#include "nft.h"

struct expr {
    struct nlattr *elem, *data;
};

static struct expr begin(struct batch *b, const char *name)
{
    struct expr x = { .elem = mnl_attr_nest_start(b->h, NFTA_LIST_ELEM) };
    mnl_attr_put_strz(b->h, NFTA_EXPR_NAME, name);
    x.data = mnl_attr_nest_start(b->h, NFTA_EXPR_DATA);
    return x;
}

static void end(struct batch *b, struct expr x)
{
    mnl_attr_nest_end(b->h, x.data);
    mnl_attr_nest_end(b->h, x.elem);
}

static void put(struct batch *b, uint16_t type, uint32_t v)
{
    mnl_attr_put_u32(b->h, type, htonl(v));
}

static void put_reg(struct batch *b, uint16_t type, int reg)
{
    put(b, type, NFT_REG32_00 + (uint32_t)reg);
}

static void put_value(struct batch *b, uint16_t type, const void *value, unsigned len)
{
    struct nlattr *n = mnl_attr_nest_start(b->h, type);
    mnl_attr_put(b->h, NFTA_DATA_VALUE, len, value);
    mnl_attr_nest_end(b->h, n);
}

void x_payload(struct batch *b, int reg, uint32_t base, uint32_t offset, uint32_t len)
{
    struct expr x = begin(b, "payload");
    put_reg(b, NFTA_PAYLOAD_DREG, reg);
    put(b, NFTA_PAYLOAD_BASE, base);
    put(b, NFTA_PAYLOAD_OFFSET, offset);
    put(b, NFTA_PAYLOAD_LEN, len);
    end(b, x);
}

void x_meta(struct batch *b, int reg, uint32_t key)
{
    struct expr x = begin(b, "meta");
    put_reg(b, NFTA_META_DREG, reg);
    put(b, NFTA_META_KEY, key);
    end(b, x);
}

void x_ct(struct batch *b, int reg, uint32_t key, int direction)
{
    struct expr x = begin(b, "ct");
    put_reg(b, NFTA_CT_DREG, reg);
    put(b, NFTA_CT_KEY, key);
    if (direction >= 0)
        mnl_attr_put_u8(b->h, NFTA_CT_DIRECTION, (uint8_t)direction);
    end(b, x);
}

void x_lookup(struct batch *b, const char *set, int key, int ret, bool inverted)
{
    struct expr x = begin(b, "lookup");
    mnl_attr_put_strz(b->h, NFTA_LOOKUP_SET, set);
    put_reg(b, NFTA_LOOKUP_SREG, key);
    if (ret != NO_REG)
        put_reg(b, NFTA_LOOKUP_DREG, ret);
    if (inverted)
        put(b, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    end(b, x);
}

void x_cmp(struct batch *b, int reg, bool equal, const void *value, unsigned len)
{
    struct expr x = begin(b, "cmp");
    put_reg(b, NFTA_CMP_SREG, reg);
    put(b, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_value(b, NFTA_CMP_DATA, value, len);
    end(b, x);
}

void x_and(struct batch *b, int reg, uint32_t mask)
{
    uint32_t zero = 0;
    struct expr x = begin(b, "bitwise");
    put_reg(b, NFTA_BITWISE_SREG, reg);
    put_reg(b, NFTA_BITWISE_DREG, reg);
    put(b, NFTA_BITWISE_LEN, sizeof mask);
    put_value(b, NFTA_BITWISE_MASK, &mask, sizeof mask);
    put_value(b, NFTA_BITWISE_XOR, &zero, sizeof zero);
    end(b, x);
}

void x_value(struct batch *b, int reg, uint32_t value)
{
    struct expr x = begin(b, "immediate");
    put_reg(b, NFTA_IMMEDIATE_DREG, reg);
    put_value(b, NFTA_IMMEDIATE_DATA, &value, sizeof value);
    end(b, x);
}

void x_random(struct batch *b, int reg, uint32_t below)
{
    struct expr x = begin(b, "numgen");
    put_reg(b, NFTA_NG_DREG, reg);
    put(b, NFTA_NG_MODULUS, below);
    put(b, NFTA_NG_TYPE, NFT_NG_RANDOM);
    end(b, x);
}

void x_dynset(struct batch *b, const char *set, uint32_t op, int key, int data, uint64_t timeout_ms)
{
    struct expr x = begin(b, "dynset");
    mnl_attr_put_strz(b->h, NFTA_DYNSET_SET_NAME, set);
    put(b, NFTA_DYNSET_OP, op);
    put_reg(b, NFTA_DYNSET_SREG_KEY, key);
    put_reg(b, NFTA_DYNSET_SREG_DATA, data);
    if (timeout_ms)
        mnl_attr_put_u64(b->h, NFTA_DYNSET_TIMEOUT, htobe64(timeout_ms));
    end(b, x);
}

void x_dnat(struct batch *b, int addr, int port)
{
    struct expr x = begin(b, "nat");
    put(b, NFTA_NAT_TYPE, NFT_NAT_DNAT);
    put(b, NFTA_NAT_FAMILY, NFPROTO_IPV4);
    put_reg(b, NFTA_NAT_REG_ADDR_MIN, addr);
    put_reg(b, NFTA_NAT_REG_PROTO_MIN, port);
    end(b, x);
}

void x_masquerade(struct batch *b)
{
    struct expr x = begin(b, "masq");
    put(b, NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
    end(b, x);
}

void x_reject(struct batch *b, uint32_t type)
{
    struct expr x = begin(b, "reject");
    put(b, NFTA_REJECT_TYPE, type);
    mnl_attr_put_u8(b->h, NFTA_REJECT_ICMP_CODE, ICMP_PORT_UNREACH);
    end(b, x);
}

void x_verdict(struct batch *b, int32_t code, const char *chain)
{
    struct expr x = begin(b, "immediate");
    put(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    struct nlattr *d = mnl_attr_nest_start(b->h, NFTA_IMMEDIATE_DATA), *v = mnl_attr_nest_start(b->h, NFTA_DATA_VERDICT);
    put(b, NFTA_VERDICT_CODE, (uint32_t)code);
    if (chain)
        mnl_attr_put_strz(b->h, NFTA_VERDICT_CHAIN, chain);
    mnl_attr_nest_end(b->h, v);
    mnl_attr_nest_end(b->h, d);
    end(b, x);
}
