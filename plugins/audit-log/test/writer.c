/* The file and those before it: all lines, whole and in order, through turns, full buffers and failures. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "writer.h"

static char dir[64], path[96];
static unsigned said;

static void say(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
    __atomic_add_fetch(&said, 1, __ATOMIC_SEQ_CST);
}

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/audit-log.XXXXXX");
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/audit.log", dir);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_log(const struct dirent *e)
{
    return strncmp(e->d_name, "audit", 5) == 0;
}

/* All files behind one another, the oldest first ("audit-..." sorts before "audit.log"). Returns how many. */
static int gather(struct buf *all, off_t *ret_largest)
{
    struct dirent **list;
    int n = scandir(dir, &list, is_log, by_name);
    *ret_largest = 0;
    for (int i = 0; i < n; i++) {
        char name[400], part[4096];
        struct stat st;
        snprintf(name, sizeof name, "%s/%s", dir, list[i]->d_name);
        _cleanup_close_ int fd = open(name, O_RDONLY);
        cr_assert(fd >= 0 && fstat(fd, &st) == 0);
        if (st.st_size > *ret_largest)
            *ret_largest = st.st_size;
        for (ssize_t k; (k = read(fd, part, sizeof part)) > 0;)
            buf_add(all, part, (size_t)k);
        free(list[i]);
    }
    free(list);
    return n;
}

static void teardown(void)
{
    struct dirent **list;
    int n = scandir(dir, &list, is_log, by_name);
    for (int i = 0; i < n; i++) {
        char name[400];
        snprintf(name, sizeof name, "%s/%s", dir, list[i]->d_name);
        unlink(name);
        free(list[i]);
    }
    free(list);
    rmdir(dir);
}

TestSuite(writer, .init = setup, .fini = teardown);

static void add_lines(struct writer *w, int first, int n)
{
    char line[64];
    for (int i = first; i < first + n; i++) {
        snprintf(line, sizeof line, "{\"n\":%06d}\n", i);
        cr_assert(writer_add(w, str_of(line)));
    }
}

static void check_lines(const struct buf *all, int first, int n)
{
    struct str s = buf_str(all);
    char line[64];
    for (int i = first; i < first + n; i++) {
        int len = snprintf(line, sizeof line, "{\"n\":%06d}\n", i);
        cr_assert(s.len >= (size_t)len && memcmp(s.at, line, (size_t)len) == 0, "line %d", i);
        s = str_skip(s, (size_t)len);
    }
    cr_assert_eq(s.len, 0);
}

Test(writer, turns_files_over)
{
    struct writer_conf c = { .path = path, .max_size = 1000, .buffer = 1 << 20 };
    _cleanup_buf_ struct buf all = BUF_INIT(0);
    struct writer *w;
    struct kl_err err;
    struct stat st;
    off_t largest;
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(writer_new(&c, say, NULL, &w, &err), 0);
        add_lines(w, round * 300, 300);
        writer_free(w);
    }
    cr_assert_geq(gather(&all, &largest), 8);
    cr_assert_leq(largest, 1000);
    check_lines(&all, 0, 600);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
}

Test(writer, keeps_the_newest)
{
    struct writer_conf c = { .path = path, .max_size = 1000, .max_backups = 2, .max_age_days = 1, .buffer = 1 << 20 };
    _cleanup_buf_ struct buf all = BUF_INIT(0);
    struct writer *w;
    struct kl_err err;
    off_t largest;
    char old[200], other[200];
    snprintf(old, sizeof old, "%s/audit-2001-01-01T00-00-00.000.log", dir);
    snprintf(other, sizeof other, "%s/audit-of-mine.log", dir);
    close(open(old, O_CREAT | O_WRONLY, 0600));
    close(open(other, O_CREAT | O_WRONLY, 0600));
    cr_assert_eq(writer_new(&c, say, NULL, &w, &err), 0);
    add_lines(w, 0, 600);
    writer_free(w);
    cr_assert_eq(gather(&all, &largest), 4);    /* the file, two before it, and one that is not ours */
    cr_assert_eq(access(other, F_OK), 0);
    cr_assert_neq(access(old, F_OK), 0);
    cr_assert(str_ends(buf_str(&all), STR("{\"n\":000599}\n")));
}

Test(writer, a_full_buffer_takes_nothing)
{
    struct writer_conf c = { .path = path, .max_size = 1 << 20, .buffer = 100 };
    struct writer *w;
    struct kl_err err;
    char line[200];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    cr_assert_eq(writer_new(&c, say, NULL, &w, &err), 0);
    cr_assert_not(writer_add(w, str_n(line, sizeof line)));
    cr_assert(writer_add(w, STR("{}\n")));
    writer_free(w);
}

Test(writer, says_once_what_fails)
{
    struct writer_conf c = { .path = "/dev/full", .max_size = 1 << 20, .buffer = 1 << 20 };
    struct writer *w;
    struct kl_err err;
    cr_assert_eq(writer_new(&c, say, NULL, &w, &err), 0);
    add_lines(w, 0, 100);
    writer_free(w);
    cr_assert_eq(said, 1);
    c.path = "/nowhere/audit.log";
    cr_assert_lt(writer_new(&c, say, NULL, &w, &err), 0);
    cr_assert(strstr(err.msg, "/nowhere/audit.log"));
}
