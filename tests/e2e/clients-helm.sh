#!/bin/sh
# tests/clients/helm, a chart with hooks and a kind of its own, by helm 4: install, upgrade, rollback, test, uninstall, all with --wait. The script plays the
# node. usage: clients-helm.sh BUILD_DIR. Helm is built into the build folder by go; HELM names another one.
set -u
build=$(cd "$1" && pwd)
chart=$(cd "$(dirname "$0")/../clients/helm" && pwd)
helm=${HELM:-$build/clients/helm}
mkdir -p "$build/clients"
if [ ! -x "$helm" ]; then
    command -v go >/dev/null || {
        echo "skipped: no go"
        exit 0
    }
    GOBIN=$build/clients nice go install -p 1 helm.sh/helm/v4/cmd/helm@v4.3.1 >"$build/clients/helm.log" 2>&1 || {
        echo "skipped: helm cannot be had: $(tail -1 "$build/clients/helm.log")"
        exit 0
    }
fi
. "$(dirname "$0")/lib/server.sh"
player=
trap 'ended=$?; kill $player 2>/dev/null; wait $player 2>/dev/null; server_finish' EXIT
start_server
export HELM_CACHE_HOME="$dir/helm" HELM_CONFIG_HOME="$dir/helm" HELM_DATA_HOME="$dir/helm"

# The node: pods of hooks end well, others become ready; what is to go, goes.
status() { k patch pod -n "$1" "$2" --subresource=status --type=merge -p "{\"status\":$3}"; }
ready='{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}'
play() {
    while :; do
        k get pods -A -o 'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name} {.status.phase} {.metadata.deletionTimestamp}{"\n"}{end}' |
            while read -r ns pod phase going; do
                if [ -n "$going" ]; then
                    k delete pod -n "$ns" "$pod" --grace-period=0 --force
                else
                    case "$phase $pod" in
                    "Pending "*-before-* | "Pending "*-test) status "$ns" "$pod" '{"phase":"Succeeded"}' ;;
                    "Pending "*) status "$ns" "$pod" "$ready" ;;
                    esac
                fi
            done >/dev/null
        sleep 0.3
    done
}
play &
player=$!
h() { timeout 120 "$helm" "$@" 2>&1; }
get() { k get "$@"; }

# life MODE: a release's life, the objects written by client-side patches or by server-side apply.
life() {
    r=$1 ns=helm-$1 side=$2
    has "$r: install" "STATUS: deployed" "$(h install "$r" "$chart" -n "$ns" --create-namespace --wait --server-side="$side")"
    is "$r: replicas are ready" 2 "$(get deploy "$r-web" -n "$ns" -o 'jsonpath={.status.readyReplicas}')"
    is "$r: the custom object, defaulted" "red 3" "$(get boat "$r" -n "$ns" -o 'jsonpath={.spec.sail} {.spec.size}')"
    is "$r: the server's version" v1.36 "$(get cm "$r-conf" -n "$ns" -o 'jsonpath={.data.version}' | cut -d. -f1,2)"
    is "$r: the hook after ran" 1 "$(get cm "$r-after" -n "$ns" -o 'jsonpath={.data.revision}')"
    has "$r: the hook before is gone" "not found" "$(get job "$r-before" -n "$ns")"
    has "$r: installed once" "cannot reuse a name" "$(h install "$r" "$chart" -n "$ns")"
    k patch deploy "$r-web" -n "$ns" --type=merge -p '{"metadata":{"annotations":{"mine":"kept"}}}' >/dev/null
    has "$r: upgrade" "REVISION: 2" "$(h upgrade "$r" "$chart" -n "$ns" --set colour=blue,replicas=3 --wait --server-side="$side")"
    is "$r: upgraded" "3 blue kept" "$(get deploy "$r-web" -n "$ns" -o 'jsonpath={.status.readyReplicas} {.spec.template.spec.containers[0].env[0].value} {.metadata.annotations.mine}')"
    is "$r: the custom object" blue "$(get boat "$r" -n "$ns" -o 'jsonpath={.spec.sail}')"
    has "$r: a broken upgrade fails" "spec.ports[0].port: Invalid value: 123456: must be between 1 and 65535, inclusive" \
        "$(h upgrade "$r" "$chart" -n "$ns" --set broken=true,colour=green --server-side="$side")"
    has "$r: it is said" failed "$(h status "$r" -n "$ns")"
    has "$r: rollback" "Rollback was a success" "$(h rollback "$r" 1 -n "$ns" --wait --server-side="$side")"
    is "$r: rolled back" "2 red kept" "$(get deploy "$r-web" -n "$ns" -o 'jsonpath={.status.readyReplicas} {.spec.template.spec.containers[0].env[0].value} {.metadata.annotations.mine}')"
    is "$r: history" "superseded superseded failed deployed" "$(h history "$r" -n "$ns" -o json | grep -o '"status":"[a-z]*"' | cut -d'"' -f4 | xargs)"
    is "$r: releases are secrets" 4 "$(get secrets -n "$ns" -l "owner=helm,name=$r" --field-selector type=helm.sh/release.v1 --no-headers | wc -l)"
    has "$r: test" "Phase:          Succeeded" "$(h test "$r" -n "$ns")"
    has "$r: the manifest" "kind: Boat" "$(h get manifest "$r" -n "$ns")"
    has "$r: a dry run by the server" "STATUS: pending-install" "$(h install dry "$chart" -n "$ns" --dry-run=server --server-side="$side")"
    has "$r: uninstall" "uninstalled" "$(h uninstall "$r" -n "$ns" --wait)"
    is "$r: everything of it is gone" "" "$(get deploy,svc,boat -n "$ns" -o name)"
    is "$r: but not the definition" customresourcedefinition.apiextensions.k8s.io/boats.harbour.example.com "$(get crd boats.harbour.example.com -o name)"
}
life patched false
applied=$(printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: probe}\n' | k apply --server-side -f -)
case "$applied" in
*serverside-applied*) life applied true ;;
*) echo "not run: releases by server-side apply, helm's default: the server has none yet" ;;
esac
kill -0 "$pid" || fail "the server ended"
[ "$bad" = 0 ] || tail -5 "$dir/log"
exit $bad
