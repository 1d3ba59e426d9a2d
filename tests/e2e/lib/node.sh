# node.sh - a one-node cluster with real containers for one script: sourced. Sets dir (removed at the end), pid, node, image (busybox), KUBECONFIG; functions of say.sh,
# start, node_finish, node_end, get, logs, pid_of, cgroup_of, id_of. Everything that was started is gone at the end.
# Sourced with `build` set and the script's arguments in place, and if need be node (its name), node_ip (where API and node listen). What is in $dir/keelson.cfg
# or up_flags when it starts is used. The script ends with: exit $bad.
. "$(dirname "$0")/lib/pods.sh"
export KUBECONFIG="$dir/kc"
node=${node:-e2e-node}
node_ip=${node_ip:-127.0.0.1}
image=localhost/busybox:e2e
node_end() {
    [ -n "$pid" ] && k delete deployments,replicasets,statefulsets,daemonsets,jobs --all --grace-period=0 --cascade=orphan >/dev/null 2>&1 # or pods come anew
    [ -n "$pid" ] && k delete pods --all --grace-period=0 --force >/dev/null 2>&1
    [ -n "$pid" ] && for _ in $(seq 100); do [ -z "$(ls "$dir/run/runtime/sandboxes" 2>/dev/null)" ] && break; sleep 0.1; done
    [ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    sound "$dir/out" || ended=1
    end_containers
}
# As of server.sh's: trap 'ended=$?; kill $other 2>/dev/null; node_finish' EXIT
node_finish() {
    ended=${ended:-$?}
    node_end
    exit "$ended"
}
trap node_finish EXIT
trap 'exit 1' TERM INT
node_is_ready() { k wait --for=condition=Ready "node/$node" --timeout=1s >/dev/null && k run x --image=x --dry-run=server >/dev/null; }
start() {
    [ ! -f "$dir/keelson.cfg" ] || configured="--config $dir/keelson.cfg --plugins $build/plugins"
    # shellcheck disable=SC2086
    "$build/keelson" up --state-dir "$dir/state" --run-dir "$dir/run" --log-dir "$dir/log" --address "$node_ip" --port 6443 --node-name "$node" \
        --node-address "$node_ip" --kubeconfig "$dir/kc" ${configured:-} ${up_flags:-} >>"$dir/out" 2>&1 &
    pid=$!
    for _ in $(seq 300); do
        [ -s "$dir/kc" ] && node_is_ready && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "keelson up did not start:"
    cat "$dir/out"
    exit 1
}
# get POD JSONPATH
get() { k get pod "$1" -o "jsonpath=$2"; }
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
