/* nft.h - one nftables transaction as netlink messages: tables, sets, chains, rules, elements. All in table ip TABLE.
 *
 * Text through libnftables costs a parse, and a read of all that is in the kernel, for every change; messages cost what changes.
 * Registers are numbered in words of 4 bytes from 0 to 15; a key or a value of more words lies in registers in a row.
 */
#ifndef PROXY_NFTABLES_NFT_H
#define PROXY_NFTABLES_NFT_H

#include <stdint.h>

#include <keelson/error.h>

#include "base/buf.h"

#define TABLE "keelson-proxy"
#define NO_REG (-1)

struct mnl_socket;
struct nlmsghdr;
struct nlattr;

struct batch {
    struct buf out;                     /* whole messages */
    uint32_t seq;
    const char **what;                  /* by seq: what the message asks for, for errors; static texts */
    uint32_t what_cap;
    char *scratch;                      /* the message being made */
    struct nlmsghdr *h;
    struct nlattr *list;                /* elements or expressions, open */
    bool failed;
};

/* One socket for the life of a proxy: closing one waits until the kernel has freed what the last transaction removed (16 ms). */
struct mnl_socket *nft_open(struct kl_err *err);
void nft_close(struct mnl_socket *s);

bool batch_init(struct batch *b);       /* false: out of memory */
void batch_free(struct batch *b);
/* All or nothing. On failure *ret_errno (may be NULL) is the kernel's reason. */
int batch_commit(struct batch *b, struct mnl_socket *s, int *ret_errno, struct kl_err *err);
static inline bool batch_empty(const struct batch *b)
{
    return b->seq <= 1;
}

/* The table's handle in the kernel (a new one whenever it is made anew), or 0: there is none. */
int nft_table_handle(struct mnl_socket *s, uint64_t *ret, struct kl_err *err);
/* Grows with every transaction of anybody. */
int nft_generation(struct mnl_socket *s, uint32_t *ret, struct kl_err *err);

/* --- objects --- */
void put_table(struct batch *b, bool add);
struct set_kind {
    const char *name;
    uint32_t flags, key_type, data_type;
    uint8_t key_words, data_words;      /* data_words 0 without NFT_SET_MAP, or a map of verdicts */
    uint32_t most;                      /* elements; 0: no limit */
    bool numbers;                       /* keys and data are numbers in host order: tells nft how to show them */
};
void put_set(struct batch *b, const struct set_kind *k, uint32_t id);
void put_chain(struct batch *b, const char *name);
void put_base_chain(struct batch *b, const char *name, const char *type, uint32_t hook, int32_t priority);
void put_chain_empty(struct batch *b, const char *name);
void put_chain_gone(struct batch *b, const char *name);         /* its rules too */

/* --- elements: begin, any number of add, end --- */
void elems_begin(struct batch *b, const char *set, bool add);
void elem_put(struct batch *b, const char *set, bool add, const uint32_t *key, unsigned key_words, const uint32_t *data, unsigned data_words);
void elem_put_end(struct batch *b, uint32_t key);               /* the first address behind an interval */
void elems_end(struct batch *b);

/* --- rules: begin, expressions, end. what: named in errors, with what the kernel must have for it --- */
void rule_begin(struct batch *b, const char *chain, const char *what);
void rule_end(struct batch *b);
void x_payload(struct batch *b, int reg, uint32_t base, uint32_t offset, uint32_t len);
void x_meta(struct batch *b, int reg, uint32_t key);
void x_ct(struct batch *b, int reg, uint32_t key, int direction);       /* direction -1: none */
void x_lookup(struct batch *b, const char *set, int key, int ret, bool inverted);
void x_cmp(struct batch *b, int reg, bool equal, const void *value, unsigned len);
void x_and(struct batch *b, int reg, uint32_t mask);                    /* in network order where the register is */
void x_value(struct batch *b, int reg, uint32_t value);
void x_random(struct batch *b, int reg, uint32_t below);
void x_dynset(struct batch *b, const char *set, uint32_t op, int key, int data, uint64_t timeout_ms);
void x_dnat(struct batch *b, int addr, int port);
void x_masquerade(struct batch *b);
void x_reject(struct batch *b, uint32_t type);
void x_verdict(struct batch *b, int32_t code, const char *chain);

#endif
