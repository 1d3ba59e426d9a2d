/* check.h - what the checks of the standard share: one run of one check over one pod. All that is made lives in the run's arena; what cannot be
 * made for want of memory is NULL, which every function here takes as empty.
 */
#ifndef PODSECURITY_CHECK_H
#define PODSECURITY_CHECK_H

#include "podsecurity.h"

struct run {
    struct arena *a;
    const struct val *meta, *spec;
    struct val *values;                 /* what was found that is not allowed: a sorted set of texts */
    const char *const *allowed;         /* the row's texts, NULL-terminated */
    bool flags[2];
    const char *reason, *detail;        /* the outcome; NULL: nothing is wrong */
};

static inline unsigned run_n(const struct val *list)
{
    return list ? list->n : 0;
}

bool run_in(const char *const *list, struct str s);             /* list NULL: empty */
void run_insert(struct run *r, struct str s);                   /* into values */
const char *run_join(struct arena *a, const struct val *list, const char *quote);
const char *run_quoted(struct run *r, const struct val *list);  /* "a", "b" */
const char *run_some(const struct val *list, const char *one, const char *many);
const char *run_containers(struct run *r, const struct val *list);     /* containers "a", "b" */
/* "pod and containers "a", "b"": who sets it. NULL: nobody. */
const char *run_setters(struct run *r, bool pod, const struct val *list);

typedef bool (*bad_fn)(struct run *r, const struct val *c);
/* Names of the containers for which bad says so; init containers first, as upstream visits them. */
struct val *run_bad(struct run *r, bad_fn bad);
/* The outcome, when there are names: "containers "a" must ...". */
void run_say(struct run *r, const struct val *names, const char *reason, const char *must);
bool run_windows(const struct run *r);
bool run_user_namespace(const struct run *r);

/* baseline.c */
void check_apparmor(struct run *r);
void check_capabilities(struct run *r);
void check_host_namespaces(struct run *r);
void check_host_path(struct run *r);
void check_host_ports(struct run *r);
void check_probe_hosts(struct run *r);
void check_privileged(struct run *r);
void check_proc_mount(struct run *r);
void check_proc_mount_users(struct run *r);
void check_selinux(struct run *r);
void check_seccomp_annotations(struct run *r);
void check_seccomp(struct run *r);
void check_sysctls(struct run *r);
void check_windows(struct run *r);
/* Parts of checks that the restricted level asks in its own way. */
bool bad_capability(struct run *r, const struct val *c);

/* restricted.c */
void check_escalation(struct run *r);
void check_escalation_linux(struct run *r);
void check_capabilities_restricted(struct run *r);
void check_capabilities_linux(struct run *r);
void check_volumes(struct run *r);
void check_non_root(struct run *r);
void check_non_root_users(struct run *r);
void check_run_as_user(struct run *r);
void check_run_as_user_users(struct run *r);
void check_seccomp_restricted(struct run *r);
void check_seccomp_linux(struct run *r);

#endif
