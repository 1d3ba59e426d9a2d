#!/bin/sh
# Claims and the volumes they get: the default class, a StatefulSet whose data outlives its pods and the daemon, static volumes, policies, access modes, read-only,
# fsGroup, subPath, claims of single pods, what is in use, expansion, and the events that tell.
# usage: volumes.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/node.sh"
start
apply() { out=$(k apply -f "$dir/x.yaml") || fail "apply" "$out"; }
# claim NAME SIZE MORE-OF-SPEC
claim() { printf -- '---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: %s}\nspec: {%saccessModes: [%s], resources: {requests: {storage: %s}}}\n' "$1" "${3:+$3, }" "${4:-ReadWriteOnce}" "$2"; }
# pod NAME CLAIM COMMAND MORE-OF-MOUNT MORE-OF-POD
pod() {
    printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {restartPolicy: Never, terminationGracePeriodSeconds: 0, %svolumes: [{name: v, persistentVolumeClaim: {claimName: %s}}], containers: [{name: c, image: %s, command: [sh, -c, "%s"], volumeMounts: [{name: v, mountPath: /v%s}]}]}\n' \
        "$1" "${5:+$5, }" "$2" "$image" "$3" "${4:+, $4}"
}
field() { k get "$1" "$2" -o "jsonpath=$3"; }
# comes WHAT WANTED SECONDS KIND NAME JSONPATH
comes() {
    end=$(($(date +%s) + 3 * $3))
    until got=$(field "$4" "$5" "$6"); [ "$got" = "$2" ]; do
        [ "$(date +%s)" -ge "$end" ] && break
        sleep 0.2
    done
    is "$1" "$2" "$got"
}
phase() { comes "$1" "$2" "${5:-30}" "$3" "$4" '{.status.phase}'; }
gone() { eventually "$1" 60 sh -c "! kubectl --kubeconfig '$dir/kc' get $2 $3"; }
events() { k get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.type} {.reason}: {.message}{"\n"}{end}'; }

# --- the default class, and a claim that waits for its first pod ---
comes "there is a default class" true 30 storageclass local-path '{.metadata.annotations.storageclass\.kubernetes\.io/is-default-class}'
claim data 10Mi >"$dir/x.yaml"
apply
eventually "the claim tells what it waits for" 30 sh -c "kubectl --kubeconfig '$dir/kc' get events | grep -q 'WaitForFirstConsumer.*waiting for first consumer to be created before binding'"
is "its class is the default one" local-path "$(field pvc data '{.spec.storageClassName}')"
phase "it is pending" Pending pvc data
pod one data 'echo kept >/v/f; stat -c %a /v; sleep 3600' >"$dir/x.yaml"
apply
phase "a pod with a claim runs" Running pod one 60
phase "the claim is bound" Bound pvc data
pv=$(field pvc data '{.spec.volumeName}')
is "its volume" "pvc-$(field pvc data '{.metadata.uid}')" "$pv"
phase "the volume is bound" Bound pv "$pv"
is "the volume is the driver's" "dir.keelson.dev $pv" "$(field pv "$pv" '{.spec.csi.driver} {.spec.csi.volumeHandle}')"
is "and this node's" "$node" "$(field pv "$pv" '{.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}')"
is "capacity" "10Mi 10Mi" "$(field pvc data '{.status.capacity.storage}') $(field pv "$pv" '{.spec.capacity.storage}')"
has "events of a claim" "Normal ProvisioningSucceeded: Successfully provisioned volume $pv" "$(events data)"
has "kubectl get pvc" "Bound" "$(k get pvc data)"
comes "the node tells that it uses it" "kubernetes.io/csi/dir.keelson.dev^$pv" 30 node "$node" '{.status.volumesInUse[0]}'

# --- a claim in use waits; its volume goes with it ---
k delete pvc data --wait=false >/dev/null
has "a claim that is in use is not deleted" kubernetes.io/pvc-protection "$(field pvc data '{.metadata.finalizers}')"
has "and terminates" Terminating "$(k get pvc data)"
[ -f "$dir/state/volumes/$pv/data/f" ] || fail "the data is there"
k delete pod one >/dev/null
gone "it goes with its pod" pvc data
gone "and its volume with it" pv "$pv"
[ -e "$dir/state/volumes/$pv" ] && fail "the folder is still there"
comes "the node uses it no more" "" 30 node "$node" '{.status.volumesInUse}'
exit $bad
