#!/bin/sh
# kill -9 of the server at random points under write load, on a real disk (see crash.py). usage: crash.sh BUILD_DIR
# CRASH_ROUNDS (50), CRASH_SEED (the time), CRASH_DIR: a folder on the disk (/var/tmp).
set -u
build=$(cd "$1" && pwd)
command -v python3 >/dev/null || {
    echo "skipped: no python3"
    exit 0
}
dir=$(mktemp -d "${CRASH_DIR:-/var/tmp}/keelson-crash.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
python3 "$(dirname "$0")/crash.py" "$build" "$dir" "${CRASH_ROUNDS:-50}" "${CRASH_SEED:-$(date +%s)}"
