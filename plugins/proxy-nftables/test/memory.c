/* memory.c - each allocation fails once: the call says so, the rules are old or new and whole, the next call gets everything right. */
#include <criterion/criterion.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proxy.h"

extern const struct kl_plugin kl_plugin;

static long left;                       /* allocations until the one that fails; < 0: none */

static void *resize(void *ctx, void *at, size_t n)
{
    (void)ctx;
    if (n == 0) {
        free(at);
        return NULL;
    }
    if (left == 0) {
        left = -1;
        return NULL;
    }
    left -= left > 0;
    return realloc(at, n);
}

static void say(const struct kl_host *h, int32_t level, const char *line)
{
    (void)h;
    (void)level;
    (void)line;
}

static const struct kl_host host = { .size = sizeof host, .instance = "test", .log = say };
static const struct conf conf = { .localhost = 1 };

#define PORT(ip) "\"ports\":[{\"protocol\":\"TCP\",\"port\":80,\"nodePort\":30080,\"endpoints\":[{\"ip\":\"" ip "\",\"port\":8080,\"local\":true},{\"ip\":\"10.244.0.9\",\"port\":8080}]}]"
#define STATE(services) "{\"nodeIPs\":[\"192.0.2.1\"],\"podCIDRs\":[\"10.244.0.0/16\"],\"services\":[" services "]}"
#define ONE(ip) "{\"namespace\":\"d\",\"name\":\"s\",\"clusterIPs\":[\"10.96.0.10\"],\"sessionAffinitySeconds\":5,\"externalLocal\":true," PORT(ip) "}"
#define TWO(ip) "{\"namespace\":\"d\",\"name\":\"t\",\"clusterIPs\":[\"10.96.0.11\"]," PORT(ip) "}"

static const char first[] = STATE(ONE("10.244.0.2") "," TWO("10.244.0.3"));
static const char second[] = STATE(ONE("10.244.0.4"));          /* and t's node port, which s had, is free */

static char *elements(struct nft_ctx *nft)
{
    static const char *const lists[] = { "list map ip keelson-proxy services", "list map ip keelson-proxy endpoints", "list map ip keelson-proxy inside-endpoints",
                                         "list set ip keelson-proxy as-node" };
    struct buf b = BUF_INIT(0);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cr_assert_eq(nft_run_cmd_from_buffer(nft, lists[i]), 0);
        /* nft shows elements in the order of the kernel's table, which has a seed of its own: sort lines */
        char *text = strdup(nft_ctx_get_output_buffer(nft)), *rest = text, *line, *lines[64];
        size_t n = 0;
        while ((line = strsep(&rest, "\n")) && n < 64)
            if (strstr(line, " . ")) {
                line += strspn(line, " \t");
                line = strncmp(line, "elements = { ", 13) == 0 ? line + 13 : line;
                line[strcspn(line, ",}")] = '\0';
                while (*line && line[strlen(line) - 1] == ' ')
                    line[strlen(line) - 1] = '\0';
                lines[n++] = line;
            }
        for (size_t k = 1; k < n; k++)
            for (size_t m = k; m > 0 && strcmp(lines[m - 1], lines[m]) > 0; m--) {
                char *t = lines[m];
                lines[m] = lines[m - 1];
                lines[m - 1] = t;
            }
        for (size_t k = 0; k < n; k++)
            buf_printf(&b, "%s\n", lines[k]);
        free(text);
    }
    return b.at;
}

static int apply(const struct kl_proxy *p, void *self, uint64_t generation, const char *state)
{
    struct kl_call c = { .size = sizeof c };
    kl_err_init(&c.err);
    int rc = p->apply(self, &c, generation, (struct kl_bytes){ state, strlen(state) });
    cr_expect(rc == 0 || rc == -KL_NO_MEMORY, "%d: %s", rc, c.err.msg);
    return rc;
}

Test(memory, every_allocation_may_fail)
{
    static const struct mem_allocator failing = { resize, NULL };
    const struct kl_proxy *p = KL_AT(struct kl_provider, kl_plugin.providers, 0)->table;
    struct kl_call c = { .size = sizeof c };
    void *self;
    cr_assert_eq(unshare(CLONE_NEWNET), 0, "needs root: %s", strerror(errno));
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    nft_ctx_buffer_output(nft);
    left = -1;
    mem_set_allocator(&failing);
    kl_err_init(&c.err);
    cr_assert_eq(p->life.open(&host, &conf, &self, &c), 0);
    cr_assert_eq(apply(p, self, 1, first), 0);
    char *was = elements(nft);
    cr_assert_eq(apply(p, self, 2, second), 0);
    char *is = elements(nft);
    cr_assert_str_neq(was, is);
    uint64_t generation = 2;
    int failures = 0;
    for (long n = 0; n < 500; n++) {
        cr_assert_eq(apply(p, self, ++generation, first), 0);
        left = n;
        int rc = apply(p, self, ++generation, second);
        bool over = left > 0;           /* it never came to that one */
        left = -1;
        failures += rc < 0;
        char *now = elements(nft);
        cr_expect(strcmp(now, rc < 0 ? was : is) == 0, "allocation %ld, %d:\n%s", n, rc, now);
        free(now);
        cr_assert_eq(apply(p, self, ++generation, second), 0, "afterwards");
        now = elements(nft);
        cr_expect_str_eq(now, is, "after allocation %ld", n);
        free(now);
        if (over)
            break;
    }
    cr_expect_gt(failures, 10);
    p->life.close(self);
    mem_set_allocator(NULL);
    free(was);
    free(is);
    nft_ctx_free(nft);
}
