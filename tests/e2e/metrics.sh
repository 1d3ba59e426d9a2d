#!/bin/sh
# /metrics: upstream's names and labels, counted by what kubectl and curl do, in text that a strict reader takes, classic and OpenMetrics.
# usage: metrics.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
. "$here/lib/server.sh"
needs kubectl python3
start_server
# The checks themselves: all, one, without some, in words.
is "all" ok "$(c "$url/readyz")"
is "one" "ok 200" "$(c -w ' %{http_code}' "$url/readyz/store")"
is "one of all three" "ok ok ok" "$(c "$url/livez/ping") $(c "$url/healthz/store") $(c "$url/readyz/start")"
is "one that is none" 404 "$(c -o /dev/null -w '%{http_code}' "$url/readyz/nothing")"
is "in words" "[+]ping ok
[+]log ok
[+]etcd ok
[+]shutdown ok
[+]store ok
[+]start ok
readyz check passed" "$(c "$url/readyz?verbose" | grep -v -e poststarthook -e -readiness -e informer -e autoregister)"
is "without some" '[+]etcd excluded: ok
[+]store excluded: ok
warn: some health checks cannot be excluded: no matches for "absent"
livez check passed' "$(c "$url/livez?verbose&exclude=store&exclude=etcd&exclude=absent" | grep -e excluded -e passed)"
for check in log etcd etcd-readiness informer-sync shutdown autoregister-completion poststarthook/rbac/bootstrap-roles poststarthook/scheduling/bootstrap-system-priority-classes \
    poststarthook/start-system-namespaces-controller poststarthook/crd-informer-synced poststarthook/priority-and-fairness-config-producer; do
    is "as upstream's: $check" "ok 200" "$(c -w ' %{http_code}' "$url/readyz/$check")"
done
is "only readyz knows" "404 404" "$(c -o /dev/null -w '%{http_code}' "$url/livez/shutdown") $(c -o /dev/null -w '%{http_code}' "$url/healthz/etcd-readiness")"
is "/statusz" "apiserver statusz" "$(c -H 'accept: text/plain' "$url/statusz" | sed -n 2p)"
is "/statusz for tools" '"config.k8s.io/v1beta1" 200' "$(c -w ' %{http_code}' -H 'accept: application/json;v=v1beta1;g=config.k8s.io;as=Statusz' "$url/statusz" | sed -n 's/.*"apiVersion": \(.*\),/\1/p; s/^} \(.*\)/\1/p' | paste -sd' ')"
is "/statusz as plain JSON" 406 "$(c -o /dev/null -w '%{http_code}' -H 'accept: application/json' "$url/statusz")"
is "/flagz" "service-cidr: 10.96.0.0/12" "$(c "$url/flagz" | grep service-cidr)"
is "as a page" 'kubernetes_healthcheck{name="store",type="readyz"} 1' "$(c "$url/metrics/slis" | grep 'name="store",type="readyz"')"
is "as components" "scheduler True ok
controller-manager True ok
etcd-0 True ok" "$(k get componentstatuses -o 'jsonpath={range .items[*]}{.metadata.name} {.conditions[0].status} {.conditions[0].message}{"\n"}{end}' | grep -v Warning)"
is "one component" "etcd-0 Healthy ok" "$(k get cs etcd-0 --no-headers | grep -v Warning | awk '{ print $1, $2, $3 }')"
is "a component that is none" 'Error from server (NotFound): componentstatus "nothing" not found' "$(k get cs nothing 2>&1 | grep -v Warning)"
is "by kubectl" ok "$(k get --raw '/livez/ping')"

# reads NAME [--open] SERIES...
reads() {
    name=$1
    shift
    python3 "$here/metrics.py" "$@" <"$dir/page" || fail "$name"
}
for _ in $(seq 100); do                 # made by its controller
    k get serviceaccount default >/dev/null 2>&1 && break
    sleep 0.1
done
want created run lonely --image=none
for _ in $(seq 300); do                 # there is no node
    k get pod lonely -o yaml | grep -q Unschedulable && break
    sleep 0.1
done
want created create configmap a
want created create configmap b --dry-run=server
want "not found" get configmap nope
want "a" get configmaps
want deleted delete configmap a
k get --raw /api/v1/namespaces/default/nonsense >/dev/null
c "$url/healthz" >/dev/null
curl -sN --cacert "$dir/state/pki/ca.crt" --cert "$dir/state/pki/admin.crt" --key "$dir/state/pki/admin.key" \
    "$url/api/v1/namespaces?watch=1" >"$dir/watch" &
watch=$!
for _ in $(seq 100); do
    [ -s "$dir/watch" ] && break
    sleep 0.1
done
c -D "$dir/head" "$url/metrics" >"$dir/page"
grep -qi 'content-type: text/plain; version=0.0.4' "$dir/head" || fail "its type" "$(cat "$dir/head")"
ns='group="",version="v1",resource="configmaps",subresource=""'
reads classic \
    "apiserver_request_total{code=\"201\",component=\"apiserver\",dry_run=\"\",$ns,scope=\"resource\",verb=\"POST\"} >= 1" \
    "apiserver_request_total{code=\"201\",dry_run=\"All\",$ns,verb=\"POST\"} >= 1" \
    "apiserver_request_total{code=\"404\",$ns,scope=\"resource\",verb=\"GET\"} >= 1" \
    "apiserver_request_total{code=\"404\",group=\"\",resource=\"\",verb=\"LIST\"} >= 1" \
    "apiserver_request_total{code=\"200\",$ns,scope=\"namespace\",verb=\"LIST\"} >= 1" \
    "apiserver_request_total{code=\"200\",$ns,verb=\"DELETE\"} >= 1" \
    'apiserver_request_total{code="200",subresource="/healthz",scope="",verb="GET"} >= 1' \
    "apiserver_request_duration_seconds_count{component=\"apiserver\",dry_run=\"\",$ns,verb=\"DELETE\"} >= 1" \
    "apiserver_request_duration_seconds_bucket{$ns,verb=\"POST\",le=\"60\"} >= 1" \
    "apiserver_response_sizes_sum{$ns,verb=\"LIST\"} >= 50" \
    'apiserver_longrunning_requests{component="apiserver",resource="namespaces",scope="cluster",verb="WATCH"} >= 1' \
    'apiserver_watch_events_total{group="",version="v1",resource="namespaces"} >= 4' \
    'apiserver_current_inflight_requests{request_kind="readOnly"} >= 1' \
    'apiserver_current_inflight_requests{request_kind="mutating"}' \
    'apiserver_admission_step_admission_duration_seconds_count{operation="CREATE",rejected="false",type="admit"} >= 1' \
    'apiserver_admission_controller_admission_duration_seconds_count{operation="CREATE",rejected="false",type="admit"} >= 1' \
    'scheduler_schedule_attempts_total{profile="default-scheduler",result="unschedulable"} >= 1' \
    'scheduler_scheduling_attempt_duration_seconds_count{result="unschedulable"} >= 1' 'scheduler_pending_pods{queue="unschedulable"} >= 1' \
    'apiserver_storage_objects{resource="namespaces"} >= 4' \
    'apiserver_storage_objects{resource="deployments.apps"}' \
    'apiserver_resource_objects{group="apps",resource="deployments"}' \
    'apiserver_storage_size_bytes >= 1' 'keelson_store_fsyncs_total >= 1' 'keelson_store_revision >= 1' \
    'workqueue_depth' 'workqueue_adds_total >= 1' 'workqueue_retries_total' 'workqueue_queue_duration_seconds_count >= 1' \
    'workqueue_work_duration_seconds_count >= 1' 'workqueue_unfinished_work_seconds' 'workqueue_longest_running_processor_seconds' \
    'kubernetes_build_info{major="1",minor="36"} >= 1' 'kubernetes_healthcheck{name="store",type="readyz"} >= 1' \
    'process_cpu_seconds_total >= 0.001' 'process_resident_memory_bytes >= 1000000' 'process_open_fds >= 5' \
    'process_max_fds >= 5' 'process_start_time_seconds >= 1600000000'
c -D "$dir/head" -H 'Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5' "$url/metrics" >"$dir/page"
grep -qi 'content-type: application/openmetrics-text; version=1.0.0' "$dir/head" || fail "its other type" "$(cat "$dir/head")"
reads open --open "apiserver_request_total{code=\"201\",$ns,verb=\"POST\"} >= 1" \
    'apiserver_request_duration_seconds_bucket{resource="configmaps",verb="POST",le="60.0"} >= 1' 'process_cpu_seconds_total >= 0.001'
kill "$watch"
wait "$watch" 2>/dev/null
for _ in $(seq 100); do
    c "$url/metrics" >"$dir/page"
    grep -q '^apiserver_longrunning_requests{.*resource="namespaces",subresource="",scope="cluster",verb="WATCH"} [1-9]' "$dir/page" || break
    sleep 0.1
done
before=$(sed -n 's/^apiserver_longrunning_requests{.*resource="namespaces",subresource="",scope="cluster",verb="WATCH"} //p' "$dir/page")
[ "$before" = 0 ] || fail "a watch that ended still counts" "$before"
# Documents tell the port that was taken.
case "$(c "$url/.well-known/openid-configuration")" in
*"\"jwks_uri\":\"$url/openid/v1/jwks\""*) ;;
*) fail "jwks_uri" "$(c "$url/.well-known/openid-configuration")" ;;
esac
want "${url##*:}" get service kubernetes -o 'jsonpath={.spec.ports[0].targetPort}'
exit $bad
