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
comes() { what=$1 wanted=$2 seconds=$3; shift 3; settles "$what" "$wanted" "$seconds" field "$@"; }
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

# --- a StatefulSet: data outlives pods, and the daemon that is killed ---
cat >"$dir/x.yaml" <<EOT
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: c, image: $image, command: [sh, -c, 'echo start >>/v/starts; sleep 3600'], volumeMounts: [{name: disk, mountPath: /v}]}
  volumeClaimTemplates:
  - metadata: {name: disk}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
EOT
apply
starts() { k exec "$1" -- sh -c 'wc -l </v/starts'; }
comes "two pods with volumes" 2 90 statefulset db '{.status.readyReplicas}'
phase "a claim of the template" Bound pvc disk-db-1
is "the first start" 1 "$(starts db-0)"
uid=$(get db-0 '{.metadata.uid}')
k delete pod db-0 >/dev/null
eventually "the pod comes anew" 60 sh -c "uid=\$(kubectl --kubeconfig '$dir/kc' get pod db-0 -o 'jsonpath={.metadata.uid} {.status.phase}') && [ \"\$uid\" != '$uid Running' ] && case \"\$uid\" in *Running) ;; *) false ;; esac"
is "with the data of the one before" 2 "$(starts db-0)"
mounts() { grep -c " $dir/state/node/pods/[^ ]*/volumes/" /proc/self/mountinfo; }
before=$(mounts)
kill -9 "$pid"
wait "$pid" 2>/dev/null
start
eventually "the pods are Ready again" 60 k wait --for=condition=Ready pod/db-0 pod/db-1 --timeout=5s
is "the same containers, nothing mounted twice" "2 $before" "$(starts db-0) $(mounts)"
k exec db-1 -- sh -c 'echo after >>/v/starts' >/dev/null
is "they can still write" 2 "$(starts db-1)"
k scale statefulset db --replicas=1 >/dev/null
gone "a pod less" pod db-1
phase "its claim stays" Bound pvc disk-db-1
k scale statefulset db --replicas=2 >/dev/null
comes "the pod comes back" 2 60 statefulset db '{.status.readyReplicas}'
is "to its data" 3 "$(starts db-1)"
k delete statefulset db >/dev/null
gone "claims go with the set" pvc disk-db-0
gone "both" pvc disk-db-1
eventually "and all volumes" 30 sh -c "[ -z \"\$(kubectl --kubeconfig '$dir/kc' get pv -o name)\" ]"
is "nothing of them is left mounted" 0 "$(mounts)"

# --- volumes written by hand: local, hostPath; Retain; claims that name one; selectors ---
mkdir -p "$dir/disk1" "$dir/disk2"
cat >"$dir/x.yaml" <<EOT
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: static}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: here, labels: {disk: one}}
spec: {storageClassName: static, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], local: {path: $dir/disk1}, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node]}]}]}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: elsewhere}
spec: {storageClassName: static, capacity: {storage: 1Mi}, accessModes: [ReadWriteOnce], local: {path: $dir/disk1}, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [another]}]}]}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: path}
spec: {storageClassName: manual, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: $dir/disk2}}
EOT
claim static 1Mi 'storageClassName: static' >>"$dir/x.yaml"
claim toolarge 5Gi 'storageClassName: static' >>"$dir/x.yaml"
claim path 1Gi 'storageClassName: manual, volumeName: path' >>"$dir/x.yaml"
claim noclass 1Mi 'storageClassName: ""' >>"$dir/x.yaml"
pod static static 'echo local >/v/f; sleep 3600' >>"$dir/x.yaml"
pod toolarge toolarge 'true' >>"$dir/x.yaml"
pod path path 'echo hostpath >/v/f; sleep 3600' >>"$dir/x.yaml"
pod noclass noclass 'true' >>"$dir/x.yaml"
pod missing missing 'true' >>"$dir/x.yaml"
apply
phase "a local volume" Running pod static 60
is "the one of this node, though another is nearer in size" here "$(field pvc static '{.spec.volumeName}')"
is "it is where it says" local "$(cat "$dir/disk1/f" 2>/dev/null)"
phase "a volume that the claim names" Running pod path 60
is "it is there" hostpath "$(cat "$dir/disk2/f" 2>/dev/null)"
phase "a volume of another node stays free" Available pv elsewhere
no_help=" no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
comes "no volume is large enough" "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.""$no_help" 30 pod toolarge '{.status.conditions[0].message}'
comes "a claim that nothing binds" "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.""$no_help" 30 pod noclass '{.status.conditions[0].message}'
comes "a claim that is not there" '0/1 nodes are available: persistentvolumeclaim "missing" not found.'"$no_help" 30 pod missing '{.status.conditions[0].message}'
eventually "FailedBinding tells why" 30 sh -c "kubectl --kubeconfig '$dir/kc' get events | grep -q 'no persistent volumes available for this claim and no storage class is set'"
claim missing 1Mi >"$dir/x.yaml"
apply
phase "once it is there the pod runs" Succeeded pod missing 60
k delete pod static path toolarge noclass missing >/dev/null
k delete pvc static toolarge noclass missing >/dev/null
phase "a volume that was left" Released pv here
is "keeps its data" local "$(cat "$dir/disk1/f" 2>/dev/null)"
claim static 1Mi 'storageClassName: static' >"$dir/x.yaml"
pod static static 'true' >>"$dir/x.yaml"
apply
comes "and is nobody else's" "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.""$no_help" 30 pod static '{.status.conditions[0].message}'
k patch pv here --type=json -p '[{"op":"remove","path":"/spec/claimRef"}]' >/dev/null
phase "until an administrator frees it" Succeeded pod static 60

# --- read-only, fsGroup, subPath, one pod only ---
claim shared 1Mi >"$dir/x.yaml"
pod writer shared 'mkdir -p /v/a/b; echo deep >/v/a/b/f; echo top >/v/f; chmod 600 /v/f; ln -s /etc /v/link; true' >>"$dir/x.yaml"
apply
phase "a pod writes" Succeeded pod writer 60
{
    printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: reader}\nspec: {restartPolicy: Never, volumes: [{name: v, persistentVolumeClaim: {claimName: shared, readOnly: true}}], containers: [{name: c, image: %s, command: [sh, -c, "cat /v/f; touch /v/x 2>&1 | grep -o Read-only"], volumeMounts: [{name: v, mountPath: /v}]}]}\n' "$image"
    pod mountro shared 'cat /v/f; touch /v/x 2>&1 | grep -o Read-only' 'readOnly: true'
    pod sub shared 'ls /v; echo more >/v/g' 'subPath: a/b'
    pod newsub shared 'echo new >/v/n; ls /v' 'subPath: made/here'
    pod outside shared 'true' 'subPath: link'
    pod group shared 'cat /v/f; echo x >/v/h && stat -c %g /v/h; stat -c %a-%g /v/f /v/a; id -G' '' 'securityContext: {runAsUser: 1234, fsGroup: 4321}'
} >"$dir/x.yaml"
apply
for p in reader mountro sub newsub group; do phase "pod $p ends" Succeeded pod $p 60; done
said() { is "$1" "$2" "$(k logs "$1" | tr '\n' ' ' | sed 's/ *$//')"; }
said reader 'top Read-only'
said mountro 'top Read-only'
said sub f
said newsub n
said group 'top 4321 660-4321 2775-4321 0 4321'
eventually "a subPath through a link stays inside" 30 sh -c "kubectl --kubeconfig '$dir/kc' get pod outside -o 'jsonpath={.status.containerStatuses[0].state}' | grep -q 'subPath\|terminated'"
hasnt "and does not show the node's files" passwd "$(ls "$dir/state/volumes/"*/data/ | tr '\n' ' ')"
claim alone 1Mi '' ReadWriteOncePod >"$dir/x.yaml"
pod first alone 'sleep 3600' >>"$dir/x.yaml"
apply
phase "a pod has a ReadWriteOncePod claim" Running pod first 60
pod second alone 'true' >"$dir/x.yaml"
apply
comes "nobody else may" '0/1 nodes are available: node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.'"$no_help" 30 pod second '{.status.conditions[0].message}'
k delete pod first >/dev/null
phase "until it is gone" Succeeded pod second 60

# --- a claim of a single pod; one that is copied; one that grows ---
{
    printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: eph}\nspec: {terminationGracePeriodSeconds: 0, volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}}}], containers: [{name: c, image: %s, command: [sleep, "3600"], volumeMounts: [{name: v, mountPath: /v}]}]}\n' "$image"
    claim copy 1Mi 'dataSource: {kind: PersistentVolumeClaim, name: shared}'
    pod copied copy 'cat /v/f /v/a/b/f'
} >"$dir/x.yaml"
apply
phase "a pod with a claim of its own" Running pod eph 60
phase "the claim is its own" Bound pvc eph-v
k delete pod eph >/dev/null
gone "and goes with it" pvc eph-v
phase "a copy of a volume" Succeeded pod copied 60
said copied 'top deep'
k patch pvc shared -p '{"spec":{"resources":{"requests":{"storage":"5Mi"}}}}' >/dev/null
comes "a claim grows" 5Mi 30 pvc shared '{.status.capacity.storage}'
has "and tells" "Resize volume succeeded" "$(events shared)"

# --- what a driver refuses, and a driver that is not there ---
cat >"$dir/x.yaml" <<EOT
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: typo}
provisioner: dir.keelson.dev
parameters: {kolour: blue}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: foreign}
provisioner: csi.example.com
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: evil}
spec: {storageClassName: evil, capacity: {storage: 1Mi}, accessModes: [ReadWriteOnce], csi: {driver: dir.keelson.dev, volumeHandle: ../../pki}}
EOT
claim typo 1Mi 'storageClassName: typo' >>"$dir/x.yaml"
claim foreign 1Mi 'storageClassName: foreign' >>"$dir/x.yaml"
claim many 1Mi '' ReadWriteMany >>"$dir/x.yaml"
claim evil 1Mi 'storageClassName: evil' >>"$dir/x.yaml"
pod many many true >>"$dir/x.yaml"
pod evil evil true >>"$dir/x.yaml"
apply
eventually "a parameter nobody knows" 30 sh -c "kubectl --kubeconfig '$dir/kc' get events | grep -q \"failed to provision volume with StorageClass \\\"typo\\\": there is no parameter 'kolour'\""
eventually "an access mode that it has not" 30 sh -c "kubectl --kubeconfig '$dir/kc' get events | grep -q 'does not support access mode ReadWriteMany'"
eventually "a provisioner outside is waited for" 30 sh -c "kubectl --kubeconfig '$dir/kc' get events | grep -q \"by the external provisioner 'csi.example.com'\""
eventually "an id that is a path" 60 sh -c "kubectl --kubeconfig '$dir/kc' get events | grep -q 'FailedMount.*MountVolume.SetUp failed for volume \"evil\".*there is no volume'"
k delete pod --all --grace-period=0 --force >/dev/null
k delete pvc --all >/dev/null
eventually "every volume that was made is gone" 60 sh -c "[ -z \"\$(ls '$dir/state/volumes')\" ]"
eventually "and every mount" 30 sh -c "! grep -q ' $dir/state/node/pods/[^ ]*/volumes/' /proc/self/mountinfo"
eventually "and what the node remembers" 30 sh -c "[ -z \"\$(ls '$dir/state/node/claims')\" ]"
k delete storageclass local-path >/dev/null
kill "$pid"
wait "$pid" 2>/dev/null
start
eventually "who deletes the default class is rid of it" 30 sh -c "kubectl --kubeconfig '$dir/kc' get storageclass foreign && ! kubectl --kubeconfig '$dir/kc' get storageclass local-path"
exit $bad
