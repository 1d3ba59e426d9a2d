/* machine.c - processors, memory, disk and names of this machine, from /proc, /sys and the file system. */
#include "node.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "base/quantity.h"

#define MEMORY_KEPT (100LL << 20)           /* not for pods: below this much free the node is under pressure */

static struct str file_text(struct arena *ar, const char *path)
{
    return str_trim(fs_get(ar, path, 4096));
}

/* "MemTotal:       24576000 kB" */
static int64_t meminfo(struct str text, const char *name)
{
    size_t n = strlen(name);
    while (text.at) {
        struct str line = str_cut(&text, '\n');
        int64_t kib;
        if (!str_starts(line, str_n(name, n)))
            continue;
        struct str value = str_trim(str_skip(line, n));
        return str_int(str_cut(&value, ' '), &kib) ? kib * 1024 : 0;
    }
    return 0;
}

static void read_pids(struct arena *ar, struct machine *m)
{
    struct str load = file_text(ar, "/proc/loadavg"), most = file_text(ar, "/proc/sys/kernel/pid_max");
    for (int i = 0; i < 3; i++)
        str_cut(&load, ' ');
    struct str counts = str_cut(&load, ' ');
    str_cut(&counts, '/');
    str_int(counts, &m->pids);
    str_int(most, &m->pids_most);
}

void machine_read(const char *dir, struct machine *m)
{
    _cleanup_arena_ struct arena *ar = arena_new(1u << 20);
    struct statvfs fs;
    *m = (struct machine){ .cpus = sysconf(_SC_NPROCESSORS_ONLN), .memory = resources_node_memory() };
    if (!ar)
        return;
    struct str info = fs_get(ar, "/proc/meminfo", 16384);
    int64_t total = meminfo(info, "MemTotal:");
    m->memory = total ? total : m->memory;
    m->memory_free = meminfo(info, "MemFree:") + meminfo(info, "Inactive(file):");    /* all but the working set */
    m->swap = meminfo(info, "SwapTotal:");
    read_pids(ar, m);
    if (statvfs(dir, &fs) != 0)
        return;
    m->disk = (int64_t)(fs.f_blocks * fs.f_frsize);
    m->disk_free = (int64_t)(fs.f_bavail * fs.f_frsize);
    m->inodes = (int64_t)fs.f_files;
    m->inodes_free = (int64_t)fs.f_favail;
}

const char *machine_arch(void)
{
    static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "riscv64", "riscv64" },
                                            { "ppc64le", "ppc64le" }, { "s390x", "s390x" }, { "armv7l", "arm" } };
    struct utsname u;
    if (uname(&u) == 0)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strcmp(u.machine, names[i][0]) == 0)
                return names[i][1];
    return "unknown";
}

static struct str os_image(struct arena *ar)
{
    struct str text = fs_get(ar, "/etc/os-release", 16384);     /* on most systems a link to the other one */
    if (!text.len)
        text = fs_get(ar, "/usr/lib/os-release", 16384);
    while (text.at) {
        struct str value = str_cut(&text, '\n'), name = str_cut(&value, '=');
        if (!str_is(name, "PRETTY_NAME") || !value.len)
            continue;
        bool quoted = value.len >= 2 && value.at[0] == '"';
        return quoted ? str_n(value.at + 1, value.len - 2) : value;
    }
    return STR("Linux");
}

struct val *machine_info(const struct agent *a, struct arena *ar, const struct machine *m)
{
    struct val *o = val_new(ar, VAL_OBJ);
    struct utsname u;
    bool known = uname(&u) == 0;
    struct str id = file_text(ar, "/etc/machine-id"), uuid = file_text(ar, "/sys/class/dmi/id/product_uuid");
    set_s(ar, o, "machineID", id);
    set_s(ar, o, "systemUUID", uuid.len ? uuid : id);
    set_s(ar, o, "bootID", file_text(ar, "/proc/sys/kernel/random/boot_id"));
    set_s(ar, o, "kernelVersion", known ? arena_str(ar, str_of(u.release)) : STR(""));
    set_s(ar, o, "osImage", os_image(ar));
    set_z(ar, o, "containerRuntimeVersion", arena_printf(ar, "%s://%s", a->runtime_name, a->runtime_version));
    set_z(ar, o, "kubeletVersion", a->conf->version);
    set_z(ar, o, "kubeProxyVersion", "");
    set_z(ar, o, "operatingSystem", "linux");
    set_z(ar, o, "architecture", machine_arch());
    if (m->swap)
        set_i(ar, json_obj(ar, o, STR("swap")), "capacity", m->swap);
    return o;
}

static void amount(struct arena *ar, struct val *o, const char *name, int64_t value, enum quantity_format f)
{
    char text[QUANTITY_TEXT];
    size_t n = quantity_format(quantity_of(value, f), text);
    json_set_str(ar, o, str_of(name), arena_str(ar, str_n(text, n)));
}

/* Reserved pages of each size: "hugepages-2048kB" holds nr_hugepages. */
static void huge_pages(struct arena *ar, struct val *capacity, struct val *allocatable, int64_t *ret_bytes)
{
    static const char dir[] = "/sys/kernel/mm/hugepages";
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512], text[QUANTITY_TEXT];
        int64_t kib = 0, n = 0;
        struct str name = str_of(e->d_name);
        if (!str_starts(name, STR("hugepages-")) || !str_ends(name, STR("kB")))
            continue;
        str_int(str_n(name.at + 10, name.len - 12), &kib);
        snprintf(path, sizeof path, "%s/%.200s/nr_hugepages", dir, e->d_name);
        str_int(file_text(ar, path), &n);
        quantity_format(quantity_of(kib * 1024, QUANTITY_BINARY), text);
        char *key = arena_printf(ar, "hugepages-%s", text);
        if (!key || kib <= 0)
            continue;
        amount(ar, capacity, key, n * kib * 1024, QUANTITY_BINARY);
        amount(ar, allocatable, key, n * kib * 1024, QUANTITY_BINARY);
        *ret_bytes += n * kib * 1024;
    }
    if (d)
        closedir(d);
}

void machine_capacity(struct arena *ar, const struct machine *m, int64_t pods, struct val *capacity, struct val *allocatable)
{
    int64_t huge = 0, most = m->memory - MEMORY_KEPT;
    amount(ar, capacity, "cpu", m->cpus, QUANTITY_DECIMAL);
    amount(ar, allocatable, "cpu", m->cpus, QUANTITY_DECIMAL);
    amount(ar, capacity, "ephemeral-storage", m->disk / 1024 * 1024, QUANTITY_BINARY);
    amount(ar, allocatable, "ephemeral-storage", m->disk / 10 * 9, QUANTITY_DECIMAL);
    huge_pages(ar, capacity, allocatable, &huge);
    amount(ar, capacity, "memory", m->memory / 1024 * 1024, QUANTITY_BINARY);
    amount(ar, allocatable, "memory", most - huge > 0 ? (most - huge) / 1024 * 1024 : 0, QUANTITY_BINARY);
    amount(ar, capacity, "pods", pods, QUANTITY_DECIMAL);
    amount(ar, allocatable, "pods", pods, QUANTITY_DECIMAL);
}
