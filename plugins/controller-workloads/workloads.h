/* workloads.h - what the files of controller-workloads share. */
#ifndef WORKLOADS_H
#define WORKLOADS_H

#include "ctl.h"
#include "meta.h"
#include "pods.h"

/* C name, provider's name */
#define WORKLOADS_FIRST(X) X(replicaset, "replicaset")
#define WORKLOADS_MORE(X) \
    X(replicationcontroller, "replicationcontroller") X(deployment, "deployment") X(job, "job") X(job_ttl, "ttl-after-finished") \
    X(statefulset, "statefulset") X(daemonset, "daemonset") X(cronjob, "cronjob") X(disruption, "disruption")
#define WORKLOADS(X) WORKLOADS_FIRST(X) WORKLOADS_MORE(X)

#define DECLARE(ID, NAME) extern const struct kl_controller ID##_controller;
WORKLOADS(DECLARE)

#define PODS        "/pods"
#define REPLICASETS "apps/replicasets"
#define DEPLOYMENTS "apps/deployments"

#endif
