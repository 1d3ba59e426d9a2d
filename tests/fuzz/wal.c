/* wal.c - recovery of a log and a snapshot: any bytes (first byte 0), or bodies of records whose heads and sums are made right here, so that
 * what is behind the checksums is reached. Damage is named; nothing is ever half read. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "../../plugins/store-wal/wal.h"
#include "fuzz.h"

static char dir[] = "/tmp/keelson-fuzz-XXXXXX";

static void clean(void)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(dir);
}

static void write_file(const struct wal *w, const char *kind, uint64_t base, struct str bytes)
{
    char path[WAL_PATH];
    wal_path(w, kind, base, path);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, bytes.at ? bytes.at : "", bytes.len) == (ssize_t)bytes.len);
}

/* Records cut at 0xff bytes, with true heads. */
static void make_file(struct buf *b, uint64_t magic, uint64_t base, struct str bodies)
{
    struct wal_file_head fh = { .magic = magic, .base = base, .previous_len = UINT64_MAX };
    uint64_t revision = base;
    fh.check = wal_file_check(&fh);
    buf_add(b, &fh, sizeof fh);
    uint32_t sum = fh.sum;
    while (bodies.at) {
        struct str body = str_cut(&bodies, '\xff');
        struct wal_record_head h = { .revision = revision, .batch = (uint32_t)revision, .n = body.len ? fuzz_pick(&body, 4) : 0 };
        size_t from = b->len;
        revision++;
        buf_add(b, &h, sizeof h);
        buf_add_str(b, body);
        sum = wal_seal(b, from, h, sum);
    }
}

static void recover(void)
{
    struct wal w = { .conf = { .dir = dir }, .lock_fd = -1, .fd = -1, .snap_fd = -1 };
    struct kl_call c = { .size = sizeof c, .err = { .size = sizeof c.err } };
    if (wal_recover(&w, &c) < 0)
        fuzz_failed(&c.err);
    else
        for (size_t i = 1; i < w.n_sorted; i++)
            must(str_cmp(w.sorted[i - 1]->key, w.sorted[i]->key) < 0);
    wal_recovered_free(&w);
    if (w.fd >= 0)
        close(w.fd);
    buf_free(&w.batch);
}

FUZZ(data)
{
    static bool made;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct wal w = { .conf = { .dir = dir } };
    if (!made) {
        must(mkdtemp(dir));
        atexit(clean);
        made = true;
    }
    unsigned how = fuzz_pick(&data, 4);
    if (how == 0) {
        write_file(&w, "wal", 1, data);
    } else if (how == 1) {
        write_file(&w, "snap", 5, data);
    } else {
        make_file(&b, how == 2 ? WAL_MAGIC : SNAP_MAGIC, 1, data);
        write_file(&w, how == 2 ? "wal" : "snap", 1, buf_str(&b));
    }
    recover();
    recover();                          /* what the first one left must be readable too */
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}
