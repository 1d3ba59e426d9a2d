/* kubeconfig.c - where a server is and what to show it, from files as kubectl writes them and as people do. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kubeconfig.h"

static char dir[] = "/tmp/kl.kubeconfig.XXXXXX";
static struct arena *a;

static const char *file(const char *name)
{
    return arena_printf(a, "%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(file(name), "w");
    cr_assert(f && fputs(text, f) >= 0);
    fclose(f);
}

static void begin(void)
{
    a = arena_new(0);
    cr_assert(mkdtemp(dir));
    put("ca.crt", "ca");
    put("me.crt", "crt");
    put("me.key", "key");
    put("token", "t1\n");
}

static void finish(void)
{
    static const char *const made[] = { "ca.crt", "me.crt", "me.key", "token", "kc" };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        unlink(file(made[i]));
    rmdir(dir);
    arena_free(a);
}
TestSuite(kubeconfig, .init = begin, .fini = finish);

#define HEAD "current-context: c\ncontexts: [{name: b}, {name: c, context: {cluster: x, user: u}}]\n"
#define CA   "clusters: [{name: x, cluster: {server: 'https://h:1', certificate-authority: ca.crt}}]\n"

static int read_(const char *text, enum kubeconfig_wants wants, struct kubeconfig *ret, struct kl_err *err)
{
    kl_err_init(err);
    put("kc", text);
    return kubeconfig_read(a, file("kc"), wants, ret, err);
}

Test(kubeconfig, files_beside_it)
{
    struct kubeconfig k;
    struct kl_err err;
    int rc = read_(HEAD "clusters: [{name: x, cluster: {server: 'https://h:1', tls-server-name: other, certificate-authority: ca.crt}}]\n"
                   "users: [{name: u, user: {client-certificate: me.crt, client-key: me.key}}]\n", KUBECONFIG_CERTIFICATE, &k, &err);
    cr_assert_eq(rc, 0, "%s", err.msg);
    cr_expect_str_eq(k.server, "https://h:1");
    cr_expect_str_eq(k.path, "/");
    cr_expect_str_eq(k.server_name, "other");
    cr_expect(str_is(k.ca, "ca") && str_is(k.cert, "crt") && str_is(k.key, "key") && !k.token && !k.insecure);
}

Test(kubeconfig, a_token_a_path_and_data)
{
    struct kubeconfig k;
    struct kl_err err;
    int rc = read_(HEAD "clusters: [{name: x, cluster: {server: 'https://a:1/p/q', certificate-authority-data: Y2E=}}]\nusers: [{name: u, user: {token: t0}}]\n",
                   KUBECONFIG_CREDENTIAL, &k, &err);
    cr_assert_eq(rc, 0, "%s", err.msg);
    cr_expect_str_eq(k.server, "https://a:1");
    cr_expect_str_eq(k.path, "/p/q");
    cr_expect_str_eq(k.token, "t0");
    cr_expect(str_is(k.ca, "ca") && !k.server_name && !k.cert.at);
    cr_assert_eq(read_(HEAD CA "users: [{name: u, user: {tokenFile: token}}]\n", KUBECONFIG_CREDENTIAL, &k, &err), 0, "%s", err.msg);
    cr_expect_str_eq(k.token, "t1");
    cr_assert_eq(read_(HEAD "clusters: [{name: x, cluster: {server: 'https://a', insecure-skip-tls-verify: true}}]\n", KUBECONFIG_SERVER, &k, &err), 0, "%s", err.msg);
    cr_expect(k.insecure && !k.token);
}

Test(kubeconfig, what_is_missing_is_named)
{
    static const struct {
        const char *text, *why;
        enum kubeconfig_wants wants;
    } rows[] = {
        { HEAD "clusters: [{name: x, cluster: {server: 'http://h:1'}}]\n", "no https:// server", KUBECONFIG_SERVER },
        { HEAD CA "users: [{name: u, user: {token: t}}]\n", "no client-certificate", KUBECONFIG_CERTIFICATE },
        { HEAD CA "users: [{name: u, user: {client-certificate: me.crt}}]\n", "no client-key", KUBECONFIG_CREDENTIAL },
        { HEAD CA, "no client-certificate", KUBECONFIG_CREDENTIAL },
        { HEAD "clusters: [{name: x, cluster: {server: 'https://h:1'}}]\n", "no certificate-authority", KUBECONFIG_CREDENTIAL },
        { HEAD "clusters: [{name: x, cluster: {server: 'https://h:1', certificate-authority: none.crt}}]\n", "none.crt' cannot be read", KUBECONFIG_SERVER },
        { HEAD "clusters: [{name: x, cluster: {server: 'https://h:1', certificate-authority-data: '!'}}]\n", "is not base64", KUBECONFIG_SERVER },
        { HEAD CA "users: [{name: u, user: {tokenFile: none}}]\n", "none' cannot be read", KUBECONFIG_CREDENTIAL },
        { "{", "kubeconfig '", KUBECONFIG_SERVER },
    };
    struct kubeconfig k;
    struct kl_err err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int rc = read_(rows[i].text, rows[i].wants, &k, &err);
        cr_expect(rc < 0 && strstr(err.msg, rows[i].why), "%s: %s", rows[i].text, rc < 0 ? err.msg : "taken");
    }
    cr_expect_eq(kubeconfig_read(a, file("absent"), KUBECONFIG_SERVER, &k, &err), -KL_NOT_FOUND);
}
