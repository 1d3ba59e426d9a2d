#!/bin/sh
# The guide's examples, from the guide's own text: built against the installed SDK with warnings as errors, loaded, held to the policies; the
# scheduler has less than 60 lines, the storage driver less than 150. usage: guide.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
guide=$(cd "$(dirname "$0")/../../sdk/guide" && pwd)
. "$(dirname "$0")/lib/installed.sh"
for page in "$guide"/*.md; do
    work=$dir/$(basename "$page" .md)
    mkdir "$work"
    # ```c blocks become the file that their first line names, ```cfg blocks settings.cfg.
    awk -v dir="$work" '
        /^```cfg$/ { out = dir "/settings.cfg"; next }
        /^```c$/ { getline; name = $2; out = dir "/" name; print >out; next }
        /^```/ { out = ""; next }
        out { print >out }' "$page"
    for c in "$work"/*.c; do
        [ -f "$c" ] || continue
        name=$(basename "$c" .c)
        settings=
        [ ! -f "$work/settings.cfg" ] || settings="SETTINGS settings.cfg"
        cat >"$work/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project($name LANGUAGES C)
find_package(keelson 0.1 REQUIRED)
enable_testing()
keelson_plugin($name SOURCES $name.c)
keelson_plugin_test($name $settings)
END
        {
            cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$dir/usr" -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" &&
                cmake --build "$work/build" && ctest --test-dir "$work/build" --output-on-failure
        } >"$dir/log" 2>&1 || {
            echo "FAILED: $name of $page"
            cat "$dir/log"
            bad=1
        }
        echo "$name: $(wc -l <"$c") lines"
        case $name in
        lottery) most=59 ;;
        shelf) most=149 ;;
        *) most=300 ;;
        esac
        [ "$(wc -l <"$c")" -le $most ] || {
            echo "FAILED: $name has more than $most lines"
            bad=1
        }
    done
done
[ -f "$dir/scheduler/lottery.c" ] && [ -f "$dir/admission/owned.c" ] && [ -f "$dir/controller/greeter.c" ] && [ -f "$dir/store/lines.c" ] && [ -f "$dir/volume/shelf.c" ] || {
    echo "FAILED: an example is missing"
    bad=1
}
exit $bad
