/* build.c - an image of one layer from a folder, or a small busybox system. No build language: that is other tools' work. */
#include "image/internal.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct pack {
    struct archive *out;
    struct archive_entry *entry;
    struct kl_err *err;
};

static int pack_header(struct pack *p, const char *path, unsigned type, unsigned mode, int64_t size)
{
    archive_entry_clear(p->entry);
    archive_entry_set_pathname(p->entry, path);
    archive_entry_set_filetype(p->entry, type);
    archive_entry_set_perm(p->entry, mode);
    archive_entry_set_size(p->entry, size);
    archive_entry_set_mtime(p->entry, 0, 0);
    return 0;
}

static int pack_write(struct pack *p)
{
    if (archive_write_header(p->out, p->entry) < ARCHIVE_WARN)
        return kl_err_set(p->err, KL_INTERNAL, "cannot pack '%.100s': %s", archive_entry_pathname(p->entry),
                          archive_error_string(p->out));
    return 0;
}

static int pack_text(struct pack *p, const char *path, struct str text)
{
    pack_header(p, path, AE_IFREG, 0644, (int64_t)text.len);
    int rc = pack_write(p);
    return rc == 0 && archive_write_data(p->out, text.at, text.len) < 0 ? kl_err_set(p->err, KL_INTERNAL, "cannot pack") : rc;
}

static int pack_file(struct pack *p, int fd, int64_t size)
{
    _cleanup_free_ char *chunk = mem_alloc(1 << 17);
    int rc = chunk ? pack_write(p) : kl_err_set(p->err, KL_NO_MEMORY, "out of memory");
    while (rc == 0 && size > 0) {
        ssize_t n = read(fd, chunk, (size_t)(size < (1 << 17) ? size : 1 << 17));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return kl_err_set(p->err, KL_INTERNAL, "'%.100s' changed while it was packed", archive_entry_pathname(p->entry));
        if (archive_write_data(p->out, chunk, (size_t)n) < n)
            return kl_err_set(p->err, KL_INTERNAL, "cannot pack: %s", archive_error_string(p->out));
        size -= n;
    }
    return rc;
}

/* No program header asks for an interpreter. */
static bool is_static(int fd)
{
    Elf64_Ehdr h;
    if (pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
        return false;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr ph;
        if (pread(fd, &ph, sizeof ph, (off_t)(h.e_phoff + i * sizeof ph)) != (ssize_t)sizeof ph || ph.p_type == PT_INTERP)
            return false;
    }
    return true;
}

/* Its own list of names, one a line. */
static int busybox_names(const char *path, struct buf *out, struct kl_err *err)
{
    int ends[2], status = 0;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return kl_err_set(err, KL_INTERNAL, "no pipe: %s", strerror(errno));
    char name[] = "busybox", list[] = "--list", *argv[] = { name, list, NULL }, *env[] = { NULL };
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    int rc = posix_spawn(&pid, path, &files, NULL, argv, env);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    _cleanup_close_ int from = ends[0];
    if (rc != 0)
        return kl_err_set(err, KL_INTERNAL, "cannot run '%s': %s", path, strerror(rc));
    char *at;
    for (ssize_t n = 1; n > 0 && (at = buf_room(out, 4096));) {
        n = read(from, at, 4096);
        out->len += n > 0 ? (size_t)n : 0;
    }
    waitpid(pid, &status, 0);
    return out->failed || status != 0 ? kl_err_set(err, KL_INTERNAL, "'%s --list' failed", path) : 0;
}

static int pack_busybox_links(struct pack *p, const char *path)
{
    _cleanup_buf_ struct buf names = BUF_INIT(1 << 16);
    int rc = busybox_names(path, &names, p->err);
    struct str rest = buf_str(&names);
    while (rc == 0 && rest.at) {
        char link[160];
        struct str name = str_trim(str_cut(&rest, '\n'));
        if (name.len == 0 || name.len > 100 || str_is(name, "busybox") || str_find(name, '/') >= 0)
            continue;
        snprintf(link, sizeof link, "bin/" STR_FMT, STR_ARG(name));
        pack_header(p, link, AE_IFLNK, 0777, 0);
        archive_entry_set_symlink(p->entry, "busybox");
        rc = pack_write(p);
    }
    return rc;
}

static int pack_busybox(struct pack *p, const char *wanted)
{
    static const struct {
        const char *path;
        unsigned mode;
    } folders[] = { { "bin", 0755 }, { "dev", 0755 }, { "etc", 0755 }, { "home", 0755 }, { "proc", 0755 }, { "root", 0700 },
                    { "sys", 0755 }, { "tmp", 01777 }, { "usr", 0755 }, { "var", 0755 }, { "run", 0755 } };
    char path[PATH_MAX];
    struct stat st;
    if (!fs_find_tool(wanted ? wanted : "busybox", path, sizeof path))
        return kl_err_set(p->err, KL_UNAVAILABLE, "'%s' is not installed: apt install busybox-static", wanted ? wanted : "busybox");
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !is_static(fd))
        return kl_err_set(p->err, KL_UNAVAILABLE, "'%s' is not a static program: apt install busybox-static", path);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof folders / sizeof *folders; i++) {
        pack_header(p, folders[i].path, AE_IFDIR, folders[i].mode, 0);
        rc = pack_write(p);
    }
    if (rc == 0)
        rc = pack_text(p, "etc/passwd", STR("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"));
    if (rc == 0)
        rc = pack_text(p, "etc/group", STR("root:x:0:\nnogroup:x:65534:\n"));
    pack_header(p, "bin/busybox", AE_IFREG, 0755, st.st_size);
    if (rc == 0)
        rc = pack_file(p, fd, st.st_size);
    return rc == 0 ? pack_busybox_links(p, path) : rc;
}

static int pack_entry(struct pack *p, struct archive *disk, struct archive_entry *e, size_t prefix)
{
    const char *full = archive_entry_sourcepath(e), *path = archive_entry_pathname(e);
    unsigned type = archive_entry_filetype(e);
    if (strlen(path) <= prefix) {       /* the folder itself */
        archive_read_disk_descend(disk);
        return 0;
    }
    if (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFSOCK)
        return 0;                       /* containers get a /dev of their own */
    const char *name = strrchr(path, '/') + 1;
    if (strncmp(name, ".wh.", 4) == 0)
        return kl_err_set(p->err, KL_INVALID, "'%.120s' cannot be in an image: its name means a removal", path);
    archive_entry_copy_pathname(e, archive_entry_pathname(e) + prefix + 1);
    struct archive_entry *own = p->entry;
    p->entry = e;
    int rc = 0;
    if (type == AE_IFREG && archive_entry_size(e) > 0) {
        _cleanup_close_ int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        rc = fd < 0 ? kl_err_set(p->err, KL_INTERNAL, "cannot read '%.120s': %s", full, strerror(errno))
                    : pack_file(p, fd, archive_entry_size(e));
    } else {
        rc = pack_write(p);
    }
    p->entry = own;
    if (rc == 0 && type == AE_IFDIR)
        archive_read_disk_descend(disk);
    return rc;
}

static int pack_folder(struct pack *p, const char *given)
{
    char dir[PATH_MAX];
    struct stat st;
    if (!realpath(given, dir) || stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return kl_err_set(p->err, KL_NOT_FOUND, "'%s' is not a folder", given);
    struct archive *disk = archive_read_disk_new();
    archive_read_disk_set_symlink_physical(disk);
    int rc = archive_read_disk_open(disk, dir) == ARCHIVE_OK ? 0 : kl_err_set(p->err, KL_INTERNAL, "cannot read '%s'", dir);
    while (rc == 0) {
        struct archive_entry *e = archive_entry_new();
        int got = archive_read_next_header2(disk, e);
        if (got >= ARCHIVE_WARN && got != ARCHIVE_EOF)
            rc = pack_entry(p, disk, e, strlen(dir));
        else if (got != ARCHIVE_EOF)
            rc = kl_err_set(p->err, KL_INTERNAL, "cannot read '%.100s': %s", dir, archive_error_string(disk));
        archive_entry_free(e);
        if (got == ARCHIVE_EOF)
            break;
    }
    archive_read_free(disk);
    return rc;
}

static int pack_layer(const struct image_build *b, int fd, struct kl_err *err)
{
    struct pack p = { .out = archive_write_new(), .entry = archive_entry_new(), .err = err };
    int rc = p.out && p.entry ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0) {
        archive_write_set_format_pax_restricted(p.out);
        archive_write_set_bytes_in_last_block(p.out, 1);
        if (archive_write_open_fd(p.out, fd) != ARCHIVE_OK)
            rc = kl_err_set(err, KL_INTERNAL, "cannot pack: %s", archive_error_string(p.out));
    }
    if (rc == 0)
        rc = b->rootfs ? pack_folder(&p, b->rootfs) : pack_busybox(&p, b->busybox);
    if (rc == 0 && archive_write_close(p.out) < ARCHIVE_WARN)
        rc = kl_err_set(err, KL_INTERNAL, "cannot pack: %s", archive_error_string(p.out));
    archive_entry_free(p.entry);
    archive_write_free(p.out);
    return rc;
}

static void add_texts(struct arena *a, struct val *obj, struct str key, const char *const *texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        val_push(json_arr(a, obj, key), val_of_str(a, str_of(texts[i])));
}

/* Equal inputs give an equal image when SOURCE_DATE_EPOCH says when it is made. */
static int64_t when(void)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    int64_t seconds;
    return text && str_int(str_of(text), &seconds) && seconds >= 0 && seconds < (int64_t)1 << 33 ? seconds * NS_PER_S : env_wall_ns();
}

static struct val *config_of(struct arena *a, const struct image_build *b, const char *diff_id)
{
    char now[CLOCK_TEXT];
    bool has_path = false;
    struct val *doc = val_new(a, VAL_OBJ), *config = json_obj(a, doc, STR("config"));
    clock_format(when(), now);
    json_set_str(a, doc, STR("created"), arena_str(a, str_of(now)));
    json_set_str(a, doc, STR("architecture"), str_of(manifest_arch()));
    json_set_str(a, doc, STR("os"), STR("linux"));
    for (size_t i = 0; b->env && b->env[i]; i++)
        has_path |= strncmp(b->env[i], "PATH=", 5) == 0;
    if (!has_path)
        val_push(json_arr(a, config, STR("Env")), val_of_str(a, STR(DEFAULT_PATH)));
    add_texts(a, config, STR("Env"), b->env);
    add_texts(a, config, STR("Entrypoint"), b->entrypoint);
    add_texts(a, config, STR("Cmd"), b->cmd);
    if (b->user)
        json_set_str(a, config, STR("User"), str_of(b->user));
    if (b->workdir)
        json_set_str(a, config, STR("WorkingDir"), str_of(b->workdir));
    struct val *rootfs = json_obj(a, doc, STR("rootfs"));
    json_set_str(a, rootfs, STR("type"), STR("layers"));
    val_push(json_arr(a, rootfs, STR("diff_ids")), val_of_str(a, arena_str(a, str_of(diff_id))));
    return doc;
}

static int put_json(struct image_store *s, const struct val *doc, char ret[DIGEST_TEXT], int64_t *ret_size, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(DOCUMENT_MOST);
    json_write(&b, doc);
    *ret_size = (int64_t)b.len;
    return b.failed ? kl_err_set(err, KL_TOO_LARGE, "the image's config exceeds %u bytes", DOCUMENT_MOST)
                    : blob_put(s, buf_str(&b), ret, err);
}

static void describe(struct arena *a, struct val *d, const char *type, const char *digest, int64_t size)
{
    json_set_str(a, d, STR("mediaType"), str_of(type));
    json_set_str(a, d, STR("digest"), str_of(digest));
    json_set_int(a, d, STR("size"), size);
}

static int put_image(struct image_store *s, const struct image_build *b, const char *name, int layer_fd, char id[DIGEST_TEXT],
                     struct kl_err *err)
{
    char layer[DIGEST_TEXT], manifest[DIGEST_TEXT];
    int64_t layer_size, config_size, manifest_size;
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    _cleanup_close_ int lock = a ? store_lock(s, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (lock < 0)
        return lock;
    lseek(layer_fd, 0, SEEK_SET);
    int rc = blob_put_fd(s, layer_fd, NULL, -1, layer, &layer_size, err);
    if (rc == 0)
        rc = put_json(s, config_of(a, b, layer), id, &config_size, err);
    if (rc < 0)
        return rc;
    struct val *doc = val_new(a, VAL_OBJ);
    json_set_int(a, doc, STR("schemaVersion"), 2);
    json_set_str(a, doc, STR("mediaType"), STR(MEDIA_MANIFEST));
    describe(a, json_obj(a, doc, STR("config")), MEDIA_CONFIG, id, config_size);
    describe(a, val_push(json_arr(a, doc, STR("layers")), val_new(a, VAL_OBJ)), MEDIA_LAYER, layer, layer_size);
    if (arena_exhausted(a))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    rc = put_json(s, doc, manifest, &manifest_size, err);
    if (rc == 0)
        rc = store_name(s, a, name, manifest, manifest_size, err);
    return rc == 0 ? store_sweep(s, err) : rc;
}

int image_build(struct image_store *s, const struct image_build *b, char ret_id[DIGEST_TEXT], struct kl_err *err)
{
    char name[IMAGE_NAME_MOST], id[DIGEST_TEXT];
    int rc = ref_full(b->tag, true, name, err);
    if (rc < 0)
        return rc;
    _cleanup_close_ int fd = openat(s->fd, "tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return kl_err_set(err, KL_INTERNAL, "cannot make a file in '%s/tmp': %s", s->dir, strerror(errno));
    rc = pack_layer(b, fd, err);
    if (rc == 0)
        rc = put_image(s, b, name, fd, id, err);
    if (rc == 0)
        memcpy(ret_id, id, sizeof id);
    return rc;
}
