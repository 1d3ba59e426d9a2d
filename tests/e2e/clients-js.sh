#!/bin/sh
# tests/clients/js: the official JavaScript client against a server of this script. usage: clients-js.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
tests=$(cd "$(dirname "$0")/.." && pwd)
js=$build/clients/js
mkdir -p "$js"
[ -d "$js/node_modules/@kubernetes/client-node" ] ||
    { echo '{}' >"$js/package.json" && (cd "$js" && npm install --no-audit --no-fund --loglevel=error @kubernetes/client-node@1); } >"$js/npm.log" 2>&1 || {
    rm -rf "$js/node_modules"
    echo "skipped: @kubernetes/client-node cannot be had: $(tail -1 "$js/npm.log")"
    exit 0
}
. "$(dirname "$0")/lib/server.sh"
needs node npm
start_server
CLIENTS_JS=$js node --test "$tests/clients/js/clients.test.mjs" 2>&1 || bad=1
kill -0 "$pid" || fail "the server ended"
[ "$bad" = 0 ] || tail -5 "$dir/log"
exit $bad
