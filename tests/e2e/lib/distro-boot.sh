#!/bin/sh
# Runs a distribution's archive in namespaces that were just made, and the quickstart's demo on it; nothing is left. Status 0: it passed.
# usage: distro-boot.sh KEELSON ARCHIVE DIR (with DIR/trust: keys)
set -u
keelson=$1 archive=$2 dir=$3
top=$(cd "$(dirname "$0")/../../.." && pwd)
export HOME="$dir"
ip link set lo up
ip link add node0 type veth peer name node1 && ip addr add 192.0.2.10/24 dev node0 && ip link set node0 up && ip link set node1 up
ip route add default via 192.0.2.1
rm -f "$dir/kubeconfig"
TMPDIR=$dir "$keelson" distro run "$archive" --signed --trusted-keys "$dir/trust" --kubeconfig "$dir/kubeconfig" >"$dir/run.log" 2>&1 &
pid=$!
ready() { kubectl --kubeconfig "$dir/kubeconfig" get nodes 2>/dev/null | grep -q ' Ready '; }
for _ in $(seq 1200); do
    ready && break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
status=1
if ready; then
    sh "$top/contrib/lib/demo.sh" "$dir/kubeconfig" && status=0
else
    echo "it did not become ready:"
fi
[ "$status" = 0 ] || cat "$dir/run.log"
kill "$pid" 2>/dev/null
wait "$pid"
[ "$status" = 0 ] || exit 1
left=$(ip -o link | grep -v ' lo:\| node[01]@')
[ -z "$left" ] || {
    echo "links are left: $left"
    exit 1
}
left=$(ls -d "$dir"/keelson-run-* 2>/dev/null)
[ -z "$left" ] || {
    echo "its folder is left: $left"
    exit 1
}
