/* volumes.h - what the files of controller-volumes share: claims, volumes and classes as they are read and compared. */
#ifndef VOLUMES_H
#define VOLUMES_H

#include <keelson/iface/volume.h>

#include "ctl.h"
#include "meta.h"
#include "pods.h"

#define VOLUMES_CONTROLLERS(X) X(binder, "persistentvolume") X(provisioner, "volume-provisioner") X(ephemeral, "ephemeral-volume") X(defaults, "storage-defaults")

struct volumes_conf {
    const char *default_class, *default_provisioner, *node;
};

#define DECLARE(ID, NAME) extern const struct kl_controller ID##_controller;
VOLUMES_CONTROLLERS(DECLARE)

#define CLAIMS     "/persistentvolumeclaims"
#define VOLUMES    "/persistentvolumes"
#define PODS       "/pods"
#define NODES      "/nodes"
#define NAMESPACES "/namespaces"
#define CLASSES    "storage.k8s.io/storageclasses"

#define BOUND_BY_CONTROLLER "pv.kubernetes.io/bound-by-controller"
#define BIND_COMPLETED      "pv.kubernetes.io/bind-completed"
#define PROVISIONED_BY      "pv.kubernetes.io/provisioned-by"
#define SELECTED_NODE       "volume.kubernetes.io/selected-node"
#define PROVISIONER         "volume.kubernetes.io/storage-provisioner"
#define PROVISIONER_BETA    "volume.beta.kubernetes.io/storage-provisioner"
#define CLASS_BETA          "volume.beta.kubernetes.io/storage-class"
#define NO_PROVISIONER      "kubernetes.io/no-provisioner"
#define ON_NODE             "keelson.dev/node"      /* of a local volume */
#define PV_FINALIZER        "external-provisioner.volume.kubernetes.io/finalizer"

/* claim.c */
struct str class_of(const struct val *claim_or_volume);
bool bound_completely(const struct val *claim);
bool bound_to(const struct val *volume, const struct val *claim);       /* its claimRef is about this claim; without a uid: about one of that name */
struct str volume_mode(const struct val *claim_or_volume);              /* "Filesystem" when it says nothing */
const char *why_not(const struct val *volume, const struct val *claim); /* NULL: the volume is fit for the claim */
struct val *best_volume(struct ctl_run *r, const struct val *claim, bool later, int *ret_rc);
bool waits_for_consumer(const struct val *class);
struct val *reference_to(struct ctl_run *r, const struct val *claim);            /* spec.claimRef */

/* volume.c */
int volume_run(struct ctl_run *r, struct str name);
int set_phase(struct ctl_run *r, struct val **volume, const char *phase, const char *message);

#endif
