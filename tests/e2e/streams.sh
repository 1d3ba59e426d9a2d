#!/bin/sh
# logs, exec, attach, port-forward, cp and proxies by the real kubectl, over WebSocket and over SPDY, into real containers.
# usage: streams.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox, python3 or kubectl.
# KUBECTL_OLD: a second kubectl (for example 1.20) that is tried too. The Python client is tried when PYTHON (or python3) has it.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
node=e2e-streams
. "$here/lib/node.sh"
# gives WHAT CODE OUTPUT COMMAND...: exactly
gives() {
    what=$1 code=$2 want=$3
    shift 3
    out=$(k "$@")
    got=$?
    if [ "$got" = "$code" ] && [ "$out" = "$want" ]; then ok "$what"; else fail "$what" "wanted $code '$want', got $got '$out'"; fi
}
# says WHAT TEXT COMMAND...: somewhere in the output
says() {
    what=$1 want=$2
    shift 2
    has "$what" "$want" "$(k "$@")"
}
start
cat >"$dir/pods.yaml" <<END
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  nodeName: $node
  terminationGracePeriodSeconds: 0
  initContainers: [{name: before, image: $image, command: [echo, from init]}]
  containers:
  - {name: a, image: $image, command: [sh, -c, 'for i in 1 2 3 4 5; do echo line \$i; done; echo to stderr >&2; sleep 3600']}
  - {name: b, image: $image, command: [sh, -c, 'echo only b; exec sleep 3600']}
---
apiVersion: v1
kind: Pod
metadata: {name: tty}
spec: {nodeName: $node, terminationGracePeriodSeconds: 0, containers: [{name: c, image: $image, stdin: true, tty: true, command: [sh]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pipe}
spec: {nodeName: $node, terminationGracePeriodSeconds: 0, restartPolicy: Never, containers: [{name: c, image: $image, stdin: true, stdinOnce: true, command: [sh, -c, 'cat; echo the end']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec: {nodeName: $node, terminationGracePeriodSeconds: 0, containers: [{name: c, image: $image, command: [sh, -c, 'n=\$(cat /d/n 2>/dev/null || echo 1); echo \$((n + 1)) >/d/n; echo life \$n; [ \$n = 1 ] && exit 1; sleep 3600'],
  volumeMounts: [{name: d, mountPath: /d}]}], volumes: [{name: d, emptyDir: {}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: $node, terminationGracePeriodSeconds: 0, containers: [{name: c, image: $image, ports: [{containerPort: 8000}], command: [sh, -c,
  'mkdir -p /w/dir /w/cgi-bin; echo index >/w/index.html; echo below >/w/dir/index.html; printf "#!/bin/sh\\nprintf \"Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n\"; echo \\\$REQUEST_METHOD \\\$QUERY_STRING; cat" >/w/cgi-bin/x;
  chmod +x /w/cgi-bin/x; exec busybox httpd -f -p 8000 -h /w']}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8000}]}
---
apiVersion: v1
kind: Pod
metadata: {name: switch, labels: {app: switch}}
spec: {nodeName: $node, terminationGracePeriodSeconds: 0, volumes: [{name: x, configMap: {name: switch, defaultMode: 0755}}],
  containers: [{name: c, image: $image, command: [busybox, nc, -ll, -p, "9000", -e, /x/echo], volumeMounts: [{name: x, mountPath: /x}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: switch}
spec: {selector: {app: switch}, ports: [{name: raw, port: 80, targetPort: 9000}]}
---
apiVersion: v1
kind: Pod
metadata: {name: none}
spec: {nodeName: $node, containers: [{name: c, image: "localhost/none:1"}]}
END
cat >"$dir/echo" <<'END'
#!/bin/sh
while read -r line && [ ${#line} -gt 1 ]; do :; done
printf 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: echo.example.com\r\n\r\n'
exec cat
END
k create configmap switch --from-file="$dir/echo" >/dev/null
k apply -f "$dir/pods.yaml" >/dev/null
k wait --for=condition=Ready pod/two pod/tty pod/pipe --timeout=30s >/dev/null || fail "pods become ready" "$(k get pods)"

k wait --for=condition=Ready pod/web --timeout=20s >/dev/null
echo "--- logs"
lines="line 1
line 2
line 3
line 4
line 5
to stderr"
gives "logs -c" 0 "$lines" logs two -c a
gives "logs --tail" 0 "line 5
to stderr" logs two -c a --tail=2
gives "logs --tail=0" 0 "" logs two -c a --tail=0
gives "logs of an init container" 0 "from init" logs two -c before
says "logs --all-containers" "only b" logs two --all-containers
gives "logs --prefix" 0 "[pod/two/b] only b" logs two -c b --prefix
gives "logs --limit-bytes" 0 "line 1
li" logs two -c a --limit-bytes=9
gives "logs --since-time in the future" 0 "" logs two -c a --since-time=2100-01-01T00:00:00Z
gives "logs --since" 0 "$lines" logs two -c a --since=1h
out=$(k logs two -c a --timestamps --tail=1)
echo "$out" | grep -qE '^20[0-9-]+T[0-9:]+\.[0-9]{9}Z to stderr$' && ok "logs --timestamps" || fail "logs --timestamps" "$out"
gives "logs of one that is not there" 1 'error: container x is not valid for pod two' logs two -c x
gives "logs of one that cannot start" 1 \
    'Error from server (BadRequest): container "c" in pod "none" is waiting to start: trying and failing to pull image' logs none
gives "logs --previous without one" 1 'Error from server (BadRequest): previous terminated container "a" in pod "two" not found' logs two -c a --previous
for _ in $(seq 300); do
    [ "$(k logs crash 2>/dev/null)" = "life 2" ] && break
    sleep 0.1
done
gives "logs after a restart" 0 "life 2" logs crash
gives "logs --previous" 0 "life 1" logs crash --previous
k exec two -c a -- sh -c 'for i in 1 2 3; do sleep 0.3; echo late $i; done >/proc/1/fd/1' >/dev/null &
out=$(timeout 4 kubectl logs two -c a -f --tail=0 2>&1)
wait $!
is "logs -f" "late 1
late 2
late 3" "$out"
(
    sleep 1
    k delete pod crash --wait=false >/dev/null
) &
out=$(timeout 20 kubectl logs crash -f 2>&1)
is "logs -f ends with its container" "0 life 2" "$? $out"
wait $!

files() { ls "/proc/$pid/fd" | wc -l; }
threads() { ls "/proc/$pid/task" | wc -l; }
before_files=$(files) before_threads=$(threads)
head -c 100000000 /dev/urandom >"$dir/big"
sum=$(sha256sum <"$dir/big")

commands() {
    gives "exec" 0 "hi there" exec two -c a -- echo hi there
    gives "exec: exit code and both streams" 3 "command terminated with exit code 3" exec two -c b -- sh -c 'exit 3'
    out=$(timeout 60 $kubectl exec two -c b -- sh -c 'echo out; echo err >&2' 2>"$dir/err")
    is "exec: stdout" out "$out"
    is "exec: stderr" err "$(cat "$dir/err")"
    is "exec -i" "some text" "$(echo some text | k exec -i two -c b -- cat)"
    is "exec -i: end of input" "0" "$(printf '' | k exec -i two -c b -- wc -c)"
    is "exec -i: 100 MB there and back" "$sum" "$(timeout 120 $kubectl exec -i two -c b -- cat <"$dir/big" | sha256sum)"
    is "exec -i: a reader that leaves early" "0" "$(timeout 60 $kubectl exec -i two -c b -- true <"$dir/big"; echo $?)"
    is "exec: all output before the exit code" "3000000" "$(timeout 60 $kubectl exec two -c b -- sh -c 'head -c 3000000 /dev/zero; exit 7' 2>/dev/null | wc -c)"
    is "exec: a child that stays does not hold it" "started" "$(k exec two -c b -- sh -c 'sleep 5 & echo started')"
    says "exec: no such command" "not found" exec two -c b -- no-such-command
    gives "exec into what does not run" 1 'error: unable to upgrade connection: container not found ("c")' exec none -- true
    python3 "$here/streams_tty.py" "$kubectl" && ok "terminals: exec -it, sizes, attach -it" || fail "terminals" ""
    k cp "$dir/pods.yaml" two:/tmp/copied -c b >/dev/null && k cp two:/tmp/copied "$dir/copied" -c b >/dev/null
    cmp -s "$dir/pods.yaml" "$dir/copied" && ok "cp there and back" || fail "cp there and back"
    rm -f "$dir/copied"
    python3 "$here/streams_ports.py" "$kubectl" && ok "port-forward" || fail "port-forward" ""
}
echo "--- over WebSocket"
commands
is "attach -i, half-closed input" "from stdin the end" "$(echo from stdin | timeout 20 kubectl attach -i pipe 2>/dev/null | tr '\n' ' ' | sed 's/ $//')"
echo "--- over SPDY"
export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false KUBECTL_PORT_FORWARD_WEBSOCKETS=false
commands
unset KUBECTL_REMOTE_COMMAND_WEBSOCKETS KUBECTL_PORT_FORWARD_WEBSOCKETS
if [ -x "${KUBECTL_OLD:-}" ]; then
    echo "--- $KUBECTL_OLD"
    kubectl=$KUBECTL_OLD
    commands
    kubectl=kubectl
fi
echo "--- clients that are killed"
for i in 1 2 3 4 5; do
    kubectl exec two -c b -- sleep 300 >/dev/null 2>&1 &
    one=$!
    kubectl logs -f two -c a >/dev/null 2>&1 &
    two=$!
    kubectl attach -i tty >/dev/null 2>&1 </dev/zero &
    three=$!
    timeout 60 kubectl exec two -c b -- yes 2>&1 | head -c 1000000 >/dev/null # stops reading
    kill -9 $one $two $three
    wait $one $two $three 2>/dev/null
done
for _ in $(seq 200); do
    [ "$(files)" -le "$before_files" ] && [ "$(threads)" -le "$before_threads" ] && break
    sleep 0.1
done
[ "$(files)" -le "$before_files" ] && [ "$(threads)" -le "$before_threads" ] && ok "descriptors and threads are as before" ||
    fail "descriptors and threads are as before" "$before_files $before_threads before, $(files) $(threads) after"
is "their commands have ended" "" "$(k exec two -c b -- ps | grep -E 'sleep 300|yes' | grep -v grep)"
echo "--- proxies"
below=/api/v1/namespaces/default
raw() { timeout 20 kubectl get --raw "$below/$1" 2>&1; }
for _ in $(seq 100); do
    k get endpoints web -o jsonpath='{.subsets[0].addresses[0].ip}' | grep -q . && break
    sleep 0.1
done
is "pod proxy" index "$(raw pods/web/proxy/)"
is "pod proxy: a path below" below "$(raw pods/http:web:8000/proxy/dir/)"
is "pod proxy: the query is the pod's" "GET limit=abc&watch=1" "$(raw 'pods/web/proxy/cgi-bin/x?limit=abc&watch=1')"
is "pod proxy: nobody listens" "Error from server (ServiceUnavailable): $(k get pod web -o jsonpath='{.status.podIP}'):9: Connection refused" "$(raw pods/web:9/proxy/)"
is "service proxy by the port's name" index "$(raw services/web:http/proxy/)"
is "service proxy by the port's number" index "$(raw services/http:web:80/proxy/)"
is "service proxy: no such port" 'Error from server (ServiceUnavailable): no service port 81 found for service "web"' "$(raw services/web:81/proxy/)"
is "service proxy: none there" 'Error from server (NotFound): services "gone" not found' "$(raw services/gone/proxy/)"
kubectl proxy --port=0 >"$dir/proxy" 2>&1 &
proxy=$!
for _ in $(seq 100); do
    url=$(sed -n 's/.*Starting to serve on /http:\/\//p' "$dir/proxy")
    [ -n "$url" ] && break
    sleep 0.1
done
has "pod proxy: a slash at the end" "ocation: $below/pods/web/proxy/" "$(curl -si "$url$below/pods/web/proxy")"
has "pod proxy: its redirects stay below" "ocation: $below/pods/web/proxy/dir/" "$(curl -si "$url$below/pods/web/proxy/dir")"
is "pod proxy: a body" "POST
a body" "$(curl -s -d 'a body' "$url$below/services/web:http/proxy/cgi-bin/x")"
is "pod proxy: a method that is none of Kubernetes' is for whom it reaches" 501 "$(curl -so /dev/null -w '%{http_code}' -X OPTIONS "$url$below/pods/web/proxy/")"
is "it is so of nothing else" 405 "$(curl -so /dev/null -w '%{http_code}' -X OPTIONS "$url$below/pods/web")"
kill $proxy
wait $proxy 2>/dev/null
python=${PYTHON:-python3}
if "$python" -c 'import kubernetes' 2>/dev/null; then
    "$python" "$here/streams_client.py" && ok "the Python client" || fail "the Python client" ""
else
    echo "skipped: the Python client is not installed"
fi
echo "--- a WebSocket client of its own"
k wait --for=condition=Ready pod/switch --timeout=20s >/dev/null
python3 "$here/streams_sockets.py" "$(k config view --raw --minify -o 'jsonpath={.clusters[0].cluster.server}')" "$dir/state/pki" $node && ok "logs, exec of v5, proxies" ||
    fail "logs, exec of v5, proxies" "$(k logs switch)"
echo "--- many at once"
many=
for i in $(seq 40); do
    timeout 60 kubectl exec two -c b -- sh -c "echo $i" >"$dir/many.$i" 2>&1 &
    many="$many $!"
done
# shellcheck disable=SC2086
wait $many
is "40 commands at once" "$(seq 40)" "$(cat "$dir"/many.* | sort -n)"
is "nothing is left of them" "" "$(find "$dir/run/runtime/e" -mindepth 1 2>/dev/null)"
kill -0 "$pid" && ok "the server lives" || fail "the server lives" "$(tail "$dir/out")"
[ $bad = 0 ] || tail -5 "$dir/out"
exit $bad
