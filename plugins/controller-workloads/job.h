/* job.h - a Job in work. job_count.c reads the pods into counts and verdicts (no writes), job_backoff.c says when to try again, job_pods.c makes and removes pods, job.c is the rest. */
#ifndef WORKLOADS_JOB_H
#define WORKLOADS_JOB_H

#include "workloads.h"

#define JOBS         "batch/jobs"
#define TRACKING     "batch.kubernetes.io/job-tracking"         /* finalizer: the pod is not counted yet */
#define INDEX        "batch.kubernetes.io/job-completion-index"
#define INDEX_FAILS  "batch.kubernetes.io/job-index-failure-count"
#define INDEXES_MOST 1000000

struct job_failures {
    int64_t n, last_ns;                 /* since the last success; when the last one was */
};

struct job {
    struct ctl_run *r;
    struct val *v, *now, *st;           /* as stored, as it will be, and its status */
    struct ctl_list pods;
    struct val **active;                /* neither finished nor being deleted */
    int64_t n_active, ready, terminating;
    int64_t succeeded, failed;          /* what is counted and what is on its way to be */
    int64_t completions, parallelism;   /* completions -1: until one succeeds */
    bool indexed, *done, *failed_index; /* of INDEXED jobs: completions places */
    bool *in_work;                      /* with a limit per index: those that an active pod works on; else NULL */
    int64_t n_failed_indexes, n_held;
    struct job_failures failures;
    bool uncounted;                     /* pods still carry their finalizer */
    const char *reason, *message;       /* the verdict; NULL: none yet */
    bool success;
    bool more;
};

/* --- job_count.c --- */
int job_count(struct job *j);
/* Complete, or failed for good? Sets the verdict. */
void job_judge(struct job *j);
bool job_over(const struct job *j);             /* a verdict has been written down */
bool job_counts(const struct job *j, const struct val *pod);    /* it has ended, or will never say that it has */
/* The last failed pod of an index that is to be tried again: it is counted when the next one, which knows the number of failures, is there. */
bool job_held(const struct job *j, const struct val *pod);
int64_t pod_index(const struct val *pod);       /* -1: none */
bool job_pod_failed(const struct job *j, const struct val *pod);
const char *indexes_text(struct arena *a, const bool *set, int64_t n);
void indexes_parse(struct str text, bool *set, int64_t n);

/* --- job_backoff.c --- */
/* What has failed, with what is new in this run; and once it is written down, for the next run. */
void job_backoff_read(struct job *j);
void job_backoff_keep(const struct job *j);
void job_backoff_forget(struct ctl_run *r, struct str ns, struct str name);
/* How long new pods wait after failures, ns; with a limit per index, the next pod of that failed pod's index. */
int64_t job_backoff_ns(const struct job *j);
int64_t job_index_backoff_ns(const struct job *j, const struct val *pod);

/* --- job_pods.c --- */
int job_manage(struct job *j);
int job_delete_active(struct job *j, int64_t from, bool uncount);
int job_release(struct job *j, bool all);       /* finalizers of finished pods, or of all */

#endif
