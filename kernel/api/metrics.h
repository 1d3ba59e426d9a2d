/* metrics.h - what is counted about requests. [loop]
 *
 * A request finds its slot once (kind, subresource, verb, scope, dry run), by one probe of a table; what follows are increments within it.
 * A slot is allocated when the first such request comes, and stays. metrics_page.c tells them.
 */
#ifndef API_METRICS_H
#define API_METRICS_H

#include "base/prom.h"
#include "schema/schema.h"

#define METRIC_CODES 16

struct metric_slot {
    /* the key */
    const struct schema_kind *kind;     /* only compared: it may be gone */
    const struct schema_subresource *sub;
    const char *path;                   /* of a document: one of a few constants; "" */
    uint8_t verb, scope;
    bool dry_run, long_running;
    /* its labels, in memory of their own */
    char *group, *version, *resource;
    const char *subresource, *verb_text, *scope_text;
    /* counts */
    struct {
        uint16_t status;
        uint64_t n;
    } codes[METRIC_CODES];              /* the last counts whatever has no place */
    uint64_t aborts, rejected;
    uint32_t running;                   /* long-running requests that are under way */
    uint64_t watch_events, watch_bytes;
    struct prom_histogram duration;
    struct prom_histogram *sizes;       /* GET and LIST; NULL: none yet */
};

/* The most that ran at a time, in this second and in the one before. */
struct metric_peak {
    int64_t second;
    uint32_t now, most, most_before;
};

struct metric_source {
    void (*write)(void *ctx, struct prom *p);
    void *ctx;
};

struct metrics {
    struct metric_slot **at;            /* open addressing */
    unsigned n, cap;
    struct metric_peak reads, writes;
    struct prom_histogram steps[2][4][2];        /* admission: validate or admit, operation, rejected */
    uint64_t tls_errors;
    struct metric_source sources[8];
    unsigned n_sources;
};

struct api;
struct api_rq;
struct http_req;
void metrics_init(struct metrics *m);
void metrics_free(struct metrics *m);
/* The URL has been parsed: the request counts as running. */
void metrics_begin(struct api_rq *rq);
/* It has been answered, or the client has gone. */
void metrics_end(struct api_rq *rq, struct http_req *r, int64_t now_ns);
void metrics_admission(struct metrics *m, bool mutating, const char *verb, bool rejected, int64_t ns);
/* The whole page. */
void metrics_write(struct api *api, struct prom *p);
void metrics_write_slis(struct api *api, struct prom *p);       /* the checks alone: what service levels are reckoned from */

#endif
