#!/bin/sh
# Controllers with the real kubectl and a node that this script plays (it only says that pods are ready): rollouts within their limits,
# garbage, namespaces, endpoints, accounts.
# usage: controllers.sh BUILD_DIR. Skips (exit 0, with a reason) without a kubectl that can patch a status.
# takes long
set -u
build=$(cd "$1" && pwd)
kubectl patch --help 2>/dev/null | grep -q -e --subresource || {
    echo "skipped: no kubectl with patch --subresource"
    exit 0
}
. "$(dirname "$0")/lib/server.sh"
node=
trap 'ended=$?; kill $node 2>/dev/null; wait $node 2>/dev/null; server_finish' EXIT
start_server

# --- the node: every pod without the label "sick" is soon ready ---
not_ready='{range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}'
play_node() {
    while :; do
        for ns in default demo; do
            names=$(k -n $ns get pods -l '!sick' -o "jsonpath=$not_ready" | awk 'NF == 1 && $1 != "error:" { print $1 }')
            # shellcheck disable=SC2086
            [ -z "$names" ] || k -n $ns patch pods $names --subresource=status --type=strategic -p '{"status":{"phase":"Running","podIP":"10.9.0.1",
                "podIPs":[{"ip":"10.9.0.1"}],"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}' >/dev/null
        done
        sleep 0.1
    done
}
play_node 2>/dev/null &
node=$!

# --- every namespace has an account and the CA ---
soon "the default account" "serviceaccount/default" k get serviceaccount default -o name
k create namespace demo >/dev/null
soon "an account in a new namespace" "serviceaccount/default" k -n demo get serviceaccount default -o name
soon "the CA in a new namespace" "BEGIN CERTIFICATE" k -n demo get configmap kube-root-ca.crt -o yaml
k -n demo patch configmap kube-root-ca.crt --type=merge -p '{"data":{"ca.crt":"x"}}' >/dev/null
soon "the CA is put right" "BEGIN CERTIFICATE" k -n demo get configmap kube-root-ca.crt -o yaml
k -n demo delete serviceaccount default >/dev/null
soon "the account comes back" "serviceaccount/default" k -n demo get serviceaccount default -o name

# --- a deployment ---
soon "create deployment" "deployment.apps/web created" k create deployment web --image=app:1 --replicas=4
soon "rollout status" "successfully rolled out" k rollout status deployment web --timeout=30s
soon "progress is told" "NewReplicaSetAvailable" k get deployment web -o yaml
soon "the event of scaling" "Scaled up replica set web-" k get events
soon "scale" "deployment.apps/web scaled" k scale deployment web --replicas=6
soon "scaled" "6 6 6" k get deployment web -o 'jsonpath={.status.replicas} {.status.readyReplicas} {.status.availableReplicas}'

# limits FILE LABEL REPLICAS SURGE UNAVAILABLE: no more pods than allowed at any time, and never fewer that serve.
watch_pods() {
    : >"$2"
    timeout 90 kubectl --kubeconfig "$dir/state/admin.kubeconfig" get pods -l "app=$1" --watch --output-watch-events \
        -o 'jsonpath={.type} {.object.metadata.name} {.object.status.conditions[?(@.type=="Ready")].status} {.object.metadata.deletionTimestamp}{"\n"}' >"$2" &
    watcher=$!
    soon "the watch of pods" "ADDED" cat "$2"
    sleep 0.5
}
limits() {
    sleep 0.5
    kill $watcher 2>/dev/null
    wait $watcher 2>/dev/null
    awk -v most=$(($2 + $3)) -v least=$(($2 - $4)) '
        { there[$2] = $1 != "DELETED" && NF < 4; ready[$2] = there[$2] && $3 == "True"
          all = up = 0
          for (p in there) { all += there[p]; up += ready[p] }
          if (up >= least) steady = 1
          if (all > highest) highest = all
          if (steady && (lowest == "" || up < lowest)) lowest = up
          if (all > most || (steady && up < least)) { print "line " NR ": " all " pods, " up " ready"; wrong = 1 } }
        END { print NR " changes, at most " highest " pods, at least " lowest " ready"; exit wrong }' "$1" >"$1.verdict" &&
        ok "limits: $(cat "$1.verdict")" || fail "limits: $(cat "$1.verdict")"
}
for pair in "25% 25% 2 1" "0 1 0 1" "1 0 1 0" "100% 50% 6 3"; do
    # shellcheck disable=SC2086
    set -- $pair
    number() { case $1 in *%) echo "\"$1\"" ;; *) echo "$1" ;; esac; }
    k patch deployment web --type=merge -p "{\"spec\":{\"strategy\":{\"rollingUpdate\":{\"maxSurge\":$(number "$1"),\"maxUnavailable\":$(number "$2")}}}}" >/dev/null
    watch_pods web "$dir/pods"
    k set image deployment web "app=app:$1-$2" >/dev/null
    soon "update with maxSurge $1, maxUnavailable $2" "successfully rolled out" k rollout status deployment web --timeout=60s
    limits "$dir/pods" 6 "$3" "$4"
done

# --- history ---
soon "history" "5" k rollout history deployment web
soon "undo" "rolled back" k rollout undo deployment web --to-revision=1
soon "undone" "successfully rolled out" k rollout status deployment web --timeout=60s
soon "the first image again" "app:1" k get deployment web -o 'jsonpath={.spec.template.spec.containers[0].image}'
soon "its set has a new revision" "6" k get replicasets -l app=web -o 'jsonpath={range .items[?(@.spec.replicas==6)]}{.metadata.annotations.deployment\.kubernetes\.io/revision}{end}'
soon "restart" "restarted" k rollout restart deployment web
soon "restarted" "successfully rolled out" k rollout status deployment web --timeout=60s
k patch deployment web --type=merge -p '{"spec":{"revisionHistoryLimit":1}}' >/dev/null
soon "old sets are forgotten" "2" sh -c "kubectl --kubeconfig '$dir/state/admin.kubeconfig' get rs -l app=web -o name | wc -l"

# --- pause ---
k rollout pause deployment web >/dev/null
soon "the pause is told" "DeploymentPaused" k get deployment web -o yaml
k set image deployment web app=app:paused >/dev/null
sleep 1
none "nothing is rolled out while paused" k get pods -o 'jsonpath={.items[?(@.spec.containers[0].image=="app:paused")].metadata.name}'
k rollout resume deployment web >/dev/null
soon "resumed" "successfully rolled out" k rollout status deployment web --timeout=60s
soon "what was asked for meanwhile" "app:paused" k get pods -l app=web -o 'jsonpath={.items[0].spec.containers[0].image}'

# --- a rollout that cannot succeed stops within its limits ---
k patch deployment web --type=strategic -p '{"spec":{"progressDeadlineSeconds":2,"strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":1}},
    "template":{"metadata":{"labels":{"sick":"yes"}}}}}' >/dev/null
soon "the deadline is told" "ProgressDeadlineExceeded" k get deployment web -o yaml
soon "the others serve on" "5" k get deployment web -o 'jsonpath={.status.availableReplicas}'
k rollout undo deployment web >/dev/null
soon "back" "successfully rolled out" k rollout status deployment web --timeout=60s

# --- Recreate ---
k create deployment re --image=app:1 --replicas=3 >/dev/null
k patch deployment re --type=merge -p '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}' >/dev/null
k rollout status deployment re --timeout=30s >/dev/null
watch_pods re "$dir/pods"
k set image deployment re app=app:2 >/dev/null
soon "recreate" "successfully rolled out" k rollout status deployment re --timeout=60s
limits "$dir/pods" 3 0 3
k delete deployment re >/dev/null

# --- adoption and release ---
set=$(k get replicasets -l app=web -o 'jsonpath={range .items[?(@.spec.replicas==6)]}{.metadata.name}{end}')
pod=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
k label pod "$pod" app=other --overwrite >/dev/null
none "a pod with other labels is let go" k get pod "$pod" -o 'jsonpath={.metadata.ownerReferences}'
soon "and replaced" "6" k get replicaset "$set" -o 'jsonpath={.status.replicas}'
k label pod "$pod" app=web --overwrite >/dev/null
soon "one too many goes" "6" sh -c "kubectl --kubeconfig '$dir/state/admin.kubeconfig' get pods -l app=web -o name | wc -l"
k delete replicaset "$set" --cascade=orphan >/dev/null
soon "orphaned pods are adopted by the next set" "6" sh -c "kubectl --kubeconfig '$dir/state/admin.kubeconfig' get pods -l app=web \
    -o 'jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind}{\"\\n\"}{end}' | grep -c ReplicaSet"

# --- endpoints ---
k expose deployment web --port=80 --target-port=8080 >/dev/null
soon "an endpoint per ready pod" "true true true true true true" k get endpointslices -l kubernetes.io/service-name=web \
    -o 'jsonpath={.items[*].endpoints[*].conditions.ready}'
soon "and in Endpoints" "8080" k get endpoints web -o 'jsonpath={.subsets[0].ports[0].port}'
pod=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
k patch pod "$pod" --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}' >/dev/null
soon "a pod that is not ready gets no traffic" "false" k get endpointslices -l kubernetes.io/service-name=web \
    -o "jsonpath={.items[*].endpoints[?(@.targetRef.name==\"$pod\")].conditions.ready}"
k create service clusterip manual --tcp=80 >/dev/null
k patch service manual --type=json -p '[{"op":"remove","path":"/spec/selector"}]' >/dev/null
k delete endpoints manual >/dev/null
printf 'apiVersion: v1\nkind: Endpoints\nmetadata: {name: manual}\nsubsets: [{addresses: [{ip: 10.1.1.1}], ports: [{port: 80}]}]\n' | k apply -f - >/dev/null
soon "Endpoints made by hand are mirrored" "10.1.1.1" k get endpointslices \
    -l kubernetes.io/service-name=manual,endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io -o 'jsonpath={.items[*].endpoints[*].addresses}'
k delete service web manual >/dev/null
none "slices go with their Service" k get endpointslices -l kubernetes.io/service-name=web -o name
left() { k get endpoints web -o name --ignore-not-found | grep -v '^Warning: '; }
none "and Endpoints" left

# --- garbage: all three ways ---
k delete deployment web >/dev/null
none "pods go with their deployment (background)" k get replicasets,pods -l app=web -o name
k -n demo create deployment gc --image=app:1 --replicas=3 >/dev/null
soon "three pods" "successfully" k -n demo rollout status deployment gc --timeout=30s
k -n demo delete deployment gc --cascade=foreground >/dev/null
out=$(k -n demo get replicasets,pods -l app=gc -o name)
[ -z "$out" ] && ok "nothing is left when a foreground deletion returns" || fail "foreground: $out is left"
k -n demo create deployment gc --image=app:1 --replicas=3 >/dev/null
soon "three pods" "successfully" k -n demo rollout status deployment gc --timeout=30s
k -n demo delete deployment gc --cascade=orphan >/dev/null
soon "the orphaned set has no owner" "[]" sh -c "kubectl --kubeconfig '$dir/state/admin.kubeconfig' -n demo get rs -l app=gc -o 'jsonpath=[{.items[*].metadata.ownerReferences}]'"
soon "and keeps its pods" "3" k -n demo get replicasets -l app=gc -o 'jsonpath={.items[0].status.readyReplicas}'

# --- a namespace goes with all that is in it ---
k -n demo create configmap held >/dev/null
k -n demo patch configmap held --type=merge -p '{"metadata":{"finalizers":["example.org/held"]}}' >/dev/null
k delete namespace demo --wait=false >/dev/null
soon "what is left is told" "example.org/held in 1 resource instances" k get namespace demo -o 'jsonpath={.status.conditions[*].message}'
none "pods go first" k -n demo get pods -o name
k -n demo patch configmap held --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]' >/dev/null
none "the namespace has gone" k get namespace demo --ignore-not-found -o name

# --- at rest nothing is written ---
sleep 1
before=$(k get pods -o 'jsonpath={.metadata.resourceVersion}')
sleep 3
after=$(k get pods -o 'jsonpath={.metadata.resourceVersion}')
[ "$before" = "$after" ] && ok "nothing is written at rest" || fail "at rest the revision went from $before to $after"
grep -E ' [WE] ' "$dir/log" | grep -v -e 'comes back' && bad=1
exit $bad
