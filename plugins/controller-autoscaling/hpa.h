/* hpa.h - what the files of controller-autoscaling share. */
#ifndef HPA_H
#define HPA_H

#include "ctl.h"
#include "meta.h"
#include "base/mem.h"
#include "base/quantity.h"
#include "pods.h"

#define HPAS "autoscaling/horizontalpodautoscalers"
#define PODS "/pods"

extern const struct kl_controller horizontal_controller;

struct hpa_conf {
    int64_t period, downscale_window, cpu_start, readiness_delay;       /* ns */
    int64_t tolerance;                  /* percent */
};

/* --- limits.c: what was recommended and done --- */

struct hpa_mark {
    int64_t at_ns, value;
};
struct hpa_marks {
    struct hpa_mark *at;
    unsigned n, cap;
};
struct hpa_memory {
    struct hpa_marks recommended, up, down;
};
void hpa_memory_done(struct hpa_memory *m);
/* The first number known of one. */
void hpa_remember(struct hpa_memory *m, int64_t now_ns, int64_t replicas);
void hpa_scaled(struct hpa_memory *m, const struct val *behavior, int64_t now_ns, int64_t from, int64_t to);

struct hpa_verdict {
    int64_t replicas;
    const char *reason, *message;       /* of ScalingLimited */
    bool limited;
    const char *able_reason, *able_message;     /* of AbleToScale */
};
struct hpa_wish {
    int64_t now_ns, current, desired, least, most;
    const struct val *behavior;         /* NULL: upstream's old rules */
    int64_t downscale_window;           /* ns; where the behavior says none */
};
struct hpa_verdict hpa_limit(struct hpa_memory *m, const struct hpa_wish *w);

/* --- calculate.c: usage against what is wanted. Numbers are thousandths. --- */

struct hpa_sample {                     /* of one pod */
    struct str pod;
    int64_t value, at_ns, window_ns;
    bool dropped;
};
struct hpa_tolerance {
    double down, up;
};
struct hpa_ask {
    const struct hpa_conf *conf;
    struct arena *arena;
    int64_t now_ns, current;
    struct hpa_tolerance tolerance;
    struct val **pods;
    uint32_t n_pods;
    struct hpa_sample *samples;         /* changed */
    uint32_t n_samples;
    struct str resource;                /* "cpu" ...; empty: none */
    struct str container;               /* only that one's requests; empty: all */
    int64_t target;                     /* thousandths, or percent of what is requested */
};
struct hpa_answer {
    int64_t replicas, usage, utilization;       /* usage: average in thousandths */
    char why[300];                      /* it could not be calculated */
};
bool hpa_by_utilization(struct hpa_ask *q, struct hpa_answer *ret);
bool hpa_by_average(struct hpa_ask *q, struct hpa_answer *ret);
/* One value for all: against a whole target, or an average one per pod. */
bool hpa_by_value(struct hpa_ask *q, int64_t usage, struct hpa_answer *ret);
void hpa_by_value_per_pod(const struct hpa_ask *q, int64_t usage, int64_t status_replicas, struct hpa_answer *ret);
bool hpa_within(struct hpa_tolerance t, double ratio);

/* --- metrics.c --- */

struct hpa_metric {                     /* one of spec.metrics, calculated */
    int64_t replicas;
    const char *name;                   /* "cpu resource utilization (percentage of request)" */
    struct val *status;
    const char *failed_reason;          /* NULL: it went well; "FailedGetResourceMetric" ... */
    const char *failed, *failed_outer;  /* of the metric, and of the autoscaler */
};
struct hpa_look {
    struct ctl_run *run;
    const struct hpa_conf *conf;
    const struct val *hpa;
    int64_t current, status_replicas;
    const char *selector;
    struct str ns;
    struct hpa_tolerance tolerance;
};
void hpa_metric(struct hpa_look *l, const struct val *spec, struct hpa_metric *ret);

#endif
