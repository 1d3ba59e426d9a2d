/* wal.c - recovery of a log and a snapshot: any bytes (first byte 0), or bodies of records whose heads and sums are made right here, so that
 * what is behind the checksums is reached. Damage is named; nothing is ever half read. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "../../plugins/store-wal/wal.h"
#include "fuzz.h"

static char dir[] = "/dev/shm/keelson-fuzz-XXXXXX";

/* What is in the folder, and in the folders that a repair makes in it. */
static void empty(int at)
{
    DIR *d = fdopendir(at);
    must(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || unlinkat(at, e->d_name, 0) == 0)
            continue;
        empty(openat(at, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        unlinkat(at, e->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}

static void clean(void)
{
    empty(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    rmdir(dir);
}

/* Nothing here must outlive the process. */
static int no_sync(void *ctx, int fd)
{
    (void)ctx;
    (void)fd;
    return 0;
}

static void begin(void)
{
    static struct env_ops env;
    static bool begun;
    if (begun)
        return;
    begun = true;
    env = *env_real();
    env.fsync = env.fdatasync = no_sync;
    env_set(&env);
    must(mkdtemp(dir));
    atexit(clean);
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
    struct wal_file_head fh = { .magic = magic, .base = base, .previous = NO_FILE, .previous_len = NO_FILE };
    uint64_t revision = base;
    fh.check = wal_file_check(&fh);
    buf_add(b, &fh, sizeof fh);
    uint32_t sum = fh.sum;
    while (bodies.at) {
        struct str body = str_cut(&bodies, '\xff');
        size_t from = b->len;
        struct wal_record_head h = { .revision = revision++, .n = body.len ? fuzz_pick(&body, 4) : 0 };
        h.batch = 1 + fuzz_pick(&body, 3);
        h.rest = fuzz_pick(&body, 3);
        h.len = (uint32_t)body.len;
        buf_add(b, &h, sizeof h);
        buf_add_str(b, body);
        sum = wal_seal(b, from, h, sum);
    }
}

static void *call_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static int recover(void)
{
    struct wal w = { .conf = { .dir = dir }, .lock_fd = -1, .fd = -1, .snap_fd = -1 };
    struct kl_call c = { .size = sizeof c, .err = { .size = sizeof c.err } };
    int rc = wal_recover(&w, &c);
    if (rc < 0)
        fuzz_failed(&c.err);
    else
        for (size_t i = 1; i < w.n_sorted; i++)
            must(str_cmp(w.sorted[i - 1]->key, w.sorted[i]->key) < 0);
    wal_recovered_free(&w);
    if (w.fd >= 0)
        close(w.fd);
    buf_free(&w.batch);
    return rc;
}

/* `keelson store check` and `repair` over the same files. */
static void examine(int32_t repair)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    struct wal_conf conf = { .dir = dir };
    struct kl_bytes report = { "", 0 };
    struct kl_call c = { .size = sizeof c, .err = { .size = sizeof c.err }, .arena = a, .alloc = call_alloc };
    if (wal_examine(&conf, &c, repair, &report) < 0)
        fuzz_failed(&c.err);
}

FUZZ(data)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct wal w = { .conf = { .dir = dir } };
    begin();
    unsigned how = fuzz_pick(&data, 4);
    if (how == 0) {
        write_file(&w, "wal", 1, data);
    } else if (how == 1) {
        write_file(&w, "snap", 5, data);
    } else {
        make_file(&b, how == 2 ? WAL_MAGIC : SNAP_MAGIC, 1, data);
        write_file(&w, how == 2 ? "wal" : "snap", 1, buf_str(&b));
    }
    if (recover() == 0) {
        must(recover() == 0);           /* what the first one left must be readable too */
    } else {
        examine(0);
        examine(1);
        must(recover() == 0);           /* what was repaired can be read */
    }
    empty(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
