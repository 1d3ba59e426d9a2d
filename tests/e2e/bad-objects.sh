#!/bin/sh
# 100,000 objects that are wrong in one known way, of every kind and by every way in, against what upstream says of them (tests/clients/bad).
# usage: bad-objects.sh BUILD_DIR [COUNT [OPTION...]]   (20,000 without COUNT; the options are the test program's: -bad.seed N, -bad.only TEXT,
#                                                        -bad.reference KUBECONFIG compares each answer with another server's)
set -u
build=$(cd "$1" && pwd)
count=${2:-20000}
[ $# -lt 2 ] || shift
shift
. "$(dirname "$0")/lib/go.sh"
build_go clients/bad bad.test
. "$(dirname "$0")/lib/server.sh"
start_server
"$build/clients/bad.test" -test.v -test.timeout 9m -bad.count "$count" "$@" >"$dir/out" 2>&1 || {
    bad=1
    tail -5 "$dir/log"
}
grep -v '^=== ' "$dir/out"
kill -0 "$pid" || fail "the server ended"
exit $bad
