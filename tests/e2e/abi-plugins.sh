#!/bin/sh
# Old plugins on this host, new plugins on an older host: the sample plugins of every release, built with that release's headers; one built with headers that
# have more members than this host fills; one whose tables end before members that this host knows; one for a newer ABI, which is refused with a
# sentence. Under AddressSanitizer where that build is there too. usage: abi-plugins.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
[ ! -x "$build-asan/keelson" ] || build=$build-asan
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
. "$root/tests/e2e/lib/server.sh"
if nm -D "$build/keelson" | grep -q __asan_init; then
    sanitize=-fsanitize=address,undefined
    echo "under AddressSanitizer"
else
    sanitize=
fi
# so INCLUDE SOURCE NAME: builds $dir/NAME.so.
so() {
    # shellcheck disable=SC2086
    gcc -O1 -g -shared -fPIC -fvisibility=hidden -Wall -Werror $sanitize -I "$1" "$2" -o "$dir/$3.so" "-Wl,--version-script=$root/sdk/cmake/plugin.map,-z,now,-z,nodelete" -pthread ||
        fail "$3 does not compile"
}

# --- every release ---
for release in "$root"/sdk/abi/*/; do
    for source in "$release"plugins/*.c; do
        name=old-$(basename "$source" .c)
        settings=
        [ ! -f "${source%.c}.cfg" ] || settings="--settings ${source%.c}.cfg"
        so "$release/include" "$source" "$name"
        # shellcheck disable=SC2086
        "$build/keelson" plugin test --brief $settings "$dir/$name.so" >"$dir/test" 2>&1 || fail "$name of $release" "$(cat "$dir/test")"
    done
    # What was there then is where it was: each struct's members begin with those of then.
    awk 'FNR == NR { if (/^[a-z]/) { s = $1 " " $2; n[s] = 0 } else then[s, n[s]++] = $0; next }
         /^[a-z]/ { s = $1 " " $2; i = 0; seen[s] = 1; next }
         (s in n) && i < n[s] { if (then[s, i] != $0 && $1 != "size") { print "FAILED: " s ": " $0 " was " then[s, i]; bad = 1 } i++; have[s] = i }
         END { for (s in n) if (!(s in seen) || have[s] < n[s]) { print "FAILED: " s " has lost members"; bad = 1 } exit bad }' "$release/layout.txt" \
        "$root/sdk/abi/layout-0.txt" || bad=1
done

# --- headers of tomorrow and of yesterday ---
cp -r "$root/sdk/include" "$dir/newer"
sed -i 's|^    uint32_t matching_pods;.*|&\n    int64_t devices;|; s|^    void (\*end)(void \*self, void \*cycle);|&\n    int (*tomorrow)(void *self, struct kl_call *c);|' "$dir/newer/keelson/iface/scheduler.h"
sed -i 's|^    void (\*random)(const struct kl_host.*|&\n    int64_t (*cpu_ns)(const struct kl_host *h);|' "$dir/newer/keelson/host.h"
cp -r "$root/sdk/include" "$dir/older"
sed -i '/^    uint32_t matching_pods;/d' "$dir/older/keelson/iface/scheduler.h"
sed -i '/^    void (\*over)(/d; /^    int (\*wants)(/d; /^    int (\*rules)(/d' "$dir/older/keelson/iface/auth.h"
so "$dir/newer" "$root/tests/e2e/abi/newer.c" newer
so "$dir/older" "$root/tests/e2e/abi/older.c" older
for name in newer older; do
    "$build/keelson" plugin test --brief "$dir/$name.so" >"$dir/test" 2>&1 || fail "$name" "$(cat "$dir/test")"
done

# --- a newer ABI ---
cp -r "$root/sdk/include" "$dir/abi2"
sed -i 's|KL_STR(1)|KL_STR(2)|g; s|^#define KL_ABI_MAJOR 1u|#define KL_ABI_MAJOR 2u|' "$dir/abi2/keelson/plugin.h" "$dir/abi2/keelson/abi.h"
so "$dir/abi2" "$root/tests/e2e/abi/older.c" tomorrow
out=$("$build/keelson" plugin inspect "$dir/tomorrow.so" 2>&1) && fail "a plugin for ABI 2 is inspected as if it loaded" "$out"
case "$out" in
*"is made for plugin ABI 2; this host speaks 1"*) ;;
*) fail "ABI 2 is refused without saying so" "$out" ;;
esac

# --- in a server, all at once ---
command -v kubectl >/dev/null || {
    echo "skipped: no kubectl"
    exit $bad
}
mkdir -p "$dir/conf/conf.d"
cp "$root/conf/keelson.cfg" "$dir/conf/"
cat >"$dir/conf/conf.d/50.cfg" <<END
chains: { admission = [ "older", "old-admission" ]; authz = [ "older", "old-authz" ]; };
instances = (
  { plugin = "$dir/older.so"; }, { plugin = "$dir/newer.so"; }, { plugin = "$dir/tomorrow.so"; required = false; },
  { plugin = "$dir/old-admission.so"; settings = { max_bytes = "2Ki"; }; }, { plugin = "$dir/old-authz.so"; },
  { plugin = "$dir/old-controller.so"; }, { plugin = "$dir/old-scheduler.so"; } );
END
server_flags="--config $dir/conf/keelson.cfg --plugins $build/plugins --store memory"
start_server
status=$("$build/keelson" plugin status --kubeconfig "$KUBECONFIG" 2>&1)
for line in "older *org.example.older .*READY" "newer *org.example.newer .*READY" "old-controller *org.example.old-controller .*READY" "ABI 2; this host speaks 1"; do
    echo "$status" | grep -q "$line" || fail "plugin status lacks: $line" "$status"
done
want created create configmap quiet --from-literal=a=b
want "older: not so loud" create configmap loud --from-literal=a=b!
want "more than the 2048 that are allowed" create configmap large --from-literal=a="$(head -c 4000 /dev/zero | tr '\0' x)"
want yes auth can-i delete nodes --as=older
is "auth can-i delete nodes --as=younger" no "$(k auth can-i delete nodes --as=younger | tail -1)"
want yes auth can-i list secrets --as=x --as-group=auditors
# The controller of then still makes its ConfigMap.
for _ in $(seq 600); do
    k get configmap old-controller 2>&1 | grep -q NotFound || break
    sleep 0.1
done
want old-controller get configmap old-controller
cat >"$dir/n1.json" <<END
{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"},"status":{"conditions":[{"type":"Ready","status":"True"}],"allocatable":{"cpu":"4","memory":"8Gi","pods":"110"}}}
END
want created create -f "$dir/n1.json"
for s in older newer old-scheduler; do
    k create -f - >/dev/null <<END
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"$s"},"spec":{"schedulerName":"$s","containers":[{"name":"c","image":"x"}]}}
END
    # Nobody heartbeats for the node: it is said to be ready until the pod is placed.
    for _ in $(seq 120); do
        k replace --raw /api/v1/nodes/n1/status -f "$dir/n1.json" >/dev/null
        [ -z "$(k get pod "$s" -o 'jsonpath={.spec.nodeName}')" ] || break
        sleep 0.5
    done
    want n1 get pod "$s" -o 'jsonpath={.spec.nodeName}'
done
kill -0 "$pid" || fail "the server is gone" "$(tail -40 "$dir/log")"
! grep -E 'ERROR: AddressSanitizer|runtime error:' "$dir/log" || bad=1
exit $bad
