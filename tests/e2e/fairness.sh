#!/bin/sh
# Priority and fairness: the objects every cluster has and how they are kept, conditions, headers, 429, queues, and a noisy user who cannot
# starve a quiet one. usage: fairness.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
. "$here/lib/server.sh"
needs kubectl
start_server
comes "catch-all" k get flowschemas
comes "Found" k get flowschema global-default -o yaml
want "service-accounts               workload-low      9000                 ByUser" get flowschemas
want "workload-low      Limited   100                        128      6          50" get prioritylevelconfigurations
[ "$(k get flowschemas -o name | wc -l)" = 11 ] || fail "11 flow schemas" "$(k get flowschemas)"
[ "$(k get prioritylevelconfigurations -o name | wc -l)" = 8 ] || fail "8 priority levels" "$(k get prioritylevelconfigurations)"
# Headers on every answer, also of what fails.
level=$(k get prioritylevelconfiguration exempt -o 'jsonpath={.metadata.uid}')
schema=$(k get flowschema exempt -o 'jsonpath={.metadata.uid}')
for path in /api/v1/namespaces /api/v1/namespaces/nothing /apis/none/v1/x; do
    head=$(c -D - -o /dev/null "$url$path")
    case "$head" in
    *"x-kubernetes-pf-flowschema-uid: $schema"*"x-kubernetes-pf-prioritylevel-uid: $level"*) ;;
    *) fail "headers of $path" "$head" ;;
    esac
done
# What is mandatory is put right, what is suggested unless somebody says otherwise.
k delete flowschema catch-all probes >/dev/null
comes "10000" k get flowschema catch-all -o yaml
comes "/livez" k get flowschema probes -o yaml
k patch prioritylevelconfiguration catch-all --type merge -p '{"spec":{"limited":{"nominalConcurrencyShares":77}}}' >/dev/null
comes "5" k get prioritylevelconfiguration catch-all -o 'jsonpath={.spec.limited.nominalConcurrencyShares}'
k patch prioritylevelconfiguration system --type merge -p '{"spec":{"limited":{"nominalConcurrencyShares":77}}}' >/dev/null
comes "30" k get prioritylevelconfiguration system -o 'jsonpath={.spec.limited.nominalConcurrencyShares}'
k patch prioritylevelconfiguration node-high --type merge -p '{"metadata":{"annotations":{"apf.kubernetes.io/autoupdate-spec":"false"}},"spec":{"limited":{"nominalConcurrencyShares":77}}}' >/dev/null
k delete flowschema system-nodes >/dev/null
comes "500" k get flowschema system-nodes -o yaml
want "77" get prioritylevelconfiguration node-high -o 'jsonpath={.spec.limited.nominalConcurrencyShares}'
# A schema says whether its level is there.
printf '{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"FlowSchema","metadata":{"name":"lost"},"spec":{"priorityLevelConfiguration":{"name":"later"}}}' |
    k create -f - >/dev/null
comes "True NotFound" k get flowschema lost -o 'jsonpath={.status.conditions[0].status} {.status.conditions[0].reason}'
want 'named "later" but there is no such object' get flowschema lost -o 'jsonpath={.status.conditions[0].message}'
want "1000" get flowschema lost -o 'jsonpath={.spec.matchingPrecedence}'
printf '{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"PriorityLevelConfiguration","metadata":{"name":"later"},"spec":{"type":"Limited","limited":{"limitResponse":{"type":"Reject"}}}}' |
    k create -f - >/dev/null
comes "False Found" k get flowschema lost -o 'jsonpath={.status.conditions[0].status} {.status.conditions[0].reason}'
# What upstream refuses.
refused() { want "$1" patch flowschema lost --type merge -p "$2"; }
refused "must not be greater than 10000" '{"spec":{"matchingPrecedence":10001}}'
refused "only the schema named 'exempt' may have matchingPrecedence 1" '{"spec":{"matchingPrecedence":1}}'
refused 'Unsupported value: {"Type":"ByMood"}: supported values: "ByNamespace", "ByUser"' '{"spec":{"distinguisherMethod":{"type":"ByMood"}}}'
refused "subjects must contain at least one value" '{"spec":{"rules":[{"subjects":[],"nonResourceRules":[{"verbs":["get"],"nonResourceURLs":["/x"]}]}]}}'
refused "wildcard can only do suffix matching" '{"spec":{"rules":[{"subjects":[{"kind":"User","user":{"name":"a"}}],"nonResourceRules":[{"verbs":["get"],"nonResourceURLs":["/x*"]}]}]}}'
want "should not be greater than queues (2)" patch prioritylevelconfiguration later --type merge -p \
    '{"spec":{"limited":{"limitResponse":{"type":"Queue","queuing":{"queues":2,"handSize":3,"queueLengthLimit":1}}}}}'
want "must be 'Exempt' if and only if \`name\` is 'exempt'" patch prioritylevelconfiguration later --type merge -p '{"spec":{"type":"Exempt","limited":null}}'
# Requests.
want created create serviceaccount noisy
want created create serviceaccount quiet
want created create clusterrolebinding v --clusterrole=cluster-admin --serviceaccount=default:noisy --serviceaccount=default:quiet --user=hal --user=sam
noisy=$(k create token noisy)
quiet=$(k create token quiet)
python3 "$here/fairness.py" "$url" "$dir/state/pki" "$noisy" "$quiet" || fail "fairness.py"
c "$url/metrics" >"$dir/page"
python3 "$here/metrics.py" 'apiserver_flowcontrol_dispatched_requests_total{flow_schema="service-accounts",priority_level="workload-low"} >= 100' \
    'apiserver_flowcontrol_rejected_requests_total{flow_schema="hard",priority_level="hard",reason="concurrency-limit"} >= 1' \
    'apiserver_flowcontrol_request_wait_duration_seconds_count{execute="true",flow_schema="service-accounts"} >= 100' \
    'apiserver_flowcontrol_current_executing_seats{flow_schema="exempt"} >= 1' 'apiserver_flowcontrol_nominal_limit_seats{priority_level="workload-low"} >= 100' \
    'apiserver_flowcontrol_current_inqueue_requests{flow_schema="soft"}' <"$dir/page" || fail "metrics"
exit $bad
