#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"

static unsigned mode_of(const char *path)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0, "%s: %s", path, strerror(errno));
    return st.st_mode & 07777;
}

Test(disk, folders_are_made_with_those_above_them)
{
    char top[] = "/tmp/kl.disk.XXXXXX", path[256], long_[5000];
    struct kl_err err;
    umask(022);
    cr_assert(mkdtemp(top));
    snprintf(path, sizeof path, "%s/a/b/c", top);
    cr_assert_eq(disk_mkdirs(path, 0700, &err), 0);
    cr_expect_eq(mode_of(path), 0700);
    cr_expect_eq(disk_mkdirs(path, 0711, &err), 0, "it is there");
    cr_expect_eq(mode_of(path), 0700, "and stays as it is");
    snprintf(path, sizeof path, "%s/a/b", top);
    cr_expect_eq(mode_of(path), 0755);
    snprintf(path, sizeof path, "%s/f", top);
    fclose(fopen(path, "w"));
    snprintf(path, sizeof path, "%s/f/below", top);
    kl_err_init(&err);
    cr_expect_eq(disk_mkdirs(path, 0755, &err), -KL_INTERNAL);
    cr_expect(strstr(err.msg, path), "the folder is named: %s", err.msg);
    memset(long_, 'x', sizeof long_ - 1);
    long_[sizeof long_ - 1] = '\0';
    cr_expect_eq(disk_mkdirs(long_, 0755, &err), -KL_INVALID);
    cr_expect_eq(disk_mkdirs("", 0755, NULL), -KL_INVALID);
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY);
    cr_expect_eq(disk_remove(tmp, strrchr(top, '/') + 1, 8), 0);
    cr_expect_neq(access(top, F_OK), 0);
    close(tmp);
}
