#!/bin/sh
# WATCH over a WebSocket: a text message for each event, with selectors, as a Table, from a revision, under any one protocol's name; an end that is clean.
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
python3 "$here/watch_socket.py" "$url" "$dir/state/pki" || bad=1
exit $bad
