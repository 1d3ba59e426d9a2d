#!/bin/sh
# What the server says of objects and patches that are wrong, to the letter and in order, and what it makes of odd ones: words.txt, as a kube-apiserver answers.
# usage: words.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
. "$here/lib/server.sh"
start_server
python3 "$here/words.py" "$url" "$dir/state/pki" || fail "words.py"
exit $bad
