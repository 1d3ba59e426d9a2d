/* load.h - the load generator: many HTTP/2 streams over a few TLS connections, on one thread. */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <gnutls/gnutls.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load;

/* What is sent on each stream. Every '@' of the path and the body becomes a number of seven digits, every '#' one that grows with each
 * request. */
struct load_conf {
    const char *address, *cert, *key;
    int port, connections, streams;
    const char *method, *path, *type;
    const char *body;                   /* NULL: none */
    size_t body_len;
    unsigned first, names;              /* numbers first .. first + names - 1, over again; names 0: grow for ever */
    double rate;                        /* most per second; 0: as many as it takes */
    bool watch;                         /* each stream stays open, its lines are counted */
    bool cold;                          /* each stream asks once, then the connection is closed: handshakes */
    bool quiet;                         /* says nothing when it cannot connect */
};

struct load_counts {
    uint64_t answers, errors, bytes, events;
    int last_error;                     /* HTTP status */
    uint32_t *latency_us;               /* of answers */
    size_t n_latency, cap_latency;
    uint64_t first_byte_us, first_bytes;        /* sum over answers of the wait for the first DATA byte */
};

int load_new(const struct load_conf *c, struct load **ret);
/* Sends and receives for that long. */
int load_run(struct load *l, double seconds);
/* The same, until that many answers have come. */
int load_run_count(struct load *l, uint64_t answers, double seconds);
struct load_counts *load_counts(struct load *l);
void load_reset(struct load *l);
void load_free(struct load *l);          /* NULL is fine */
double load_clock(void);                /* seconds */

#endif
