# installed.sh - the product and its SDK as `cmake --install` leaves them: sourced, with build set. Sets dir (removed at the end), bad; the prefix is $dir/usr.
dir=$(mktemp -d /tmp/kl.XXXXXX)
bad=0
trap 'rm -rf "$dir"' EXIT
cmake --install "$build" --prefix "$dir/usr" >"$dir/log" 2>&1 || {
    cat "$dir/log"
    exit 1
}
