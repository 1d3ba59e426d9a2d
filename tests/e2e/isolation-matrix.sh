#!/bin/sh
# 11 misbehaviours at every call of every interface, and in open, probe, reconfigure and close, in a process and in a sandbox (root only): tests/isolate/matrix.c.
# usage: isolation-matrix.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
bad=0
"$build/tests/isolate_matrix" process || bad=1
[ "$(id -u)" != 0 ] || "$build/tests/isolate_matrix" sandbox || bad=1
exit $bad
