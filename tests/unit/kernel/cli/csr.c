/* csr.c - keys and requests for certificates. */
#include "cli/csr.h"

#include <criterion/criterion.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/kubeconfig.h"
#include "cli/cli.h"

Test(csr, a_request_says_what_was_wished)
{
    struct arena *a = arena_new(0);
    struct csr_wish w = { .cn = "system:node:n1", .org = "system:nodes", .dns = "n1", .ip = "192.0.2.1" };
    struct str key, text;
    struct kl_err err;
    char name[256];
    size_t n = sizeof name;
    gnutls_x509_crq_t q;
    kl_err_init(&err);
    cr_assert_eq(csr_make(a, &w, &key, &text, &err), 0, "%s", err.msg);
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)text.at, (unsigned)text.len };
    gnutls_x509_crq_init(&q);
    cr_assert_geq(gnutls_x509_crq_import(q, &in, GNUTLS_X509_FMT_PEM), 0);
    cr_assert_geq(gnutls_x509_crq_verify(q, 0), 0);
    gnutls_x509_crq_get_dn(q, name, &n);
    cr_assert(strstr(name, "CN=system:node:n1") && strstr(name, "O=system:nodes"), "%s", name);
    unsigned type = 0;
    n = sizeof name;
    cr_assert_geq(gnutls_x509_crq_get_subject_alt_name(q, 0, name, &n, &type, NULL), 0);
    cr_assert_eq(memcmp(name, "n1", 2), 0);
    n = sizeof name;
    cr_assert_geq(gnutls_x509_crq_get_subject_alt_name(q, 1, name, &n, &type, NULL), 0);
    cr_assert_eq(n, 4);
    gnutls_x509_crq_deinit(q);
    struct str once = csr_base64(a, text);
    cr_assert(str_eq(csr_unbase64(a, once), text));
    cr_assert_null(csr_unbase64(a, STR("not base64!")).at);
    arena_free(a);
}

Test(csr, a_certificate_is_one_with_its_key_alone)
{
    struct arena *a = arena_new(0);
    struct kubeconfig one, two;
    struct kl_err err;
    struct buf b = BUF_INIT(1 << 20);
    char dir[] = "/tmp/keelson-csr-XXXXXX", command[128];
    int64_t until = 0;
    kl_err_init(&err);
    cr_assert(mkdtemp(dir));
    cr_assert_eq(pki_ensure(dir, "127.0.0.1", "10.96.0.1", &err), 0, "%s", err.msg);
    struct kubeconfig *all[] = { &one, &two };
    for (int i = 0; i < 2; i++) {
        char *path = arena_printf(a, "%s/n%d.kc", dir, i);
        buf_clear(&b);
        cr_assert_eq(pki_node_kubeconfig(dir, "n1", "https://127.0.0.1:1", &b, &err), 0, "%s", err.msg);
        FILE *f = fopen(path, "w");
        fwrite(b.at, 1, b.len, f);
        fclose(f);
        cr_assert_eq(kubeconfig_read(a, path, KUBECONFIG_CREDENTIAL, all[i], &err), 0, "%s", err.msg);
        cr_assert_null(all[i]->token);
    }
    cr_assert(csr_certificate(one.cert, one.key, &until));
    cr_assert_gt(until, 1700000000);
    cr_assert_not(csr_certificate(one.cert, two.key, &until));
    cr_assert_not(csr_certificate(STR(""), one.key, &until));
    cr_assert_not(csr_certificate(STR("nothing"), one.key, &until));
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
    buf_free(&b);
    arena_free(a);
}
