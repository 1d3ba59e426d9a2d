#!/bin/sh
# A whole cluster of one node is restarted without a gap: containers keep their processes and their counts, exec, logs -f and port-forward go on, probes
# too; names are answered; services lead where they did.
# usage: handover-pods.sh BUILD_DIR [RESTARTS]. Skips (exit 0, with a reason) without root, crun, conmon, busybox, curl or kubectl.
set -u
build=$(cd "$1" && pwd)
restarts=${2:-3}
. "$(dirname "$0")/lib/pods.sh"
export KUBECONFIG="$dir/kc"
clients=
daemons() { pgrep -f "^[^ ]*keelson up --state-dir $dir/state"; }
finish() {
    ended=$?
    k delete pods --all -A --grace-period=0 --force --wait=false >/dev/null 2>&1
    for _ in $(seq 100); do
        [ -n "$(find "$dir/run" -name attach 2>/dev/null)" ] || break
        sleep 0.1
    done
    # shellcheck disable=SC2046,SC2086
    kill $clients $(daemons) 2>/dev/null
    for _ in $(seq 100); do
        [ -n "$(daemons)" ] || break
        sleep 0.1
    done
    sound "$dir/out" || ended=1
    end_containers
    exit "$ended"
}
trap finish EXIT
"$build/keelson" image --dir "$dir/state/images" build --busybox localhost/busybox:handover >/dev/null || exit 1
"$build/keelson" up --state-dir "$dir/state" --run-dir "$dir/run" --log-dir "$dir/log" --port 6443 --node-name handover --node-address 127.0.0.1 \
    --kubeconfig "$dir/kc" >>"$dir/out" 2>&1 &
for _ in $(seq 200); do
    [ -s "$dir/kc" ] && k run x --image=x --dry-run=server >/dev/null && break
    sleep 0.1
done
cat >"$dir/pods.yaml" <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: localhost/busybox:handover
        command: [sh, -c, "hostname >/tmp/index.html; httpd -f -p 8080 -h /tmp"]
        readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
        livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
spec:
  replicas: 1
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: other, image: "localhost/busybox:handover", command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: talker
    image: localhost/busybox:handover
    command: [sh, -c, "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done"]
  - name: asker
    image: localhost/busybox:handover
    command: [sh, -c, "until wget -q -O /dev/null http://$WEB_SERVICE_HOST/index.html; do sleep 0.1; done 2>/dev/null; while :; do nslookup web.default.svc.cluster.local >/dev/null || echo no name; wget -q -O /dev/null http://$WEB_SERVICE_HOST/index.html && echo yes || echo no page; sleep 0.1; done"]
EOF
k apply -f "$dir/pods.yaml" >/dev/null
ready() { k get pods --no-headers | awk '{ print $2 $3 }' | sort | uniq -c | tr -s ' ' | tr '\n' ';'; }
settles "all pods run" " 4 1/1Running; 1 2/2Running;" 20 ready

# What must stay: the process, start and count of each container.
processes() {
    for f in "$dir"/state/runtime/containers/*/*pid* "$dir"/run/runtime/*/*pid*; do
        [ -f "$f" ] && echo "$f $(cat "$f")"
    done
    for p in $(pgrep -f "^[^ ]*conmon .*$dir/"); do pgrep -P "$p" -f '^httpd -f|^sh -c i=0'; done | sort
    k get pods -o jsonpath='{range .items[*].status.containerStatuses[*]}{.name} {.containerID} {.restartCount} {.state.running.startedAt}{"\n"}{end}' | sort
}
before=$(processes)
talker=$(k get pod talker -o jsonpath='{.status.podIP}')
[ -n "$talker" ] || fail "the pod has an address"

# Streams that are open all the time.
mkfifo "$dir/in"
kubectl exec -i talker -c talker -- cat <"$dir/in" >"$dir/exec" 2>"$dir/exec.err" &
exec_pid=$!
exec 3>"$dir/in"
kubectl logs -f talker -c talker >"$dir/logs" 2>"$dir/logs.err" &
logs_pid=$!
kubectl port-forward deployment/web 18080:8080 >"$dir/forward" 2>&1 &
forward_pid=$!
kubectl get pods -w -o name >"$dir/watched" 2>"$dir/watched.err" &
clients="$exec_pid $logs_pid $forward_pid $!"
echo start >&3
settles "exec answers" start 20 cat "$dir/exec"
forwarded() { curl -s -m 20 http://127.0.0.1:18080/index.html | sed 's/-.*//'; }
settles "port-forward leads to a pod" web 20 forwarded

for i in $(seq "$restarts"); do
    said=$("$build/keelson" restart --state-dir "$dir/state") && ok "restart $i: $said" || fail "restart $i" "$said"
    echo "after $i" >&3
    settles "exec answers after restart $i" "after $i" 20 tail -1 "$dir/exec"
    is "port-forward goes on" web "$(forwarded)"
    is "the pid file names who serves" "keelson" "$(basename "$(readlink "/proc/$(cat "$dir/run/keelson.pid")/exe")")"
    k exec talker -c talker -- echo new >"$dir/new" && is "a new exec" new "$(cat "$dir/new")"
    k scale deployment other --replicas=$((1 + i)) >/dev/null
    settles "controllers, scheduler and node go on" " $((4 + i)) 1/1Running; 1 2/2Running;" 20 ready
    k scale deployment other --replicas=1 >/dev/null
    settles "and back" " 4 1/1Running; 1 2/2Running;" 20 ready
done
kept() { # of the pods that were there before, those that are there now are as before
    now=$(processes)
    echo "$before" | grep -E '^(talker|asker) ' | while read -r l; do echo "$now" | grep -qF "$l" || echo "gone: $l"; done
    echo "$now" | awk 'NF == 4 && $3 != 0'
}
is "containers are as they were, none was restarted" "" "$(kept)"
is "the talker's process is the same" "$(echo "$before" | grep -c .)" "$(processes | grep -c .)"
lines=$(sed -n 's/^line //p' "$dir/logs")
[ "$(echo "$lines" | wc -l)" -gt 20 ] || fail "logs -f has shown lines" "$lines"
is "logs -f shows each line once" "" "$(echo "$lines" | awk 'NR > 1 && $1 != last + 1 { print last, $1 } { last = $1 }')"
kill -0 $exec_pid $logs_pid $forward_pid 2>/dev/null && ok "streams are open" || fail "a stream has ended" "$(cat "$dir/exec.err" "$dir/logs.err" "$dir/forward")"
is "names and Services answered all the time" "" "$(k logs talker -c asker | grep -v yes | sort | uniq -c)"
is "the watch shows nothing twice that was there before" "" "$(sort "$dir/watched.err")"

exec 3>&-
kill $clients 2>/dev/null
clients=
alone() { daemons | wc -l; }
settles "who was followed ends" 1 20 alone
is "the API's address for pods is there" 1 "$(ip addr show lo | grep -c 10.244.255.254)"
settles "pods reach the API" ok 20 sh -c "kubectl exec talker -c talker -- wget -q -O - --no-check-certificate https://kubernetes.default.svc/readyz"
kill "$(cat "$dir/run/keelson.pid")"
settles "it stops as always" 0 20 alone
is "its pid file goes" "" "$(ls "$dir/run" | grep keelson.pid)"
is "the address goes" 0 "$(ip addr show lo | grep -c 10.244.255.254)"
grep -E " E |ERROR|SUMMARY" "$dir/out" | head -20
"$build/keelson" up --state-dir "$dir/state" --run-dir "$dir/run" --log-dir "$dir/log" --port 6443 --node-name handover --node-address 127.0.0.1 \
    --kubeconfig "$dir/kc" >>"$dir/out" 2>&1 &
settles "an ordinary start finds them too" " 4 1/1Running; 1 2/2Running;" 20 ready
exit $bad
