/* cmd_pki.c - `keelson pki node NAME`: credentials for a node in another process, made beside the cluster's CA. */
#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kubeconfig.h"
#include "cli/cli.h"
#include "cli/daemon.h"

static const char usage_text[] =
    "usage: keelson pki node NAME [--server URL] [--out FILE] [OPTION VALUE]...\n"
    "  Writes a kubeconfig for the node NAME, to be given to `keelson agent --kubeconfig`. It runs where the cluster's keys are.\n"
    "  --server URL  the API server as the node reaches it; the administrator's kubeconfig says it, with this machine's address for 127.0.0.1\n"
    "                when the server listens everywhere\n"
    "  --out FILE    where it goes, readable by its owner only; standard output\n"
    "  OPTION        as of `keelson server` (--state-dir, --config, ...)\n";

/* A DNS subdomain: it becomes the name of an object and of a host. */
static bool is_node_name(const char *s)
{
    size_t n = strlen(s);
    if (!n || n > 253 || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!(islower((unsigned char)s[i]) || isdigit((unsigned char)s[i]) || s[i] == '-' || (s[i] == '.' && s[i - 1] != '.')))
            return false;
    return true;
}

static void own_address(char *ret, size_t size)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && i->ifa_flags & IFF_UP && !(i->ifa_flags & IFF_LOOPBACK)) {
            inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, ret, (socklen_t)size);
            break;
        }
    freeifaddrs(all);
}

/* Where the running (or last) server is, for others. */
static int server_url(struct options *o, char *ret, size_t size, struct kl_err *err)
{
    struct kubeconfig k;
    char address[64] = "127.0.0.1";
    int rc = kubeconfig_read(o->arena, o->kubeconfig_path, KUBECONFIG_CERTIFICATE, &k, err);
    if (rc < 0)
        return kl_err_wrap(err, "without --server the server's address is unknown");
    snprintf(ret, size, "%s", k.server);
    const char *local = strstr(k.server, "//127.0.0.1:");
    if (!local || strcmp(o->address, "0.0.0.0") != 0)
        return 0;
    own_address(address, sizeof address);
    snprintf(ret, size, "https://%s%s", address, local + strlen("//127.0.0.1"));
    return 0;
}

static int write_out(const char *path, const struct buf *b)
{
    _cleanup_close_ int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : dup(STDOUT_FILENO);
    if (fd >= 0 && path && fchmod(fd, 0600) < 0)
        return cli_fail(1, "pki: '%s': %m", path);
    for (size_t at = 0; at < b->len && fd >= 0;) {
        ssize_t n = write(fd, b->at + at, b->len - at);
        if (n <= 0)
            return cli_fail(1, "pki: '%s' cannot be written: %m", path ? path : "standard output");
        at += (size_t)n;
    }
    return fd < 0 ? cli_fail(1, "pki: '%s' cannot be written: %m", path ? path : "standard output") : 0;
}

static int node(struct options *o, const char *name, const char *url, const char *out)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    char dir[PATH_MAX], found[512];
    struct kl_err err;
    kl_err_init(&err);
    if (!url && server_url(o, found, sizeof found, &err) < 0)
        return cli_fail(1, "pki: %s", err.msg);
    snprintf(dir, sizeof dir, "%.4000s/pki", o->state);
    if (pki_node_kubeconfig(dir, name, url ? url : found, &b, &err) < 0 || b.failed)
        return cli_fail(1, "pki: %s", err.msg);
    return write_out(out, &b);
}

int cmd_pki(int argc, char **argv)
{
    static struct options o;
    const char *out = NULL, *name = argc > 2 ? argv[2] : "";
    char *rest[64] = { argv[0] };
    int n = 1;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage_text, stdout);
        return 0;
    }
    if (argc < 3 || strcmp(argv[1], "node") != 0 || name[0] == '-') {
        static const char *const known[] = { "node", NULL };
        cli_known("pki", argc > 1 ? argv[1] : NULL, known);
        fputs(usage_text, stderr);
        return 2;
    }
    if (!is_node_name(name))
        return cli_fail(2, "pki: '%s' is no node name: lower case letters, digits, '-' and '.' are wanted", name);
    for (int i = 3; i < argc; i++) {
        int rc = cli_option(argc, argv, &i, "--out", &out);
        if (rc == 2)
            return 2;
        if (rc == 0 && n < 63)
            rest[n++] = argv[i];
    }
    int rc = options_read(&o, "pki", n, rest);
    return rc || o.help ? rc : node(&o, name, o.server, out);
}
