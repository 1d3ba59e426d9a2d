#!/bin/sh
# Paths that are written oddly, names that no object may have, objects that no cluster can be without, documents and their headers: paths.py asks.
# usage: paths.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
. "$here/lib/server.sh"
start_server
python3 "$here/paths.py" "$url" "$dir/state/pki" || fail "paths.py"
exit $bad
