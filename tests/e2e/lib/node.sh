# node.sh - a one-node cluster with real containers for one script, in network and mount namespaces of its own: sourced. Sets dir (removed at the end), pid,
# node, image (busybox); functions start, k, ok, fail, is, has, get, becomes, logs, pid_of, cgroup_of. Everything that was started is gone at the end.
# Sourced with `build` set and the script's arguments in place; skips (exit 0, with a reason) where something is missing. The script ends with: exit $bad.
for tool in kubectl crun conmon busybox ip unshare curl python3; do
    command -v $tool >/dev/null || {
        echo "skipped: no $tool"
        exit 0
    }
done
[ "$(id -u)" = 0 ] || {
    echo "skipped: needs root"
    exit 0
}
[ "${2:-}" = inside ] || exec unshare -n -m --propagation private "$(cd "$(dirname "$0")" && pwd)/$(basename "$0")" "$build" inside

dir=$(mktemp -d /tmp/keelson-node.XXXXXX)
export HOME="$dir"
node=${node:-e2e-node}
image=localhost/busybox:e2e
bad=0
pid=
ip link set lo up
# crun 1.8 wants every v1 controller it finds in /proc/cgroups to be mounted
if [ -d /sys/fs/cgroup/memory ] && ! [ -f /sys/fs/cgroup/hugetlb/cgroup.procs ]; then
    mkdir -p /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb hugetlb /sys/fs/cgroup/hugetlb 2>/dev/null
fi
k() { timeout 60 kubectl --kubeconfig "$dir/kc" "$@" 2>&1; }
node_finish() {
    [ -n "$pid" ] && k delete deployments,replicasets,statefulsets,daemonsets,jobs --all --grace-period=0 --cascade=orphan >/dev/null 2>&1 # or pods come anew
    [ -n "$pid" ] && k delete pods --all --grace-period=0 --force >/dev/null 2>&1
    [ -n "$pid" ] && for _ in $(seq 100); do [ -z "$(ls "$dir/run/runtime/sandboxes" 2>/dev/null)" ] && break; sleep 0.1; done
    [ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    for p in $(pgrep -f "$dir/run"); do kill -9 "$p" 2>/dev/null; done # our containers' monitors: the path is this run's own
    for p in $(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$dir"/state/runtime/containers/*/*.json 2>/dev/null); do
        grep -q kubepods "/proc/$p/cgroup" 2>/dev/null && kill -9 "$p" 2>/dev/null # and what they watched over
    done
    sed -n "s|^[^ ]* [^ ]* [^ ]* [^ ]* \($dir/[^ ]*\) .*|\1|p" /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null
    rm -rf "$dir"
}
trap node_finish EXIT
start() {
    # shellcheck disable=SC2086
    "$build/keelson" up --state-dir "$dir/state" --run-dir "$dir/run" --log-dir "$dir/log" --port 6443 --node-name "$node" \
        --node-address 127.0.0.1 --kubeconfig "$dir/kc" ${up_flags:-} >>"$dir/out" 2>&1 &
    pid=$!
    for _ in $(seq 300); do
        [ -s "$dir/kc" ] && k wait --for=condition=Ready "node/$node" --timeout=1s >/dev/null && k run x --image=x --dry-run=server >/dev/null && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "keelson up did not start:"
    cat "$dir/out"
    exit 1
}
ok() { echo "ok: $1"; }
fail() {
    echo "FAILED: $1"
    [ $# -gt 1 ] && echo "  $2"
    bad=1
}
# is WHAT WANTED GOT; has WHAT PART TEXT; hasnt WHAT PART TEXT
is() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "wanted '$2', got '$3'"; fi; }
has() { case "$3" in *"$2"*) ok "$1" ;; *) fail "$1" "wanted '$2' in '$3'" ;; esac; }
hasnt() { case "$3" in *"$2"*) fail "$1" "not wanted '$2' in '$3'" ;; *) ok "$1" ;; esac; }
# get POD JSONPATH
get() { k get pod "$1" -o "jsonpath=$2"; }
# becomes WHAT PART SECONDS POD JSONPATH: that long on a quiet machine, three times as long on a busy one.
becomes() {
    got=
    end=$(($(date +%s) + 3 * $3))
    while :; do
        got=$(get "$4" "$5")
        case "$got" in *"$2"*)
            ok "$1"
            return
            ;;
        esac
        [ "$(date +%s)" -ge "$end" ] && break
        sleep 0.2
    done
    fail "$1" "wanted '$2', got '$got'"
}
# eventually WHAT SECONDS COMMAND...: it succeeds.
eventually() {
    what=$1
    end=$(($(date +%s) + 3 * $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -ge "$end" ] && {
            fail "$what" "$*"
            return
        }
        sleep 0.2
    done
    ok "$what"
}
# logs POD CONTAINER: all that it wrote, from the files.
logs() { cat "$dir/log/pods/default_$1_"*"/$2/"*.log 2>/dev/null | cut -d' ' -f4-; }
# pid_of ID; cgroup_of CONTROLLER UID ID FILE
pid_of() { sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$dir/state/runtime/containers/$1/"*.json 2>/dev/null | head -1; }
cgroup_of() {
    cat /sys/fs/cgroup/"$1"/kubepods/*/pod"$2"/"$3"/"$4" /sys/fs/cgroup/"$1"/kubepods/pod"$2"/"$3"/"$4" 2>/dev/null | head -1
}
# id_of POD JSONPATH-OF-STATUS
id_of() { get "$1" "{.status.$2.containerID}" | sed 's|.*://||'; }

"$build/keelson" image --dir "$dir/state/images" build --busybox $image >/dev/null || exit 1
