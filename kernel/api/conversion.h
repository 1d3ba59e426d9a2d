/* conversion.h - webhooks that turn custom resources of one version into another: what conversion*.c and crd_kind.c share. [loop]
 *
 * Life of a conversion: convert.c asks for an object in another version -> conversion.c looks whether that is known; if not, the object is put
 * into a question (with others, while several are gathered), the asking request is pending and waits (wait.c) -> conversion_call.c sends the
 * question as a ConversionReview -> conversion_answer.c judges what comes back -> the requests run again, and meet the answer. What is known is
 * kept while a request that waited may need it, else for a moment: whoever asks for the same at the same time shares one call.
 */
#ifndef API_CONVERSION_H
#define API_CONVERSION_H

#include "api-internal.h"
#include "http/client.h"

/* Of a definition with spec.conversion.strategy Webhook. */
struct crd_webhook {
    const char *review;                 /* "v1", "v1beta1": the first of conversionReviewVersions that we speak; NULL: none is */
    const char *url;                    /* NULL: a service */
    struct str ns, service, path;
    int64_t port;
    struct str ca;                      /* PEM; at NULL: none is given */
};

/* A horizontal pod autoscaler of v2 out of one of v1, or the other way: convert_hpa.c. NULL: out of memory. */
struct val *api_convert_hpa(struct arena *a, const struct val *v, bool v2);

/* How a call ended, as upstream's metrics tell it. */
enum conversion_outcome { CONVERTED = 0, CONVERSION_CALL_FAILED, CONVERSION_MALFORMED, CONVERSION_PARTIAL, CONVERSION_INVALID, CONVERSION_OUTCOMES };

/* --- conversion_answer.c: pure --- */
struct conversion_asked {
    const char *review, *uid, *desired; /* desired: "group/version" */
    const struct str *objects;          /* as they were sent */
    unsigned n;
    enum conversion_outcome *outcome;   /* conversion_read says it here; NULL: nobody asks */
};
/* The converted objects' texts, in a, in the order of the question. NULL, or what upstream says of the answer. */
const char *conversion_read(struct arena *a, const struct conversion_asked *asked, struct str body, struct str *ret);
/* "conversion webhook for stable.example.com/v1, Kind=CronTab" + what follows. */
const char *conversion_failed(struct arena *a, const struct conversion_asked *asked, const char *what);

/* --- conversion_call.c --- */
struct conversion_target {
    struct http_client_conf client;
    const char *path, *shown;           /* shown: the URL as messages have it */
};
/* NULL, or why it cannot be called. */
const char *conversion_target(struct api *api, struct arena *a, const struct crd_webhook *w, struct conversion_target *ret);
void conversion_write(struct buf *b, const struct conversion_asked *asked);

/* --- conversion_metrics.c --- */
struct conversion_metrics;
struct conversion_metrics *conversion_metrics_new(void);                /* NULL: no memory */
void conversion_metrics_free(struct conversion_metrics *m);
void conversion_metrics_count(struct conversion_metrics *m, const char *crd, struct str from, const char *to, enum conversion_outcome how, int64_t took_ns);
void conversion_metrics_write(const struct conversion_metrics *m, struct prom *p);

/* --- conversion.c --- */
/* The object's text in version `to`, in q->arena. < 0: q->err says why; -KL_PENDING: the request is run again when it is known. */
int conversion_get(const struct api_asker *q, const struct schema_kind *to, struct str object, struct str *ret);
/* Until conversions_send, what is asked for is gathered: one question, or one for each CONVERSION_MOST bytes. */
void conversions_gather(struct api *api);
void conversions_send(struct api *api);
void conversions_over(struct api *api, uint64_t request);       /* that request needs nothing any more */
#define CONVERSION_MOST (4u << 20)
void conversions_metrics(const struct conversions *x, struct prom *p);

#endif
