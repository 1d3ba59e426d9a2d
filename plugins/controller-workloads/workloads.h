/* workloads.h - what the files of controller-workloads share. */
#ifndef WORKLOADS_H
#define WORKLOADS_H

#include "ctl.h"
#include "meta.h"
#include "pods.h"

extern const struct kl_controller replicaset_controller, replicationcontroller_controller, deployment_controller;

#define PODS        "/pods"
#define REPLICASETS "apps/replicasets"
#define DEPLOYMENTS "apps/deployments"

#endif
