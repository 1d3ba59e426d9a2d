/* read.c - one file, record by record, for recovery, check and repair. What does not fit is told apart: cut short, torn by a crash, damaged. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>

#include "wal.h"

#define SECTOR     512
#define PART_LEAST (16u << 10)          /* read at once: as much again as there is already */
#define PART_MOST  (1u << 20)

static void free_text(void *ctx)
{
    mem_free(ctx);
}

static int read_text(struct wal_reader *r, struct wal *w, struct kl_call *c)
{
    const struct env_ops *e = env_ops();
    struct buf b = BUF_INIT(0);
    int fd = e->open(e->ctx, r->path, O_RDONLY, 0);
    if (fd < 0)
        return wal_errno(c, fd, "cannot open", r->path);
    ssize_t n;
    do {
        size_t part = b.len < PART_LEAST ? PART_LEAST : b.len < PART_MOST ? b.len : PART_MOST;
        char *room = buf_room(&b, part);
        n = room ? e->pread(e->ctx, fd, room, part, (int64_t)b.len) : -ENOMEM;
        b.len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    e->close(e->ctx, fd);
    if (n == 0 && !arena_cleanup(w->arena, free_text, b.at))
        n = -ENOMEM;
    if (n < 0) {
        buf_free(&b);
        return wal_errno(c, (int)n, "cannot read", r->path);
    }
    r->text = buf_str(&b);
    return 0;
}

static int damaged(struct wal_reader *r, const char *why)
{
    r->why = why;
    return WAL_DAMAGED;
}

int wal_read_open(struct wal_reader *r, struct wal *w, struct kl_call *c, const char *kind, uint64_t base, uint64_t limit)
{
    uint64_t magic = kind[0] == 's' ? SNAP_MAGIC : WAL_MAGIC;
    *r = (struct wal_reader){ 0 };
    wal_path(w, kind, base, r->path);
    int rc = read_text(r, w, c);
    if (rc < 0)
        return rc;
    if (r->text.len < sizeof r->head)
        return damaged(r, "the file is too short for its head");
    memcpy(&r->head, r->text.at, sizeof r->head);
    if (r->head.magic != magic || r->head.check != wal_file_check(&r->head))
        return damaged(r, "the head of the file does not have its checksum");
    if (r->head.base != base)
        return damaged(r, "the file has another file's name");
    r->at = sizeof r->head;
    r->sum = r->head.sum;
    r->h.batch = r->head.batch;
    if (limit != NO_FILE && limit > r->text.len) {
        snprintf(r->why_room, sizeof r->why_room, "the file ends at byte %zu, but the next one goes on behind byte %llu", r->text.len,
                 (unsigned long long)limit);
        r->why = r->why_room;           /* said when its end is reached */
    } else if (limit != NO_FILE) {
        r->text.len = (size_t)limit;
    }
    return WAL_RECORD;
}

/* A head that is itself whole at that place. */
static bool head_at(const struct wal_reader *r, size_t at, struct wal_record_head *h)
{
    if (at > r->text.len || r->text.len - at < sizeof *h)
        return false;
    memcpy(h, r->text.at + at, sizeof *h);
    return h->check == wal_record_check(h) && h->len <= RECORD_MOST;
}

/* "/pods/default/web" of a record whose bytes are damaged, when it can still be read. */
static struct str first_key(struct str body)
{
    uint32_t len;
    if (body.len < WAL_OP_HEAD)
        return STR_NONE;
    memcpy(&len, body.at + 9, sizeof len);
    if (len > 120 || len > body.len - WAL_OP_HEAD)
        return STR_NONE;
    for (uint32_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)body.at[WAL_OP_HEAD + i]) && !memchr("/.-:_", body.at[WAL_OP_HEAD + i], 5))
            return STR_NONE;
    return str_n(body.at + WAL_OP_HEAD, len);
}

static int body_damaged(struct wal_reader *r, const struct wal_record_head *h, struct str body)
{
    struct str key = first_key(body);
    snprintf(r->why_room, sizeof r->why_room, "the record of revision %llu%s" STR_FMT "%s does not have its checksum",
             (unsigned long long)h->revision, key.len ? " (first key '" : "", STR_ARG(key), key.len ? "')" : "");
    return damaged(r, r->why_room);
}

enum wal_found wal_read_next(struct wal_reader *r)
{
    struct wal_record_head h;
    size_t left = r->text.len - r->at;
    if (left == 0)
        return r->why ? WAL_DAMAGED : WAL_END;
    if (left < sizeof h)
        return WAL_CUT;
    if (!head_at(r, r->at, &h))
        return (enum wal_found)damaged(r, "the head of a record does not have its checksum");
    if (left - sizeof h < h.len)
        return WAL_CUT;
    struct str body = str_n(r->text.at + r->at + sizeof h, h.len);
    if (h.body != hash_crc32c(0, body.at, body.len))
        return (enum wal_found)body_damaged(r, &h, body);
    if (h.sum != wal_record_sum(r->sum, &h))
        return (enum wal_found)damaged(r, "a record does not follow the one before it");
    if (h.revision < r->h.revision)
        return (enum wal_found)damaged(r, "revisions go back");
    r->h = h;
    r->body = body;
    r->sum = h.sum;
    r->at += sizeof h + h.len;
    return WAL_RECORD;
}

/* Sectors of a write that did not reach the disk read as zeros: one that holds bytes up to `end`, as far as they lie behind r->at. */
static bool has_zero_sector(const struct wal_reader *r, size_t end)
{
    for (size_t from = r->at, to; from < end; from = to) {
        to = (from / SECTOR + 1) * SECTOR;
        size_t stop = to < r->text.len ? to : r->text.len, i = from;
        while (i < stop && r->text.at[i] == '\0')
            i++;
        if (i == stop)
            return true;
    }
    return false;
}

bool wal_read_torn(const struct wal_reader *r)
{
    struct wal_record_head h, later;
    bool whole = head_at(r, r->at, &h);
    uint32_t batch = whole ? h.batch : r->h.rest ? r->h.batch : r->h.batch + 1;
    for (size_t at = r->at + 1; r->text.len - at >= sizeof later; at++)
        if (head_at(r, at, &later) && later.n && (int32_t)(later.batch - batch) > 0)
            return false;               /* a later batch was begun, so this one had been acknowledged */
    size_t end = whole && h.len < r->text.len - r->at - sizeof h ? r->at + sizeof h + h.len : r->text.len;
    return has_zero_sector(r, end);
}

bool wal_read_resync(struct wal_reader *r)
{
    struct wal_record_head h;
    for (size_t at = r->at + 1; at < r->text.len; at++) {
        if (!head_at(r, at, &h) || r->text.len - at - sizeof h < h.len || h.revision <= r->h.revision ||
            h.body != hash_crc32c(0, r->text.at + at + sizeof h, h.len))
            continue;
        r->at = at;
        r->why = NULL;
        r->h = h;
        r->body = str_n(r->text.at + at + sizeof h, h.len);
        r->sum = h.sum;
        r->at += sizeof h + h.len;
        return true;
    }
    r->at = r->text.len;
    return false;
}

static bool set_entry(struct wal *w, struct str key, struct str value, uint64_t revision)
{
    struct wal_entry *e = map_get(&w->entries, key);
    if (!e) {
        e = arena_raw(w->arena, sizeof *e);
        if (!e)
            return false;
        e->key = key;
        if (!map_put(&w->entries, e->key, e))
            return false;
    }
    e->value = value;
    e->revision = revision;
    return true;
}

const char *wal_apply(struct wal *w, const struct wal_reader *r)
{
    struct str body = r->body;
    for (uint32_t n = r->h.n; n; n--) {
        uint64_t revision;
        uint32_t lens[2];
        if (body.len < WAL_OP_HEAD)
            return "an operation is cut short";
        int type = body.at[0];
        memcpy(&revision, body.at + 1, sizeof revision);
        memcpy(lens, body.at + 9, sizeof lens);
        body = str_skip(body, WAL_OP_HEAD);
        if ((uint64_t)lens[0] + lens[1] > body.len)
            return "an operation is cut short";
        struct str key = str_n(body.at, lens[0]), value = str_n(body.at + lens[0], lens[1]);
        body = str_skip(body, (size_t)lens[0] + lens[1]);
        if (type == KL_STORE_DELETE)
            map_del(&w->entries, key);
        else if (type != KL_STORE_PUT)
            return "an operation of unknown type";
        else if (!set_entry(w, key, value, revision))
            return "out of memory";
    }
    return NULL;
}
