#!/bin/sh
# WATCH over a WebSocket: a text message for each event, with selectors, as a Table, from a revision, under any one protocol's name; an end that is clean;
# through restarts without a gap.
# usage: watch-socket.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
command -v python3 >/dev/null || {
    echo "skipped: no python3"
    exit 0
}
. "$here/lib/server.sh"
start_server
said=$(python3 "$here/watch_socket.py" "$url" "$dir/state/pki" "$build/keelson" "$dir/state") || bad=1
pid=$(echo "$said" | tail -1)
[ "$bad" = 0 ] || echo "$said"
exit $bad
