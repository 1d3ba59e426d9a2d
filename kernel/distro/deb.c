/* deb.c - a Debian package: an ar archive of debian-binary, control.tar.gz and data.tar.zst. Files go to /usr and /etc; configuration is the
 * administrator's to change (conffiles). */
#include <sys/stat.h>
#include <sys/utsname.h>

#include "distro/internal.h"

static const char *machine(const char *x86, const char *arm)
{
    static struct utsname u;
    uname(&u);
    return strcmp(u.machine, "x86_64") == 0 ? x86 : strcmp(u.machine, "aarch64") == 0 ? arm : u.machine;
}

const char *arch_debian(void)
{
    return machine("amd64", "arm64");
}

const char *arch_oci(void)
{
    return machine("amd64", "arm64");
}

static void add_dependency(struct buf *b, struct str name)
{
    if (!name.len)
        return;
    for (struct str rest = buf_str(b); rest.at && rest.len;)
        if (str_eq(str_trim(str_cut(&rest, ',')), name))
            return;
    buf_printf(b, "%s" STR_FMT, b->len ? ", " : "", STR_ARG(name));
}

static void write_control(struct distro *d, struct buf *b, const struct pack_entry *data, unsigned n)
{
    _cleanup_buf_ struct buf depends = BUF_INIT(65536);
    struct stat st;
    uint64_t kib = 0;
    for (unsigned i = 0; i < n; i++)
        kib += data[i].from && stat(data[i].from, &st) == 0 ? ((uint64_t)st.st_size + 1023) / 1024 : 1;
    for (const struct val *v = d->depends ? d->depends->first : NULL; v; v = v->next)
        add_dependency(&depends, val_str(v));
    val_each(v, d->libraries)
        add_dependency(&depends, json_str(v, "package"));
    buf_printf(b, "Package: keelson-%s\nVersion: %s\nArchitecture: %s\nMaintainer: %s\nInstalled-Size: %llu\n", d->name, d->version, arch_debian(),
               d->maintainer, (unsigned long long)kib);
    if (depends.len)
        buf_printf(b, "Depends: " STR_FMT "\n", STR_ARG(buf_str(&depends)));
    buf_printf(b, "Provides: keelson\nConflicts: keelson\nReplaces: keelson\nSection: admin\nPriority: optional\nDescription: %s\n"
                  " The distribution %s of Keelson: one program and the plugins that its manifest names.\n", d->summary, d->name);
}

static int write_lists(struct buf *sums, struct buf *conf, const struct pack_entry *data, unsigned n, struct kl_err *err)
{
    for (unsigned i = 0; i < n; i++) {
        _cleanup_buf_ struct buf bytes = BUF_INIT(FILE_LIMIT);
        char hex[129];
        if (!data[i].from)
            continue;
        int rc = files_read(data[i].from, &bytes, err);
        if (rc < 0)
            return rc;
        digest_of_text("MD5", buf_str(&bytes), hex);
        buf_printf(sums, "%s  %s\n", hex, data[i].to + 2);
        if (strncmp(data[i].to, "./etc/", 6) == 0)
            buf_printf(conf, "%s\n", data[i].to + 1);
    }
    return 0;
}

int deb_write(struct distro *d, const char *path, struct kl_err *err)
{
    _cleanup_buf_ struct buf control = BUF_INIT(1 << 20), sums = BUF_INIT(4 << 20), conf = BUF_INIT(1 << 20);
    struct pack_entry *data = NULL;
    const char *inner[] = { arena_printf(d->arena, "%s/control.tar.gz", d->temp), arena_printf(d->arena, "%s/data.tar.zst", d->temp) };
    unsigned n = 0;
    int rc = pack_stage(d, "./", "usr/", "", &data, &n, err);
    if (rc == 0)
        rc = write_lists(&sums, &conf, data, n, err);
    if (rc < 0)
        return rc;
    write_control(d, &control, data, n);
    const struct pack_entry head[] = {
        { .to = "./", .mode = S_IFDIR | 0755 },
        { .to = "./conffiles", .text = buf_str(&conf), .mode = S_IFREG | 0644 },
        { .to = "./control", .text = buf_str(&control), .mode = S_IFREG | 0644 },
        { .to = "./md5sums", .text = buf_str(&sums), .mode = S_IFREG | 0644 },
    }, outer[] = {
        { .to = "debian-binary", .text = STR("2.0\n"), .mode = S_IFREG | 0644 },
        { .to = "control.tar.gz", .from = inner[0], .mode = S_IFREG | 0644 },
        { .to = "data.tar.zst", .from = inner[1], .mode = S_IFREG | 0644 },
    };
    rc = pack_tar(inner[0], "gzip", head, sizeof head / sizeof *head, d->epoch, err);
    if (rc == 0)
        rc = pack_tar(inner[1], "zstd", data, n, d->epoch, err);
    return rc < 0 ? rc : pack_ar(path, outer, sizeof outer / sizeof *outer, d->epoch, err);
}
