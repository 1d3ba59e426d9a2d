#!/bin/sh
# Volumes of volume-image: what they hold has an end, they grow while a pod uses them, they can be raw block devices; the daemon is killed meanwhile, and no
# loop device and no mount is left. usage: volumes-image.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox, kubectl or loop devices.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
[ -x /sbin/mkfs.ext4 ] && losetup -f >/dev/null 2>&1 || {
    echo "skipped: no mkfs.ext4 or no loop devices"
    exit 0
}
. "$here/lib/node.sh"
# Devices of raw volumes outlive a run that is cut off.
trap 'ended=$?; node_end; losetup -l -n -O NAME,BACK-FILE | grep " $dir/" | cut -d" " -f1 | xargs -r -n1 losetup -d; exit $ended' EXIT
start
field() { k get "$1" "$2" -o "jsonpath=$3"; }
comes() { what=$1 wanted=$2 seconds=$3; shift 3; settles "$what" "$wanted" "$seconds" field "$@"; }
loops() { losetup -l -n -O BACK-FILE 2>/dev/null | grep -c "^$dir/"; }
cat >"$dir/x.yaml" <<EOT
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: image}
provisioner: image.keelson.dev
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
mountOptions: [noatime]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: fs}
spec: {storageClassName: image, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: raw}
spec: {storageClassName: image, accessModes: [ReadWriteOnce], volumeMode: Block, resources: {requests: {storage: 4Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: fs}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 1001, fsGroup: 2002}
  volumes: [{name: v, persistentVolumeClaim: {claimName: fs}}]
  containers: [{name: c, image: $image, command: [sleep, "3600"], volumeMounts: [{name: v, mountPath: /v}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: raw}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, persistentVolumeClaim: {claimName: raw}}]
  containers: [{name: c, image: $image, command: [sleep, "3600"], volumeDevices: [{name: v, devicePath: /dev/disk}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: wrong}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, persistentVolumeClaim: {claimName: raw}}]
  containers: [{name: c, image: $image, command: [sleep, "3600"], volumeMounts: [{name: v, mountPath: /v}]}]
EOT
out=$(k apply -f "$dir/x.yaml") || fail apply "$out"
comes "a pod with a file system of its own" Running 60 pod fs '{.status.phase}'
comes "a pod with a block device" Running 60 pod raw '{.status.phase}'
sh_in() { k exec "$1" -- sh -c "$2"; }
blocks() { sh_in fs "df -k /v | tail -1 | awk '{print \$2}'"; }
before=$(blocks)
[ "$before" -gt 5000 ] && [ "$before" -le 10240 ] && ok "its size is the claim's: $before KiB" || fail "its size" "$before"
has "mount options are the class's" noatime "$(sh_in fs 'grep " /v " /proc/mounts')"
has "more than that cannot be written" "No space left on device" "$(sh_in fs 'dd if=/dev/zero of=/v/f bs=1M count=11 2>&1')"
is "files are the group's" "2002" "$(sh_in fs 'stat -c %g /v/f')"
sh_in fs 'rm /v/f; echo kept >/v/kept' >/dev/null
k patch pvc fs -p '{"spec":{"resources":{"requests":{"storage":"20Mi"}}}}' >/dev/null
# The kernel asks for CAP_SYS_RESOURCE (bit 24); without it the file system grows when the next pod gets it.
[ $((0x$(sed -n 's/CapEff:[[:space:]]*//p' /proc/self/status) >> 24 & 1)) = 1 ] || {
    eventually "without a capability it cannot grow in use, and says so" 30 sh -c "kubectl --kubeconfig '$dir/kc' get events | grep -q 'VolumeResizeFailed.*grow: Operation not permitted'"
    comes "it waits" FileSystemResizePending 5 pvc fs '{.status.conditions[0].type}'
    k get pod fs -o json >"$dir/fs.json"
    k delete pod fs >/dev/null
    k create -f "$dir/fs.json" >/dev/null
    comes "another pod gets it" Running 60 pod fs '{.status.phase}'
}
comes "the claim grows" 20Mi 30 pvc fs '{.status.capacity.storage}'
is "nothing is waited for any more" "" "$(field pvc fs '{.status.conditions}{.status.allocatedResourceStatuses}')"
after=$(blocks)
[ "$after" -gt "$((before + 9000))" ] && ok "and so does the file system: $after KiB" || fail "the file system" "$before KiB before, $after after"
is "the pod is the same" 0 "$(get fs '{.status.containerStatuses[0].restartCount}')"
has "the pod's event" FileSystemResizeSuccessful "$(k get events --field-selector involvedObject.name=fs)"
is "a raw device of the claim's size" 4194304 "$(sh_in raw 'blockdev --getsize64 /dev/disk 2>/dev/null || head -c 9999999 /dev/disk | wc -c')"
sh_in raw 'echo raw-data | dd of=/dev/disk conv=notrunc bs=16 2>/dev/null; sync' >/dev/null
comes "it cannot be mounted as a folder" "" 1 pod wrong '{.status.containerStatuses[0].state.running}'
eventually "and an event says so" 30 sh -c "kubectl --kubeconfig '$dir/kc' get events | grep -q 'FailedMount.*has volumeMode Block, but is specified in volumeMounts'"
k delete pod wrong >/dev/null
is "two loop devices" 2 "$(loops)"
kill -9 "$pid"
wait "$pid" 2>/dev/null
start
eventually "the pods are Ready again" 60 k wait --for=condition=Ready pod/fs pod/raw --timeout=5s
is "still two" 2 "$(loops)"
is "with what was written" "kept raw-data" "$(sh_in fs 'cat /v/kept') $(sh_in raw 'head -c 8 /dev/disk')"
k delete pod fs raw >/dev/null
eventually "without pods there is no device" 60 sh -c "! losetup -l -n -O BACK-FILE | grep -q '^$dir/'"
k patch pvc raw -p '{"spec":{"resources":{"requests":{"storage":"6Mi"}}}}' >/dev/null
k patch pvc fs -p '{"spec":{"resources":{"requests":{"storage":"24Mi"}}}}' >/dev/null
comes "one that nobody uses waits for its next pod" FileSystemResizePending 30 pvc fs '{.status.conditions[0].type}'
cat >"$dir/x.yaml" <<EOT
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  restartPolicy: Never
  volumes: [{name: f, persistentVolumeClaim: {claimName: fs}}, {name: r, persistentVolumeClaim: {claimName: raw, readOnly: true}}]
  containers: [{name: c, image: $image, command: [sh, -c, 'cat /f/kept; head -c 9 /dev/r; head -c 9999999 /dev/r | wc -c; df -k /f | tail -1 | tr -s " " | cut -d" " -f2; echo x >/dev/r || echo refused'], volumeMounts: [{name: f, mountPath: /f}], volumeDevices: [{name: r, devicePath: /dev/r}]}]
EOT
out=$(k apply -f "$dir/x.yaml") || fail apply "$out"
comes "another pod has both" Succeeded 60 pod again '{.status.phase}'
comes "and the claim has grown" 24Mi 30 pvc fs '{.status.capacity.storage}'
set -- $(k logs again)
is "their content, and the raw one's new size" "kept raw-data 6291456" "$1 $2 $3"
[ "$4" -gt "$((after + 3000))" ] && ok "the file system grew before it started: $4 KiB" || fail "the file system" "$after KiB before, $4 after"
has "a device that is only read" refused "$(k logs again)"
k delete pod again >/dev/null
k delete pvc fs raw >/dev/null
eventually "volumes are gone" 60 sh -c "[ -z \"\$(ls '$dir/state/volume-images')\" ]"
eventually "their objects too" 30 sh -c "[ -z \"\$(kubectl --kubeconfig '$dir/kc' get pv -o name)\" ]"
is "no device is left" 0 "$(loops)"
exit $bad
