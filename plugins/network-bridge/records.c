/* records.c - who has which address: one small file per pod, written before anything else is made, so that a killed process forgets nothing
 * that it has begun. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/hash.h"
#include "bridge.h"

void record_path(const struct bridge *b, const char *kind, const char *uid, char *ret, size_t room)
{
    snprintf(ret, room, "%s/%s%s%s", b->conf->run_dir, kind, uid ? "/" : "", uid ? uid : "");
}

static int read_ports(struct record *r, const struct val *list)
{
    if (!val_is(list, VAL_ARR) || !list->n)
        return 0;
    r->ports = mem_alloc(list->n * sizeof *r->ports);
    if (!r->ports)
        return -KL_NO_MEMORY;
    val_each(p, list) {
        struct host_port *h = &r->ports[r->n_ports];
        struct str proto = json_str(p, "protocol"), ip = json_str(p, "hostIP");
        struct in_addr probe;
        h->host_port = (int)json_int(p, "hostPort", 0);
        h->container_port = (int)json_int(p, "containerPort", 0);
        snprintf(h->protocol, sizeof h->protocol, "%s", str_is(proto, "UDP") ? "udp" : str_is(proto, "SCTP") ? "sctp" : "tcp");
        snprintf(h->ip, sizeof h->ip, STR_FMT, STR_ARG(ip));
        if (inet_pton(AF_INET, h->ip, &probe) != 1 || !probe.s_addr)
            h->ip[0] = '\0';
        if (h->host_port > 0 && h->host_port < 65536 && h->container_port > 0 && h->container_port < 65536)
            r->n_ports++;
    }
    return 0;
}

static struct record *record_new(const char *uid, uint32_t ip, const struct val *host_ports)
{
    struct record *r = mem_alloc(sizeof *r);
    if (!r)
        return NULL;
    snprintf(r->uid, sizeof r->uid, "%s", uid);
    /* Two halves of two hashes: one pod's link must not be another's. */
    snprintf(r->veth, sizeof r->veth, "kl%08x%04x", hash_fnv32a(str_of(uid)), hash_crc32c(0, uid, strlen(uid)) & 0xffff);
    r->ip = ip;
    list_init(&r->link);
    if (read_ports(r, host_ports) < 0) {
        mem_free(r);
        return NULL;
    }
    return r;
}

static void record_free(struct record *r)
{
    list_remove(&r->link);
    mem_free(r->ports);
    mem_free(r);
}

/* --- disk --- */

static int save(const struct bridge *b, const struct record *r, struct kl_err *err)
{
    char path[512], temporary[520], ip[INET_ADDRSTRLEN];
    struct in_addr at = { htonl(r->ip) };
    _cleanup_buf_ struct buf text = BUF_INIT(65536);
    inet_ntop(AF_INET, &at, ip, sizeof ip);
    buf_printf(&text, "{\"ip\":\"%s\",\"hostPorts\":[", ip);
    for (unsigned i = 0; i < r->n_ports; i++) {
        const struct host_port *p = &r->ports[i];
        buf_printf(&text, "%s{\"hostPort\":%d,\"containerPort\":%d,\"protocol\":\"%s\",\"hostIP\":\"%s\"}", i ? "," : "", p->host_port,
                   p->container_port, p->protocol[0] == 'u' ? "UDP" : p->protocol[0] == 's' ? "SCTP" : "TCP", p->ip);
    }
    buf_add_z(&text, "]}\n");
    record_path(b, "records", r->uid, path, sizeof path);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && !text.failed && write(fd, text.at, text.len) == (ssize_t)text.len;
    if (fd >= 0)
        close(fd);
    if (ok && rename(temporary, path) == 0)
        return 0;
    int e = errno;
    unlink(temporary);
    return kl_err_set(err, KL_STORAGE_FULL, "the record '%s' cannot be written: %s", path, strerror(e));
}

static void load_one(struct bridge *b, const char *uid)
{
    char path[512], text[65536];
    struct kl_err err;
    struct in_addr ip;
    kl_err_init(&err);
    record_path(b, "records", uid, path, sizeof path);
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    struct val *v = a && n > 0 ? json_parse(a, str_n(text, (size_t)n), &err) : NULL;
    char *addr = v ? arena_dup(a, json_str(v, "ip")) : NULL;
    struct record *r = addr && inet_pton(AF_INET, addr, &ip) == 1 ? record_new(uid, ntohl(ip.s_addr), json_get(v, STR("hostPorts"))) : NULL;
    if (r)
        list_push(&b->records, &r->link);
    else
        unlink(path);                   /* cut short by a power cut: what it was about is gone as well */
}

int records_load(struct bridge *b, struct kl_err *err)
{
    char path[512];
    if (b->loaded)
        return 0;
    record_path(b, "ns", NULL, path, sizeof path);
    int rc = disk_mkdirs(path, 0711, err);
    record_path(b, "records", NULL, path, sizeof path);
    if (rc == 0)
        rc = disk_mkdirs(path, 0711, err);
    DIR *d = rc == 0 ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && !strstr(e->d_name, ".new"))
            load_one(b, e->d_name);
    if (d)
        closedir(d);
    b->loaded = rc == 0;
    return rc;
}

/* --- addresses --- */

struct record *records_find(struct bridge *b, const char *uid)
{
    list_each(n, &b->records)
        if (strcmp(list_item(n, struct record, link)->uid, uid) == 0)
            return list_item(n, struct record, link);
    return NULL;
}

static bool taken(struct bridge *b, uint32_t ip)
{
    list_each(n, &b->records)
        if (list_item(n, struct record, link)->ip == ip)
            return true;
    return false;
}

/* The next free one behind the last given out: an address rests as long as there are others. */
static uint32_t free_address(struct bridge *b)
{
    uint32_t first = b->gateway + 1, end = (b->net | ~b->mask), n = end - first;
    uint32_t at = b->last >= first && b->last < end ? b->last - first + 1 : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t ip = first + (at + i) % n;
        if (!taken(b, ip))
            return ip;
    }
    return 0;
}

int records_add(struct bridge *b, const char *uid, const struct val *host_ports, struct record **ret, struct kl_err *err)
{
    uint32_t ip = free_address(b);
    if (!ip)
        return kl_err_set(err, KL_UNAVAILABLE, "all addresses of '%s' are taken", b->pod_cidr);
    struct record *r = record_new(uid, ip, host_ports);
    if (!r)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = save(b, r, err);
    if (rc < 0) {
        record_free(r);
        return rc;
    }
    b->last = ip;
    list_push(&b->records, &r->link);
    *ret = r;
    return 0;
}

void records_remove(struct bridge *b, struct record *r)
{
    char path[512];
    record_path(b, "records", r->uid, path, sizeof path);
    unlink(path);
    record_free(r);
}
