#!/bin/sh
# Pods that want devices (resource.k8s.io): which devices of which node they get, what they are told when there are none, and that devices are given back.
# No node runs: kubectl plays it. usage: devices-schedule.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/e2e/lib/server.sh"
needs kubectl
sed 's|settings = { ca = "$(ca)";|settings = { node_grace = "10h"; ca = "$(ca)";|' "$root/conf/keelson.cfg" >"$dir/keelson.cfg"
grep -q node_grace "$dir/keelson.cfg" || exit 1
server_flags="--config $dir/keelson.cfg --plugins $build/plugins"
start_server
for n in n1 n2; do
    printf 'apiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {zone: %s}}\n' $n z$n | k apply -f - >/dev/null
    k patch node $n --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"True"}],
        "allocatable":{"cpu":"80","memory":"8Gi","pods":"110"},"capacity":{"cpu":"80","memory":"8Gi","pods":"110"}}}' >/dev/null
done
k create namespace d >/dev/null
k label namespace d resource.kubernetes.io/admin-access=true >/dev/null

# slice NAME DRIVER POOL WHERE DEVICES [OF]: one of OF slices of the pool, or what is written for devices.
slice() {
    printf '{"apiVersion":"resource.k8s.io/v1","kind":"ResourceSlice","metadata":{"name":"%s"},"spec":{"driver":"%s","pool":{"name":"%s","generation":%s,"resourceSliceCount":%s},%s,%s}}' \
        "$1" "$2" "$3" "${generation:-1}" "${6:-1}" "$4" "$5" | k apply -f - >"$dir/applied" || fail "slice $1" "$(cat "$dir/applied")"
}
class() { # NAME DRIVER [MORE]
    printf '{"apiVersion":"resource.k8s.io/v1","kind":"DeviceClass","metadata":{"name":"%s"},"spec":{"selectors":[{"cel":{"expression":"device.driver == '"'%s'"'"}}]%s}}' \
        "$1" "$2" "${3:-}" | k apply -f - >"$dir/applied" || fail "class $1" "$(cat "$dir/applied")"
}
claim() { # NAME SPEC-OF-DEVICES
    printf '{"apiVersion":"resource.k8s.io/v1","kind":"ResourceClaim","metadata":{"name":"%s","namespace":"d"},"spec":{"devices":%s}}' "$1" "$2" |
        k create -f - >"$dir/applied" || fail "claim $1" "$(cat "$dir/applied")"
}
pod() { # NAME CLAIM...
    pod=$1 list=
    shift
    for x in "$@"; do list="$list${list:+,}{\"name\":\"$x\",\"resourceClaimName\":\"$x\"}"; done
    printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","namespace":"d"},"spec":{"resourceClaims":[%s],"containers":[{"name":"c","image":"x"}]%s}}' "$pod" "$list" "${more:-}" |
        k create -f - >"$dir/applied" || fail "pod $pod" "$(cat "$dir/applied")"
}
results() { k get resourceclaim "$1" -n d -o 'jsonpath={range .status.allocation.devices.results[*]}{.request}={.pool}/{.device} {end}'; }
# gets WHAT CLAIM "REQUEST=POOL/DEVICE ..." SPEC: a claim and a pod of its name, what they get; N is the pool of the node's name. Sets node.
gets() {
    claim "$2" "$4"
    pod "$2" "$2"
    soon "$1" "n" k get pod "$2" -n d -o 'jsonpath={.spec.nodeName}'
    node=$(k get pod "$2" -n d -o 'jsonpath={.spec.nodeName}')
    is "$1: devices" "$3 " "$(results "$2" | sed "s|=$node/|=N/|g")"
}
# waits WHAT CLAIM MESSAGE SPEC: they do not.
waits() {
    [ -z "$4" ] || claim "$2" "$4"
    pod "$2" "$2"
    soon "$1" "$3" k get pod "$2" -n d -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}'
}
# Away with a pod and its claim, and its devices are free again.
away() {
    for x in "$@"; do k delete pod "$x" -n d --force --grace-period=0 >/dev/null 2>&1; done
    for x in "$@"; do
        soon "$x is given back" "{}" k get resourceclaim "$x" -n d -o 'jsonpath={.status}'
        k delete resourceclaim "$x" -n d >/dev/null
    done
}
request() { # CLASS [MORE]
    printf '{"requests":[{"name":"r","exactly":{"deviceClassName":"%s"%s}}]}' "$1" "${2:-}"
}
cel() { printf ',"selectors":[{"cel":{"expression":"%s"}}]' "$1"; }
device() { # NAME [MORE]
    printf '{"name":"%s"%s}' "$1" "${2:-}"
}
attributes() { # MODEL NUMA
    printf ',"attributes":{"model":{"string":"%s"},"numa":{"int":%s}}' "$1" "$2"
}

# --- classes and selectors, counts, nobody has what another has ---
class gpu gpu.example.com
for n in n1 n2; do
    slice $n-gpu gpu.example.com $n "\"nodeName\":\"$n\"" "\"devices\":[$(device g0 "$(attributes a 0),\"capacity\":{\"memory\":{\"value\":\"16Gi\"}}"),$(device g1 "$(attributes b 0)"),$(device g2 "$(attributes b 1)")]"
done
waits "no class" none '0/2 nodes are available: request r: device class none does not exist.' "$(request none)"
class none none.example.com
soon "a class that comes is seen" "2 cannot allocate all claims." k get pod none -n d -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}'
pod lonely missing
soon "no claim" 'could not find v1.ResourceClaim "d/missing"' k get pod lonely -n d -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}'
claim missing "$(request gpu "$(cel "device.attributes['gpu.example.com'].model == 'a'")")"
soon "a claim that comes is seen" n k get pod lonely -n d -o 'jsonpath={.spec.nodeName}'
first=$(k get pod lonely -n d -o 'jsonpath={.spec.nodeName}')
is "the only such device" "r=$first/g0 " "$(results missing)"
is "its node alone" "metadata.name In [\"$first\"]" "$(k get resourceclaim missing -n d -o 'jsonpath={.status.allocation.nodeSelector.nodeSelectorTerms[0].matchFields[0].key} {.status.allocation.nodeSelector.nodeSelectorTerms[0].matchFields[0].operator} {.status.allocation.nodeSelector.nodeSelectorTerms[0].matchFields[0].values}')"
is "reserved" "pods lonely $(k get pod lonely -n d -o 'jsonpath={.metadata.uid}') [\"resource.kubernetes.io/delete-protection\"]" \
    "$(k get resourceclaim missing -n d -o 'jsonpath={.status.reservedFor[0].resource} {.status.reservedFor[0].name} {.status.reservedFor[0].uid} {.metadata.finalizers}')"
pod guest missing
soon "a claim is shared where it is" "$first" k get pod guest -n d -o 'jsonpath={.spec.nodeName}'
soon "by both" "lonely guest" k get resourceclaim missing -n d -o 'jsonpath={.status.reservedFor[*].name}'
gets "the other node's" other "r=N/g0" "$(request gpu "$(cel "'memory' in device.capacity['gpu.example.com'] && device.capacity['gpu.example.com'].memory.compareTo(quantity('10Gi')) >= 0")")"
is "which is another" no "$([ "$node" = "$first" ] || echo no)"
waits "nothing is left" third '0/2 nodes are available: 2 cannot allocate all claims.' "$(request gpu "$(cel "device.attributes['gpu.example.com'].model == 'a'")")"
k delete pod lonely -n d --force --grace-period=0 >/dev/null 2>&1
soon "one user goes" guest k get resourceclaim missing -n d -o 'jsonpath={.status.reservedFor[*].name}'
k delete pod guest -n d --force --grace-period=0 >/dev/null 2>&1
soon "what is given back is taken" "$first" k get pod third -n d -o 'jsonpath={.spec.nodeName}'
k delete resourceclaim missing -n d >/dev/null
k delete pod wrong none -n d --force --grace-period=0 >/dev/null 2>&1
k delete resourceclaim none -n d >/dev/null
waits "an expression without a value" wrong "claim d/wrong: selector #0: CEL runtime error: no such key: none" "$(request gpu "$(cel "device.attributes['gpu.example.com'].none == 1")")"
k delete pod wrong -n d --force --grace-period=0 >/dev/null 2>&1
k delete resourceclaim wrong -n d >/dev/null
away other third

# --- how many, and which together ---
gets "two" two "r=N/g1 r=N/g2" "$(request gpu "$(cel "device.attributes['gpu.example.com'].model == 'b'"),\"count\":2")"
gets "all of a node" all "r=N/g0 r=N/g1 r=N/g2" "$(request gpu ',"allocationMode":"All"')"
waits "more than there are" four 'cannot allocate all claims' "$(request gpu ',"count":4')"
k delete pod four -n d --force --grace-period=0 >/dev/null 2>&1
k delete resourceclaim four -n d >/dev/null
away two all
two_of() { # CONSTRAINT
    printf '{"requests":[{"name":"a","exactly":{"deviceClassName":"gpu"}},{"name":"b","exactly":{"deviceClassName":"gpu"}}],"constraints":[{%s}]}' "$1"
}
gets "the same attribute" same "a=N/g1 b=N/g2" "$(two_of '"requests":["a","b"],"matchAttribute":"gpu.example.com/model"')"
gets "different attributes" different "a=N/g0 b=N/g1" "$(two_of '"distinctAttribute":"gpu.example.com/model"')"
away same different
gets "a constraint of one request" one "a=N/g0 b=N/g1" "$(two_of '"requests":["a"],"matchAttribute":"gpu.example.com/model"')"
away one
first_of='{"requests":[{"name":"r","firstAvailable":[{"name":"big","deviceClassName":"gpu","count":3,"selectors":[{"cel":{"expression":"device.attributes['"'gpu.example.com'"'].model == '"'a'"'"}}]},{"name":"small","deviceClassName":"gpu","count":2}]}],
"constraints":[{"requests":["r/small"],"matchAttribute":"gpu.example.com/numa"}],"config":[{"requests":["r/big"],"opaque":{"driver":"gpu.example.com","parameters":{"of":"big"}}},{"requests":["r"],"opaque":{"driver":"gpu.example.com","parameters":{"of":"r"}}}]}'
gets "the first of several that there is" several "r/small=N/g0 r/small=N/g1" "$first_of"
is "with its configuration" 'FromClaim [\"r\"] {\"of\":\"r\"} ' "$(k get resourceclaim several -n d -o 'jsonpath={range .status.allocation.devices.config[*]}{.source} {.requests} {.opaque.parameters} {end}' | sed 's/"/\\"/g')"
away several

# --- taints, administrators, configuration of classes ---
class bad bad.example.com ',"config":[{"opaque":{"driver":"bad.example.com","parameters":{"of":"class"}}}]'
slice bad bad.example.com all '"allNodes":true' "\"devices\":[$(device t0 ',"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]'),$(device t1 ',"taints":[{"key":"quiet","effect":"None"}]')]"
gets "a taint that says nothing" quiet "r=all/t1" "$(request bad)"
waits "a taint" tainted "cannot allocate all claims" "$(request bad)"
gets "a toleration" tolerant "r=all/t0" "$(request bad ',"tolerations":[{"key":"k","operator":"Exists"}]')"
is "anywhere, told by whom, and how" "[] k FromClass [\"r\"]" "$(k get resourceclaim tolerant -n d -o 'jsonpath=[{.status.allocation.nodeSelector}] {.status.allocation.devices.results[0].tolerations[0].key} {.status.allocation.devices.config[0].source} {.status.allocation.devices.config[0].requests}')"
gets "an administrator" root "r=all/t1" "$(request bad ',"adminAccess":true')"
away quiet
soon "the tainted one waited for it" n k get pod tainted -n d -o 'jsonpath={.spec.nodeName}'
away tolerant root tainted

# --- a device breaks while a pod has it ---
class worn worn.example.com
slice worn worn.example.com w '"nodeName":"n1"' "\"devices\":[$(device w0)]"
gets "a device that will break" breaks "r=w/w0" "$(request worn)"
generation=2 slice worn worn.example.com w '"nodeName":"n1"' "\"devices\":[$(device w0 ',"taints":[{"key":"broken","effect":"NoExecute"}]')]"
soon "a taint says since when" Z k get resourceslice worn -o 'jsonpath={.spec.devices[0].taints[0].timeAdded}'
soon "the pod has to leave" DeletionByDeviceTaintManager k get pod breaks -n d -o 'jsonpath={.status.conditions[?(@.type=="DisruptionTarget")].reason}'
soon "it is deleted" Z k get pod breaks -n d -o 'jsonpath={.metadata.deletionTimestamp}'
soon "and told" "Marking for deletion device-taint-eviction-controller" k get events -n d --field-selector reason=DeviceTaintManagerEviction -o 'jsonpath={.items[*].message} {.items[*].source.component}'
away breaks

# --- pools: of several slices, incomplete, of another generation; devices of some nodes only ---
class pool pool.example.com
slice pool-1 pool.example.com p '"nodeName":"n1"' "\"devices\":[$(device d0)]" 2
waits "half a pool" half "cannot allocate all claims" "$(request pool)"
slice pool-2 pool.example.com p '"nodeName":"n1"' "\"devices\":[$(device d1)]" 2
soon "the whole pool" n1 k get pod half -n d -o 'jsonpath={.spec.nodeName}'
generation=2 slice pool-1 pool.example.com p '"nodeName":"n1"' "\"devices\":[$(device d2)]" 1
gets "a newer generation" newer "r=p/d2" "$(request pool)"
away half newer
class zone zone.example.com
slice zone zone.example.com z '"perDeviceNodeSelection":true' "\"devices\":[$(device on2 ',"nodeName":"n2"'),$(device in1 ',"nodeSelector":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"zone","operator":"In","values":["zn1"]}]}]}'),$(device all ',"allNodes":true')]"
more=',"nodeSelector":{"zone":"zn2"}'
gets "a device of one node" zone1 "r=z/on2" "$(request zone)"
gets "a device of all" zone2 "r=z/all" "$(request zone)"
is "which binds nobody" "[]" "$(k get resourceclaim zone2 -n d -o 'jsonpath=[{.status.allocation.nodeSelector}]')"
more=',"nodeSelector":{"zone":"zn1"}'
gets "a device of some nodes" zone3 "r=z/in1" "$(request zone)"
is "which says where" "zone In [\"zn1\"]" "$(k get resourceclaim zone3 -n d -o 'jsonpath={.status.allocation.nodeSelector.nodeSelectorTerms[0].matchExpressions[0].key} {.status.allocation.nodeSelector.nodeSelectorTerms[0].matchExpressions[0].operator} {.status.allocation.nodeSelector.nodeSelectorTerms[0].matchExpressions[0].values}')"
more=
away zone1 zone2 zone3

# --- parts of a device, and partitions of one ---
class part part.example.com
slice part part.example.com s '"nodeName":"n1"' "\"devices\":[$(device s0 ',"allowMultipleAllocations":true,"capacity":{"memory":{"value":"8Gi","requestPolicy":{"default":"1Gi","validRange":{"min":"1Gi","step":"1Gi"}}}}')]"
memory() { printf ',"capacity":{"requests":{"memory":"%s"}}' "$1"; }
gets "a part" part1 "r=s/s0" "$(request part "$(memory 2560Mi)")"
is "rounded up" 3Gi "$(k get resourceclaim part1 -n d -o 'jsonpath={.status.allocation.devices.results[0].consumedCapacity.memory}')"
case "$(k get resourceclaim part1 -n d -o 'jsonpath={.status.allocation.devices.results[0].shareID}')" in ????????-????-4???-????-????????????) ;; *) fail "a part has a name of its own" ;; esac
gets "the usual part" part2 "r=s/s0" "$(request part)"
is "as it is said" 1Gi "$(k get resourceclaim part2 -n d -o 'jsonpath={.status.allocation.devices.results[0].consumedCapacity.memory}')"
waits "more than is left" part3 "cannot allocate all claims" "$(request part "$(memory 5Gi)")"
away part2
soon "until some is given back" n1 k get pod part3 -n d -o 'jsonpath={.spec.nodeName}'
away part1 part3
class split split.example.com
slice split-1 split.example.com c '"nodeName":"n1"' '"sharedCounters":[{"name":"set","counters":{"memory":{"value":"8Gi"}}}]' 2
takes() { printf ',"consumesCounters":[{"counterSet":"set","counters":{"memory":{"value":"%s"}}}]' "$1"; }
slice split-2 split.example.com c '"nodeName":"n1"' "\"devices\":[$(device whole "$(takes 8Gi)"),$(device half-1 "$(takes 4Gi)"),$(device half-2 "$(takes 4Gi)")]" 2
gets "the whole" split1 "r=c/whole" "$(request split)"
waits "nothing is left of it" split2 "cannot allocate all claims" "$(request split)"
k delete pod split2 -n d --force --grace-period=0 >/dev/null 2>&1
k delete resourceclaim split2 -n d >/dev/null
away split1
gets "both halves" split3 "r=c/half-1 r=c/half-2" "$(request split ',"count":2')"
waits "and no whole" split4 "cannot allocate all claims" "$(request split)"
k delete pod split4 -n d --force --grace-period=0 >/dev/null 2>&1
k delete resourceclaim split4 -n d >/dev/null
away split3

# --- devices that must be made ready, and an allocation that stands in the way ---
class slow slow.example.com
slice slow slow.example.com w '"allNodes":true' "\"devices\":[$(device w0 ',"bindingConditions":["attached"],"bindingFailureConditions":["broken"]')]"
claim slow "$(request slow)"
pod slow slow
soon "it is allocated" w0 k get resourceclaim slow -n d -o 'jsonpath={.status.allocation.devices.results[0].device}'
is "and waited for" "[]" "$(k get pod slow -n d -o 'jsonpath=[{.spec.nodeName}]')"
state() { # CONDITION
    printf '{"status":{"devices":[{"driver":"slow.example.com","pool":"w","device":"w0","conditions":[{"type":"%s","status":"True","reason":"R","message":"","lastTransitionTime":"%s"}]}]}}' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
}
k patch resourceclaim slow -n d --subresource=status --type=merge -p "$(state broken)" >/dev/null
soon "what breaks is given up and tried again" "w0 []" k get resourceclaim slow -n d -o 'jsonpath={.status.allocation.devices.results[0].device} [{.status.devices}]'
k patch resourceclaim slow -n d --subresource=status --type=merge -p "$(state attached)" >/dev/null
soon "what is ready is bound" n k get pod slow -n d -o 'jsonpath={.spec.nodeName}'
away slow
claim stray "$(request gpu)"
k patch resourceclaim stray -n d --subresource=status --type=merge -p '{"status":{"allocation":{"devices":{"results":[{"request":"r","driver":"gpu.example.com","pool":"gone","device":"g"}]},"nodeSelector":{"nodeSelectorTerms":[{"matchFields":[{"key":"metadata.name","operator":"In","values":["gone"]}]}]}}}}' >/dev/null
pod stray stray
soon "an allocation for a node that is not there is given up" n k get pod stray -n d -o 'jsonpath={.spec.nodeName}'
is "for one that is" "r=$(k get pod stray -n d -o 'jsonpath={.spec.nodeName}')/g0 " "$(results stray)"
away stray

# --- what is allocated is known after a restart ---
more=',"nodeSelector":{"zone":"zn1"}'
gets "before a restart" kept "r=N/g0" "$(request gpu)"
kill "$pid"
wait "$pid"
start_server
gets "behind it" next "r=N/g1" "$(request gpu)"
exit $bad
