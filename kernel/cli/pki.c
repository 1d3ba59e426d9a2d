/* pki.c - keys and certificates of a cluster, made when they are not there: a CA, the server's certificate, the administrator's
 * kubeconfig; and on demand a node's. ECDSA P-256; files 0600. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "cli/cli.h"

#define YEAR (365 * 86400)

struct pair {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
};

struct request {
    const char *cn, *org, *address, *service_ip;
    const char *const *names;           /* DNS names that a server has; NULL-terminated */
    bool ca, server, client;
};

static void pair_free(struct pair *p)
{
    if (p->key)
        gnutls_x509_privkey_deinit(p->key);
    if (p->crt)
        gnutls_x509_crt_deinit(p->crt);
}

static int write_file(const char *path, const void *at, size_t n, struct kl_err *err)
{
    char temp[4200];
    snprintf(temp, sizeof temp, "%s.tmp", path);
    _cleanup_close_ int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, at, n) != (ssize_t)n || fsync(fd) < 0 || rename(temp, path) < 0)
        return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be written: %s", path, strerror(errno));
    return 0;
}

static void add_address(gnutls_x509_crt_t crt, const struct in_addr *in)
{
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, in, sizeof *in, GNUTLS_FSAN_APPEND);
}

/* Who listens everywhere is called by any address of the machine. */
static void add_own_addresses(gnutls_x509_crt_t crt)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && !(i->ifa_flags & IFF_LOOPBACK))
            add_address(crt, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr);
    freeifaddrs(all);
}

static void add_names(gnutls_x509_crt_t crt, const struct request *r)
{
    struct in_addr in;
    for (const char *const *n = r->names; n && *n; n++)
        gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, *n, (unsigned)strlen(*n), GNUTLS_FSAN_APPEND);
    if (!r->address)
        return;
    inet_pton(AF_INET, "127.0.0.1", &in);
    add_address(crt, &in);
    if (r->service_ip && inet_pton(AF_INET, r->service_ip, &in) == 1)
        add_address(crt, &in);
    if (strcmp(r->address, "0.0.0.0") == 0)
        add_own_addresses(crt);
    else if (inet_pton(AF_INET, r->address, &in) == 1 && strcmp(r->address, "127.0.0.1") != 0)
        add_address(crt, &in);
}

static int issue(struct pair *p, const struct request *r, const struct pair *signer)
{
    unsigned char serial[16];
    time_t now = (time_t)(env_wall_ns() / NS_PER_S);
    int rc = gnutls_x509_privkey_init(&p->key);
    if (rc >= 0)
        rc = gnutls_x509_privkey_generate(p->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (rc < 0 || (rc = gnutls_x509_crt_init(&p->crt)) < 0)
        return rc;
    env_random(serial, sizeof serial);
    serial[0] &= 0x7f;
    gnutls_x509_crt_set_version(p->crt, 3);
    gnutls_x509_crt_set_serial(p->crt, serial, sizeof serial);
    gnutls_x509_crt_set_activation_time(p->crt, now - 300);
    gnutls_x509_crt_set_expiration_time(p->crt, now + (r->ca ? 10 : 1) * YEAR);
    gnutls_x509_crt_set_dn_by_oid(p->crt, GNUTLS_OID_X520_COMMON_NAME, 0, r->cn, (unsigned)strlen(r->cn));
    if (r->org)
        gnutls_x509_crt_set_dn_by_oid(p->crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, r->org, (unsigned)strlen(r->org));
    gnutls_x509_crt_set_key(p->crt, p->key);
    gnutls_x509_crt_set_basic_constraints(p->crt, r->ca, r->ca ? 1 : -1);
    gnutls_x509_crt_set_key_usage(p->crt, r->ca ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN : GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (r->client)
        gnutls_x509_crt_set_key_purpose_oid(p->crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    if (r->server)
        gnutls_x509_crt_set_key_purpose_oid(p->crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (r->server)
        add_names(p->crt, r);
    const struct pair *by = signer ? signer : p;
    return gnutls_x509_crt_sign2(p->crt, by->crt, by->key, GNUTLS_DIG_SHA256, 0);
}

static int save(const struct pair *p, const char *dir, const char *name, struct kl_err *err)
{
    gnutls_datum_t crt = { 0 }, key = { 0 };
    char path[4200];
    int rc = gnutls_x509_crt_export2(p->crt, GNUTLS_X509_FMT_PEM, &crt);
    if (rc >= 0)
        rc = gnutls_x509_privkey_export2(p->key, GNUTLS_X509_FMT_PEM, &key);
    if (rc < 0) {
        rc = kl_err_set(err, KL_INTERNAL, "certificate '%s': %s", name, gnutls_strerror(rc));
    } else {
        snprintf(path, sizeof path, "%s/%s.key", dir, name);
        rc = write_file(path, key.data, key.size, err);
        snprintf(path, sizeof path, "%s/%s.crt", dir, name);
        if (rc == 0)
            rc = write_file(path, crt.data, crt.size, err);
    }
    gnutls_free(crt.data);
    gnutls_free(key.data);
    return rc;
}

static int load(struct pair *p, const char *dir, const char *name)
{
    gnutls_datum_t crt = { 0 }, key = { 0 };
    char path[4200];
    snprintf(path, sizeof path, "%s/%s.crt", dir, name);
    int rc = gnutls_load_file(path, &crt);
    snprintf(path, sizeof path, "%s/%s.key", dir, name);
    if (rc >= 0)
        rc = gnutls_load_file(path, &key);
    if (rc >= 0 && (rc = gnutls_x509_crt_init(&p->crt)) >= 0 && (rc = gnutls_x509_privkey_init(&p->key)) >= 0)
        rc = gnutls_x509_crt_import(p->crt, &crt, GNUTLS_X509_FMT_PEM);
    if (rc >= 0)
        rc = gnutls_x509_privkey_import(p->key, &key, GNUTLS_X509_FMT_PEM);
    gnutls_free(crt.data);
    gnutls_free(key.data);
    return rc;
}

static bool exists(const char *dir, const char *name)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s.crt", dir, name);
    return access(path, F_OK) == 0;
}

static int ensure_one(const char *dir, const char *name, const struct request *r, const struct pair *ca, struct kl_err *err)
{
    struct pair p = { 0 };
    if (exists(dir, name))
        return 0;
    int rc = issue(&p, r, ca);
    rc = rc < 0 ? kl_err_set(err, KL_INTERNAL, "certificate '%s': %s", name, gnutls_strerror(rc)) : save(&p, dir, name, err);
    pair_free(&p);
    return rc;
}

/* The key that signs service account tokens: sa.key, and sa.pub for those who only verify. */
static int ensure_signer(const char *dir, struct kl_err *err)
{
    char path[4200], pub_path[4200];
    gnutls_datum_t key = { 0 }, pub = { 0 };
    gnutls_x509_privkey_t k = NULL;
    gnutls_privkey_t abstract = NULL;
    gnutls_pubkey_t p = NULL;
    snprintf(path, sizeof path, "%s/sa.key", dir);
    snprintf(pub_path, sizeof pub_path, "%s/sa.pub", dir);
    if (access(path, F_OK) == 0 && access(pub_path, F_OK) == 0)
        return 0;
    int rc = gnutls_x509_privkey_init(&k);
    if (rc >= 0 && access(path, F_OK) == 0 && (rc = gnutls_load_file(path, &key)) >= 0)
        rc = gnutls_x509_privkey_import(k, &key, GNUTLS_X509_FMT_PEM);
    else if (rc >= 0)
        rc = gnutls_x509_privkey_generate(k, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (rc >= 0 && !key.data)
        rc = gnutls_x509_privkey_export2(k, GNUTLS_X509_FMT_PEM, &key);
    if (rc >= 0 && (rc = gnutls_privkey_init(&abstract)) >= 0 && (rc = gnutls_pubkey_init(&p)) >= 0)
        rc = gnutls_privkey_import_x509(abstract, k, 0);
    if (rc >= 0 && (rc = gnutls_pubkey_import_privkey(p, abstract, 0, 0)) >= 0)
        rc = gnutls_pubkey_export2(p, GNUTLS_X509_FMT_PEM, &pub);
    rc = rc < 0 ? kl_err_set(err, KL_INTERNAL, "'%s': %s", path, gnutls_strerror(rc)) : write_file(pub_path, pub.data, pub.size, err);
    if (rc == 0)
        rc = write_file(path, key.data, key.size, err);
    gnutls_pubkey_deinit(p);
    gnutls_privkey_deinit(abstract);
    gnutls_x509_privkey_deinit(k);
    gnutls_free(key.data);
    gnutls_free(pub.data);
    return rc;
}

/* What the server shows to servers of aggregated groups: a CA of its own, since whom it signs is believed about who asks. */
static int ensure_front_proxy(const char *dir, struct kl_err *err)
{
    static const struct request ca_request = { .cn = "front-proxy-ca", .ca = true }, client = { .cn = "front-proxy-client", .client = true };
    struct pair ca = { 0 };
    int rc = ensure_one(dir, "front-proxy-ca", &ca_request, NULL, err);
    if (rc == 0 && (rc = load(&ca, dir, "front-proxy-ca")) < 0)
        rc = kl_err_set(err, KL_INVALID, "'%s/front-proxy-ca.crt' and its key cannot be read: %s", dir, gnutls_strerror(rc));
    if (rc == 0)
        rc = ensure_one(dir, "front-proxy-client", &client, &ca, err);
    pair_free(&ca);
    return rc;
}

int pki_ensure(const char *dir, const char *address, const char *service_ip, struct kl_err *err)
{
    static const struct request ca_request = { .cn = "keelson-ca", .ca = true };
    static const char *const names[] = { "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                                         "kubernetes.default.svc.cluster.local", NULL };
    struct request server = { .cn = "kube-apiserver", .address = address, .service_ip = service_ip, .names = names, .server = true };
    static const struct request admin = { .cn = "kubernetes-admin", .org = "system:masters", .client = true };
    /* What the server shows to nodes: it is allowed nothing in the API. */
    static const struct request towards_nodes = { .cn = PKI_TOWARDS_NODES, .client = true };
    struct pair ca = { 0 };
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be made: %s", dir, strerror(errno));
    int rc = ensure_one(dir, "ca", &ca_request, NULL, err);
    if (rc == 0 && (rc = load(&ca, dir, "ca")) < 0)
        rc = kl_err_set(err, KL_INVALID, "'%s/ca.crt' and its key cannot be read: %s", dir, gnutls_strerror(rc));
    if (rc == 0)
        rc = ensure_one(dir, "server", &server, &ca, err);
    if (rc == 0)
        rc = ensure_one(dir, "admin", &admin, &ca, err);
    if (rc == 0)
        rc = ensure_one(dir, "apiserver-kubelet-client", &towards_nodes, &ca, err);
    if (rc == 0)
        rc = ensure_signer(dir, err);
    if (rc == 0)
        rc = ensure_front_proxy(dir, err);
    pair_free(&ca);
    return rc;
}

/* --- kubeconfigs --- */

static int add_data(struct buf *b, const char *key, const gnutls_datum_t *raw)
{
    gnutls_datum_t text = { 0 };
    int rc = gnutls_base64_encode2(raw, &text);
    if (rc >= 0)
        buf_printf(b, "    %s: %.*s\n", key, (int)text.size, text.data);
    gnutls_free(text.data);
    return rc;
}

static int add_file(struct buf *b, const char *key, const char *dir, const char *name, struct kl_err *err)
{
    gnutls_datum_t raw = { 0 };
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int rc = gnutls_load_file(path, &raw);
    if (rc >= 0)
        rc = add_data(b, key, &raw);
    gnutls_free(raw.data);
    return rc < 0 ? kl_err_set(err, KL_INVALID, "'%s': %s", path, gnutls_strerror(rc)) : 0;
}

static int begin(struct buf *b, const char *dir, const char *url, const char *user, struct kl_err *err)
{
    buf_printf(b, "apiVersion: v1\nkind: Config\nclusters:\n- name: keelson\n  cluster:\n    server: %s\n", url);
    int rc = add_file(b, "certificate-authority-data", dir, "ca.crt", err);
    buf_printf(b, "contexts:\n- name: keelson\n  context:\n    cluster: keelson\n    user: %s\ncurrent-context: keelson\n"
               "users:\n- name: %s\n  user:\n", user, user);
    return rc;
}

int pki_kubeconfig(const char *dir, const char *address, int port, const char *path, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    char url[128];
    snprintf(url, sizeof url, "https://%s:%d", strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : address, port);
    int rc = begin(&b, dir, url, "kubernetes-admin", err);
    if (rc == 0)
        rc = add_file(&b, "client-certificate-data", dir, "admin.crt", err);
    if (rc == 0)
        rc = add_file(&b, "client-key-data", dir, "admin.key", err);
    return rc == 0 ? write_file(path, b.at, b.len, err) : rc;
}

static int add_pair(struct buf *b, const struct pair *p)
{
    gnutls_datum_t crt = { 0 }, key = { 0 };
    int rc = gnutls_x509_crt_export2(p->crt, GNUTLS_X509_FMT_PEM, &crt);
    if (rc >= 0)
        rc = gnutls_x509_privkey_export2(p->key, GNUTLS_X509_FMT_PEM, &key);
    if (rc >= 0)
        rc = add_data(b, "client-certificate-data", &crt);
    if (rc >= 0)
        rc = add_data(b, "client-key-data", &key);
    gnutls_free(crt.data);
    gnutls_free(key.data);
    return rc;
}

int pki_node_kubeconfig(const char *dir, const char *node, const char *url, struct buf *ret, struct kl_err *err)
{
    char user[300];
    const char *names[] = { node, NULL };
    struct pair ca = { 0 }, p = { 0 };
    snprintf(user, sizeof user, PKI_NODE_PREFIX "%s", node);
    /* One certificate for both directions: towards the API, and on the node's own port, where the server expects the node's name. */
    struct request r = { .cn = user, .org = "system:nodes", .names = names, .server = true, .client = true };
    int rc = load(&ca, dir, "ca");
    rc = rc < 0 ? kl_err_set(err, KL_NOT_FOUND, "the cluster's CA in '%s' cannot be read: %s", dir, gnutls_strerror(rc))
                : begin(ret, dir, url, user, err);
    if (rc == 0 && ((rc = issue(&p, &r, &ca)) < 0 || (rc = add_pair(ret, &p)) < 0))
        rc = kl_err_set(err, KL_INTERNAL, "certificate of '%s': %s", user, gnutls_strerror(rc));
    pair_free(&p);
    pair_free(&ca);
    return rc;
}

static struct str take_text(struct arena *a, gnutls_datum_t *d)
{
    struct str s = d->data ? arena_str(a, str_n((const char *)d->data, d->size)) : STR_NONE;
    if (d->data)
        gnutls_memset(d->data, 0, d->size);
    gnutls_free(d->data);
    return s;
}

int pki_node_serving(const char *dir, const char *node, const char *address, struct arena *a, struct str *ret_cert, struct str *ret_key, struct kl_err *err)
{
    char user[300];
    const char *names[] = { node, "localhost", NULL };
    struct pair ca = { 0 }, p = { 0 };
    gnutls_datum_t crt = { 0 }, key = { 0 };
    snprintf(user, sizeof user, PKI_NODE_PREFIX "%s", node);
    struct request r = { .cn = user, .org = "system:nodes", .address = "0.0.0.0", .service_ip = address, .names = names, .server = true };
    int rc = load(&ca, dir, "ca");
    if (rc >= 0)
        rc = issue(&p, &r, &ca);
    if (rc >= 0)
        rc = gnutls_x509_crt_export2(p.crt, GNUTLS_X509_FMT_PEM, &crt);
    if (rc >= 0)
        rc = gnutls_x509_privkey_export2(p.key, GNUTLS_X509_FMT_PEM, &key);
    *ret_cert = take_text(a, &crt);
    *ret_key = take_text(a, &key);
    pair_free(&p);
    pair_free(&ca);
    if (rc < 0)
        return kl_err_set(err, KL_INTERNAL, "certificate of '%s': %s", user, gnutls_strerror(rc));
    return ret_cert->at && ret_key->at ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

int pki_node_name(struct str cert_pem, char *ret, size_t size, struct kl_err *err)
{
    gnutls_datum_t pem = { (unsigned char *)(uintptr_t)cert_pem.at, (unsigned)cert_pem.len };
    gnutls_x509_crt_t crt;
    char cn[300] = "";
    size_t n = sizeof cn, prefix = strlen(PKI_NODE_PREFIX);
    int rc = gnutls_x509_crt_init(&crt);
    if (rc < 0)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    rc = gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM);
    if (rc >= 0)
        rc = gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, cn, &n);
    gnutls_x509_crt_deinit(crt);
    if (rc < 0 || strncmp(cn, PKI_NODE_PREFIX, prefix) != 0 || !cn[prefix] || strlen(cn + prefix) >= size)
        return kl_err_set(err, KL_INVALID, "the kubeconfig's certificate is no node's: its name is '%s', not '" PKI_NODE_PREFIX "NAME'", cn);
    snprintf(ret, size, "%s", cn + prefix);
    return 0;
}
