#!/bin/sh
# kill -9 of the daemon at random moments while pods come and go: what ran goes on, what was half made is made again, nothing is made twice
# and nothing is left in the end.
# usage: pods-crash.sh BUILD_DIR [ROUNDS]. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
rounds=${2:-6}
node=crash
. "$(dirname "$0")/lib/node.sh"
count() { ls "$1" 2>/dev/null | wc -l; }
pod() {
    cat <<EOF
---
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: "$image", command: [sleep, "3600"]}
  - {name: b, image: "$image", command: [sleep, "3600"], readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}}
EOF
}
start
n=0 clients=
for round in $(seq "$rounds"); do
    for _ in 1 2 3 4; do
        n=$((n + 1))
        pod p$n
    done >"$dir/pods.yaml"
    k apply -f "$dir/pods.yaml" >/dev/null &
    clients="$clients $!"
    [ "$round" -gt 1 ] && k delete pod p$((n - 5)) p$((n - 4)) --wait=false >/dev/null &
    clients="$clients $!"
    sleep "0.$(tr -dc 0-9 </dev/urandom | head -c 2)"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    start
done
# Nobody may make a pod anew behind the last deletions: kubectl would wait for it to go.
# shellcheck disable=SC2086
wait $clients 2>/dev/null
# Deletions that the server never heard of are said again.
for i in $(seq "$rounds"); do [ "$i" -gt 1 ] && echo "p$((i * 4 - 5)) p$((i * 4 - 4))"; done | xargs timeout 120 kubectl --kubeconfig "$dir/kc" delete pod --ignore-not-found >/dev/null 2>&1
pods() { k get pods --no-headers; }
unready() { pods | grep -cv "2/2 *Running *0 "; }
settles "all pods run, none of them restarted" 0 60 unready
left=$(pods | wc -l)
[ "$left" -ge 4 ] || { echo "FAILED: only $left pods were created" && bad=1; }
settles "one sandbox a pod" "$left" 60 count "$dir/state/runtime/sandboxes"
settles "two containers a pod" $((2 * left)) 60 count "$dir/state/runtime/containers"
monitors() { pgrep -fc "conmon.*$dir"; }
settles "one monitor a container" $((2 * left)) 60 monitors
settles "one network namespace a pod" "$left" 60 count "$dir/run/network/ns"
settles "one folder a pod" "$left" 60 count "$dir/state/node/pods"
settles "one log folder a pod" "$left" 60 count "$dir/log/pods"
k delete pods --all --wait=true >/dev/null
for what in state/runtime/sandboxes state/runtime/containers run/network/ns state/node/pods log/pods; do
    settles "nothing is left in $what" 0 60 count "$dir/$what"
done
is "no monitor is left" 0 "$(monitors)"
is "no mount is left" 0 "$(grep -c " $dir/" /proc/self/mountinfo)"
is "no link is left" lo "$(ip -o link | sed 's/^[0-9]*: \([^:]*\):.*/\1/')"
kill "$pid"
wait "$pid"
is "the daemon ends well" 0 $?
pid=
grep -E " E |ERROR|SUMMARY" "$dir/out" | head -20
exit $bad
