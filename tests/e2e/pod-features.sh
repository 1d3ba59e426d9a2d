#!/bin/sh
# What pods may ask of their node, one real pod each: stop signals, restart rules (RestartAllContainers too), the order in which sidecars end, host names, seccomp, groups, mounts,
# resources of the pod as a whole and of its runtime class, volumes that change, tokens, hooks.
# usage: pod-features.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/node.sh"
mkdir -p "$dir/host" "$dir/state/node/seccomp"
echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$dir/state/node/seccomp/nodirs.json"
start

pod() { # NAME SPEC
    printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec: {terminationGracePeriodSeconds: 5, %s}\n' "$1" "$1" "$2" >>"$dir/pods.yaml"
}
one() { # NAME COMMAND MORE-OF-CONTAINER MORE-OF-POD
    pod "$1" "restartPolicy: Never, ${4:+$4, }containers: [{name: c, image: $image, command: [sh, -c, '$2']${3:+, $3}}]"
}
host="volumes: [{name: h, hostPath: {path: $dir/host}}]"
at_h="volumeMounts: [{name: h, mountPath: /h}]"
wait_term='while :; do sleep 0.1; done'
cat >"$dir/pods.yaml" <<EOT
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg}
data: {color: red}
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: heavy}
handler: crun
overhead: {podFixed: {cpu: 50m, memory: 16Mi}}
EOT
one stopsig "trap \"echo usr1 >/h/stopsig; exit 0\" USR1; $wait_term" "lifecycle: {stopSignal: SIGUSR1}, $at_h" "os: {name: linux}, $host"
one rules '[ -f /d/x ] && exit 3; touch /d/x; exit 42' \
    'restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}], volumeMounts: [{name: d, mountPath: /d}]' 'volumes: [{name: d, emptyDir: {}}]'
at_d="volumeMounts: [{name: d, mountPath: /d}]"
pod anew "restartPolicy: Never, volumes: [{name: d, emptyDir: {}}], initContainers: [{name: i, image: $image, command: [sh, -c, 'echo init >>/d/log'], $at_d}, {name: s, image: $image, $at_d, restartPolicy: Always, restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [88]}}], command: [sh, -c, '[ -f /d/told ] && exec sleep 3600; while [ ! -f /d/main ]; do sleep 0.1; done; touch /d/told; exit 88']}], containers: [{name: c, image: $image, $at_d, command: [sh, -c, 'echo main >>/d/log; touch /d/main; [ -f /d/told ] && exec cat /d/log; exec sleep 3600']}]"
pod own "restartPolicy: Always, containers: [{name: c, image: $image, restartPolicy: Never, command: [sh, -c, 'exit 3']}, {name: d, image: $image, command: [sleep, '3600']}]"
side() { echo "{name: $1, image: $image, restartPolicy: Always, command: [sh, -c, 'echo start-$1 >>/h/order; trap \"sleep 0.5; echo end-$1 >>/h/order; exit 0\" TERM; $wait_term'], $at_h}"; }
pod sidecars "terminationGracePeriodSeconds: 20, $host, initContainers: [$(side one), $(side two)], containers: [{name: c, image: $image, command: [sh, -c, 'echo start-main >>/h/order; trap \"sleep 0.5; echo end-main >>/h/order; exit 0\" TERM; $wait_term'], $at_h}]"
sed -i 's/spec: {terminationGracePeriodSeconds: 5, terminationGracePeriodSeconds: 20/spec: {terminationGracePeriodSeconds: 20/' "$dir/pods.yaml"
one fqdn 'hostname; cat /etc/hostname; echo $HOSTNAME' '' 'hostname: hh, subdomain: sub, setHostnameAsFQDN: true'
one override 'hostname; grep over /etc/hosts' '' 'hostnameOverride: over.example'
one seccomp 'grep Seccomp: /proc/self/status; unshare -n true; echo unshare-$?' 'securityContext: {seccompProfile: {type: Unconfined}}' 'securityContext: {seccompProfile: {type: RuntimeDefault}}'
one secdefault 'grep Seccomp: /proc/self/status; unshare -n true; echo unshare-$?' 'securityContext: {capabilities: {add: [SYS_ADMIN]}}' 'securityContext: {seccompProfile: {type: RuntimeDefault}}'
one seclocal 'grep Seccomp: /proc/self/status; mkdir /tmp/x; echo mkdir-$?' 'securityContext: {seccompProfile: {type: Localhost, localhostProfile: nodirs.json}}'
one secnone true 'securityContext: {seccompProfile: {type: Localhost, localhostProfile: absent.json}}'
one strict id '' 'securityContext: {runAsUser: 0, runAsGroup: 7, supplementalGroups: [60], supplementalGroupsPolicy: Strict}'
one rro 'touch /d/x; grep " /d " /proc/mounts' 'volumeMounts: [{name: d, mountPath: /d, readOnly: true, recursiveReadOnly: Enabled}]' 'volumes: [{name: d, emptyDir: {}}]'
one modes 'chmod 0700 /d; sleep 3600' 'volumeMounts: [{name: d, mountPath: /d}, {name: c, mountPath: /c}, {name: l, mountPath: /l}, {name: m, mountPath: /m}]' \
    'volumes: [{name: d, emptyDir: {}}, {name: c, configMap: {name: cfg}}, {name: m, configMap: {name: late, optional: true}}, {name: l, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]'
pod whole "resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}}, containers: [{name: c, image: $image, command: [sleep, '3600']}]"
pod overhead "runtimeClassName: heavy, containers: [{name: c, image: $image, command: [sleep, '3600'], resources: {limits: {cpu: 100m, memory: 32Mi}}}]"
one hostdir true 'volumeMounts: [{name: o, mountPath: /o}]' "volumes: [{name: o, hostPath: {path: $dir/absent, type: Directory}}]"
one users true '' 'hostUsers: false'
one escape 'ls /o' 'volumeMounts: [{name: d, mountPath: /o, subPath: out}]' \
    "volumes: [{name: d, emptyDir: {}}], initContainers: [{name: i, image: $image, command: [ln, -s, ../../../../../../../../etc, /d/out], volumeMounts: [{name: d, mountPath: /d}]}]"
one expr 'echo x >/s/f; ls /d/expr-dir' 'env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], volumeMounts: [{name: d, mountPath: /d}, {name: d, mountPath: /s, subPathExpr: $(POD)-dir}]' 'volumes: [{name: d, emptyDir: {}}]'
one imgvol 'cat /img/bin/../etc/passwd | head -1; ls /sub | grep -c sh; cat /file | head -1; touch /img/x; echo touch-$?; /img/bin/busybox true; echo run-$?' \
    'volumeMounts: [{name: i, mountPath: /img}, {name: i, mountPath: /sub, subPath: bin}, {name: i, mountPath: /file, subPath: etc/passwd}]' "volumes: [{name: i, image: {reference: $image, pullPolicy: IfNotPresent}}]"
one imgnone true 'volumeMounts: [{name: i, mountPath: /img}]' 'volumes: [{name: i, image: {reference: "localhost/none:1", pullPolicy: Never}}]'
one token 'cut -d. -f2 /t/tok; cat /t/cpu; stat -Lc " %a" /t/tok' 'volumeMounts: [{name: t, mountPath: /t}], resources: {limits: {cpu: 100m}}' \
    'volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: tok, audience: vault, expirationSeconds: 600}}, {downwardAPI: {items: [{path: cpu, resourceFieldRef: {containerName: c, resource: limits.cpu, divisor: 1m}}]}}]}}]'
one hostns 'readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc; readlink /proc/self/ns/net; readlink /proc/self/ns/uts' '' 'hostPID: true, hostIPC: true, hostNetwork: true'
pod hooks "$host, containers: [{name: c, image: $image, lifecycle: {preStop: {sleep: {seconds: 1}}, postStart: {exec: {command: [sh, -c, 'echo post >/h/hooks']}}}, command: [sh, -c, 'trap \"exit 0\" TERM; $wait_term'], $at_h}]"
pod gates "readinessGates: [{conditionType: example.com/lb}], containers: [{name: c, image: $image, command: [sh, -c, '$wait_term']}]"
pod badhook "containers: [{name: c, image: $image, lifecycle: {postStart: {exec: {command: [sh, -c, 'exit 9']}}}, command: [sh, -c, '$wait_term']}]"
pod httphook "$host, containers: [{name: c, image: $image, ports: [{name: web, containerPort: 8099}], lifecycle: {preStop: {httpGet: {port: web, path: /cgi-bin/bye}}}, command: [sh, -c, 'mkdir -p /w/cgi-bin; printf \"#!/bin/sh\\necho bye >/h/bye; echo; echo\\n\" >/w/cgi-bin/bye; chmod +x /w/cgi-bin/bye; httpd -f -p 8099 -h /w'], $at_h}]"
out=$(k apply -f "$dir/pods.yaml") || fail "apply" "$out"

# --- restarts ---
becomes "rules: exit code 88 of one begins all anew" "Succeeded 1 1 1 False" 40 get anew '{.status.phase} {.status.initContainerStatuses[*].restartCount} {.status.containerStatuses[0].restartCount} {.status.conditions[?(@.type=="AllContainersRestarting")].status}'
is "rules: in order, in the same volumes" "init main init main" "$(k logs anew -c c | tr '\n' ' ' | sed 's/ $//')"
becomes "rules: exit code 42 restarts, 3 does not" "Failed 1 3" 20 get rules '{.status.phase} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.terminated.exitCode}'
becomes "own: a container's own policy wins" "Running 0 3" 20 get own '{.status.phase} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.terminated.exitCode}'

# --- readiness gates ---
becomes "gates: not ready without its condition" 'ReadinessGatesNotReady corresponding condition of pod readiness gate "example.com/lb" does not exist.' 20 get gates \
    '{.status.conditions[?(@.type=="Ready")].reason} {.status.conditions[?(@.type=="Ready")].message}'
k patch pod gates --subresource status -p '{"status":{"conditions":[{"type":"example.com/lb","status":"True"}]}}' >/dev/null
becomes "gates: ready with it" True 20 get gates '{.status.conditions[?(@.type=="Ready")].status}'
k patch pod gates --subresource status -p '{"status":{"conditions":[{"type":"example.com/lb","status":"False"}]}}' >/dev/null
becomes "gates: and not when it is false" False 20 get gates '{.status.conditions[?(@.type=="Ready")].status}'

# --- who it is ---
becomes "fqdn: ends" Succeeded 20 get fqdn '{.status.phase}'
is "fqdn: hostname, /etc/hostname, HOSTNAME" "hh.sub.default.svc.cluster.local hh.sub.default.svc.cluster.local hh.sub.default.svc.cluster.local " "$(logs fqdn c | tr '\n' ' ')"
becomes "override: ends" Succeeded 20 get override '{.status.phase}'
has "override: hostname" "over.example" "$(logs override c | head -1)"
becomes "strict: ends" Succeeded 20 get strict '{.status.phase}'
has "strict: only the groups that the pod names" "groups=7,60" "$(logs strict c)"
becomes "hostns: ends" Succeeded 20 get hostns '{.status.phase}'
is "hostns: the node's namespaces" "$(for n in pid ipc net uts; do readlink /proc/"$pid"/ns/$n; done)" "$(logs hostns c)"

# --- seccomp ---
becomes "seccomp: ends" Succeeded 20 get seccomp '{.status.phase}'
is "seccomp: the container's word counts" "Seccomp:	0" "$(logs seccomp c | head -1)"
becomes "secdefault: ends" Succeeded 20 get secdefault '{.status.phase}'
is "secdefault: a filter, in spite of the capability" "Seccomp:	2 unshare-1" "$(logs secdefault c | grep -E '^Seccomp:|unshare-' | tr '\n' ' ' | sed 's/ $//')"
becomes "seclocal: ends" Succeeded 20 get seclocal '{.status.phase}'
has "seclocal: a profile of the node" "mkdir-1" "$(logs seclocal c)"
becomes "secnone: one that is not there" CreateContainerError 20 get secnone '{.status.containerStatuses[0].state.waiting.reason}'
has "users: user namespaces are refused, not forgotten" "runtime does not support user namespaces" "$(k get events --field-selector involvedObject.name=users)"

# --- volumes ---
becomes "rro: ends" Succeeded 20 get rro '{.status.phase}'
has "rro: read-only" "Read-only file system" "$(logs rro c)"
is "rro: status" Enabled "$(get rro '{.status.containerStatuses[0].volumeMounts[0].recursiveReadOnly}')"
becomes "expr: ends" Succeeded 20 get expr '{.status.phase}'
is "expr: subPathExpr" f "$(logs expr c)"
becomes "escape: a link out of the volume leads nowhere" "failed to prepare subPath" 20 get escape '{.status.containerStatuses[0].state.waiting.message}'
has "hostdir: says what it is not" "hostPath type check failed: $dir/absent is not a directory" "$(k get events --field-selector involvedObject.name=hostdir)"
becomes "imgvol: ends" Succeeded 20 get imgvol '{.status.phase}'
out=$(k logs imgvol)
has "imgvol: the whole image, a folder of it, a file of it" "root:x:0:0" "$out"
is "imgvol: the file is there as well" 2 "$(echo "$out" | grep -c root:x:0:0)"
has "imgvol: read-only" "touch-1" "$out"
has "imgvol: nothing in it runs" "run-126" "$out"
becomes "imgnone: an image that is not there" ErrImageNeverPull 20 get imgnone '{.status.containerStatuses[0].state.waiting.reason}'
becomes "token: ends" Succeeded 20 get token '{.status.phase}'
has "token: numbers, mode" "100 644" "$(k logs token | tail -1)"
has "token: for whom" '"aud":["vault"]' "$(logs token c | head -1 | tr '_-' '/+' | sed 's/$/==/' | base64 -d 2>/dev/null)"
becomes "modes: runs" Running 20 get modes '{.status.phase}'
uid=$(get modes '{.metadata.uid}')
vol="$dir/state/node/pods/$uid/volumes"
was=$(readlink "$vol/c/..data")
k patch configmap cfg -p '{"data":{"color":"blue"}}' >/dev/null
k label pod modes extra=yes >/dev/null
k create configmap late --from-literal=a=b >/dev/null
eventually "modes: a changed ConfigMap is seen in the container" 30 sh -c "kubectl --kubeconfig '$dir/kc' exec modes -- cat /c/color | grep -qx blue"
eventually "modes: changed labels too" 30 sh -c "kubectl --kubeconfig '$dir/kc' exec modes -- cat /l/labels | grep -q 'extra=\"yes\"'"
eventually "modes: an optional one that came late" 30 sh -c "kubectl --kubeconfig '$dir/kc' exec modes -- cat /m/a | grep -qx b"
[ "$was" != "$(readlink "$vol/c/..data")" ] && ok "modes: all its files change at once" || fail "modes: ..data"
is "modes: what a container made of its emptyDir stays" 700 "$(stat -c %a "$vol/d")"

# --- resources ---
pod_group() { # POD V1-CONTROLLER V1-FILE V2-FILE
    uid=$(get "$1" '{.metadata.uid}')
    cat /sys/fs/cgroup/"$2"/kubepods/*/pod"$uid"/"$3" /sys/fs/cgroup/"$2"/kubepods/pod"$uid"/"$3" /sys/fs/cgroup/kubepods/*/pod"$uid"/"$4" /sys/fs/cgroup/kubepods/pod"$uid"/"$4" 2>/dev/null | head -1 | cut -d' ' -f1
}
becomes "whole: runs" Running 20 get whole '{.status.phase}'
is "whole: class of service" Burstable "$(get whole '{.status.qosClass}')"
is "whole: control group" "$((64 << 20)) 20000" "$(pod_group whole memory memory.limit_in_bytes memory.max) $(pod_group whole cpu cpu.cfs_quota_us cpu.max)"
becomes "overhead: runs" Running 20 get overhead '{.status.phase}'
is "overhead: control group" "$((48 << 20)) 15000" "$(pod_group overhead memory memory.limit_in_bytes memory.max) $(pod_group overhead cpu cpu.cfs_quota_us cpu.max)"

# --- ends ---
becomes "stopsig: runs" Running 20 get stopsig '{.status.phase}'
becomes "stopsig: status" SIGUSR1 20 get stopsig '{.status.containerStatuses[0].stopSignal}'
becomes "sidecars: run" "true true true" 30 get sidecars '{.status.initContainerStatuses[*].ready} {.status.containerStatuses[0].ready}'
becomes "hooks: run" True 20 get hooks '{.status.conditions[?(@.type=="Ready")].status}'
becomes "httphook: runs" True 20 get httphook '{.status.conditions[?(@.type=="Ready")].status}'
eventually "badhook: a failed postStart restarts" 20 sh -c "kubectl --kubeconfig '$dir/kc' get events --field-selector reason=FailedPostStartHook | grep -q badhook"
eventually "httphook: serves" 20 sh -c "kubectl --kubeconfig '$dir/kc' exec httphook -- wget -qO- http://127.0.0.1:8099/cgi-bin/bye; test -f '$dir/host/bye' && rm '$dir/host/bye'"
k delete pod stopsig sidecars hooks httphook --wait=true >/dev/null
is "stopsig: it is what the container gets" usr1 "$(cat "$dir/host/stopsig")"
is "sidecars: start in order, end after the main ones and in reverse" "start-one start-two start-main end-main end-two end-one " "$(tr '\n' ' ' <"$dir/host/order")"
is "httphook: was asked" bye "$(cat "$dir/host/bye")"
k delete pods --all --wait=true --grace-period=1 >/dev/null
is "all pods are gone" "No resources found in default namespace." "$(k get pods)"
exit $bad
