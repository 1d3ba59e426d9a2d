# server.sh - an API server for one script: sourced. Sets dir (removed at the end), pid, url, KUBECONFIG; functions of say.sh, start_server, try_server, reread, want, not.
# Sourced with `build` set (and server_flags, if the server needs some); the script ends with: exit $bad.
. "$(dirname "$0")/lib/say.sh"
# The server may be no child of ours: one that has taken over.
gone() { while [ -n "$(tr -d "\0" 2>/dev/null <"/proc/$1/cmdline")" ]; do sleep 0.05; done; }
# What a script has started besides it ends in a trap of its own: trap 'ended=$?; kill $other 2>/dev/null; server_finish' EXIT
server_finish() {
    ended=${ended:-$?}
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    [ -z "$pid" ] || gone "$pid"
    sound "$dir/log" || ended=1
    rm -rf "$dir"
    exit "$ended"
}
trap server_finish EXIT
# try_server [PORT]: false when it did not become ready. start_server [PORT]: then the script is over.
try_server() {
    # shellcheck disable=SC2086
    "$build/keelson" server --state-dir "$dir/state" --port "${1:-0}" ${server_flags:-} >>"$dir/log" 2>&1 &
    pid=$!
    export KUBECONFIG="$dir/state/admin.kubeconfig"
    for _ in $(seq 600); do
        url=$(sed -n 's|.*server: ||p' "$KUBECONFIG" 2>/dev/null)
        [ -n "$url" ] && c "$url/readyz" 2>/dev/null | grep -q ok && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}
no_server() {
    echo "the server did not start:"
    cat "$dir/log"
    exit 1
}
start_server() { try_server "$@" || no_server; }
# reread FAMILY NAME STATUS: SIGHUP, and until that file was read again with that outcome once more (metric FAMILY_config_controller_automatic_reloads_total).
reread() {
    line="apiserver_$1_config_controller_automatic_reloads_total{name=\"$2\",status=\"$3\"}"
    before=$(c "$url/metrics" | grep -F "$line" | sed 's/.* //')
    kill -HUP "$pid"
    for _ in $(seq 300); do
        [ "$(c "$url/metrics" | grep -F "$line" | sed 's/.* //')" != "$before" ] && return 0
        sleep 0.1
    done
    fail "the $1 file is read again" "$line" "$(tail -3 "$dir/log")"
}
# want TEXT COMMAND...: kubectl's output holds the text. not TEXT COMMAND...: it does not.
want() {
    text=$1
    shift
    out=$(k "$@")
    case "$out" in
    *"$text"*) ;;
    *) fail "kubectl $*" "wanted: $text" "got: $out" ;;
    esac
}
not() {
    text=$1
    shift
    out=$(k "$@")
    case "$out" in
    *"$text"*) fail "kubectl $*" "not wanted: $text" "got: $out" ;;
    esac
}
