#!/bin/sh
# Floods, bombs and smuggling against the API's port: the offender is cut off, memory stays flat, others are served. The client is
# tests/e2e/floods.py, which writes frames by hand. usage: floods.sh BUILD_DIR
# not under AddressSanitizer: memory is measured
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
dir=$(mktemp -d)
pid=
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
"$build/keelson" server --state-dir "$dir/state" --port 0 --store memory >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 100); do
    grep -q 'ready on https' "$dir/log" && break
    sleep 0.1
done
python3 "$here/floods.py" "$dir/state/admin.kubeconfig" "$pid" || {
    tail -n 5 "$dir/log"
    exit 1
}
kill -0 "$pid" || {
    echo "FAILED: the server is gone"
    exit 1
}
