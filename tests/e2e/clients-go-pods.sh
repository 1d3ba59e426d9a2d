#!/bin/sh
# tests/clients/go against a node with real containers: exec, port-forward, logs, proxy. usage: clients-go-pods.sh BUILD_DIR [GO_TEST_OPTION...]
# Skips (exit 0, with a reason) without root, crun, conmon, busybox or go.
set -u
build=$(cd "$1" && pwd)
if [ -z "${e2e_inside:-}" ]; then
    . "$(dirname "$0")/lib/go.sh"
    build_go clients/go go.test
fi
node=e2e-clients
. "$(dirname "$0")/lib/node.sh"
shift
export POD_IMAGE=$image
start
"$build/clients/go.test" -test.v -test.parallel 4 -test.timeout 9m -test.run 'TestExec|TestPortForwardAndLogs' "$@" >"$dir/tests" 2>&1
bad=$?
grep -v '^=== ' "$dir/tests"
grep -q -e '--- SKIP' "$dir/tests" && bad=1
[ "$bad" = 0 ] || tail -20 "$dir/out"
exit $bad
