/* recover.c - start-up: the newest snapshot, then the log files behind it. An incomplete last record of the newest file was never
 * acknowledged and is cut; anything else that does not fit is damage: it is named, and nothing is guessed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "wal.h"

struct reader {
    struct wal *w;
    struct kl_call *c;
    const char *path;
    struct buf text;
    size_t at;
    uint32_t sum;
    uint64_t not_before;                /* records up to here are in the snapshot */
};

static int damage(struct reader *r, const char *what)
{
    return kl_fail(r->c, KL_CORRUPT, "'%s' is damaged at byte %zu (after revision %llu): %s; see keelson store check", r->path, r->at,
                   (unsigned long long)r->w->revision, what);
}

static int read_file(struct reader *r)
{
    const struct env_ops *e = env_ops();
    int fd = e->open(e->ctx, r->path, O_RDONLY, 0);
    if (fd < 0)
        return wal_errno(r->c, fd, "cannot open", r->path);
    ssize_t n;
    do {
        char *room = buf_room(&r->text, 1 << 20);
        n = room ? e->pread(e->ctx, fd, room, 1 << 20, (int64_t)r->text.len) : -ENOMEM;
        r->text.len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    e->close(e->ctx, fd);
    return n < 0 ? wal_errno(r->c, (int)n, "cannot read", r->path) : 0;
}

static int set_entry(struct wal *w, struct str key, struct str value, uint64_t revision)
{
    struct wal_entry *e = map_get(&w->entries, key);
    if (!e) {
        e = arena_alloc(w->arena, sizeof *e);
        if (!e || !(e->key = arena_str(w->arena, key)).at || !map_put(&w->entries, e->key, e))
            return -1;
    }
    e->value = arena_str(w->arena, value);
    e->revision = revision;
    return e->value.at ? 0 : -1;
}

/* n operations in body. */
static int apply(struct reader *r, struct str body, uint32_t n)
{
    while (n--) {
        uint64_t revision;
        uint32_t key_len, value_len;
        if (body.len < 17)
            return damage(r, "an operation is cut short");
        int type = body.at[0];
        memcpy(&revision, body.at + 1, 8);
        memcpy(&key_len, body.at + 9, 4);
        memcpy(&value_len, body.at + 13, 4);
        body = str_skip(body, 17);
        if ((uint64_t)key_len + value_len > body.len)
            return damage(r, "an operation is cut short");
        struct str key = str_n(body.at, key_len), value = str_n(body.at + key_len, value_len);
        body = str_skip(body, (size_t)key_len + value_len);
        if (type == KL_STORE_DELETE)
            map_del(&r->w->entries, key);
        else if (type != KL_STORE_PUT)
            return damage(r, "an operation of unknown type");
        else if (set_entry(r->w, key, value, revision) < 0)
            return kl_fail(r->c, KL_NO_MEMORY, "out of memory");
    }
    return 0;
}

/* 1 a record, 0 the end, 2 an incomplete last record. */
static int next_record(struct reader *r, struct wal_record_head *h, struct str *body)
{
    size_t left = r->text.len - r->at;
    if (left == 0)
        return 0;
    if (left < sizeof *h)
        return 2;
    memcpy(h, r->text.at + r->at, sizeof *h);
    if (h->check != wal_record_check(h) || h->len > RECORD_MOST)
        return damage(r, "the head of a record does not have its checksum");
    if (left - sizeof *h < h->len)
        return 2;
    *body = str_n(r->text.at + r->at + sizeof *h, h->len);
    if (h->sum != wal_record_sum(r->sum, h, body->at))
        return damage(r, "a record does not have its checksum, or does not follow the one before");
    return 1;
}

static int read_head(struct reader *r, uint64_t magic, struct wal_file_head *h)
{
    if (r->text.len < sizeof *h)
        return damage(r, "the file is too short");
    memcpy(h, r->text.at, sizeof *h);
    if (h->magic != magic || h->check != wal_file_check(h))
        return damage(r, "the head of the file does not have its checksum");
    r->at = sizeof *h;
    return 0;
}

static int load_snapshot(struct wal *w, struct kl_call *c, uint64_t base)
{
    char path[4200];
    struct reader r = { .w = w, .c = c, .path = path };
    struct wal_file_head fh;
    struct wal_record_head h;
    struct str body;
    wal_path(w, "snap", base, path, sizeof path);
    int rc = read_file(&r);
    if (rc == 0)
        rc = read_head(&r, SNAP_MAGIC, &fh);
    bool whole = false;
    while (rc == 0 && !whole) {
        rc = next_record(&r, &h, &body);
        if (rc == 0 || rc == 2)
            rc = damage(&r, "the snapshot has no end");
        if (rc < 0)
            break;
        r.sum = h.sum;
        whole = h.n == 0;
        rc = apply(&r, body, h.n);
        r.at += sizeof h + h.len;
    }
    if (rc == 0)
        w->revision = w->snapshot = base;
    buf_free(&r.text);
    return rc;
}

/* limit: how much of the file counts, UINT64_MAX: all. */
static int load_log(struct wal *w, struct kl_call *c, uint64_t base, uint64_t limit, bool newest)
{
    char path[4200];
    struct reader r = { .w = w, .c = c, .path = path };
    struct wal_file_head fh;
    struct wal_record_head h;
    struct str body;
    wal_path(w, "wal", base, path, sizeof path);
    int rc = read_file(&r);
    if (rc == 0 && limit < r.text.len)
        r.text.len = (size_t)limit;
    if (rc == 0)
        rc = read_head(&r, WAL_MAGIC, &fh);
    if (rc == 0)
        r.sum = fh.sum;
    while (rc == 0 && (rc = next_record(&r, &h, &body)) == 1) {
        rc = 0;
        if (h.revision > w->revision) {
            rc = apply(&r, body, h.n);
            w->revision = h.revision;
        }
        r.sum = h.sum;
        r.at += sizeof h + h.len;
    }
    if (rc == 2 && !newest)
        rc = damage(&r, "a record is cut short and a newer file follows");
    if (rc >= 0) {
        w->sum = r.sum;
        w->base = base;
        w->len = (int64_t)r.at;
        w->since_snapshot += w->len;
        rc = 0;
    }
    buf_free(&r.text);
    return rc;
}

/* What a file says about the one before it. */
static int previous_len(struct wal *w, struct kl_call *c, uint64_t base, uint64_t *ret)
{
    char path[4200];
    struct wal_file_head h;
    const struct env_ops *e = env_ops();
    wal_path(w, "wal", base, path, sizeof path);
    int fd = e->open(e->ctx, path, O_RDONLY, 0);
    ssize_t n = fd < 0 ? fd : e->pread(e->ctx, fd, &h, sizeof h, 0);
    if (fd >= 0)
        e->close(e->ctx, fd);
    if (n < 0)
        return wal_errno(c, (int)n, "cannot read", path);
    if ((size_t)n < sizeof h || h.magic != WAL_MAGIC || h.check != wal_file_check(&h))
        return kl_fail(c, KL_CORRUPT, "'%s' is damaged at byte 0: the head of the file does not have its checksum", path);
    *ret = h.previous_len;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct wal_entry *const *x = a, *const *y = b;
    return str_cmp((*x)->key, (*y)->key);
}

static int sort_entries(struct wal *w, struct kl_call *c)
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

/* Opens the newest file for appending, its incomplete tail cut. */
static int reopen(struct wal *w, struct kl_call *c)
{
    const struct env_ops *e = env_ops();
    char path[4200];
    wal_path(w, "wal", w->base, path, sizeof path);
    w->fd = e->open(e->ctx, path, O_RDWR, 0);
    if (w->fd < 0)
        return wal_errno(c, w->fd, "cannot open", path);
    int rc = e->ftruncate(e->ctx, w->fd, w->len);
    return rc < 0 ? wal_errno(c, rc, "cannot cut", path) : 0;
}

int wal_recover(struct wal *w, struct kl_call *c)
{
    uint64_t *snaps = NULL, *logs = NULL;
    size_t n_snaps, n_logs;
    w->arena = arena_new(0);
    int rc = w->arena ? wal_list(w, "snap", &snaps, &n_snaps) : -ENOMEM;
    if (rc == 0)
        rc = wal_list(w, "wal", &logs, &n_logs);
    if (rc < 0) {
        mem_free(snaps);
        return wal_errno(c, rc, "cannot read the folder", w->conf.dir);
    }
    if (n_snaps)
        rc = load_snapshot(w, c, snaps[n_snaps - 1]);
    w->snapshot_before = n_snaps > 1 ? snaps[n_snaps - 2] : 0;
    for (size_t i = 0; i < n_logs && rc == 0; i++) {
        uint64_t limit = UINT64_MAX;
        if (i + 1 < n_logs)
            rc = previous_len(w, c, logs[i + 1], &limit);
        if (rc == 0)
            rc = load_log(w, c, logs[i], limit, i + 1 == n_logs);
    }
    if (rc == 0)
        rc = n_logs ? reopen(w, c) : wal_new_file(w, c, w->revision + 1, UINT64_MAX);
    if (rc == 0)
        rc = sort_entries(w, c);
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
