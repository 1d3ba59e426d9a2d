#!/bin/sh
# tests/clients/go against a node with real containers: exec, port-forward, logs, proxy. usage: clients-go-pods.sh BUILD_DIR [GO_TEST_OPTION...]
# Skips (exit 0, with a reason) without root, crun, conmon, busybox or go.
set -u
build=$(cd "$1" && pwd)
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
for tool in crun conmon busybox ip unshare; do
    command -v $tool >/dev/null || {
        echo "skipped: no $tool"
        exit 0
    }
done
[ "$(id -u)" = 0 ] || {
    echo "skipped: needs root"
    exit 0
}
if [ "${2:-}" != inside ]; then
    shift
    . "$(dirname "$0")/lib/go.sh"
    build_go clients/go go.test
    exec unshare -n -m --propagation private "$self" "$build" inside "$@"
fi
shift 2
dir=$(mktemp -d /tmp/keelson-clients.XXXXXX)
export HOME="$dir" KUBECONFIG="$dir/kc" POD_IMAGE=localhost/busybox:e2e
pid=
ip link set lo up
# crun 1.8 wants every v1 controller it finds in /proc/cgroups to be mounted
if [ -d /sys/fs/cgroup/memory ] && ! [ -f /sys/fs/cgroup/hugetlb/cgroup.procs ]; then
    mkdir -p /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb hugetlb /sys/fs/cgroup/hugetlb 2>/dev/null
fi
finish() {
    for _ in $(seq 100); do
        [ -n "$(find "$dir/run" -name attach 2>/dev/null)" ] || break
        sleep 0.1
    done
    [ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    for p in $(pgrep -f "$dir/run"); do kill -9 "$p" 2>/dev/null; done # our containers' monitors: the path is this run's own
    sed -n "s|^[^ ]* [^ ]* [^ ]* [^ ]* \($dir/[^ ]*\) .*|\1|p" /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT
"$build/keelson" image --dir "$dir/state/images" build --busybox $POD_IMAGE >/dev/null || exit 1
"$build/keelson" up --state-dir "$dir/state" --run-dir "$dir/run" --log-dir "$dir/log" --node-name e2e-clients --node-address 127.0.0.1 --kubeconfig "$dir/kc" >"$dir/out" 2>&1 &
pid=$!
for _ in $(seq 300); do
    [ -s "$dir/kc" ] && break
    sleep 0.1
done
"$build/clients/go.test" -test.v -test.parallel 4 -test.timeout 9m -test.run 'TestExec|TestPortForwardAndLogs' "$@" >"$dir/tests" 2>&1
bad=$?
grep -v '^=== ' "$dir/tests"
grep -q -e '--- SKIP' "$dir/tests" && bad=1
[ "$bad" = 0 ] || tail -20 "$dir/out"
exit $bad
