#!/bin/sh
# Lists in pages that show one revision, exact and future revisions, and what a watch begins and ends with: lists.py asks.
# usage: lists.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
. "$here/lib/server.sh"
start_server
python3 "$here/lists.py" "$url" "$dir/state/pki" || fail "lists.py"
exit $bad
