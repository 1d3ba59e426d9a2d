#!/bin/sh
# Plugins that do one thing wrong, at least one for each policy of `keelson plugin test`: each fails at exactly that policy, and is told what to do.
# not under AddressSanitizer: the plugins are built without it. usage: plugin-wrong.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
cd "$(dirname "$0")" || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 plugin_wrong.py "$build/keelson" ../../sdk ../conformance/wrong.txt "$dir"
