/* tables.c - nft can show what we made, and what others made stays as it is. */
#include <criterion/criterion.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static struct nft_ctx *nft;

static void set_up(void)
{
    world_open();
    nft = nft_ctx_new(NFT_CTX_DEFAULT);
    nft_ctx_buffer_output(nft);
}

static void tear_down(void)
{
    nft_ctx_free(nft);
    world_close();
}

TestSuite(tables, .init = set_up, .fini = tear_down);

static char *list(void)
{
    cr_assert_eq(nft_run_cmd_from_buffer(nft, "list ruleset"), 0);
    return strdup(nft_ctx_get_output_buffer(nft));
}

static void apply_one(void)
{
    char text[1024];
    snprintf(text, sizeof text,
             "[{\"namespace\":\"d\",\"name\":\"s\",\"clusterIPs\":[\"10.96.0.10\"],\"sessionAffinitySeconds\":5,\"externalLocal\":true,\"ports\":["
             "{\"protocol\":\"TCP\",\"port\":80,\"nodePort\":30080,\"endpoints\":[{\"ip\":\"%s\",\"port\":8080,\"local\":true}]}]}]",
             pod("a"));
    cr_assert_eq(apply(text), 0, "%s", world.err.msg);
}

/* nft 1.0 aborts on some rules that the kernel takes. */
Test(tables, nft_shows_them)
{
    apply_one();
    cr_assert_str_eq(ask_tcp(NULL, "10.96.0.10", 80).name, "a");
    char *text = list();
    cr_expect(strstr(text, "table ip keelson-proxy") != NULL);
    cr_expect(strstr(text, "10.96.0.10 . tcp . 80 . 0x00000000 : 10.244.0.2 . 8080") != NULL, "%s", text);
    free(text);
}

Test(tables, of_others_stay)
{
    cr_assert_eq(nft_run_cmd_from_buffer(nft, "table inet mine { chain input { type filter hook input priority 0; tcp dport 1 drop; }; };"
                                              "table ip nat { chain prerouting { type nat hook prerouting priority -100; tcp dport 2 redirect to :3; }; }"),
                 0);
    struct kl_call c = { .size = sizeof c };
    kl_err_init(&c.err);
    char *before = list();
    apply_one();
    cr_expect_str_eq(ask_tcp(OUTSIDE, NODE_IP, 30080).name, "a");
    cr_assert_eq(world.proxy->teardown(world.self, &c), 0);
    char *after = list();
    cr_expect_str_eq(after, before);
    free(before);
    free(after);
}
