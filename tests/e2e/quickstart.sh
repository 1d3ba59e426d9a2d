#!/bin/sh
# contrib/quickstart in network and mount namespaces of its own: up, up again, kill -9 and up (containers live on), down, down again; nothing
# is left. Needs root. usage: quickstart.sh BUILD_DIR
# with containers
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
[ "$(id -u)" = 0 ] || {
    echo "skipped: needs root"
    exit 0
}
[ "$build" = "$top/build" ] || {
    echo "skipped: quickstart uses build/, and this is $build"
    exit 0
}
if [ "${2:-}" != inside ]; then
    exec unshare -n -m --propagation private sh "$0" "$1" inside
fi
dir=$(mktemp -d)
export HOME="$dir"
bad=0
forwards=$(cat /proc/sys/net/ipv4/ip_forward) # as the machine does, which may forward
options="--port 6443 --state-dir $dir/state --run-dir $dir/run --log-dir $dir/log --kubeconfig $dir/etc/admin.kubeconfig"
# shellcheck disable=SC2086
quickstart() { "$top/contrib/quickstart" "$@" $options >"$dir/out" 2>&1; }
trap 'quickstart down; rm -rf "$dir"' EXIT
fail() {
    echo "FAILED: $1"
    tail -n 40 "$dir/out"
    tail -n 20 "$dir/log/keelson.log" 2>/dev/null
    bad=1
}
k() { kubectl --kubeconfig "$dir/etc/admin.kubeconfig" "$@"; }
pods() { k -n demo get pods -o jsonpath='{range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort; }
# Pods of the rolling update may still be ending.
settled() {
    for _ in $(seq 200); do
        [ "$(pods | wc -l)" = 5 ] && return
        sleep 0.1
    done
}
ip link set lo up
ip link add node0 type veth peer name node1 && ip addr add 192.0.2.10/24 dev node0 && ip link set node0 up && ip link set node1 up
ip route add default via 192.0.2.1

# shell that listens on the usual port: another is taken, and said
python3 -c 'import socket,time; s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",6443)); s.listen(); time.sleep(600)' &
listener=$!
sleep 0.3
quickstart up || fail "quickstart"
grep -q "port 6443 is taken by another program; using 6444" "$dir/out" || fail "it does not say that the port is taken"
grep -q "Done: a one-node Kubernetes cluster runs" "$dir/out" || fail "it does not say what it did"
[ "$(stat -c %a "$dir/etc/admin.kubeconfig")" = 600 ] || fail "the kubeconfig's mode"
kill "$listener"
settled
before=$(pods)
[ "$(echo "$before" | wc -l)" = 5 ] || fail "five pods are wanted: $before"

quickstart up || fail "quickstart, the second time"
grep -q "the cluster is running already" "$dir/out" || fail "it does not say that the cluster is running"

# kill -9: what runs lives on and is taken over
settled
before=$(pods)
objects=$(k get all,cm,secret,sa -A -o name | sort)
pid=$(cat "$dir/run/keelson.pid")
ip=$(k -n demo get service web -o jsonpath='{.spec.clusterIP}')
kill -9 "$pid"
timeout 5 busybox wget -qO- "http://$ip/" | grep -q Hello || fail "the Service does not answer without a daemon"
quickstart status && grep -q "No cluster of this quickstart is running" "$dir/out" || fail "status after kill -9"
sh -c '. contrib/lib/packages.sh; . contrib/lib/cluster.sh; STATE=$1/state RUN=$1/run LOGS=$1/log KUBECONFIG_FILE=$1/etc/admin.kubeconfig PORT=6444; cluster_start' \
    sh "$dir" >"$dir/out" 2>&1 || fail "start after kill -9"
sleep 2
[ "$(pods)" = "$before" ] || fail "pods changed by kill -9:
$before
now:
$(pods)"
[ "$(k get all,cm,secret,sa -A -o name | sort)" = "$objects" ] || fail "objects changed by kill -9"
quickstart demo || fail "the demo after kill -9"

quickstart down || fail "down"
quickstart down || fail "down, the second time"
left=$(find "$dir" -mindepth 1 -not -path "$dir/out" -not -path "$dir/.*")
[ -z "$left" ] || fail "files are left: $left"
[ -z "$(ip -o link | grep -v ' lo:\| node[01]@')" ] || fail "links are left: $(ip -o link)"
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = "$forwards" ] || fail "ip_forward was not put back"
grep "$dir" /proc/self/mounts && fail "mounts are left"
pgrep -f "$dir" >/dev/null && fail "processes are left: $(pgrep -af "$dir")"
[ "$bad" = 0 ] && echo "ok: up, again, kill -9, adoption, demo, down"
exit $bad
