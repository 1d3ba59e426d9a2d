#!/bin/sh
# A full disk: reads and deletions go on, other writes are refused with 507 and taken again once there is room; nothing is lost.
# usage: disk-full.sh BUILD_DIR. Skips (exit 0, with a reason) where no tmpfs can be mounted.
set -u
build=$(cd "$1" && pwd)
if [ -z "${DISK_FULL_INSIDE:-}" ]; then
    unshare -m --propagation private true 2>/dev/null || {
        echo "skipped: no mount namespace"
        exit 0
    }
    DISK_FULL_INSIDE=1 exec unshare -m --propagation private sh "$0" "$build"
fi
. "$(dirname "$0")/lib/server.sh"
mkdir "$dir/state"
mount -t tmpfs -o size=30m none "$dir/state" || {
    echo "skipped: no tmpfs"
    exit 0
}
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; umount "$dir/state"; rm -rf "$dir"' EXIT
start_server
maps=$url/api/v1/namespaces/default/configmaps
fill=$(head -c 500000 /dev/zero | tr '\0' x)
# post NAME: the status; what was acknowledged is counted.
post() {
    printf '{"metadata":{"name":"%s"},"data":{"a":"%s"}}' "$1" "$fill" >"$dir/body"
    c -o "$dir/answer" -w '%{http_code}' -H 'content-type: application/json' --data-binary "@$dir/body" "$maps"
}
n=0
while s=$(post "m$n") && [ "$s" = 201 ]; do
    n=$((n + 1))
    [ $n -lt 100 ] || break
done
[ "$s" = 507 ] && grep -q StorageFull "$dir/answer" || fail "a write on a full disk" "wanted: 507 StorageFull" "got: $s $(head -c 300 "$dir/answer")"
[ $n -gt 5 ] || fail "only $n writes fit"
[ "$(c -o /dev/null -w '%{http_code}' "$maps/m0")" = 200 ] || fail "reads do not go on"
[ "$(c -o /dev/null -w '%{http_code}' "$url/livez")" = 200 ] || fail "it does not say that it lives"
[ "$(c -o /dev/null -w '%{http_code}' "$url/livez/etcd")" = 500 ] || fail "/livez/etcd of a full disk"
[ "$(c -o /dev/null -w '%{http_code}' "$url/readyz")" = 500 ] || fail "/readyz of a full disk"
[ "$(c "$url/livez?verbose" | grep -c 'etcd failed: reason withheld, and not counted')" = 1 ] || fail "/livez in words" "$(c "$url/livez?verbose")"
for i in 0 1 2; do
    s=$(c -o "$dir/answer" -w '%{http_code}' -X DELETE "$maps/m$i")
    [ "$s" = 200 ] || fail "a deletion on a full disk" "got: $s $(head -c 300 "$dir/answer")"
done
s=$(post again)
[ "$s" = 507 ] || fail "a write goes into the reserve" "got: $s"
mount -o remount,size=80m "$dir/state"
for _ in $(seq 50); do
    s=$(post again)
    [ "$s" = 201 ] && break
    sleep 0.2
done
[ "$s" = 201 ] || fail "writes do not go on when there is room again" "got: $s $(head -c 300 "$dir/answer")"
kill -9 "$pid"
wait "$pid" 2>/dev/null
start_server
maps=$url/api/v1/namespaces/default/configmaps
have=$(c "$maps" | grep -o '"name":"\(m[0-9]*\|again\)"' | wc -l)
[ "$have" = $((n - 3 + 1)) ] || fail "objects after a restart" "wanted: $((n - 3 + 1))" "got: $have"
[ $bad = 0 ] && echo "ok: $n writes filled the disk, deletions went on, writes again after there was room"
exit $bad
