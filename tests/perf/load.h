/* load.h - the load generator: many HTTP/2 streams over a few TLS connections, on one thread. */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <gnutls/gnutls.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load;

/* When the request with serial number n was answered (before that: sent), in seconds; 0: not yet. A writer fills it in, watchers look it up. */
struct load_stamps {
    double *at;
    unsigned n;
};

/* What is sent on each stream. Every '@' of the path and the body becomes a number of seven digits, every '#' one that grows with each
 * request. */
struct load_conf {
    const char *address, *cert, *key;
    const char *relay;                  /* instead: the unix socket on which a server takes what another process of its own passes on, without TLS */
    int port, connections, streams;
    const char *method, *path, *type, *accept;
    const char *body;                   /* NULL: none */
    size_t body_len;
    unsigned first, names;              /* numbers first .. first + names - 1, over again; names 0: grow for ever */
    double rate;                        /* most per second; 0: as many as it takes */
    bool watch;                         /* each stream stays open, its events are counted: lines, or frames when accept asks for protobuf */
    struct load_stamps *stamps;         /* NULL: none. What a watcher sees of LOAD_STAMP and a serial number is a delivery, timed as an answer is */
    bool cold;                          /* each stream asks once, then the connection is closed: handshakes */
    bool quiet;                         /* says nothing when it cannot connect */
};

#define LOAD_STAMP "stamp-"

struct load_counts {
    uint64_t answers, errors, bytes, events, heads;
    int last_error;                     /* HTTP status */
    uint32_t *latency_us;               /* of answers */
    size_t n_latency, cap_latency;
    uint64_t first_byte_us, first_bytes;        /* sum over answers of the wait for the first DATA byte */
};

int load_new(const struct load_conf *c, struct load **ret);
/* Sends what may be sent, waits at most that long for something to come, takes it in. < 0: a connection broke. */
int load_turn(struct load *l, int wait_ms);
/* Sends and receives for that long. */
int load_run(struct load *l, double seconds);
/* The same, until that many answers have come. */
int load_run_count(struct load *l, uint64_t answers, double seconds);
/* The same in turns of the caller's: begin, turns, no more requests, turns until none flies. */
void load_begin(struct load *l);
void load_stop(struct load *l);
unsigned load_flying(const struct load *l);
int load_fd(const struct load *l);      /* readable when a turn has something to take in */
struct load_counts *load_counts(struct load *l);
void load_reset(struct load *l);
void load_free(struct load *l);          /* NULL is fine */
double load_clock(void);                /* seconds */
double load_cpu(int pid);               /* seconds of the process's clock, all threads; 0: no such process */
/* Sorts the latencies. */
uint32_t load_percentile(struct load_counts *n, double p);
void load_keep(struct load_counts *n, double us);       /* a latency */
char *load_file(const char *path, size_t *ret_len);     /* NULL: it cannot be read; free() */

#endif
