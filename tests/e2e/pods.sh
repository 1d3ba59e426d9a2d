#!/bin/sh
# Real pods on a one-node cluster: environment, volumes, limits, restarts and their back-off, probes, init containers and sidecars, hooks,
# deletion with grace, reasons, log files, kill -9 and adoption; at the end nothing is left.
# usage: pods.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
node=e2e-pods
. "$here/lib/node.sh"
spec="enableServiceLinks: true"
start
before=$(ls /proc/self/ns >/dev/null && ls -d /sys/fs/cgroup/*/kubepods 2>/dev/null | wc -l)

mkdir -p "$dir/shared/outer" && mount --bind "$dir/shared" "$dir/shared" && mount --make-shared "$dir/shared"
cat >"$dir/all.yaml" <<EOF
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg}
data: {color: red, "app.conf": "line\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: sec}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Service
metadata: {name: my-db}
spec: {ports: [{port: 5432, name: pg}]}
---
apiVersion: v1
kind: Pod
metadata: {name: env, labels: {app: env}, annotations: {note: "a b"}}
spec:
  {$spec, restartPolicy: Never, containers: [{name: c, image: $image, command: [sh, -c, 'env | sort; echo args: \$(GREETING) \$0 \$1; exit 0'],
  args: ["\$\$(NOT)", "\$(COLOR)"], resources: {limits: {memory: 64Mi, cpu: 250m}}, envFrom: [{configMapRef: {name: cfg}, prefix: CFG_}, {secretRef: {name: sec}}],
  env: [{name: COLOR, valueFrom: {configMapKeyRef: {name: cfg, key: color}}}, {name: GREETING, value: "hello \$(COLOR)"},
  {name: PW, valueFrom: {secretKeyRef: {name: sec, key: password}}}, {name: GONE, valueFrom: {configMapKeyRef: {name: none, key: x, optional: true}}},
  {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}},
  {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}, {name: HOSTIP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}},
  {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}, {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: vols, labels: {app: vols}}
spec:
  $(echo "{$spec, restartPolicy: Never, terminationGracePeriodSeconds: 1, volumes: [
  {name: cm, configMap: {name: cfg}}, {name: se, secret: {secretName: sec, defaultMode: 256}}, {name: disk, emptyDir: {}},
  {name: ram, emptyDir: {medium: Memory, sizeLimit: 1Mi}}, {name: host, hostPath: {path: $dir/host, type: DirectoryOrCreate}},
  {name: down, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}},
  {name: proj, projected: {sources: [{configMap: {name: cfg, items: [{key: color, path: deep/color}]}}, {secret: {name: sec}}]}}],
  containers: [{name: a, image: $image, command: [sh, -c, 'cat /cm/color /cm/app.conf /se/password /down/labels /proj/deep/color /proj/password; echo; stat -c %a /se/..data/password;
  grep -c \"/ram tmpfs\" /proc/mounts; echo from-a >/disk/x; echo on-host >/host/y; echo sub >/sub/z; touch /cm/new 2>&1; sleep 3600'],
  volumeMounts: [{name: cm, mountPath: /cm}, {name: se, mountPath: /se}, {name: disk, mountPath: /disk}, {name: ram, mountPath: /ram}, {name: host, mountPath: /host},
  {name: down, mountPath: /down}, {name: proj, mountPath: /proj}, {name: disk, mountPath: /sub, subPath: some/where}]},
  {name: b, image: $image, command: [sh, -c, 'until [ -f /disk/x ]; do sleep 0.1; done; cat /disk/x /disk/some/where/z; sleep 3600'], volumeMounts: [{name: disk, mountPath: /disk, readOnly: true}]}]}")
---
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec: {$spec, containers: [{name: c, image: $image, command: [sh, -c, 'echo last words >/dev/termination-log; exit 3']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: failed}
spec: {$spec, restartPolicy: Never, containers: [{name: c, image: $image, terminationMessagePolicy: FallbackToLogsOnError, command: [sh, -c, 'echo from; printf "the log"; exit 7']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: oom}
spec: {$spec, restartPolicy: Never, containers: [{name: c, image: $image, command: [sh, -c, 'tail /dev/zero'], resources: {limits: {memory: 16Mi}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: init}
spec:
  {$spec, restartPolicy: Never, volumes: [{name: d, emptyDir: {}}], terminationGracePeriodSeconds: 1,
  initContainers: [{name: one, image: $image, command: [sh, -c, 'echo one >>/d/order'], volumeMounts: [{name: d, mountPath: /d}]},
  {name: side, image: $image, restartPolicy: Always, command: [sh, -c, 'echo side >>/d/order; trap "exit 0" TERM; while :; do sleep 0.1; done'],
  startupProbe: {exec: {command: [grep, -q, side, /d/order]}, periodSeconds: 1}, volumeMounts: [{name: d, mountPath: /d}]},
  {name: two, image: $image, command: [sh, -c, 'echo two >>/d/order'], volumeMounts: [{name: d, mountPath: /d}]}],
  containers: [{name: main, image: $image, command: [sh, -c, 'cat /d/order'], volumeMounts: [{name: d, mountPath: /d}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: badinit}
spec: {$spec, restartPolicy: Never, initContainers: [{name: i, image: $image, command: ["false"]}], containers: [{name: c, image: $image, command: ["true"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: ready}
spec:
  {$spec, volumes: [{name: h, hostPath: {path: $dir/host}}], terminationGracePeriodSeconds: 1,
  containers: [{name: c, image: $image, command: [sh, -c, 'mkdir /w; echo hi >/w/index.html; exec httpd -f -p 8081 -h /w'],
  ports: [{name: web, containerPort: 8081}], volumeMounts: [{name: h, mountPath: /h}], startupProbe: {tcpSocket: {port: 8081}, periodSeconds: 1, failureThreshold: 20},
  livenessProbe: {httpGet: {port: web, path: /}, periodSeconds: 1}, readinessProbe: {exec: {command: [test, -f, /h/go]}, periodSeconds: 1, failureThreshold: 1}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: mounts}
spec:
  {$spec, volumes: [{name: h, hostPath: {path: $dir/shared}}], terminationGracePeriodSeconds: 1,
  containers: [{name: out, image: $image, securityContext: {privileged: true}, volumeMounts: [{name: h, mountPath: /h, mountPropagation: Bidirectional}],
  command: [sh, -c, 'mkdir /h/inner && mount -t tmpfs inner /h/inner && echo from-inside >/h/inner/f; sleep 3600']},
  {name: in, image: $image, volumeMounts: [{name: h, mountPath: /h, mountPropagation: HostToContainer}], command: [sleep, "3600"]},
  {name: alone, image: $image, volumeMounts: [{name: h, mountPath: /h}], command: [sleep, "3600"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: sick}
spec: {$spec, terminationGracePeriodSeconds: 1, containers: [{name: c, image: $image, command: [sleep, "3600"], livenessProbe: {exec: {command: [sh, -c, "echo I am ill; exit 1"]}, periodSeconds: 1, failureThreshold: 2}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: never}
spec: {$spec, containers: [{name: c, image: "localhost/none:1", imagePullPolicy: Never}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pull}
spec: {$spec, containers: [{name: c, image: "localhost/none:1", imagePullPolicy: IfNotPresent}]}
---
apiVersion: v1
kind: Pod
metadata: {name: noconf}
spec: {$spec, containers: [{name: c, image: $image, command: ["true"], env: [{name: X, valueFrom: {configMapKeyRef: {name: cfg, key: absent}}}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: grace}
spec:
  {$spec, terminationGracePeriodSeconds: 20, volumes: [{name: h, hostPath: {path: $dir/host}}],
  containers: [{name: c, image: $image, command: [sh, -c, 'trap "echo term >>/h/grace; exit 4" TERM; while :; do sleep 0.1; done'], volumeMounts: [{name: h, mountPath: /h}],
  lifecycle: {postStart: {exec: {command: [sh, -c, "echo post >>/h/grace"]}}, preStop: {exec: {command: [sh, -c, "sleep 1; echo pre >>/h/grace"]}}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec: {$spec, terminationGracePeriodSeconds: 2, containers: [{name: c, image: $image, command: [sh, -c, 'trap "" TERM; while :; do sleep 0.1; done']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: chatty}
spec: {$spec, terminationGracePeriodSeconds: 1, containers: [{name: c, image: $image, command: [sh, -c, "yes abcdefghijklmnopqrstuvwxyz | head -n 200000; while :; do echo tick; sleep 0.2; done"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: secure}
spec:
  {$spec, restartPolicy: Never, hostname: box, shareProcessNamespace: true, securityContext: {runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000, runAsNonRoot: true},
  hostAliases: [{ip: 192.0.2.9, hostnames: [far.example]}], dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.53], searches: [a.example], options: [{name: ndots, value: "3"}]},
  volumes: [{name: d, emptyDir: {}}, {name: s, secret: {secretName: sec}}],
  containers: [{name: c, image: $image, workingDir: /tmp, securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}},
  command: [sh, -c, 'id; hostname; pwd; cat /etc/resolv.conf /etc/hosts; touch /x 2>&1; touch /d/y && stat -c "group %g" /d/y; cat /s/password; echo; grep -E "CapEff|NoNewPrivs" /proc/self/status; [ "\$\$" != 1 ] && echo "not pid 1"'],
  volumeMounts: [{name: d, mountPath: /d}, {name: s, mountPath: /s}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: rooted}
spec: {$spec, securityContext: {runAsNonRoot: true}, containers: [{name: c, image: $image, command: ["true"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: sysctl}
spec: {$spec, securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "77"}, {name: net/ipv4/tcp_syncookies, value: "2"}]}, terminationGracePeriodSeconds: 1, containers: [{name: c, image: $image, command: [sh, -c, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/tcp_syncookies; sleep 3600"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: unsafe}
spec: {$spec, securityContext: {sysctls: [{name: kernel.msgmax, value: "77"}]}, containers: [{name: c, image: $image, command: ["true"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: lived}
spec: {$spec, activeDeadlineSeconds: 2, terminationGracePeriodSeconds: 1, containers: [{name: c, image: $image, command: [sleep, "3600"]}]}
EOF
mkdir -p "$dir/host"
out=$(k apply -f "$dir/all.yaml") || fail "apply" "$out"

# --- environment, arguments, log files ---
becomes "env: it ends well" Succeeded 20 get env '{.status.phase}'
out=$(logs env c)
for line in "COLOR=red" "GREETING=hello red" "PW=s3cret" "CFG_color=red" "password=s3cret" "POD=env" "NODE=$node" "APP=env" "HOSTIP=127.0.0.1" "MEM=64" "CPU=250" \
    "MY_DB_SERVICE_HOST=" "MY_DB_SERVICE_PORT_PG=5432" "KUBERNETES_SERVICE_HOST=" 'args: hello red $(NOT) red'; do
    has "env: $line" "$line" "$out"
done
case "$out" in *GONE=*) fail "env: an optional key that is absent is left out" ;; esac
has "env: log lines are in CRI format" " stdout F COLOR=red" "$(cat "$dir"/log/pods/default_env_*/c/0.log)"
is "env: reason" Completed "$(get env '{.status.containerStatuses[0].state.terminated.reason}')"
is "env: conditions of a completed pod" "Initialized=True Ready=False ContainersReady=False " \
    "$(get env '{range .status.conditions[?(@.reason=="PodCompleted")]}{.type}={.status} {end}')"
is "env: qosClass" Guaranteed "$(get env '{.status.qosClass}')"
is "env: observedGeneration" "$(get env '{.metadata.generation}')" "$(get env '{.status.observedGeneration}')"

# --- volumes ---
becomes "vols: both containers run" "true true" 20 get vols '{.status.containerStatuses[*].ready}'
sleep 0.5
out=$(logs vols a)
has "vols: configMap, secret, downwardAPI, projected" 's3cretapp="vols"reds3cret' "$(echo "$out" | tr -d '\n')"
has "vols: modes" 400 "$out"
has "vols: memory emptyDir is a tmpfs" 1 "$out"
has "vols: configMap is read-only" "Read-only file system" "$out"
has "vols: the other container sees the emptyDir, and subPath is inside of it" "from-a
sub" "$(logs vols b)"
is "vols: hostPath" on-host "$(cat "$dir/host/y")"
k patch configmap cfg -p '{"data":{"color":"blue"}}' >/dev/null
eventually "mounts: out of a container" 20 test -f "$dir/shared/inner/f"
mount -t tmpfs outer "$dir/shared/outer" && echo from-outside >"$dir/shared/outer/f"
becomes "mounts: all run" "true true true" 20 get mounts '{.status.containerStatuses[*].ready}'
is "mounts: into a container, and from one to the other" "from-outside from-inside" "$(k exec mounts -c in -- cat /h/outer/f /h/inner/f | xargs)"
is "mounts: into the one that lets them out" from-outside "$(k exec mounts -c out -- cat /h/outer/f)"
is "mounts: not into who has not asked" 0 "$(k exec mounts -c alone -- ls /h/outer | wc -l)"
umount "$dir/shared/outer"
uid=$(get vols '{.metadata.uid}')
for _ in $(seq 50); do [ "$(cat "$dir/state/node/pods/$uid/volumes/cm/color")" = blue ] && break; sleep 0.1; done
is "vols: a changed ConfigMap arrives" blue "$(cat "$dir/state/node/pods/$uid/volumes/cm/color")"

is "vols: one network for both containers" "$(get vols '{.status.podIP}')" "$(get vols '{.status.podIPs[0].ip}')"
token=$(cat "$dir/state/node/pods/$uid/volumes/kube-api-access-"*/token)
has "vols: the service account's token is good" system:serviceaccount:default:default \
    "$(curl -sk -H "Authorization: Bearer $token" https://127.0.0.1:6443/apis/authentication.k8s.io/v1/selfsubjectreviews \
        -H 'Content-Type: application/json' -d '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}')"
is "vols: secrets and tokens never are on a disk" "tmpfs tmpfs" "$(stat -f -c %T "$dir/state/node/pods/$uid/volumes/se" "$dir/state/node/pods/$uid/volumes/kube-api-access-"* | tr '\n' ' ' | sed 's/ $//')"
has "vols: the cluster's CA comes with it" "BEGIN CERTIFICATE" "$(cat "$dir/state/node/pods/$uid/volumes/kube-api-access-"*/ca.crt)"
nets=$(for id in $(get vols '{.status.containerStatuses[*].containerID}'); do readlink /proc/"$(pid_of "${id#*://}")"/ns/net; done | sort -u)
is "vols: containers share the network namespace" 1 "$(echo "$nets" | grep -c net:)"
[ "$nets" != "$(readlink /proc/self/ns/net)" ] && ok "vols: and it is not the node's" || fail "vols: the namespace is the node's"

# --- ends ---
becomes "failed: phase" Failed 20 get failed '{.status.phase}'
is "failed: exit code and reason" "7 Error" "$(get failed '{.status.containerStatuses[0].state.terminated.exitCode} {.status.containerStatuses[0].state.terminated.reason}')"
is "failed: message from the log, to its last byte" "from
the log." "$(get failed '{.status.containerStatuses[0].state.terminated.message}.')"
becomes "oom: OOMKilled" "OOMKilled 137" 20 get oom '{.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}'
becomes "crash: CrashLoopBackOff" CrashLoopBackOff 20 get crash '{.status.containerStatuses[0].state.waiting.reason}'
has "crash: back-off in words" "s restarting failed container=c pod=crash_default($(get crash '{.metadata.uid}'))" \
    "$(get crash '{.status.containerStatuses[0].state.waiting.message}')"
is "crash: last state" "3 last words" "$(get crash '{.status.containerStatuses[0].lastState.terminated.exitCode} {.status.containerStatuses[0].lastState.terminated.message}')"
[ "$(get crash '{.status.containerStatuses[0].restartCount}')" -ge 1 ] && ok "crash: restartCount" || fail "crash: restartCount"
is "crash: phase" Running "$(get crash '{.status.phase}')"
has "crash: kubectl shows it" CrashLoopBackOff "$(k get pod crash)"
becomes "lived: activeDeadlineSeconds" "Failed DeadlineExceeded" 10 get lived '{.status.phase} {.status.reason}'

# --- init containers, sidecars ---
becomes "init: completes, its sidecar stopped" Succeeded 20 get init '{.status.phase}'
is "init: order" "one side two" "$(logs init main | tr '\n' ' ' | sed 's/ $//')"
is "init: statuses" "Completed Completed Completed" "$(get init '{.status.initContainerStatuses[*].state.terminated.reason}')"
becomes "badinit: fails the pod" Failed 10 get badinit '{.status.phase}'
has "badinit: kubectl shows it" "Init:Error" "$(k get pod badinit)"
is "badinit: the others wait" PodInitializing "$(get badinit '{.status.containerStatuses[0].state.waiting.reason}')"

# --- probes ---
becomes "ready: started" true 20 get ready '{.status.containerStatuses[0].started}'
is "ready: not ready before its probe says so" "False ContainersNotReady" "$(get ready '{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].reason}')"
touch "$dir/host/go"
becomes "ready: ready" True 10 get ready '{.status.conditions[?(@.type=="Ready")].status}'
rm "$dir/host/go"
becomes "ready: not ready any more" False 10 get ready '{.status.conditions[?(@.type=="Ready")].status}'
is "ready: liveness over HTTP is content" 0 "$(get ready '{.status.containerStatuses[0].restartCount}')"
becomes "sick: liveness kills it" 137 20 get sick '{.status.containerStatuses[0].lastState.terminated.exitCode}'
[ "$(get sick '{.status.containerStatuses[0].restartCount}')" -ge 1 ] && ok "sick: restarted" || fail "sick: restartCount"
has "sick: Unhealthy event" "Liveness probe failed: I am ill" "$(k get events --field-selector reason=Unhealthy)"
has "sick: Killing event" "Container c failed liveness probe, will be restarted" "$(k get events --field-selector reason=Killing)"

# --- who it is, what it may ---
becomes "secure: ends well" Succeeded 20 get secure '{.status.phase}'
out=$(logs secure c)
for line in "uid=1000 gid=3000 groups=2000" "box" "/tmp" "nameserver 192.0.2.53" "search a.example" "options ndots:3" "far.example" "/x: Read-only file system" "group 2000" \
    s3cret "CapEff:	0000000000000000" "NoNewPrivs:	1" "not pid 1" "$(get secure '{.status.podIP}')	box"; do
    has "secure: $line" "$line" "$out"
done
becomes "rooted: runAsNonRoot refuses root" CreateContainerConfigError 10 get rooted '{.status.containerStatuses[0].state.waiting.reason}'
becomes "sysctl: safe ones are set" Running 10 get sysctl '{.status.phase}'
is "sysctl: in the pod" "77 2" "$(logs sysctl c | xargs)"
becomes "unsafe: others are refused" "Failed SysctlForbidden" 10 get unsafe '{.status.phase} {.status.reason}'

# --- what cannot start ---
becomes "never: ErrImageNeverPull" ErrImageNeverPull 10 get never '{.status.containerStatuses[0].state.waiting.reason}'
becomes "pull: ImagePullBackOff" PullBackOff 20 get pull '{.status.containerStatuses[0].state.waiting.reason}'
becomes "noconf: CreateContainerConfigError" CreateContainerConfigError 10 get noconf '{.status.containerStatuses[0].state.waiting.reason}'
has "noconf: says why" "couldn't find key absent in ConfigMap default/cfg" "$(get noconf '{.status.containerStatuses[0].state.waiting.message}')"

# --- limits ---
k run lim --image=$image --overrides="{\"spec\":{\"terminationGracePeriodSeconds\":1,\"containers\":[{\"name\":\"c\",\"image\":\"$image\",\"command\":[\"sleep\",\"3600\"],\"resources\":{\"requests\":{\"cpu\":\"100m\"},\"limits\":{\"memory\":\"48Mi\",\"cpu\":\"300m\"}}}]}}" >/dev/null
becomes "lim: runs" Running 10 get lim '{.status.phase}'
uid=$(get lim '{.metadata.uid}')
id=$(get lim '{.status.containerStatuses[0].containerID}')
id=${id#*://}
if [ -d /sys/fs/cgroup/memory ]; then
    is "lim: memory" $((48 << 20)) "$(cgroup_of memory "$uid" "$id" memory.limit_in_bytes)"
    is "lim: cpu quota" 30000 "$(cgroup_of cpu "$uid" "$id" cpu.cfs_quota_us)"
    is "lim: cpu shares" 102 "$(cgroup_of cpu "$uid" "$id" cpu.shares)"
else
    is "lim: memory" $((48 << 20)) "$(cat /sys/fs/cgroup/kubepods/burstable/pod"$uid"/"$id"/memory.max)"
    is "lim: cpu" "30000 100000" "$(cat /sys/fs/cgroup/kubepods/burstable/pod"$uid"/"$id"/cpu.max)"
fi

"$build/keelson" image --dir "$dir/state/images" build --busybox --env V=2 localhost/busybox:second >/dev/null
k set image pod/lim c=localhost/busybox:second >/dev/null
becomes "lim: a changed image restarts the container" "1 localhost/busybox:second" 10 get lim '{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].image}'
becomes "lim: runs again" true 10 get lim '{.status.containerStatuses[0].ready}'
has "lim: says why" "Container c definition changed, will be restarted" "$(k get events --field-selector reason=Killing)"
id=$(get lim '{.status.containerStatuses[0].containerID}')
id=${id#*://}

# --- log rotation ---
chat=$(echo "$dir"/log/pods/default_chatty_*/c)
for _ in $(seq 300); do ls "$chat"/0.log.* >/dev/null 2>&1 && grep -q tick "$chat/0.log" && break; sleep 0.1; done
is "chatty: a large log was put aside" 1 "$(ls "$chat" | grep -c '^0.log.')"
has "chatty: writes go to the new one" "stdout F tick" "$(tail -1 "$chat/0.log")"
is "chatty: nothing was lost on the way" 200000 "$(cat "$chat"/0.log* | cut -d' ' -f4- | tr -cd z | wc -c)"
k delete pod chatty --wait=false >/dev/null

# --- kill -9: what runs is adopted ---
becomes "grace: runs after its postStart hook" True 10 get grace '{.status.conditions[?(@.type=="Ready")].status}'
ids='{range .items[*]}{.metadata.name} {.status.phase} {range .status.containerStatuses[*]}{.restartCount} {.containerID} {.state.running.startedAt} {end}{"\n"}{end}'
steady() { k get pods -o "jsonpath=$ids" | grep -E '^(vols|lim|grace|stubborn|ready|env) '; }
was=$(steady)
kill -9 "$pid"
wait "$pid" 2>/dev/null
sleep 0.5
start
sleep 2
is "kill -9: nothing restarts, nothing changes" "$was" "$(steady)"
has "kill -9: back-off goes on" CrashLoopBackOff "$(get crash '{.status.containerStatuses[0].state.waiting.reason}')"
touch "$dir/host/go"
becomes "kill -9: probes go on" True 10 get ready '{.status.conditions[?(@.type=="Ready")].status}'
kill -9 "$pid"
wait "$pid" 2>/dev/null
kill -9 "$(pid_of "$id")"
start
becomes "kill -9: what ended meanwhile restarts" 2 10 get lim '{.status.containerStatuses[0].restartCount}'

# --- deletion ---
begin=$(date +%s)
k delete pod grace --wait=true >/dev/null
is "grace: postStart, preStop, SIGTERM in this order" "post pre term" "$(tr '\n' ' ' <"$dir/host/grace" | sed 's/ $//')"
[ $(($(date +%s) - begin)) -lt 15 ] && ok "grace: goes as soon as it has ended" || fail "grace: waited for all of its grace"
k delete pod stubborn --wait=true >/dev/null && ok "stubborn: killed after its grace"
is "grace: no pod is left" "" "$(k get pod grace stubborn --ignore-not-found)"
k delete pod vols --force --grace-period=0 >/dev/null 2>&1
k delete pods --all --wait=true --grace-period=1 >/dev/null
k delete configmap cfg secret/sec service/my-db >/dev/null 2>&1
is "all pods are gone" "No resources found in default namespace." "$(k get pods)"
for _ in $(seq 100); do
    left=$(cd "$dir" && ls -d state/node/pods/* log/pods/* run/runtime/sandboxes/* 2>/dev/null)
    [ -z "$left" ] && break
    sleep 0.1
done
is "no folder of a pod is left" "" "$left"
is "no process is left" "" "$(pgrep -af "$dir/run" | grep -v "keelson up")"
umount -R "$dir/shared"
is "no mount is left" "" "$(grep " $dir/" /proc/self/mountinfo)"
kill "$pid"
wait "$pid"
is "the daemon ends well" 0 $?
pid=
is "no control group is left" "$before" "$(ls -d /sys/fs/cgroup/*/kubepods 2>/dev/null | wc -l)"
grep -E " E | W |ERROR|SUMMARY" "$dir/out" | head -20
exit $bad
