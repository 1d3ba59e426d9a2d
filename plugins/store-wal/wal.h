/* wal.h - what the files of store-wal share.
 *
 * A log file: a file head, then records. A record is one commit: a head with its own checksum, then the operations, with theirs. Each
 * record's sum is seeded with the sum before it, and a file's head carries the sum that it goes on from: no record and no file can be lost,
 * moved or altered in the middle without notice. Records of one batch (one write, one fdatasync) count down in `rest`, so that after a crash
 * it is known whether damage lies in the batch that was being written or in one that had been acknowledged.
 *
 * A snapshot: a file head, records that hold objects in place of operations, and a record without any as its end.
 */
#ifndef STORE_WAL_H
#define STORE_WAL_H

#include <keelson/iface/store.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#define WAL_MAGIC  0x324c41574c4b4c4bULL        /* "KLKLWAL2" */
#define SNAP_MAGIC 0x32504e534c4b4c4bULL        /* "KLKLSNP2" */
#define RECORD_MOST (256u << 20)
#define WAL_PATH    4200
#define RECORD_ON   UINT32_MAX          /* n of the last record of a log that goes on in another file */
#define NO_FILE     UINT64_MAX
#define NO_DIRECT   (-2)
#define WAL_BLOCK   4096u               /* what O_DIRECT wants offsets, lengths and memory to be multiples of */

/* The i-th of structs that lie behind each other, by the size that their maker gave them. */
#define WAL_AT(T, at, i) ((const T *)(const void *)((const char *)(at) + (size_t)(i) * (at)->size))

struct wal_file_head {
    uint64_t magic, base;               /* first revision that may be in it; snapshot: its revision */
    uint64_t previous, previous_len;    /* base of the file before, and how much of it counts; NO_FILE: there is none */
    uint32_t batch, sum;                /* number of the last batch before; chain that goes on */
    uint32_t zero, check;               /* checksum of the head up to here */
};

struct wal_record_head {
    uint64_t revision;
    uint32_t len, n;                    /* bytes behind this head; operations. n 0: end of a snapshot; RECORD_ON */
    uint32_t batch, rest;               /* number of the batch; its records behind this one */
    uint32_t body, zero;                /* checksum of the bytes behind */
    uint32_t sum, check;                /* chain over this head up to here; checksum of the head up to here */
};

struct wal_entry {                      /* during recovery; texts lie in the files' bytes */
    struct str key, value;
    uint64_t revision;
};

struct wal_conf {
    const char *dir;
    int64_t checkpoint_bytes, reserve_bytes;
    int32_t sync;
};

struct wal {
    const struct kl_host *host;
    struct wal_conf conf;
    int lock_fd, fd;
    int direct_fd;                      /* the current file past the page cache; -1: not opened yet, NO_DIRECT: it cannot be */
    uint64_t base;                      /* of the current file: its name */
    int64_t len;                        /* of it, as far as it counts */
    uint32_t sum, batch_no;
    uint64_t revision, snapshot, snapshot_before;
    int64_t since_snapshot, snapshot_bytes;
    bool suspect;                       /* behind len the current file may hold what was refused: go on in a new one */
    bool reserve;                       /* the reserve file is in place */
    struct buf batch;                   /* the first `skip` bytes do not count: they make memory and file lie alike */
    size_t skip;
    /* recovery */
    struct arena *arena;
    struct map entries;
    struct wal_entry **sorted;
    size_t n_sorted;
    bool cut;                           /* the current file has something behind len */
    bool unread;                        /* goes on where another instance has stopped; nothing was read */
    bool opened;
    /* checkpoint under way */
    int snap_fd;
    int64_t snap_len;                   /* all of it, with what is staged */
    char *snap_block;                   /* what has not been written yet, as it lies in the file from a multiple of SNAP_BLOCK on */
    bool snap_direct;                   /* past the page cache */
    struct buf snap_part;
    uint32_t snap_sum;
    uint64_t appends, commits, fsyncs, bytes;
};

/* --- files.c: names, heads, sums --- */
uint32_t wal_file_check(const struct wal_file_head *h);
uint32_t wal_record_check(const struct wal_record_head *h);
uint32_t wal_record_sum(uint32_t before, const struct wal_record_head *h);
void wal_path(const struct wal *w, const char *kind, uint64_t base, char ret[WAL_PATH]);
int wal_errno(struct kl_call *c, int rc, const char *what, const char *path);
int wal_sync_dir(const struct wal *w);
int wal_lock(struct wal *w, struct kl_call *c);
int wal_list(const struct wal *w, const char *kind, uint64_t **ret, size_t *ret_n);      /* bases, ascending; mem_free */
/* A new current file; the old one, when it is good, ends with a record that says so. */
int wal_new_file(struct wal *w, struct kl_call *c, uint64_t base);
/* Before w->fd is closed. */
void wal_end_direct(struct wal *w);
/* The space that deletions and leases may use when the disk is full. */
int wal_reserve(struct wal *w);
void wal_release_reserve(struct wal *w);
#define WAL_OP_HEAD 17                  /* bytes of an operation before its key: type, revision, two lengths */
void wal_put_op(struct buf *b, int type, struct kl_bytes key, struct kl_bytes value, uint64_t revision);
/* Completes the head of the record that begins at `from`; returns the new sum. */
uint32_t wal_seal(struct buf *b, size_t from, struct wal_record_head h, uint32_t sum);

/* --- read.c: one file, record by record --- */
enum wal_found { WAL_END = 1, WAL_RECORD, WAL_CUT, WAL_DAMAGED };
struct wal_reader {
    char path[WAL_PATH];
    struct wal_file_head head;
    struct str text;                    /* up to the limit; in the arena's care */
    size_t at;
    uint32_t sum;
    struct wal_record_head h;           /* of the last WAL_RECORD, or all zero */
    struct str body;
    const char *why;                    /* of WAL_DAMAGED */
    char why_room[300];
};
/* Reads the file and its head. WAL_RECORD: go on; WAL_DAMAGED. < 0: it cannot be read (c->err). */
int wal_read_open(struct wal_reader *r, struct wal *w, struct kl_call *c, const char *kind, uint64_t base, uint64_t limit);
enum wal_found wal_read_next(struct wal_reader *r);     /* r->at is behind the record, or where it would begin */
/* The damage at r->at is what a crash leaves of a batch that was never acknowledged. */
bool wal_read_torn(const struct wal_reader *r);
/* Moves to the next record that is whole in itself. False: there is none. */
bool wal_read_resync(struct wal_reader *r);
/* Takes the operations of the record over. NULL, or what is wrong with them. */
const char *wal_apply(struct wal *w, const struct wal_reader *r);

/* --- recover.c --- */
/* Reads everything; leaves w->fd open at its end. */
int wal_recover(struct wal *w, struct kl_call *c);
int wal_sort(struct wal *w, struct kl_call *c);
void wal_recovered_free(struct wal *w);

/* --- parting.c --- */
/* Where an instance that goes on will find itself: written at its end, beside the files. */
void wal_part(struct wal *w);
/* True: nobody has written since; w is where that one was, and nothing is read. The note is gone in any case. */
bool wal_resume(struct wal *w, bool wanted);

/* --- snapshot.c --- */
int wal_checkpoint(void *self, struct kl_call *c, uint64_t rev, const struct kl_store_record *records, uint32_t n, uint32_t last);
int wal_wants_checkpoint(void *self);
/* Closes one that was begun; its file stays. */
void wal_snapshot_drop(struct wal *w);
/* The recovered entries as a snapshot of that revision, and an empty log behind it. */
int wal_write_recovered(struct wal *w, struct kl_call *c, uint64_t rev);

/* --- examine.c --- */
int wal_examine(void *conf, struct kl_call *c, int32_t repair, struct kl_bytes *ret);

#endif
