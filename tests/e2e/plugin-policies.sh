#!/bin/sh
# Every plugin of the tree passes the harness for authors. usage: plugin-policies.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.." || exit 1
bad=0
for so in "$build"/plugins/*.so; do
    name=$(basename "$so" .so)
    settings=
    [ ! -f "plugins/$name/test/policies.cfg" ] || settings="--settings plugins/$name/test/policies.cfg"
    # shellcheck disable=SC2086
    "$build/keelson" plugin test --brief $settings "$so" || bad=1
done
exit $bad
