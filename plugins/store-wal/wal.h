/* wal.h - what the files of store-wal share.
 *
 * A log file: a file head, then records. A record is one commit: a head with its own checksum, then the operations. Each record's sum is
 * seeded with the sum before it, so that no record can be lost, moved or altered in the middle without notice.
 */
#ifndef STORE_WAL_H
#define STORE_WAL_H

#include <keelson/iface/store.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#define WAL_MAGIC  0x314c41574c4b4c4bULL        /* "KLKLWAL1" */
#define SNAP_MAGIC 0x31504e534c4b4c4bULL        /* "KLKLSNP1" */
#define RECORD_MOST (256u << 20)

struct wal_file_head {
    uint64_t magic, base;               /* first revision that may be in it; snapshot: its revision */
    uint64_t previous_len;              /* how much of the file before counts; UINT64_MAX: all, there is none or it was closed well */
    uint32_t sum, check;                /* chain that goes on; checksum of this head */
};

struct wal_record_head {
    uint64_t revision;
    uint32_t len, n;                    /* bytes behind this head; operations. n 0: end of a snapshot */
    uint32_t sum, check;                /* chain over head (but these two) and body; checksum of the head */
};

struct wal_entry {                      /* during recovery */
    struct str key, value;
    uint64_t revision;
};

struct wal_conf {
    const char *dir;
    int64_t checkpoint_bytes;
    int32_t sync;
};

struct wal {
    const struct kl_host *host;
    struct wal_conf conf;
    int lock_fd, fd;
    uint64_t base;                      /* of the current file: its name */
    int64_t len;
    uint32_t sum;
    uint64_t revision, snapshot, snapshot_before;
    int64_t since_snapshot;
    bool broken;                        /* even a new file failed: nothing is accepted until the next start */
    struct buf batch;
    /* recovery */
    struct arena *arena;
    struct map entries;
    struct wal_entry **sorted;
    size_t n_sorted;
    /* checkpoint under way */
    int snap_fd;
    int64_t snap_len;
    uint32_t snap_sum;
    uint64_t appends, commits, fsyncs, bytes;
};

uint32_t wal_file_check(const struct wal_file_head *h);
uint32_t wal_record_check(const struct wal_record_head *h);
uint32_t wal_record_sum(uint32_t before, const struct wal_record_head *h, const void *body);
void wal_path(const struct wal *w, const char *kind, uint64_t base, char *ret, size_t room);
int wal_errno(struct kl_call *c, int rc, const char *what, const char *path);
int wal_sync_dir(const struct wal *w);

/* recover.c: reads everything; leaves w->fd open at its end. */
int wal_recover(struct wal *w, struct kl_call *c);
void wal_recovered_free(struct wal *w);
/* files.c */
int wal_list(const struct wal *w, const char *kind, uint64_t **ret, size_t *ret_n);      /* bases, ascending; mem_free */
int wal_new_file(struct wal *w, struct kl_call *c, uint64_t base, uint64_t previous_len);
void wal_put_op(struct buf *b, int type, struct kl_bytes key, struct kl_bytes value, uint64_t revision);

#endif
