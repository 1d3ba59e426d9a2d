# go.sh - builds programs of the module in tests/: sourced before server.sh, which changes HOME. Skips the script without Go or the modules.
# build_go FOLDER NAME: the test program of tests/FOLDER becomes $build/clients/NAME.
tests=$(cd "$(dirname "$0")/.." && pwd)
build_go() {
    mkdir -p "$build/clients"
    command -v go >/dev/null || {
        echo "skipped: no go"
        exit 0
    }
    (cd "$tests" && go list -deps -test "./$1") >/dev/null 2>"$build/clients/$2.log" || {
        echo "skipped: go's modules cannot be had: $(tail -1 "$build/clients/$2.log")"
        exit 0
    }
    (cd "$tests" && nice go test -p 1 -c -o "$build/clients/$2" "./$1") || {
        echo "FAILED: tests/$1 does not build"
        exit 1
    }
}
