#!/bin/sh
# `keelson plugin new`: for each kind a folder that builds outside the tree against the installed SDK, loads, and passes its own test; what cannot
# be made is refused with a sentence. usage: plugin-new.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/installed.sh"
mkdir "$dir/work"
cd "$dir/work" || exit 1
keelson=$dir/usr/bin/keelson
for kind in admission audit authn authz controller layer network node proxy runtime scheduler store volume; do
    name=my-$kind
    {
        "$keelson" plugin new $kind $name &&
            cmake -S $name -B $name/build -DCMAKE_PREFIX_PATH="$dir/usr" -DCMAKE_C_FLAGS=-Werror &&
            cmake --build $name/build &&
            "$keelson" plugin inspect $name/build/$name.so &&
            ctest --test-dir $name/build --output-on-failure
    } >"$dir/log" 2>&1 || {
        echo "FAILED: $kind"
        cat "$dir/log"
        bad=1
    }
    # What it leans on: libc only, and it shows one symbol.
    [ "$(nm -D --defined-only $name/build/$name.so | awk '{ print $3 }')" = kl_plugin ] || {
        echo "FAILED: $name.so exports more than its descriptor"
        bad=1
    }
done
# refused STATUS TEXT ARGUMENT...
refused() {
    status=$1
    text=$2
    shift 2
    out=$("$keelson" plugin new "$@" 2>&1)
    rc=$?
    case "$rc $out" in
    "$status "*"$text"*) echo "ok: $*" ;;
    *)
        echo "FAILED: plugin new $*: status $rc: $out"
        bad=1
        ;;
    esac
}
refused 1 "'my-store' is there already" store my-store
refused 2 "did you mean 'scheduler'" schedular x
refused 2 "there is no kind 'ingress'" ingress x
refused 2 "a name has at most" store My
refused 2 "a name has at most" store a/b
refused 2 "a name has at most" store ../x
refused 2 "a name has at most" store a-
refused 2 "a name has at most" store ""
refused 2 "it takes a kind and a name" store
[ "$(ls -A | wc -l)" = 13 ] || {
    echo "FAILED: something was left: $(ls -A)"
    bad=1
}
exit $bad
