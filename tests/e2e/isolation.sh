#!/bin/sh
# Plugins in processes of their own under a real server: the same files serve as "process" and as "sandbox"; one that dies, hangs, exits or answers nonsense
# at a call is started again, other requests and other plugins go on, `plugin status`, an Event and the metrics say what happened; one that ends too often is
# in quarantine and its fallback answers. usage: isolation.sh BUILD_DIR
# takes long
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
meant='Z I bad: '                       # what a child says of itself, as the bad plugin's must, begins with its name
cd "$(dirname "$0")/../.." || exit 1
isolated() { # isolated LEVEL PLUGIN...: the configuration with those in processes of their own
    level=$1
    shift
    cp conf/keelson.cfg "$dir/k.cfg"
    for p in "$@"; do
        sed -i "s|{ plugin = \"$p\";|{ plugin = \"$p\"; isolate = \"$level\";|" "$dir/k.cfg"
        grep -q "plugin = \"$p\"; isolate" "$dir/k.cfg" || fail "the configuration has no $p"
    done
}
evil() { # evil NAME PROVIDER CALL HOW SETTING...: one more instance, which misbehaves
    name=$1 provider=$2 call=$3 how=$4
    shift 4
    cat >"$dir/evil.cfg" <<X
instances = ( { plugin = "$build/tests/isolate/evil.so"; provider = "evil-$provider"; name = "$name"; $*
    settings = { call = "$call"; how = "$how"; }; } );
X
    mkdir -p "$dir/conf.d"
    mv "$dir/evil.cfg" "$dir/conf.d/$name.cfg"
}
start() {
    server_flags="--config $dir/k.cfg"
    start_server
}
stop() {
    kill "$pid"
    wait "$pid"
    [ $? -eq 0 ] || fail "the server's end" "$(tail -5 "$dir/log")"
    rm -rf "$dir/state" "$dir/conf.d"
}
status() { "$build/keelson" plugin status --config "$dir/k.cfg" --state-dir "$dir/state"; }
node() {
    k create -f - >/dev/null <<X
{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}
X
    k patch node n1 --subresource=status -p '{"status":{"allocatable":{"cpu":"4","memory":"8Gi","pods":"110"},"capacity":{"cpu":"4","memory":"8Gi","pods":"110"},
        "conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2035-01-01T00:00:00Z"}]}}' >/dev/null
    comes default k get sa -A
}
pod() { # pod NAME SCHEDULER
    k run "$1" --image=x --overrides="{\"spec\":{\"schedulerName\":\"$2\",\"tolerations\":[{\"operator\":\"Exists\"}]}}" >/dev/null
}

# --- the same files, elsewhere ---
for level in process sandbox; do
    isolated $level scheduler-binpack scheduler-spread authz-groups authz-node authz-rbac admission-core admission-podsecurity admission-quota admission-webhook \
        controller-workloads controller-core controller-autoscaling store-wal authn-token
    [ $level = sandbox ] && sed -i 's|"store-wal"; isolate = "sandbox";|& sandbox = { write = [ "$(state)/store" ]; };|
        s|"authn-token"; isolate = "sandbox";|& sandbox = { read = [ "$(state)/pki/sa.pub" ]; };|' "$dir/k.cfg"
    start
    node
    [ "$(status | grep -c " $level  *READY")" -gt 40 ] || fail "$level: plugin status" "$(status)"
    k create deployment web --image=x --replicas=2 >/dev/null
    pod one binpack
    comes n1 k get pod one -o wide
    comes 'replicas: 2' k get deployment web -o yaml
    k create clusterrolebinding v --clusterrole=view --user=ann >/dev/null
    comes yes k auth can-i list pods --as=ann
    [ "$(k auth can-i create pods --as=ann | tail -1)" = no ] || fail "ann may only look" "$(k auth can-i create pods --as=ann)"
    want yes auth can-i create pods
    k create ns strict >/dev/null
    k label ns strict pod-security.kubernetes.io/enforce=restricted >/dev/null
    k create quota q -n strict --hard=pods=0 >/dev/null
    want 'violates PodSecurity' run bad -n strict --image=x --overrides='{"spec":{"hostNetwork":true}}'
    k delete ns strict --wait=false >/dev/null
    comes 'not found' k get ns strict
    token=$(k create token default)
    curl -s --cacert "$dir/state/pki/ca.crt" -H "Authorization: Bearer $token" "$url/api" | grep -q APIVersions || fail "$level: a token is not understood"
    status | grep "$level" | grep -qE 'crashes=' && fail "$level: something ended" "$(status | grep crashes)"
    stop
done

# --- a sandbox holds what its configuration says, and mistakes in it are told ---
isolated sandbox scheduler-spread
sed -i 's|"scheduler-spread"; isolate = "sandbox";|& sandbox = { raed = [ "/etc" ]; };|' "$dir/k.cfg"
"$build/keelson" check-config --config "$dir/k.cfg" 2>&1 | grep -q "k.cfg:.*'raed'.*did you mean 'read'" || fail "a wrong key" "$("$build/keelson" check-config --config "$dir/k.cfg" 2>&1)"
sed -i 's|raed|read|; s|"scheduler-spread"; isolate = "sandbox"|"scheduler-spread"; isolate = "process"|' "$dir/k.cfg"
"$build/keelson" check-config --config "$dir/k.cfg" 2>&1 | grep -q "'sandbox' is for instances with isolate = \"sandbox\"" || fail "no sandbox to allow anything"
isolated sandbox store-wal
"$build/keelson" server --config "$dir/k.cfg" --state-dir "$dir/state" --port 0 >"$dir/refused" 2>&1 && fail "a store in a sandbox that may write nowhere"
grep -q "required but FAILED" "$dir/refused" || fail "the reason" "$(cat "$dir/refused")"

# --- a scheduler that dies at each look at a node: quarantine, and the fallback schedules ---
isolated process scheduler-spread
evil bad scheduler kl_scheduler.fit crash 'isolate = "process"; fallback = "spread";'
start
node
for i in 1 2 3 4 5 6; do
    pod "crash$i" bad
    want n1 get nodes
done
comes QUARANTINED status
for i in 1 2 3 4 5 6; do comes n1 k get pod "crash$i" -o wide; done
status | grep '^bad ' | grep -q 'died by signal 11' || status | grep '^bad ' | grep -q 'exited with status' || fail "plugin status says why" "$(status | grep '^bad ')"
comes PluginQuarantined k get events
want PluginCrashed get events
c "$url/metrics" | grep -q '^keelson_plugin_quarantined{instance="bad",.*} 1' || fail "the metric" "$(c "$url/metrics" | grep keelson_plugin)"
c "$url/metrics" | grep -q '^keelson_plugin_crashes_total{instance="bad",.*} 5' || fail "the metric" "$(c "$url/metrics" | grep keelson_plugin)"
stop

# --- one that misbehaves once: the request that met it succeeds, and so do all others ---
for call in kl_authn.authenticate kl_authz.authorize kl_admission.review; do
    iface=${call#kl_} iface=${iface%%.*}
    for how in crash hang exit wrong; do
        isolated process scheduler-spread
        sed -i "s|  $iface = \[ |  $iface = [ \"bad\", |" "$dir/k.cfg"
        evil bad "$iface" "$call" "$how" 'isolate = "process"; on = "server";'
        sed -i "s|how = |once = \"$dir/once\"; how = |" "$dir/conf.d/bad.cfg"
        rm -f "$dir/once"
        start
        comes default k get sa
        touch "$dir/once"
        want created create sa "met-$how"
        [ -e "$dir/once" ] && want created run "met-$how" --image=x
        [ -e "$dir/once" ] && fail "$call $how did not happen"
        want created run "next-$how" --image=x
        want "met-$how" get sa
        comes READY status
        status | grep '^bad ' | grep -q ' crashes=' || fail "$call $how: plugin status" "$(status | grep '^bad ')"
        stop
    done
done

# --- an admission plugin in quarantine lets nothing in unseen; the rest goes on ---
isolated process scheduler-spread
sed -i 's|  admission = \[ |  admission = [ "bad", |' "$dir/k.cfg"
evil bad admission kl_admission.review exit 'isolate = "process"; on = "server";'
start
comes default k get sa
want 'rror' run unseen --image=x
# kubectl tries ten times, a second apart: the rest without it
unseen() { c -H 'content-type: application/json' -d '{"metadata":{"name":"unseen"},"spec":{"containers":[{"name":"a","image":"x"}]}}' "$url/api/v1/namespaces/default/pods"; }
unseen_status() { unseen >/dev/null; status; }
comes QUARANTINED unseen_status
has "what quarantine says" 'in quarantine' "$(unseen)"
want created create configmap seen
want annotated annotate configmap seen a=b
not unseen get pods
stop

exit $bad
