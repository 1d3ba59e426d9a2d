/* recover.c - start-up: the newest snapshot, then the log files behind it. What a crash leaves of the last batch was never acknowledged
 * and is cut; anything else that does not fit is damage: it is named, and nothing is guessed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "wal.h"

static int refuse(struct kl_call *c, const struct wal *w, const struct wal_reader *r, const char *why)
{
    return kl_fail(c, KL_CORRUPT, "'%s' is damaged at byte %zu (after revision %llu; see keelson store check): %s", r->path, r->at,
                   (unsigned long long)w->revision, why);
}

static int load_snapshot(struct wal *w, struct kl_call *c, uint64_t base)
{
    struct wal_reader r;
    const char *why = NULL;
    int rc = wal_read_open(&r, w, c, "snap", base, NO_FILE);
    if (rc < 0)
        return rc;
    while (rc == WAL_RECORD && !why) {
        rc = wal_read_next(&r);
        if (rc != WAL_RECORD || r.h.n == 0)
            break;
        why = wal_apply(w, &r);
    }
    if (rc != WAL_RECORD || why)
        return refuse(c, w, &r, why ? why : r.why ? r.why : "the snapshot has no end");
    w->revision = w->snapshot = base;
    w->snapshot_bytes = (int64_t)r.at;
    return 0;
}

/* How the records end. */
static int end_of_log(struct wal *w, struct kl_call *c, const struct wal_reader *r, enum wal_found found, bool newest)
{
    if (found == WAL_DAMAGED && !(newest && wal_read_torn(r)))
        return refuse(c, w, r, r->why);
    if (found == WAL_CUT && !newest)
        return refuse(c, w, r, "a record is cut short and a newer file follows");
    if (found == WAL_END && newest && r->h.n == RECORD_ON)
        return refuse(c, w, r, "the log goes on in a newer file, which is not there");
    return 0;
}

/* limit: how much of the file counts. first: no log was read before it. */
static int load_log(struct wal *w, struct kl_call *c, uint64_t base, uint64_t limit, bool first)
{
    struct wal_reader r;
    bool newest = limit == NO_FILE;
    int rc = wal_read_open(&r, w, c, "wal", base, limit);
    if (rc < 0)
        return rc;
    if (rc == WAL_DAMAGED)
        return refuse(c, w, &r, r.why);
    if (!first && r.head.sum != w->sum)
        return refuse(c, w, &r, "the file does not go on where the one before it ends");
    while ((rc = wal_read_next(&r)) == WAL_RECORD) {
        if (r.h.n == RECORD_ON || r.h.revision <= w->revision)
            continue;
        const char *why = wal_apply(w, &r);
        if (why)
            return refuse(c, w, &r, why);
        w->revision = r.h.revision;
    }
    rc = end_of_log(w, c, &r, (enum wal_found)rc, newest);
    w->sum = r.sum;
    w->base = base;
    w->len = (int64_t)r.at;
    w->cut = r.at < r.text.len;
    /* A batch that lost its end: the next one goes into a new file. Behind these records it could not be told from that end: should it be torn too,
     * its second record would pass for proof that the first batch had been whole. */
    w->suspect = newest && r.h.rest;
    w->batch_no = r.h.batch ? r.h.batch : w->batch_no;
    w->since_snapshot += w->len;
    return rc;
}

/* What a file says about the one before it. */
static int read_head(struct wal *w, struct kl_call *c, uint64_t base, struct wal_file_head *h)
{
    char path[WAL_PATH];
    const struct env_ops *e = env_ops();
    wal_path(w, "wal", base, path);
    int fd = e->open(e->ctx, path, O_RDONLY, 0);
    ssize_t n = fd < 0 ? fd : e->pread(e->ctx, fd, h, sizeof *h, 0);
    if (fd >= 0)
        e->close(e->ctx, fd);
    if (n == -ENOENT)
        return kl_fail(c, KL_CORRUPT, "'%s' is not there, but a newer file goes on from it; see keelson store check", path);
    if (n < 0)
        return wal_errno(c, (int)n, "cannot read", path);
    if ((size_t)n < sizeof *h || h->magic != WAL_MAGIC || h->check != wal_file_check(h))
        return kl_fail(c, KL_CORRUPT, "'%s' is damaged at byte 0: the head of the file does not have its checksum; see keelson store check", path);
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct wal_entry *const *x = a, *const *y = b;
    return str_cmp((*x)->key, (*y)->key);
}

int wal_sort(struct wal *w, struct kl_call *c)
{
    size_t at = 0;
    void *v;
    w->sorted = mem_alloc((w->entries.n + 1) * sizeof *w->sorted);
    if (!w->sorted)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    while (map_next(&w->entries, &at, NULL, &v))
        w->sorted[w->n_sorted++] = v;
    qsort(w->sorted, w->n_sorted, sizeof *w->sorted, by_key);
    return 0;
}

/* Opens the newest file for appending, its tail cut. */
static int reopen(struct wal *w, struct kl_call *c, bool cut)
{
    const struct env_ops *e = env_ops();
    char path[WAL_PATH];
    wal_path(w, "wal", w->base, path);
    w->fd = e->open(e->ctx, path, O_RDWR, 0);
    if (w->fd < 0)
        return wal_errno(c, w->fd, "cannot open", path);
    int rc = cut ? e->ftruncate(e->ctx, w->fd, w->len) : 0;
    if (cut && rc == 0 && w->conf.sync)
        rc = e->fsync(e->ctx, w->fd);   /* or a later crash could mix what was there with what comes */
    return rc < 0 ? wal_errno(c, rc, "cannot cut", path) : 0;
}

struct part {
    uint64_t base, limit;
};

/* The files that go on from the snapshot, newest first: each names the one before it. *ret_n of ret. */
static int find_parts(struct wal *w, struct kl_call *c, uint64_t newest, size_t room, struct part *ret, size_t *ret_n)
{
    struct wal_file_head h = { .previous = newest, .previous_len = NO_FILE };
    do {
        uint64_t limit = h.previous_len, base = h.previous;
        if (*ret_n == room || base == NO_FILE || (*ret_n && base >= ret[*ret_n - 1].base))
            return kl_fail(c, KL_CORRUPT, "'%s' is damaged: the revisions from %llu to %llu are in no file; see keelson store check", w->conf.dir,
                           (unsigned long long)w->snapshot + 1, (unsigned long long)h.base - 1);
        int rc = read_head(w, c, base, &h);
        if (rc < 0)
            return rc;
        ret[(*ret_n)++] = (struct part){ base, limit };
    } while (h.base > w->snapshot + 1);
    return 0;
}

static int load_logs(struct wal *w, struct kl_call *c, const uint64_t *at, size_t n)
{
    struct part *parts = mem_alloc(n * sizeof *parts);
    size_t n_parts = 0;
    int rc = parts ? find_parts(w, c, at[n - 1], n, parts, &n_parts) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (size_t i = n_parts; i-- > 0 && rc == 0;)
        rc = load_log(w, c, parts[i].base, parts[i].limit, i + 1 == n_parts);
    mem_free(parts);
    return rc;
}

static int load(struct wal *w, struct kl_call *c, const uint64_t *snaps, size_t n_snaps, const uint64_t *logs, size_t n_logs)
{
    int rc = n_snaps ? load_snapshot(w, c, snaps[n_snaps - 1]) : 0;
    w->snapshot_before = n_snaps > 1 ? snaps[n_snaps - 2] : 0;
    if (rc < 0)
        return rc;
    if (n_snaps && !n_logs)
        return kl_fail(c, KL_CORRUPT, "'%s' is damaged: there is a snapshot, but no log behind it; see keelson store check", w->conf.dir);
    if (!n_logs)
        return wal_new_file(w, c, 1);
    rc = load_logs(w, c, logs, n_logs);
    return rc == 0 ? reopen(w, c, w->cut) : rc;
}

int wal_recover(struct wal *w, struct kl_call *c)
{
    uint64_t *snaps = NULL, *logs = NULL;
    size_t n_snaps, n_logs;
    w->arena = arena_new(0);
    int rc = w->arena ? wal_list(w, "snap", &snaps, &n_snaps) : -ENOMEM;
    if (rc == 0)
        rc = wal_list(w, "wal", &logs, &n_logs);
    rc = rc < 0 ? wal_errno(c, rc, "cannot read the folder", w->conf.dir) : load(w, c, snaps, n_snaps, logs, n_logs);
    if (rc == 0)
        rc = wal_sort(w, c);
    mem_free(snaps);
    mem_free(logs);
    return rc;
}

void wal_recovered_free(struct wal *w)
{
    map_free(&w->entries);
    mem_free(w->sorted);
    w->sorted = NULL;
    w->n_sorted = 0;
    w->arena = arena_free(w->arena);
}
