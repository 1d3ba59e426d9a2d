#!/bin/sh
# tests/clients/go: Kubernetes' own Go libraries against a server of this script. usage: clients-go.sh BUILD_DIR [GO_TEST_OPTION...]
set -u
build=$(cd "$1" && pwd)
shift
. "$(dirname "$0")/lib/go.sh"
build_go clients/go go.test
. "$(dirname "$0")/lib/server.sh"
start_server
"$build/clients/go.test" -test.v -test.parallel 16 -test.timeout 9m "$@" >"$dir/out" 2>&1 || {
    bad=1
    tail -5 "$dir/log"
}
grep -v '^=== ' "$dir/out"
kill -0 "$pid" || fail "the server ended"
exit $bad
