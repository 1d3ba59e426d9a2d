#!/bin/bash
# hpa.sh BUILD_DIR - HorizontalPodAutoscalers over metrics of another server: up, down, limits, what is missing. In a network namespace of its own.
[ -n "$KEELSON_IN_NETNS" ] || exec env KEELSON_IN_NETNS=1 unshare -n -- "$0" "$@"
ip link set lo up
ip addr add 192.0.2.10/32 dev lo
build=$1
here=$(dirname "$0")
. "$here/lib/server.sh"
backend=
trap 'ended=$?; kill $backend 2>/dev/null; server_finish' EXIT

sed 's|{ plugin = "controller-autoscaling"; }|{ plugin = "controller-autoscaling"; settings = { period = "1s"; downscale_window = "2s"; cpu_start = "0s"; }; }|' \
    "$here/../../conf/keelson.cfg" >"$dir/keelson.cfg"
grep -q 'period = "1s"' "$dir/keelson.cfg" || fail "the configuration has no autoscaler"
server_flags="--config $dir/keelson.cfg --plugins $build/plugins"
start_server
k create -f - >/dev/null <<'END'
{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
"spec":{"containers":[{"name":"web","image":"example/web","resources":{"requests":{"cpu":"1","memory":"100Mi"}}}]}}}}
END

# No metrics yet: the number stays, and it says why.
autoscale() {
    printf '{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"%s"},"spec":{"minReplicas":2,"maxReplicas":8,
"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},
"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]}}' "$1" | k create -f - >/dev/null
}
autoscale early                         # one of its own: Events of an object that fails again and again are cut
comes FailedGetResourceMetric k get hpa early -o jsonpath='{.status.conditions[?(@.type=="ScalingActive")].reason}'
want SucceededGetScale get hpa early -o jsonpath='{.status.conditions[?(@.type=="AbleToScale")].reason}'
comes FailedComputeMetricsReplicas k get events -o jsonpath='{.items[*].reason}'
want 'no metrics returned from resource metrics API' get events -o jsonpath='{.items[*].message}'
want 'first error is: failed to get cpu resource metric value: failed to get cpu utilization: unable to get metrics for resource cpu' get events -o jsonpath='{.items[*].message}'
want '[{"type":""}]' get hpa early -o jsonpath='{.status.currentMetrics}'

# Two of the same pods: neither knows what they need.
k run one --image=example/web --labels=app=web >/dev/null
autoscale late
comes 'are controlled by multiple HPAs: [default/early default/late]' k get hpa late -o jsonpath='{.status.conditions[?(@.type=="ScalingActive")].message}'
comes AmbiguousSelector k get events -o jsonpath='{.items[*].reason}'
k delete hpa late >/dev/null
comes FailedGetResourceMetric k get hpa early -o jsonpath='{.status.conditions[?(@.type=="ScalingActive")].reason}'
k delete pod one --grace-period=0 --force >/dev/null 2>&1
k delete hpa early >/dev/null

# Someone who answers for metrics.k8s.io and its kin.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/tls.key" -out "$dir/tls.crt" -subj /CN=metrics -days 2 2>/dev/null
answers="$dir/answers"
mkdir "$answers"
groups='metrics.k8s.io/v1beta1 custom.metrics.k8s.io/v1beta2 external.metrics.k8s.io/v1beta1'
for group in $groups; do
    printf '{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"%s","resources":[]}' "$group" >"$answers/apis+${group/\//+}"
done
python3 "$here/hpa.py" "$dir/tls.crt" "$dir/tls.key" 192.0.2.10 "$answers" >"$dir/port" 2>"$dir/backend" &
backend=$!
for _ in $(seq 100); do [ -s "$dir/port" ] && break; sleep 0.1; done
k create -f - >/dev/null <<END
{"apiVersion":"v1","kind":"List","items":[
{"apiVersion":"v1","kind":"Service","metadata":{"name":"metrics","namespace":"kube-system"},"spec":{"ports":[{"port":443}]}},
{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"metrics-1","namespace":"kube-system","labels":{"kubernetes.io/service-name":"metrics"}},
"addressType":"IPv4","ports":[{"name":"","port":$(cat "$dir/port")}],"endpoints":[{"addresses":["192.0.2.10"]}]}]}
END
for group in $groups; do
    printf '{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"%s.%s"},"spec":{"group":"%s","version":"%s","groupPriorityMinimum":100,
"versionPriority":100,"insecureSkipTLSVerify":true,"service":{"namespace":"kube-system","name":"metrics"}}}' "${group#*/}" "${group%/*}" "${group%/*}" "${group#*/}" | k create -f - >/dev/null
done
for group in $groups; do comes True k get apiservice "${group#*/}.${group%/*}"; done

pods() { for _ in $(seq 300); do [ "$(k get pods -o name | wc -l)" = "$1" ] && return; sleep 0.2; done; fail "there are $(k get pods -o name | wc -l) pods, not $1"; }
pods 2
# ready: every pod of the deployment runs. usage CPU: what each of them uses.
ready() {
    for pod in $(k get pods -o name); do
        k patch "$pod" --subresource status --type merge -p '{"status":{"phase":"Running","startTime":"2026-01-01T00:00:00Z","conditions":[{"type":"Ready","status":"True",
"lastTransitionTime":"2026-01-01T00:00:30Z"}]}}' >/dev/null
    done
}
usage() {
    k get pods -o json | python3 -c "import json, sys
now = '2027-01-01T00:00:00Z'
print(json.dumps({'kind': 'PodMetricsList', 'apiVersion': 'metrics.k8s.io/v1beta1', 'metadata': {}, 'items': [
    {'metadata': {'name': p['metadata']['name'], 'namespace': 'default'}, 'timestamp': now, 'window': '30s',
     'containers': [{'name': 'web', 'usage': {'cpu': '$1', 'memory': '50Mi'}}]} for p in json.load(sys.stdin)['items']]}))" >"$answers/new"
    mv "$answers/new" "$answers/apis+metrics.k8s.io+v1beta1+namespaces+default+pods"
}
ready
usage 500m
autoscale web
comes ValidMetricFound k get hpa web -o jsonpath='{.status.conditions[?(@.type=="ScalingActive")].reason}'
want '"averageUtilization":50,"averageValue":"500m"' get hpa web -o jsonpath='{.status.currentMetrics[0].resource.current}'
want DesiredWithinRange get hpa web -o jsonpath='{.status.conditions[?(@.type=="ScalingLimited")].reason}'
want 'cpu: 50%/50%' get hpa web
grep -q 'labelSelector=app%3Dweb' "$answers/asked" || fail "the metrics of the target's pods are asked for" "$(tail -3 "$answers/asked")"

# Up: as far as the pods that are known ask for; not beyond what is allowed at once, nor the maximum.
usage 800m
comes 4 k get deployment web -o jsonpath='{.spec.replicas}'
comes 'New size: 4; reason: cpu resource utilization (percentage of request) above target' k get events -o jsonpath='{.items[*].message}'
pods 4
ready
usage 1
comes 8 k get deployment web -o jsonpath='{.spec.replicas}'
pods 8
ready
usage 1
comes TooManyReplicas k get hpa web -o jsonpath='{.status.conditions[?(@.type=="ScalingLimited")].reason}'
want 8 get hpa web -o jsonpath='{.status.desiredReplicas}'
[ -n "$(k get hpa web -o jsonpath='{.status.lastScaleTime}')" ] || fail "when it last scaled"

# Down, to the minimum.
usage 10m
comes 2 k get deployment web -o jsonpath='{.spec.replicas}'
comes 'New size: 2; reason: All metrics below target' k get events -o jsonpath='{.items[*].message}'
pods 2
usage 500m

# Other kinds of metrics.
printf '{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[{"metricName":"depth","value":"30"},{"metricName":"depth","value":"20"}]}' \
    >"$answers/apis+external.metrics.k8s.io+v1beta1+namespaces+default+depth"
k patch hpa web --type merge -p '{"spec":{"metrics":[{"type":"External","external":{"metric":{"name":"depth","selector":{"matchLabels":{"queue":"q"}}},"target":{"type":"AverageValue","averageValue":"10"}}}]}}' >/dev/null
comes 5 k get deployment web -o jsonpath='{.spec.replicas}'
grep -q 'namespaces/default/depth?labelSelector=queue%3Dq' "$answers/asked" || fail "an external metric by its labels" "$(tail -3 "$answers/asked")"
pods 5
ready
k get pods -o json | python3 -c "import json, sys
print(json.dumps({'kind': 'MetricValueList', 'apiVersion': 'custom.metrics.k8s.io/v1beta2', 'items': [
    {'describedObject': {'kind': 'Pod', 'name': p['metadata']['name']}, 'metric': {'name': 'rps'}, 'timestamp': '2027-01-01T00:00:00Z', 'value': '120'}
    for p in json.load(sys.stdin)['items']]}))" >"$answers/apis+custom.metrics.k8s.io+v1beta2+namespaces+default+pods+*+rps"
k patch hpa web --type merge -p '{"spec":{"metrics":[{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"100"}}}]}}' >/dev/null
comes 6 k get deployment web -o jsonpath='{.spec.replicas}'
want '"averageValue":"120"' get hpa web -o jsonpath='{.status.currentMetrics[0].pods.current}'

# One value of an object, as a share per pod, and one of the namespace.
value() {
    printf '{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","items":[{"describedObject":{"kind":"%s","name":"x"},"metric":{"name":"queue"},"value":"%s"}]}' "$1" "$2"
}
value Service 30 >"$answers/apis+custom.metrics.k8s.io+v1beta2+namespaces+default+services+shop+queue"
k patch hpa web --type merge -p '{"spec":{"metrics":[{"type":"Object","object":{"describedObject":{"apiVersion":"v1","kind":"Service","name":"shop"},"metric":{"name":"queue",
"selector":{"matchLabels":{"a":"b"}}},"target":{"type":"AverageValue","averageValue":"5"}}}]}}' >/dev/null
comes 'external metric queue(&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},})' \
    k get hpa web -o jsonpath='{.status.conditions[?(@.type=="ScalingActive")].message}'
value Namespace 42 >"$answers/apis+custom.metrics.k8s.io+v1beta2+namespaces+default+metrics+queue"
k patch hpa web --type merge -p '{"spec":{"metrics":[{"type":"Object","object":{"describedObject":{"apiVersion":"v1","kind":"Namespace","name":"default"},"metric":{"name":"queue"},
"target":{"type":"Value","value":"42"}}}]}}' >/dev/null
comes '"value":"42"' k get hpa web -o jsonpath='{.status.currentMetrics[0].object.current}'

# Memory is told as it is by what measures it.
usage 1
k patch hpa web --type merge -p '{"spec":{"metrics":[{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"50Mi"}}}]}}' >/dev/null
comes '"averageValue":"50Mi"' k get hpa web -o jsonpath='{.status.currentMetrics[0].resource.current}'

# What cannot be scaled, and a number that somebody sets.
k patch hpa web --type merge -p '{"spec":{"maxReplicas":3}}' >/dev/null
comes 3 k get deployment web -o jsonpath='{.spec.replicas}'
k scale deployment web --replicas 0 >/dev/null
comes ScalingDisabled k get hpa web -o jsonpath='{.status.conditions[?(@.type=="ScalingActive")].reason}'
for ref in '"apiVersion":"batch/v1","kind":"Job"' '"apiVersion":"shop.example/v1","kind":"Basket"'; do
    k patch hpa web --type merge -p "{\"spec\":{\"scaleTargetRef\":{$ref}}}" >/dev/null
    case "$ref" in *batch*) why="the server could not find the requested resource" ;; *) why='no matches for kind "Basket" in group "shop.example"' ;; esac
    comes "current scale: $why" k get hpa web -o jsonpath='{.status.conditions[?(@.type=="AbleToScale")].message}'
done
k patch hpa web --type merge -p '{"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment"}}}' >/dev/null
k delete deployment web >/dev/null
comes 'deployments.apps "web" not found' k get hpa web -o jsonpath='{.status.conditions[?(@.type=="AbleToScale")].message}'
comes FailedGetScale k get hpa web -o jsonpath='{.status.conditions[?(@.type=="AbleToScale")].reason}'
want 'deployments.apps "web" not found' get hpa web -o jsonpath='{.status.conditions[?(@.type=="AbleToScale")].message}'
exit $bad
