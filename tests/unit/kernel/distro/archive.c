/* Archives: equal for equal files, read back as they were; names that would lead out of the folder are refused. */
#include "distro/contents.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>

static char dir[64];

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/unit-distro-XXXXXX");
    cr_assert(mkdtemp(dir));
}

static void teardown(void)
{
    files_remove(dir);
}

TestSuite(archive, .init = setup, .fini = teardown);

static const char *at(struct arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", dir, name);
}

Test(archive, equal_and_whole)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf one = BUF_INIT(1 << 20), other = BUF_INIT(1 << 20);
    const struct pack_entry all[] = {
        { .to = "x-1/", .mode = S_IFDIR | 0755 },
        { .to = "x-1/bin/run", .text = STR("program"), .mode = S_IFREG | 0755 },
        { .to = "x-1/share/keelson/SHA256SUMS", .text = STR("list"), .mode = S_IFREG | 0644 },
    };
    struct val *list = NULL;
    struct stat st;
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(pack_tar(at(a, "1.tar.zst"), "zstd", all, 3, 1000000000, &err), 0, "%s", err.msg);
    cr_assert_eq(pack_tar(at(a, "2.tar.zst"), "zstd", all, 3, 1000000000, &err), 0, "%s", err.msg);
    cr_assert_eq(files_read(at(a, "1.tar.zst"), &one, &err), 0);
    cr_assert_eq(files_read(at(a, "2.tar.zst"), &other, &err), 0);
    cr_assert(str_eq(buf_str(&one), buf_str(&other)));
    cr_assert_eq(contents_read(a, at(a, "1.tar.zst"), &list, &err), 0, "%s", err.msg);
    cr_assert_eq(list->n, 2);
    const struct val *sums = contents_find(list, STR("share/keelson/SHA256SUMS"));
    cr_assert(str_is(json_str(sums, "text"), "list"));
    cr_assert_eq(distro_unpack(at(a, "1.tar.zst"), at(a, "into"), &err), 0, "%s", err.msg);
    cr_assert_eq(stat(at(a, "into/bin/run"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0755);
    cr_assert_eq(stat(at(a, "into/share/keelson/SHA256SUMS"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0644);
}

Test(archive, names_that_lead_out)
{
    static const char *const names[] = { "x/../../etc/passwd", "/etc/passwd", "../x", "x/a//b" };
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *list = NULL;
    struct kl_err err;
    kl_err_init(&err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct pack_entry one = { .to = names[i], .text = STR("x"), .mode = S_IFREG | 0644 };
        cr_assert_eq(pack_tar(at(a, "bad.tar.zst"), "zstd", &one, 1, 0, &err), 0);
        cr_assert_eq(contents_read(a, at(a, "bad.tar.zst"), &list, &err), -KL_CORRUPT, "%s", names[i]);
        cr_assert_eq(distro_unpack(at(a, "bad.tar.zst"), at(a, "into"), &err), -KL_CORRUPT, "%s", names[i]);
        cr_assert_neq(access(at(a, "into"), F_OK), 0);
    }
    const struct pack_entry link = { .to = "x/link", .mode = S_IFLNK | 0777 };
    cr_assert_eq(pack_tar(at(a, "bad.tar.zst"), "zstd", &link, 1, 0, &err), 0);
    cr_assert_eq(contents_read(a, at(a, "bad.tar.zst"), &list, &err), -KL_CORRUPT);
}

Test(archive, damaged)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *list = NULL;
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(contents_read(a, at(a, "none"), &list, &err), -KL_NOT_FOUND);
    cr_assert_eq(files_write(at(a, "text.tar.zst"), STR("no archive"), 0644, &err), 0);
    cr_assert_eq(contents_read(a, at(a, "text.tar.zst"), &list, &err), -KL_CORRUPT);
}

static int verify(struct arena *a, struct kl_err *err)
{
    _cleanup_buf_ struct buf report = BUF_INIT(65536);
    const struct distro_trust none = { .keys_dir = at(a, "no keys") };
    return distro_verify(at(a, "tree"), &none, &report, err);
}

/* Any byte of any file, the list itself too. */
Test(archive, verify_sees_every_byte)
{
    static const char *const names[] = { "tree/bin/run", "tree/" SHARE "/lock", "tree/" SHARE "/" SUMS_FILE };
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf sums = BUF_INIT(65536);
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(disk_mkdirs(at(a, "tree/bin"), 0755, &err), 0);
    cr_assert_eq(disk_mkdirs(at(a, "tree/" SHARE), 0755, &err), 0);
    cr_assert_eq(files_write(at(a, names[0]), STR("program"), 0755, &err), 0);
    cr_assert_eq(files_write(at(a, names[1]), STR("a lock"), 0644, &err), 0);
    cr_assert_eq(sums_write(a, at(a, "tree"), &sums, &err), 0);
    cr_assert_eq(files_write(at(a, names[2]), buf_str(&sums), 0644, &err), 0);
    cr_assert_eq(verify(a, &err), 0, "%s", err.msg);
    for (size_t i = 0; i < 3; i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(65536);
        cr_assert_eq(files_read(at(a, names[i]), &b, &err), 0);
        for (size_t k = 0; k < b.len; k++) {
            b.at[k] ^= 1;
            cr_assert_eq(files_write(at(a, names[i]), buf_str(&b), 0644, &err), 0);
            cr_assert_lt(verify(a, &err), 0, "byte %zu of %s", k, names[i]);
            b.at[k] ^= 1;
        }
        cr_assert_eq(files_write(at(a, names[i]), buf_str(&b), 0644, &err), 0);
    }
    cr_assert_eq(verify(a, &err), 0);
    cr_assert_eq(files_write(at(a, "tree/more"), STR(""), 0644, &err), 0);
    cr_assert_eq(verify(a, &err), -KL_CORRUPT);
}
