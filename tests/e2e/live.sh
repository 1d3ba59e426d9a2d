#!/bin/sh
# Instances are changed while the server runs. 100 reloads each of a scheduler, the authorizer, a controller, the service proxy and a layer under load: no request fails, no
# connection breaks, no watch misses or repeats an event, pods keep their processes, and the memory is back. Then every command, and what may be wrong with it.
# usage: live.sh BUILD_DIR [RELOADS]. Skips (exit 0, with a reason) without root, crun, conmon, busybox, openssl or kubectl.
# takes long
set -u
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/lib/node.sh"
needs openssl
nm "$build/keelson" | grep -q __asan_init && asan=1 || asan=
reloads=${2:-${asan:+20}} reloads=${reloads:-100}
mkdir "$dir/plugins" "$dir/load" "$dir/conf.d"
cp "$build"/plugins/*.so "$dir/plugins/"
sed 's|{ plugin = "scheduler-binpack"; }|{ plugin = "scheduler-binpack"; layers = [ "trace" ]; }|' "$root/conf/keelson.cfg" >"$dir/keelson.cfg"
is "the configuration is as this test knows it" 1 "$(grep -c 'layers = ' "$dir/keelson.cfg")"
cat >"$dir/conf.d/50.cfg" <<EOF
instances = (
  { plugin = "layer-trace"; settings = { path = "$dir/trace"; bytes = "100"; }; },
  { plugin = "scheduler-spread"; name = "apart"; isolate = "process"; } );
EOF
up_flags="--plugins $dir/plugins"
start
url="https://$node_ip:6443"
p() { "$build/keelson" plugin "$@" --kubeconfig "$KUBECONFIG" 2>&1; }
state_of() { p status | sed -n "s/^$1  *[^ ]*  *[^ ]*  *[^ ]*  *\([^ ]*\) .*/\1/p" | head -1; }
# does COMMAND...; refuses STATUS TEXT COMMAND...
does() {
    out=$(p "$@") && return 0
    fail "keelson plugin $*" "$out"
    kill -0 "$pid" 2>/dev/null && return 1
    tail -20 "$dir/out"
    exit 1
}
refuses() {
    status=$1 text=$2
    shift 2
    out=$(p "$@")
    is "plugin $*: status" "$status" "$?"
    has "plugin $*" "$text" "$out"
}

# --- pods, and who is not in the group of administrators, so that the authorizer decides ---
cat >"$dir/web.yaml" <<EOF
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: $image
        command: [/bin/busybox, sh, -c, "/bin/busybox mkdir -p /www; echo web >/www/index.html; exec /bin/busybox httpd -f -p 8080 -h /www"]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
EOF
k apply -f "$dir/web.yaml" >/dev/null
soon "the pods run" "condition met" k wait --for=condition=Available deployment/web --timeout=1s
answers() { [ "$(curl -s --max-time 10 http://10.96.0.80/)" = web ]; }
eventually "the service answers" 30 answers
k create clusterrolebinding load --clusterrole=cluster-admin --user=load >/dev/null
pki=$dir/state/pki
certificate() { # NAME FILE
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/load/$2.key" 2>/dev/null
    openssl req -new -key "$dir/load/$2.key" -subj "/CN=$1" 2>/dev/null |
        openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 2 -out "$dir/load/$2.crt" 2>/dev/null
}
certificate load admin
certificate nobody nobody
cp "$pki/ca.crt" "$dir/load/"
processes() {
    for c in $(k get pods -l app=web -o 'jsonpath={.items[*].status.containerStatuses[0].containerID}'); do
        pid_of "${c##*//}"
        echo
    done
}

# --- under load ---
pids=$(processes)
is "two pods run" 2 "$(echo "$pids" | grep -c .)"
rv=$(k get --raw /api/v1/namespaces/default/configmaps | sed -n 's|.*"metadata":{"resourceVersion":"\([0-9]*\)"}.*|\1|p')
"$build/tests/handover/handover_load" "$url" "$dir/load" "$rv" 2000 >"$dir/load/out" 2>&1 &
loader=$!
one=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
kubectl exec "$one" -- /bin/busybox sh -c 'i=0; while [ ! -e /end ]; do i=$((i+1)); echo $i; /bin/busybox sleep 0.05; done' >"$dir/exec" 2>&1 &
execs=$!
: >"$dir/asks"
while [ -e "$dir/asks" ]; do
    answers || echo "no answer at $(date +%T)" >>"$dir/no-answer"
done &
asker=$!
trap 'ended=$?; rm -f "$dir/asks"; kill $loader $execs 2>/dev/null; node_finish' EXIT
soon "the load begins" running cat "$dir/load/out"
began=$(date +%s)
for i in $(seq "$reloads"); do
    for instance in spread rbac replicaset service-proxy trace; do
        does reload "$instance"
    done
    # pods come meanwhile: all of these have something to do
    [ $((i % 20)) = 10 ] && k scale deployment/web --replicas=$((3 + i / 20 % 2)) >/dev/null
done
took=$(($(date +%s) - began))
for instance in nftables bridge crun node-agent dns-cluster wal; do
    for i in 1 2 3; do does reload $instance; done
done
running() { k get deployment web -o 'jsonpath={.status.replicas} {.status.readyReplicas}'; }
soon "the deployment is as it was told" "$(k get deployment web -o 'jsonpath={.spec.replicas} {.spec.replicas}')" running
kill -TERM $loader
wait $loader || fail "clients have noticed" "$(cat "$dir/load/out")"
echo "$((5 * reloads)) reloads in $took s; $(tail -1 "$dir/load/out")"
rm -f "$dir/asks"
wait $asker
[ ! -e "$dir/no-answer" ] || fail "the service answers all the time" "$(cat "$dir/no-answer")"
k exec "$one" -- /bin/busybox touch /end >/dev/null
wait $execs || fail "the command in the pod ends well" "$(tail -3 "$dir/exec")"
seq "$(wc -l <"$dir/exec")" | cmp -s - "$dir/exec" || fail "all that the command in the pod said has come" "$(tail -3 "$dir/exec")"
now=$(processes)
for was in $pids; do
    echo "$now" | grep -qx "$was" || fail "the pods' first processes run on" "$pids" "$now"
done
trap node_finish EXIT

# --- memory ---
# Resident, not proportional: what is shared with servers of other tests counts the same, whoever of them comes or goes.
resident() {
    for _ in 1 2 3 4 5 6; do
        sed -n 's/^Rss: *\([0-9]*\) kB/\1/p' "/proc/$pid/smaps_rollup"
        sleep 0.3
    done | sort -n | head -1
}
round() {
    for _ in $(seq "$1"); do
        for instance in spread rbac replicaset service-proxy trace; do does reload "$instance"; done
    done
}
if [ -z "$asan" ]; then
    round 10
    before=$(resident)
    round "$reloads"
    after=$(resident)
    echo "memory: $before KiB, after $((5 * reloads)) reloads $after KiB"
    [ "$after" -le $((before + before / 50)) ] || fail "the memory is back within 2 %" "$before KiB, then $after KiB"
fi

# --- another build at the same place; set, replace, load, remove ---
python3 - "$dir/plugins/scheduler-spread.so" <<'EOF'
import os, sys
text = open(sys.argv[1], "rb").read()
open(sys.argv[1] + ".new", "wb").write(text.replace(b"0.1.0", b"0.1.9"))
os.chmod(sys.argv[1] + ".new", 0o755)
os.rename(sys.argv[1] + ".new", sys.argv[1])
EOF
does reload spread
has "another build" "reloaded 'spread' (dev.keelson.scheduler-spread 0.1.9)" "$out"
has "status shows it" "spread                       dev.keelson.scheduler-spread   0.1.9    none    READY       calls=" "$(p status)"
does set trace format=chrome
has "set says how long it lasts" "until the server is restarted" "$out"
has "set says where it belongs" "conf.d/50.cfg:2" "$out"
does replace spread scheduler-binpack
has "replace" "replaced 'spread' (dev.keelson.scheduler-binpack 0.1.0)" "$out"
k scale deployment/web --replicas=5 >/dev/null
soon "the other scheduler schedules" 5 k get deployment web -o 'jsonpath={.status.readyReplicas}'
does replace spread "$dir/plugins/scheduler-spread.so"
has "back again" "replaced 'spread' (dev.keelson.scheduler-spread 0.1.9)" "$out"
does load scheduler-spread --as mine
k run mine --image=$image --overrides='{"spec":{"schedulerName":"mine","terminationGracePeriodSeconds":0}}' -- /bin/busybox sleep 1000 >/dev/null
soon "a pod of the loaded scheduler runs" Running k get pod mine -o 'jsonpath={.status.phase}'
does remove mine
hasnt "it is gone" "mine " "$(p status)"
does load admission-eventratelimit --set 'limits=[{"type":"Namespace","qps":1,"burst":1}]'
events() {
    for _ in 1 2 3; do
        c "$url/api/v1/namespaces/default/events" -H content-type:application/json -d '{"metadata":{"generateName":"e"},"involvedObject":{"namespace":"default"}}'
    done
}
has "what is loaded into a chain is asked" "limit reached" "$(events)"
does set event-rate-limit 'limits=[{"type":"Namespace","qps":1000,"burst":1000}]'
hasnt "with other settings it lets more pass" "limit reached" "$(events)"
does set event-rate-limit 'limits=[{"type":"Namespace","qps":1,"burst":1}]'
has "and less" "limit reached" "$(events)"
does remove event-rate-limit
hasnt "nobody asks it any more" "limit reached" "$(events)"

# --- an instance in a process of its own: reloaded, and after its quarantine ---
does reload apart
is "it runs in a process" READY "$(state_of apart)"
crash() {
    kill -9 "$(c "$url/debug/plugins" | tr -d ' \n' | sed 's/.*"name":"apart",[^}]*"pid":\([0-9]*\).*/\1/')" 2>/dev/null
    [ "$(state_of apart)" = QUARANTINED ]
}
eventually "it crashes too often" 30 crash
does reload apart
is "reload ends the quarantine" READY "$(state_of apart)"

# --- what may be wrong: all goes on as before ---
printf 'not a plugin' >"$dir/plugins/text.so"
head -c 9000 "$build/plugins/scheduler-spread.so" >"$dir/plugins/half.so"
cp "$build/plugins/scheduler-spread.so" "$dir/plugins/open.so"
chmod 666 "$dir/plugins/open.so"
# plugin NAME NEEDS OPEN: a scheduler of that kind.
plugin() {
    cat >"$dir/$1.c" <<END
#include <keelson/iface/scheduler.h>
static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c) { (void)h; (void)conf; (void)self; (void)c; $3 }
static int score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *p, const struct kl_node_view *n) {
    (void)self; (void)c; (void)cycle; (void)p; (void)n; return 1; }
static const struct kl_scheduler table = { .size = sizeof table, .life = { .open = open_ }, .score = score };
static const struct kl_provider provides[] = { { KL_SCHEDULER_0, "$1", 0, &table } };
static const struct kl_need needs[] = { { "$2", 0 } };
KL_PLUGIN_DEFINE("org.example.$1", "1", "keelson.scheduler/0:$1", "$2", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides));
END
    ${CC:-cc} -shared -fPIC -fvisibility=hidden ${asan:+-fsanitize=address,undefined} -I "$root/sdk/include" "$dir/$1.c" -o "$dir/plugins/$1.so" "-Wl,--version-script=$root/sdk/cmake/plugin.map" ||
        fail "building '$1'"
}
plugin hungry x.oven/0 'return 0;'
plugin tired keelson.host.env/0 'return kl_fail(c, KL_UNAVAILABLE, "it rains");'
plugin dying keelson.host.env/0 '__builtin_trap();'
refuses 1 "'hungry' needs 'x.oven/0', which nobody here provides" load hungry
refuses 1 "tired: it rains" load tired
refuses 1 "it rains" replace spread tired --provider tired
refuses 1 "'dying' ended in open" load dying --isolate process
hasnt "none of them is there" dying "$(p status)"
refuses 2 "there is no instance 'sprad'; did you mean 'spread'?" reload sprad
refuses 2 "there is no instance 'rbac' of that interface" reload scheduler:rbac
refuses 1 "'$dir/plugins/text.so'" reload spread --file "$dir/plugins/text.so"
refuses 1 "'$dir/plugins/half.so'" reload spread --file "$dir/plugins/half.so"
refuses 1 "can be written by others" reload spread --file "$dir/plugins/open.so"
refuses 1 "is not there" reload spread --file "$dir/plugins/none.so"
refuses 2 "'dev.keelson.authz-node' has no provider 'spread'" reload spread --file "$dir/plugins/authz-node.so"
refuses 1 "'spread' is of keelson.scheduler/0; 'dev.keelson.authz-rbac' provides" replace spread authz-rbac
refuses 2 "did you mean 'scheduler-spread'?" load scheduler-sprad
refuses 2 "an instance 'spread' of keelson.scheduler/0 is there already" load scheduler-spread
refuses 2 "name one with --provider" load admission-core
refuses 2 "has no setting 'max_pod'; did you mean 'max_pods'?" set controller:node-agent max_pod=5
refuses 2 "'max_pods' is '0', must be 1..10000" set node-agent max_pods=0
refuses 1 "/nowhere" set token key_file=/nowhere
refuses 1 "what was stored would be lost" set wal "dir=$dir/elsewhere"
refuses 1 "'wal' is the last instance of keelson.store/0" remove wal
refuses 1 "'trace' is a layer of 'binpack'" remove trace
refuses 1 "works together with 'rbac-escalation'" remove rbac
refuses 1 "'crun' is the last instance of keelson.runtime/0" remove crun
refuses 2 "'nothing' is not KEY=VALUE" set spread nothing
refuses 2 "usage:" set spread
refuses 2 "usage:" replace spread
refuses 2 "unexpected argument 'x'" reload spread x
refuses 2 "unknown argument '--fil'" reload spread --fil x
refuses 2 "did you mean 'reload'?" reloda spread
as_nobody() { curl -s --cacert "$pki/ca.crt" --cert "$dir/load/nobody.crt" --key "$dir/load/nobody.key" "$@"; }
has "who may not is refused" '"code":403' "$(as_nobody -X POST "$url/debug/plugins/spread/reload" | tr -d ' \n')"
has "an action that is none" '"code":404' "$(c -X POST "$url/debug/plugins/spread/relode" | tr -d ' \n')"
for instance in spread rbac trace token node-agent wal binpack; do
    is "'$instance' is as before" READY "$(state_of $instance)"
done
k create configmap last >/dev/null
has "the server goes on" configmap/last "$(k get cm -o name)"
has "an Event tells who changed what" "was reloaded by" "$(k get events -o 'jsonpath={.items[?(@.reason=="PluginChanged")].message}')"
[ "$bad" = 0 ] || tail -50 "$dir/out"
exit $bad
