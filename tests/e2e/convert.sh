#!/bin/sh
# keelson convert turns JSON into protobuf and YAML and back; plugin inspect refuses what is no plugin.
set -u
build=$(cd "$1" && pwd)
bad=0
text='{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"v"}}'
back=$(printf '%s' "$text" | "$build/keelson" convert --to protobuf | "$build/keelson" convert --from protobuf --to yaml | "$build/keelson" convert --from yaml | tr -d ' \n')
[ "$back" = "$text" ] || { echo "round trip gave $back"; bad=1; }
printf '{' | "$build/keelson" convert >/dev/null 2>&1 && { echo "bad JSON was taken"; bad=1; }
"$build/keelson" convert --to xml </dev/null >/dev/null 2>&1
[ $? = 2 ] || { echo "wrong use is not status 2"; bad=1; }
"$build/keelson" plugin inspect "$build/plugins/store-wal.so" | grep -q 'keelson.store/0:wal' || { echo "inspect does not show what store-wal provides"; bad=1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
refuse() {
    out=$("$build/keelson" plugin inspect "$1" 2>&1)
    rc=$?
    case "$rc:$out" in
    1:*"$2"*) ;;
    *) echo "$1: wanted status 1 and '$2', got $rc '$out'"; bad=1 ;;
    esac
}
: >"$dir/empty.so"
echo text >"$dir/text.so"
head -c 6000 "$build/plugins/store-wal.so" >"$dir/short.so"
refuse "$dir/empty.so" "is empty"
refuse "$dir/text.so" "is not an ELF file"
refuse "$dir/short.so" "is cut short"
refuse "$dir/none.so" "cannot be opened"
plug() { # NAME CODE: a plugin with a note whose code misbehaves
    printf '#include <keelson/plugin.h>\n#include <stdlib.h>\n#include <unistd.h>\n%s\nKL_PLUGIN_DEFINE("x.y", "1", "", "", .summary = "s");\n' "$2" >"$dir/$1.c"
    gcc -shared -fPIC -I"$(dirname "$0")/../../sdk/include" -o "$dir/$1.so" "$dir/$1.c" || bad=1
}
plug crash '__attribute__((constructor)) static void f(void) { *(volatile int *)0 = 1; }'
plug hang '__attribute__((constructor)) static void f(void) { for (;;) sleep(1); }'
plug leave '__attribute__((constructor)) static void f(void) { _exit(0); }'
plug missing 'int nowhere(void); int (*volatile p)(void) = nowhere;'
refuse "$dir/crash.so" "dies by signal 11"
refuse "$dir/hang.so" "hangs while it is loaded"
refuse "$dir/leave.so" "exits with status 0"
refuse "$dir/missing.so" "undefined symbol"
exit $bad
