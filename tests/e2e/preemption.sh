#!/bin/sh
# Room for pods of higher priority, and what a node has beside cpu and memory; with the real kubectl, on nodes that are only objects. usage: preemption.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl curl
start_server
node() { # NAME FOOS
    printf '{"apiVersion":"v1","kind":"Node","metadata":{"name":"%s"}}' "$1" | k create -f - >/dev/null
    k patch node "$1" --subresource=status --type=merge -p "{\"status\":{\"allocatable\":{\"cpu\":\"8\",\"memory\":\"8Gi\",\"pods\":\"100\",\"example.com/foo\":\"$2\"},
        \"capacity\":{\"cpu\":\"8\",\"memory\":\"8Gi\",\"pods\":\"100\",\"example.com/foo\":\"$2\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}" >/dev/null
    k taint node "$1" node.kubernetes.io/not-ready- >/dev/null
}
pod() { # NAME CLASS FOOS GRACE [MORE]; nobody renews these nodes' leases: whatever that brings is tolerated
    printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s"},"spec":{"priorityClassName":"%s","terminationGracePeriodSeconds":%s,"tolerations":[{"operator":"Exists"}],%s"containers":[{"name":"c","image":"i",
        "resources":{"requests":{"example.com/foo":"%s"},"limits":{"example.com/foo":"%s"}}}]}}' "$1" "$2" "$4" "${5:-}" "$3" "$3" | k create -f - >/dev/null
}
where() { k get pod "$1" -o 'jsonpath={.spec.nodeName}'; }
says() { k get pod "$1" -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}'; }
for class in low:10 middle:100 high:1000; do k create priorityclass "${class%:*}" --value="${class#*:}" >/dev/null; done
k create priorityclass polite --value=1000 --preemption-policy=Never >/dev/null
for _ in $(seq 100); do k get serviceaccount default >/dev/null && break; sleep 0.1; done
node n1 5

pod big low 6 0
soon "a resource that is neither cpu nor memory is counted" "0/1 nodes are available: 1 Insufficient example.com/foo. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling." says big
k delete pod big >/dev/null
pod a low 2 0
pod b middle 2 0
soon "the first" n1 where a
soon "the second" n1 where b

pod quiet polite 2 0
soon "preemptionPolicy Never waits" "preemption: not eligible due to preemptionPolicy=Never." says quiet
k delete pod quiet >/dev/null
is "and nobody went" "a b" "$(k get pods -o 'jsonpath={.items[*].metadata.name}')"

pod c high 2 0
soon "a pod of higher priority gets room" n1 where c
has "of the least important, and no more" "b c" "$(k get pods -o 'jsonpath={.items[*].metadata.name}')"
has "with a word about it" "Preempted by pod $(k get pod c -o 'jsonpath={.metadata.uid}') on node n1" "$(k get events --field-selector reason=Preempted -o 'jsonpath={.items[*].message}')"

k delete pod b c >/dev/null
pod slow low 4 600
soon "one that takes its time" n1 where slow
pod d high 4 0
soon "it is told to go" "PreemptionByScheduler default-scheduler: preempting to accommodate a higher priority pod" \
    k get pod slow -o 'jsonpath={range .status.conditions[?(@.type=="DisruptionTarget")]}{.reason} {.message}{end}'
soon "and the room is promised" n1 k get pod d -o 'jsonpath={.status.nominatedNodeName}'
pod late low 2 0
soon "nobody less important takes it" "Insufficient example.com/foo" says late
k delete pod slow --grace-period=0 --force >/dev/null
soon "once it is gone" n1 where d
is "the late one waits on" "" "$(where late)"

node n2 5
soon "another node" n2 where late
pod m middle 4 0
soon "the node whose victims are the least important" n2 where m
is "the other one's pods stay" n1 "$(where d)"

# Disruption budgets: x and y are of equal priority, on two full nodes; whose budget allows nothing stays.
k delete pod --all --grace-period=0 --force >/dev/null
k delete node n1 n2 >/dev/null
node m1 4
pod x low 4 0
soon "one node's pod" m1 where x
node m2 4
pod y low 4 0
soon "the other one's" m2 where y
k label pod x guarded=yes >/dev/null
k create poddisruptionbudget guard --selector=guarded=yes --min-available=1 >/dev/null
soon "a budget that allows nothing" 0/1 k get pdb guard -o 'jsonpath={.status.disruptionsAllowed}/{.status.expectedPods}'
pod z high 4 0
soon "the pod that no budget guards goes" m2 where z
pod more high 4 0
soon "and when there is no other, the guarded one" m1 where more
is "it is gone" "" "$(k get pod x -o name --ignore-not-found)"

# A nomination is taken by someone more important, and given up when there is nothing to wait for.
k delete pod --all --grace-period=0 --force >/dev/null
k delete node m2 >/dev/null
pod held low 4 600
soon "a pod that takes its time" m1 where held
pod first middle 4 0
soon "one is nominated" m1 k get pod first -o 'jsonpath={.status.nominatedNodeName}'
soon "and says what it waits for" "not eligible due to a terminating pod on the nominated node." says first
pod second high 4 0
soon "then one that is more important" m1 k get pod second -o 'jsonpath={.status.nominatedNodeName}'
soon "the first is nominated no more" "[]" sh -c "echo \"[\$($kubectl get pod first -o 'jsonpath={.status.nominatedNodeName}')]\""
k delete pod held --grace-period=0 --force >/dev/null
soon "the room is the second's" m1 where second
is "not the first's" "" "$(where first)"
exit $bad
