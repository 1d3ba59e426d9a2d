# cluster.sh - starts and stops the one-node cluster of contrib/quickstart. Sourced behind packages.sh, from the top of the tree.
PORT=6443
STATE=/var/lib/keelson
RUN=/run/keelson
LOGS=/var/log/keelson
KUBECONFIG_FILE=/etc/keelson/admin.kubeconfig

# cluster_option --FLAG VALUE
cluster_option() {
    case "$1" in
    --port) PORT=$2 ;;
    --state-dir) STATE=$2 ;;
    --run-dir) RUN=$2 ;;
    --log-dir) LOGS=$2 ;;
    --kubeconfig) KUBECONFIG_FILE=$2 ;;
    esac
}

# The options that differ from the usual, to be repeated in what is printed.
cluster_options_text() {
    [ "$STATE" = /var/lib/keelson ] || printf ' --state-dir %s' "$STATE"
    [ "$RUN" = /run/keelson ] || printf ' --run-dir %s' "$RUN"
    [ "$LOGS" = /var/log/keelson ] || printf ' --log-dir %s' "$LOGS"
    [ "$KUBECONFIG_FILE" = /etc/keelson/admin.kubeconfig ] || printf ' --kubeconfig %s' "$KUBECONFIG_FILE"
}

# The daemon's process, or nothing. A pid file that kill -9 left says nothing by itself: the program must be ours.
cluster_pid() {
    pid=$(as_root cat "$RUN/keelson.pid" 2>/dev/null) || return 0
    case "$(as_root readlink "/proc/$pid/exe" 2>/dev/null)" in */keelson | */keelson\ \(deleted\)) echo "$pid" ;; esac
}

cluster_port() {
    as_root sed -n 's|.*server: https://[^:]*:\([0-9]*\).*|\1|p' "$KUBECONFIG_FILE"
}

port_taken() {
    [ -n "$(ss -Hltn "sport = :$1")" ]
}

choose_port() {
    asked=$PORT
    while port_taken "$PORT"; do
        PORT=$((PORT + 1))
        [ "$PORT" -lt $((asked + 100)) ] || {
            echo "quickstart: ports $asked to $PORT are all taken; give another with --port"
            exit 1
        }
    done
    [ "$PORT" = "$asked" ] || echo "port $asked is taken by another program; using $PORT"
}

cluster_ready() {
    as_root kubectl --kubeconfig "$KUBECONFIG_FILE" get --raw /readyz >/dev/null 2>&1 &&
        as_root kubectl --kubeconfig "$KUBECONFIG_FILE" get nodes 2>/dev/null | grep -q ' Ready '
}

cluster_start() {
    pid=$(cluster_pid)
    if [ -n "$pid" ]; then
        PORT=$(cluster_port)
        echo "the cluster is running already: process $pid, port $PORT"
        return 0
    fi
    choose_port
    as_root mkdir -p "$LOGS" "$(dirname "$KUBECONFIG_FILE")"
    as_root rm -f "$KUBECONFIG_FILE"
    echo "starting a one-node cluster on https://127.0.0.1:$PORT ..."
    as_root setsid -f "$PWD/build/keelson" up --port "$PORT" --state-dir "$STATE" --run-dir "$RUN" --log-dir "$LOGS" \
        --kubeconfig "$KUBECONFIG_FILE" --log "$LOGS/keelson.log" </dev/null >/dev/null 2>"${TMPDIR:-/tmp}/keelson-start.$$" || true
    tries=0
    until cluster_ready; do
        tries=$((tries + 1))
        if [ "$tries" -ge 300 ] || { [ "$tries" -ge 20 ] && [ -z "$(cluster_pid)" ]; }; then
            cat "${TMPDIR:-/tmp}/keelson-start.$$"
            as_root tail -n 20 "$LOGS/keelson.log" 2>/dev/null || true
            rm -f "${TMPDIR:-/tmp}/keelson-start.$$"
            echo "quickstart: the cluster did not become ready; its log is $LOGS/keelson.log"
            exit 1
        fi
        sleep 0.1
    done
    rm -f "${TMPDIR:-/tmp}/keelson-start.$$"
}

cluster_down() {
    pid=$(cluster_pid)
    if [ -n "$pid" ]; then
        as_root kill "$pid"
        tries=0
        while [ -n "$(cluster_pid)" ] && [ "$tries" -lt 150 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
    fi
    if [ -x build/keelson ]; then
        as_root build/keelson reset --all --state-dir "$STATE" --run-dir "$RUN" --log-dir "$LOGS" --kubeconfig "$KUBECONFIG_FILE"
    fi
    as_root rmdir "$(dirname "$KUBECONFIG_FILE")" 2>/dev/null || true
}
