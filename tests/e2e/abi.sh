#!/bin/sh
# The plugin ABI: what crosses has the layout of sdk/abi/layout-0.txt, every public struct is in it, and every public header compiles alone
# as C11, C17 and C++17. usage: abi.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.." || exit 1
bad=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$build/tests/abi/abi_layout" >"$dir/layout" || bad=1
diff -u sdk/abi/layout-0.txt "$dir/layout" || {
    echo "FAILED: the layout is not that of sdk/abi/layout-0.txt. A change that keeps old plugins working (a new member at an end) is recorded with"
    echo "        $1/tests/abi/abi_layout >sdk/abi/layout-0.txt; any other needs a new interface id."
    bad=1
}
for s in $(sed -n 's/^struct \(kl_[a-z_]*\) {.*/\1/p' sdk/include/keelson/*.h sdk/include/keelson/iface/*.h); do
    case "$s" in kl_sig_* | kl_code_row) continue ;; esac
    grep -qE "^(struct|table) $s " "$dir/layout" || {
        echo "FAILED: struct $s is in no signature table (sdk/include/keelson/signature.h, kernel/plugin/signature.c)"
        bad=1
    }
done
plus=$(command -v g++ || command -v clang++ || echo clang++)
for h in $(cd sdk/include && find keelson -name '*.h'); do
    for how in "gcc -std=c11 -x c" "gcc -std=c17 -x c" "$plus -std=c++17 -x c++"; do
        # shellcheck disable=SC2086
        echo "#include <$h>" | ${how%% *} ${how#* } -pedantic -Wall -Wextra -Werror -Isdk/include -fsyntax-only - 2>"$dir/err" || {
            echo "FAILED: $h does not compile alone: $how"
            head -5 "$dir/err"
            bad=1
        }
    done
done
exit $bad
