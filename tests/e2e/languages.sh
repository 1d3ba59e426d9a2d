#!/bin/sh
# The example plugins in C++ and in Rust: built against the installed SDK, loaded, held to the policies. Rust where rustc is. usage: languages.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
examples=$(cd "$(dirname "$0")/../../sdk/examples" && pwd)
. "$(dirname "$0")/lib/installed.sh"
# checked NAME.so: it shows one symbol, is known, and passes.
checked() {
    [ "$(nm -D --defined-only "$1" | awk '{ print $3 }')" = kl_plugin ] || {
        echo "FAILED: $1 exports more than its descriptor: $(nm -D --defined-only "$1")"
        bad=1
    }
    "$dir/usr/bin/keelson" plugin inspect "$1" && "$dir/usr/bin/keelson" plugin test --brief "$1" || bad=1
}
if command -v "${CXX:-c++}" >/dev/null; then
    {
        cmake -S "$examples/cpp" -B "$dir/cpp" -DCMAKE_PREFIX_PATH="$dir/usr" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" && cmake --build "$dir/cpp"
    } >"$dir/log" 2>&1 || {
        cat "$dir/log"
        bad=1
    }
    checked "$dir/cpp/tally.so"
else
    echo "C++ is left out: no compiler"
fi
if command -v rustc >/dev/null && rustc --version >/dev/null 2>&1; then
    rustc --edition 2021 --crate-type cdylib -C panic=abort -O -D warnings "$examples/rust/quiet.rs" -o "$dir/quiet.so" || bad=1
    checked "$dir/quiet.so"
else
    echo "Rust is left out: no rustc"
    [ "$bad" != 0 ] || echo "skipped: no rustc (the plugin in C++ passed)"
fi
exit $bad
