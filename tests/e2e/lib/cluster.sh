# cluster.sh - sourced behind node.sh by scripts that bring a configuration of their own ($dir/keelson.cfg, before start_node) and ask for more than pods. Sets
# KUBECONFIG; functions start_node, c, finish; and, in place of node.sh's, becomes WHAT TEXT SECONDS COMMAND..., until_true WHAT SECONDS COMMAND...
export KUBECONFIG="$dir/kc"
finish() { node_finish; }
# c ARGUMENT...: curl as the administrator.
c() { curl -s --cacert "$dir/state/pki/ca.crt" --cert "$dir/state/pki/admin.crt" --key "$dir/state/pki/admin.key" "$@"; }
ready() { k wait --for=condition=Ready "node/$node" --timeout=1s >/dev/null && k run x --image=x --dry-run=server >/dev/null; }
start_node() {
    [ -f "$dir/keelson.cfg" ] && up_flags="--config $dir/keelson.cfg --plugins $build/plugins"
    start
}
# becomes WHAT TEXT SECONDS COMMAND...: its output holds the text in time, which is three times as long on a busy machine.
becomes() {
    what=$1 wanted=$2 got=
    end=$(($(date +%s) + 3 * $3))
    shift 3
    while :; do
        got=$("$@" 2>&1)
        case "$got" in *"$wanted"*)
            ok "$what"
            return 0
            ;;
        esac
        [ "$(date +%s)" -ge "$end" ] && break
        sleep 0.2
    done
    fail "$what" "wanted '$wanted', got '$got'"
    return 1
}
# until_true WHAT SECONDS COMMAND...: it succeeds in time.
until_true() {
    what=$1
    end=$(($(date +%s) + 3 * $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -ge "$end" ] && {
            fail "$what" "$(tail -3 "$dir/out")"
            return 1
        }
        sleep 0.2
    done
    ok "$what"
}
