#!/bin/sh
# Rules between pods: affinity, spreading, what pods prefer, what wakes those that wait, and preemption beside all that; with the real kubectl, on nodes that are only objects.
# usage: scheduling.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl curl
start_server
node() { # NAME ZONE
    printf '{"apiVersion":"v1","kind":"Node","metadata":{"name":"%s","labels":{"kubernetes.io/hostname":"%s","topology.kubernetes.io/zone":"%s"}}}' "$1" "$1" "$2" | k create -f - >/dev/null
    k patch node "$1" --subresource=status --type=merge -p '{"status":{"allocatable":{"cpu":"8","memory":"16Gi","pods":"100"},"capacity":{"cpu":"8","memory":"16Gi","pods":"100"},
        "conditions":[{"type":"Ready","status":"True"}]}}' >/dev/null
    k taint node "$1" node.kubernetes.io/not-ready- >/dev/null
}
# Nobody renews these nodes' leases: what that brings is tolerated.
tolerant='"terminationGracePeriodSeconds":0,"tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists"},{"key":"node.kubernetes.io/unreachable","operator":"Exists"}]'
pod() { # NAME APP SPEC...: spec members, with a comma behind each
    printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","labels":{"app":"%s"}},"spec":{%s %s,"containers":[{"name":"c","image":"i"}]}}' "$1" "$2" "$3" "$tolerant" | k create -f - >/dev/null
}
where() { k get pod "$1" -o 'jsonpath={.spec.nodeName}'; }
says() { k get pod "$1" -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].reason} {.status.conditions[?(@.type=="PodScheduled")].message}'; }
events() { k get events --field-selector "reason=FailedScheduling,involvedObject.name=$1" -o 'jsonpath={.items[*].message}'; }
clear_pods() { k delete deployment,pod --all --grace-period=0 --force >/dev/null; }
term() { printf '{"topologyKey":"%s","labelSelector":{"matchLabels":{"app":"%s"}}%s}' "$1" "$2" "${3:-}"; } # KEY APP [MORE]
must() { printf '"affinity":{"%s":{"requiredDuringSchedulingIgnoredDuringExecution":[%s]}},' "$1" "$2"; }
host=kubernetes.io/hostname zone=topology.kubernetes.io/zone
for _ in $(seq 100); do k get serviceaccount default >/dev/null && break; sleep 0.1; done
node a x
node b x
node c y

# Four at the same moment, each on a node of its own: there are three.
printf '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"apart"},"spec":{"replicas":4,"selector":{"matchLabels":{"app":"apart"}},"template":{"metadata":{"labels":{"app":"apart"}},
    "spec":{%s %s,"containers":[{"name":"c","image":"i"}]}}}}' "$(must podAntiAffinity "$(term $host apart)")" "$tolerant" | k create -f - >/dev/null
placed() { k get pods -l app=apart -o 'jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort | tr '\n' ' '; }
settles "pods that keep apart" " a b c " 30 placed
left=$(k get pods -l app=apart -o 'jsonpath={range .items[*]}{.metadata.name}={.spec.nodeName}{"\n"}{end}' | sed -n 's/=$//p')
soon "one is left, and says why" "Unschedulable 0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. no new claims to deallocate, preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod." says "$left"
soon "as an event too" "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules." events "$left"
k scale deployment apart --replicas=0 >/dev/null
none "they go" k get pods -l app=apart -o name
clear_pods

# The same with claims, when room comes for all of them in one moment: while the first one's is being bound, the others know where it will be.
k cordon a b c >/dev/null
{
    echo '{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"local"},"provisioner":"kubernetes.io/no-provisioner","volumeBindingMode":"WaitForFirstConsumer"}'
    for n in a b c; do
        for i in 1 2 3; do
            printf '{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"%s-%s"},"spec":{"storageClassName":"local","capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"local":{"path":"/x"},
                "nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"kubernetes.io/hostname","operator":"In","values":["%s"]}]}]}}}}\n' $n $i $n
        done
    done
    printf '{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"kept"},"spec":{"replicas":3,"serviceName":"kept","podManagementPolicy":"Parallel","selector":{"matchLabels":{"app":"kept"}},
        "volumeClaimTemplates":[{"metadata":{"name":"v"},"spec":{"storageClassName":"local","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Mi"}}}}],
        "template":{"metadata":{"labels":{"app":"kept"}},"spec":{%s %s,"containers":[{"name":"c","image":"i"}]}}}}\n' "$(must podAntiAffinity "$(term $host kept)")" "$tolerant"
} | k create -f - >/dev/null
with_volumes() { k get pods -l app=kept -o 'jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort | tr '\n' ' '; }
waiting() { k get pods -l app=kept -o 'jsonpath={range .items[*]}{.status.conditions[0].reason}{"\n"}{end}' | grep -c Unschedulable; }
settles "there is no room yet" 3 30 waiting
k uncordon a >/dev/null
settles "one gets the first node" "  a " 30 with_volumes
k uncordon b c >/dev/null
settles "pods with volumes that keep apart" "a b c " 30 with_volumes
k delete statefulset kept --cascade=orphan >/dev/null
clear_pods
k delete pvc --all >/dev/null
k create -f - >/dev/null <<END
{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"near"},"spec":{"replicas":2,"serviceName":"near","podManagementPolicy":"Parallel","selector":{"matchLabels":{"app":"kept"}},
    "volumeClaimTemplates":[{"metadata":{"name":"v"},"spec":{"storageClassName":"local","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Mi"}}}}],
    "template":{"metadata":{"labels":{"app":"kept"}},"spec":{$(must podAffinity "$(term $host kept)") $tolerant,"containers":[{"name":"c","image":"i"}]}}}}
END
together() { with_volumes | tr ' ' '\n' | grep . | uniq -c | sed 's/ *\([0-9]*\).*/\1/'; }
settles "pods with volumes that keep together" 2 30 together
k delete statefulset near --cascade=orphan >/dev/null
clear_pods

pod guard db "$(must podAntiAffinity "$(term $zone web)")\"nodeName\":\"c\","
pod unwanted web "\"nodeSelector\":{\"$zone\":\"y\"},"
soon "what runs does not want it near" "1 node(s) didn't satisfy existing pods anti-affinity rules, 2 node(s) didn't match Pod's node affinity/selector." says unwanted
k label pod unwanted app=other --overwrite >/dev/null
soon "until it is another" c where unwanted
clear_pods

# What they wait for.
pod near web "$(must podAffinity "$(term $zone db)")"
soon "nobody to be near" "3 node(s) didn't match pod affinity rules." says near
pod db db "\"nodeSelector\":{\"$host\":\"c\"},"
soon "somebody comes" c where near
pod first alone "$(must podAffinity "$(term $zone alone)")"
eventually "the first of its kind may begin" 30 sh -c "$kubectl get pod first -o 'jsonpath={.spec.nodeName}' | grep ."
pod rack web "$(must podAffinity "$(term rack db)")"
soon "no node has that label" "3 node(s) didn't match pod affinity rules." says rack
k label node c rack=one >/dev/null
soon "one gets it" c where rack
k create namespace other >/dev/null
pod teams web "$(must podAffinity "$(term $host guest ',"namespaceSelector":{"matchLabels":{"team":"red"}}')")"
for _ in $(seq 100); do k get serviceaccount default -n other >/dev/null && break; sleep 0.1; done
printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"guest","namespace":"other","labels":{"app":"guest"}},"spec":{"nodeName":"b",%s,"containers":[{"name":"c","image":"i"}]}}' "$tolerant" | k create -f - >/dev/null
soon "another namespace's pods" "3 node(s) didn't match pod affinity rules." says teams
k label namespace other team=red >/dev/null
soon "count by its labels" b where teams
clear_pods

# Spreading.
printf '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"wide"},"spec":{"replicas":6,"selector":{"matchLabels":{"app":"wide"}},"template":{"metadata":{"labels":{"app":"wide"}},
    "spec":{"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"%s","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":"wide"}}}],%s,"containers":[{"name":"c","image":"i"}]}}}}' \
    $zone "$tolerant" | k create -f - >/dev/null
on_c() { k get pods -l app=wide -o 'jsonpath={.items[*].spec.nodeName}' | tr ' ' '\n' | awk '{ if ($0 == "c") y++; else if ($0 != "") x++ } END { print x + 0, y + 0 }'; }
settles "as many in each zone" "3 3" 30 on_c
pod more wide "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"$zone\",\"whenUnsatisfiable\":\"DoNotSchedule\",\"minDomains\":3,\"labelSelector\":{\"matchLabels\":{\"app\":\"wide\"}}}],"
soon "a third zone is wanted" "3 node(s) didn't match pod topology spread constraints." says more
node d z
soon "and there it goes" d where more
k delete deployment wide >/dev/null
clear_pods
pod revision web "\"topologySpreadConstraints\":[{\"maxSkew\":1,\"topologyKey\":\"$zone\",\"whenUnsatisfiable\":\"ScheduleAnyway\",\"matchLabelKeys\":[\"app\"],\"labelSelector\":{}}],"
is "keys of labels become part of the selector" '[{"key":"app","operator":"In","values":["web"]}]' "$(k get pod revision -o 'jsonpath={.spec.topologySpreadConstraints[0].labelSelector.matchExpressions}')"

# What is preferred. d is the emptiest node all along.
clear_pods
prefer() { printf '"affinity":{"%s":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,%s}]}},' "$1" "$2"; }
pod wish web "$(prefer nodeAffinity "\"preference\":{\"matchExpressions\":[{\"key\":\"$host\",\"operator\":\"In\",\"values\":[\"b\"]}]}")"
soon "a node that it prefers" b where wish
pod beside web "$(prefer podAffinity "\"podAffinityTerm\":$(term $host web)")"
soon "beside another" b where beside
k taint node c d soft=yes:PreferNoSchedule >/dev/null
pod away other "$(prefer podAntiAffinity "\"podAffinityTerm\":$(term $host web)")"
soon "away from others, and from nodes that would rather not" a where away
k taint node c d soft- >/dev/null
clear_pods
k create service clusterip wide --tcp=80 >/dev/null
for i in 1 2 3 4; do pod s$i wide ""; done
settles "a Service's pods are spread unasked" "a b c d " 30 sh -c "$kubectl get pods -l app=wide -o 'jsonpath={range .items[*]}{.spec.nodeName}{\"\\n\"}{end}' | sort | tr '\n' ' '"
clear_pods

# Preemption: who is in the way goes, who is needed stays.
k create priorityclass low --value=10 >/dev/null
k create priorityclass high --value=1000 >/dev/null
for n in a b c d; do pod "low-$n" "low" "\"priorityClassName\":\"low\",\"nodeSelector\":{\"$host\":\"$n\"},"; done
soon "one on each node" d where low-d
pod high web "\"priorityClassName\":\"high\",\"nodeSelector\":{\"$zone\":\"z\"},$(must podAntiAffinity "$(term $host low)")"
soon "it has to be away from those of low priority" d where high
is "one is gone" "" "$(k get pod low-d -o name --ignore-not-found)"
pod needs web "\"priorityClassName\":\"high\",\"nodeSelector\":{\"$zone\":\"y\"},\"affinity\":{\"podAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[$(term $host low)]},
    \"podAntiAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":[$(term $host low)]}},"
soon "what it needs does not go for it" "1 node(s) didn't match pod anti-affinity rules, 3 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/4 nodes are available: 1 node(s) didn't match pod affinity rules, 3 Preemption is not helpful for scheduling." says needs
is "it is there" c "$(where low-c)"
exit $bad
