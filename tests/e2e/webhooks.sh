#!/bin/sh
# Admission webhooks: what they refuse and change, what happens when they are slow, gone or wrong, and that nobody else waits for them.
# usage: webhooks.sh BUILD_DIR
# takes long
set -u
# An endpoint's address is never of the loopback network: a network of our own has one more.
[ "${WEBHOOKS_INSIDE:-}" ] || exec env WEBHOOKS_INSIDE=1 unshare -n sh -c 'ip link set lo up && ip addr add 10.99.0.1/32 dev lo && exec sh "$0" "$@"' "$0" "$@"
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
. "$here/lib/hooks.sh"
start_hooks

# With a trail of what is written in one namespace.
mkdir "$dir/conf.d"
cp "$here/../../conf/keelson.cfg" "$dir/keelson.cfg"
echo "instances = ( { plugin = \"audit-log\"; settings = { path = \"$dir/audit.log\"; }; } );" >"$dir/conf.d/audit.cfg"
printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {level: %s, resources: [{group: "", resources: [%s]}], namespaces: [trail], verbs: [create], omitStages: [RequestReceived]}\n' >"$dir/audit.yaml" \
    Request configmaps
printf -- '- {level: Metadata, resources: [{group: "", resources: [secrets]}], namespaces: [trail], verbs: [create], omitStages: [RequestReceived]}\n' >>"$dir/audit.yaml"
server_flags="--config $dir/keelson.cfg --plugins $build/plugins --audit-policy-file $dir/audit.yaml"
start_server
k create namespace trail >/dev/null
k label namespace trail hooked=yes >/dev/null
k create namespace demo >/dev/null
k label namespace demo hooked=yes >/dev/null

# hook KIND NAME PATH [EXTRA]: a configuration with one webhook NAME.example.com for configmaps of demo. EXTRA: more members (", ..." in JSON).
hook() {
    cat <<END | k apply -f - >"$dir/applied" || fail "hook $2" "$(cat "$dir/applied")"
{"apiVersion":"admissionregistration.k8s.io/v1","kind":"$1WebhookConfiguration","metadata":{"name":"$2"},"webhooks":[
{"name":"$2.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","clientConfig":{"url":"https://127.0.0.1:$port$3","caBundle":"$ca"},
"rules":[{"operations":["${operation:-CREATE}"],"apiGroups":["${group:-}"],"apiVersions":["v1"],"resources":["${resource:-configmaps}"]}],
"namespaceSelector":{"matchLabels":{"hooked":"yes"}}${4:-}}]}
END
}
unhook() { k delete "$(echo "$1" | tr A-Z a-z)webhookconfiguration" "$2" >/dev/null; }
make() { k create configmap "$1" -n demo; }
# All in one request: kubectl deletes what a selector finds one by one, at no more than a few a second.
sweep() { c -X DELETE "$url/api/v1/namespaces/demo/configmaps?fieldSelector=metadata.name!%3Dkube-root-ca.crt" >/dev/null; }
# Configurations are seen a moment after they are written. seen PATH: until that one is asked.
seen() {
    for i in $(seq 100); do
        k create configmap "seen-$i" -n demo >/dev/null
        grep -q "^$1 " "$dir/asked" && break
        sleep 0.1
    done
    sweep
    : >"$dir/asked"
}
# Until no webhook is asked any more.
unseen() {
    for i in $(seq 100); do
        : >"$dir/asked"
        k create configmap "unseen-$i" -n demo >/dev/null 2>&1 && [ ! -s "$dir/asked" ] && break
        sleep 0.1
    done
    sweep
}
expect() {
    case "$3" in
    *"$2"*) ;;
    *) fail "$1" "wanted: $2" "got: $3" ;;
    esac
}

# --- allow, deny, warn ---
hook Validating allow /allow
seen /allow
expect allow created "$(make a)"
expect "the question" "/allow CREATE configmaps demo/a " "$(cat "$dir/asked")"
expect "the question" "dry=False ConfigMap kubernetes-admin" "$(cat "$dir/asked")"
k create configmap other -n default >/dev/null
grep -q default/other "$dir/asked" && fail "namespaceSelector" "$(cat "$dir/asked")"
unhook Validating allow
hook Validating deny /deny
seen /deny
expect deny 'admission webhook "deny.example.com" denied the request: not today' "$(make b)"
status=$(c -o "$dir/out" -w '%{http_code}' -H 'content-type: application/json' -d '{"metadata":{"name":"b"}}' "$url/api/v1/namespaces/demo/configmaps")
expect "deny: status" "418" "$status"
expect "deny: reason" '"reason":"Teapot"' "$(cat "$dir/out")"
k create configmap there -n default >/dev/null
k label namespace default hooked=yes >/dev/null
expect "asked about what is there already" 'denied the request: not today' "$(k create configmap there -n default)"
k label namespace default hooked- >/dev/null
unhook Validating deny
unseen
operation=UPDATE hook Mutating sent /as-sent
operation=UPDATE hook Validating stored /as-stored
k create configmap updated -n demo >/dev/null
for i in $(seq 100); do                 # until both are known
    : >"$dir/asked"
    status=$(c -o "$dir/out" -w '%{http_code}' -X PUT -H 'content-type: application/json' -d '{"metadata":{"name":"updated"},"data":{"n":"'"$i"'"}}' "$url/api/v1/namespaces/demo/configmaps/updated")
    grep -q '^/as-sent' "$dir/asked" && grep -q '^/as-stored' "$dir/asked" && break
    sleep 0.1
done
expect "what may change is shown as it was sent, what is judged as it would be stored" "200" "$status"
unhook Mutating sent
unhook Validating stored
sweep
hook Validating plain /deny-plain
seen /deny-plain
expect "deny without a word" 'admission webhook "plain.example.com" denied the request without explanation' "$(make b)"
unhook Validating plain
hook Validating warn /warn
seen /warn
expect warn "Warning: mind the gap" "$(make c)"
unhook Validating warn
unseen

# --- mutation, what is shown, dry run, no-op on other operations ---
hook Mutating mutate /mutate
seen /mutate
make d >/dev/null
want CREATE get configmap d -n demo -o 'jsonpath={.metadata.annotations.mutated}'
expect "dry run" '"mutated":"CREATE"' "$(c -H 'content-type: application/json' -d '{"metadata":{"name":"dry"}}' "$url/api/v1/namespaces/demo/configmaps?dryRun=All")"
expect "dry run is told" "dry=True" "$(cat "$dir/asked")"
want NotFound get configmap dry -n demo
unhook Mutating mutate
hook Mutating noname /no-name
seen /no-name
expect "no name, uid or time yet" '"name":"g-' "$(c -H 'content-type: application/json' -d '{"metadata":{"generateName":"g-"}}' "$url/api/v1/namespaces/demo/configmaps")"
unhook Mutating noname
hook Mutating badpatch /bad-patch
seen /bad-patch
expect "a patch that does not apply" 'Internal error occurred: remove operation does not apply: doc is missing path: "/no/such": missing value' "$(make e)"
want NotFound get configmap e -n demo
unhook Mutating badpatch
hook Mutating another /another-kind
seen /another-kind
expect "nothing becomes another kind" 'no kind "Secret" is registered for version "v1"' "$(make e)"
want NotFound get configmap e -n demo
unhook Mutating another
hook Mutating nolist /no-list
seen_refusal() {
    for i in $(seq 100); do
        out=$(make "refused-$i")
        case "$out" in *"$1"*) break ;; esac
        sleep 0.1
    done
    sweep
    : >"$dir/asked"
}
seen_refusal "undecodable patch"
expect "a patch that is none" 'failed calling webhook "nolist.example.com": received undecodable patch in webhook response' "$(make e)"
hook Mutating nolist /no-list ',"failurePolicy":"Ignore"'
for i in $(seq 100); do
    out=$(make "ignored-$i")
    case "$out" in *created*) break ;; esac
    sleep 0.1
done
expect "a patch that is none, Ignore" created "$out"
unhook Mutating nolist
unseen

# --- a DELETE has no object: a patch of it is refused, whatever the failure policy; one without operations is none ---
operation=DELETE hook Mutating delete /any-patch ',"failurePolicy":"Ignore"'
for i in $(seq 100); do
    make "kept-$i" >/dev/null
    out=$(k delete configmap "kept-$i" -n demo)
    case "$out" in *deleted*) ;; *) break ;; esac
    sleep 0.1
done
expect "a patch of a DELETE" 'Internal error occurred: admission webhook "delete.example.com" attempted to modify the object, which is not supported for this operation' "$out"
want "kept-$i" get configmap "kept-$i" -n demo -o name
expect "a patch of a DELETE: status" '"causes":[{"message":"admission webhook' "$(c -X DELETE "$url/api/v1/namespaces/demo/configmaps/kept-$i")"
operation=DELETE hook Mutating delete /no-ops
for _ in $(seq 100); do
    out=$(k delete configmap "kept-$i" -n demo)
    case "$out" in *deleted*) break ;; esac
    sleep 0.1
done
expect "a patch of a DELETE without operations" deleted "$out"
unhook Mutating delete
unseen

# --- reinvocation: count is asked again because after changed the object; after (Never) is not ---
hook Mutating a-count /count ',"reinvocationPolicy":"IfNeeded"'
hook Mutating b-after /after
seen /after
make f >/dev/null
want "2 yes" get configmap f -n demo -o 'jsonpath={.metadata.annotations.count} {.metadata.annotations.after}'
unhook Mutating b-after
unhook Mutating a-count
unseen

# --- matchConditions: who is asked about what; what has no value; what is no condition ---
k create serviceaccount robot -n demo >/dev/null
hook Validating conditions /deny ',"matchConditions":[
{"name":"not-free","expression":"!object.metadata.name.startsWith(\"free\")"},
{"name":"not-robots","expression":"!request.userInfo.username.startsWith(\"system:serviceaccount:\")"},
{"name":"who.may/reach","expression":"authorizer.group(\"\").resource(\"secrets\").namespace(\"demo\").check(\"create\").allowed() && authorizer.requestResource.check(\"create\").allowed()"},
{"name":"old","expression":"oldObject == null && request.operation == \"CREATE\""}]'
seen_refusal "denied the request"
expect "conditions: free" created "$(make free)"
[ ! -s "$dir/asked" ] || fail "conditions: a false one skips the webhook" "$(cat "$dir/asked")"
expect "conditions: all true" "denied the request: not today" "$(make notfree)"
expect "conditions are kept" who.may/reach "$(k get validatingwebhookconfiguration conditions -o jsonpath='{.webhooks[0].matchConditions[*].name}')"
unhook Validating conditions
unseen
for policy in Fail Ignore; do
    hook Validating broken /deny ',"failurePolicy":"'$policy'","matchConditions":[{"name":"a","expression":"object.data.x == \"1\""},{"name":"b","expression":"object.data.y == \"1\""}]'
    if [ $policy = Fail ]; then
        seen_refusal "resulted in error"
        expect "conditions without a value" "configmaps \"c1\" is forbidden: [expression 'object.data.x == \"1\"' resulted in error: no such key: data, expression 'object.data.y == \"1\"' resulted in error: no such key: data]" "$(make c1)"
        expect "a false one decides" created "$(k create configmap c2 -n demo --from-literal=y=2)"
    else
        for i in $(seq 100); do
            out=$(k create configmap "d-$i" -n demo --from-literal=x=1 --from-literal=y=1)
            case "$out" in *"denied the request"*) break ;; esac
            sleep 0.1
        done
        expect "conditions that hold" "denied the request" "$out"
        expect "conditions without a value, Ignore" created "$(make c3)"
    fi
    unhook Validating broken
    unseen
done
wrong() {
    out=$(cat <<END | k apply -f -
{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"wrong"},"webhooks":[
{"name":"wrong.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","clientConfig":{"url":"https://127.0.0.1:1/"},"matchConditions":$2}]}
END
)
    expect "conditions $2" "$1" "$out"
}
wrong 'webhooks[0].matchConditions[0].expression: Invalid value: "object.x +": compilation failed: ERROR: <input>:1:11: Syntax error' '[{"name":"a","expression":"object.x +"}]'
wrong 'webhooks[0].matchConditions[0].expression: Invalid value: "1": must evaluate to bool' '[{"name":"a","expression":"1"}]'
wrong "undeclared reference to 'params'" '[{"name":"a","expression":"params.x"}]'
wrong 'webhooks[0].matchConditions[0].expression: Required value' '[{"name":"a","expression":" "}]'
wrong 'webhooks[0].matchConditions[0].name: Required value' '[{"name":"","expression":"true"}]'
wrong 'webhooks[0].matchConditions[0].name: Invalid value: "a b": name part must consist of' '[{"name":"a b","expression":"true"}]'
wrong 'webhooks[0].matchConditions[1].name: Duplicate value: "a"' '[{"name":"a","expression":"true"},{"name":"a","expression":"true"}]'
wrong 'webhooks[0].matchConditions: Too many: 65: must have at most 64 items' "[$(for i in $(seq 65); do printf '%s{"name":"n%d","expression":"true"}' "$([ "$i" = 1 ] || printf ,)" "$i"; done)]"

# --- CONNECT: asked about with the options, before the pod is looked at ---
cat <<END | k create -f - >/dev/null
apiVersion: v1
kind: Pod
metadata: { name: target, namespace: demo }
spec: { containers: [ { name: a, image: x }, { name: b, image: x } ] }
END
ask_connect() { # NAME WEBHOOK-PATH
    cat <<END | k apply -f - >/dev/null
{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"$1"},"webhooks":[
{"name":"$1.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","clientConfig":{"url":"https://127.0.0.1:$port$2","caBundle":"$ca"},
"rules":[{"operations":["CONNECT"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods/*","services/proxy","nodes/proxy"]}]}]}
END
}
ask_connect connect /connect
for i in $(seq 100); do
    out=$(k exec target -n demo -c a -- sh -c "echo x")
    [ -s "$dir/asked" ] && break
    sleep 0.1
done
expect "exec" "denied the request: PodExecOptions v1 {'command': ['sh', '-c', 'echo x'], 'container': 'a', 'stderr': True, 'stdout': True} None" "$out"
expect "exec: the question" "/connect CONNECT pods/exec demo/target" "$(cat "$dir/asked")"
expect "attach" "denied the request: PodAttachOptions v1 {'container': 'b', 'stdin': True, 'stdout': True, 'tty': True} None" "$(
    c -H 'connection: upgrade' -H 'upgrade: websocket' --http1.1 "$url/api/v1/namespaces/demo/pods/target/attach?container=b&stdin=1&stdout=true&tty=true")"
expect "port-forward" "denied the request: PodPortForwardOptions v1 {'ports': [80, 81, 82]} None" "$(c "$url/api/v1/namespaces/demo/pods/target/portforward?ports=80,81&ports=82")"
expect "pods/proxy" "denied the request: PodProxyOptions v1 {'path': '/a b/c/'} None" "$(c "$url/api/v1/namespaces/demo/pods/target/proxy/a%20b/c/?x=1")"
expect "services/proxy" "denied the request: ServiceProxyOptions v1 {} None" "$(c "$url/api/v1/namespaces/demo/services/none/proxy")"
expect "nodes/proxy" "denied the request: NodeProxyOptions v1 {'path': '/'} None" "$(c "$url/api/v1/nodes/none/proxy/")"
expect "log is none" "" "$(k logs target -n demo -c a)"
unhook Validating connect

# --- subresources: what is sent to them is what is shown ---
k create serviceaccount who -n demo >/dev/null
resource='pods/eviction","pods/binding","serviceaccounts/token' hook Validating parts /deny
part() { c -H 'content-type: application/json' -d "$2" "$url/api/v1/namespaces/demo/$1"; }
for i in $(seq 100); do
    out=$(part serviceaccounts/who/token '{"spec":{"audiences":["a"]}}')
    case "$out" in *"denied the request"*) break ;; esac
    sleep 0.1
done
expect "a token" "denied the request" "$out"
expect "an eviction" "denied the request" "$(part pods/target/eviction '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"target"}}')"
expect "a binding" "denied the request" "$(part pods/target/binding '{"metadata":{"name":"target"},"target":{"kind":"Node","name":"n"}}')"
expect "as what a token is asked about" "CREATE serviceaccounts/token demo/who" "$(grep TokenRequest "$dir/asked")"
expect "as what an eviction is asked about" "CREATE pods/eviction demo/target" "$(grep ' Eviction ' "$dir/asked")"
expect "as what a binding is asked about" "CREATE pods/binding demo/target" "$(grep ' Binding ' "$dir/asked")"
[ "$(grep -c ' Binding ' "$dir/asked")" = 1 ] || fail "a binding is asked about once" "$(cat "$dir/asked")"
unhook Validating parts
cat <<END | k apply -f - >/dev/null
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: no-shell }
spec:
  matchConstraints: { resourceRules: [ { operations: [ CONNECT ], apiGroups: [ "" ], apiVersions: [ v1 ], resources: [ pods/exec ] } ] }
  validations: [ { expression: "object.command[0] != 'sh'", messageExpression: "'%s: no %s in %s'.format([request.operation, object.command[0], request.name])" } ]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: no-shell }
spec: { policyName: no-shell, validationActions: [ Deny ] }
END
for i in $(seq 100); do
    out=$(k exec target -n demo -c a -- sh)
    case "$out" in *"denied request"*) break ;; esac
    sleep 0.1
done
expect "a policy about exec" "denied request: CONNECT: no sh in target" "$out"
expect "exec that is allowed" "pod target does not have a host assigned" "$(k exec target -n demo -c a -- ls)"
k delete validatingadmissionpolicy no-shell >/dev/null
k delete validatingadmissionpolicybinding no-shell >/dev/null
k delete pod target -n demo --force >/dev/null

# --- policies and webhooks: in each half the policies come first; what a webhook changes, a policy that wants to see it sees ---
mutating_policy() {
    cat <<END | k apply -f - >"$dir/applied" || fail "policy $1" "$(cat "$dir/applied")"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: { name: $1 }
spec:
  reinvocationPolicy: $2
  matchConstraints: { resourceRules: [ { operations: [ CREATE ], apiGroups: [ "" ], apiVersions: [ v1 ], resources: [ configmaps ] } ],
                      namespaceSelector: { matchLabels: { hooked: "yes" } } }
  mutations: [ { patchType: ApplyConfiguration, applyConfiguration: { expression: '$3' } } ]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: { name: $1 }
spec: { policyName: $1 }
END
}
mutating_policy sees IfNeeded 'Object{metadata: Object.metadata{labels: {"saw": object.metadata.?annotations[?"after"].orValue("nothing")}}}'
mutating_policy once Never 'Object{metadata: Object.metadata{labels: {"once": object.metadata.?annotations[?"after"].orValue("nothing")}}}'
hook Mutating order /after ',"matchConditions":[{"name":"a","expression":"object.metadata.?labels[?\"saw\"].orValue(\"\") == \"nothing\""}]'
seen /after
make ordered >/dev/null
want "yes nothing yes" get configmap ordered -n demo -o 'jsonpath={.metadata.labels.saw} {.metadata.labels.once} {.metadata.annotations.after}'
unhook Mutating order
hook Mutating again /count ',"reinvocationPolicy":"IfNeeded"'
seen /count
make counted >/dev/null
want "1" get configmap counted -n demo -o 'jsonpath={.metadata.annotations.count}'
k delete mutatingadmissionpolicy sees once >/dev/null
mutating_policy counts IfNeeded 'Object{metadata: Object.metadata{labels: {"counted": object.metadata.?annotations[?"count"].orValue("none")}}}'
make counted2 >/dev/null
want "2 1" get configmap counted2 -n demo -o 'jsonpath={.metadata.annotations.count} {.metadata.labels.counted}'
k delete mutatingadmissionpolicy counts >/dev/null
k delete mutatingadmissionpolicybinding --all >/dev/null
unhook Mutating again
unseen
cat <<END | k apply -f - >/dev/null
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: first }
spec:
  matchConstraints: { resourceRules: [ { operations: [ CREATE ], apiGroups: [ "" ], apiVersions: [ v1 ], resources: [ configmaps ] } ] }
  validations: [ { expression: "object.metadata.name != 'refused'", message: the policy says no } ]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: first }
spec: { policyName: first, validationActions: [ Deny ] }
END
hook Validating behind /warn
seen /warn
expect "validating policies come first" "the policy says no" "$(make refused)"
grep -q demo/refused "$dir/asked" && fail "a webhook was asked about what a policy refused" "$(cat "$dir/asked")"
unhook Validating behind
k delete validatingadmissionpolicy first >/dev/null
k delete validatingadmissionpolicybinding first >/dev/null
unseen

# --- the audit trail: what webhooks say, which of them changed what, which were passed over ---
hook Mutating a-first /mutate
hook Mutating b-second /annotate
hook Validating c-third /annotate
port_was=$port port=1
hook Validating d-fourth /gone ',"failurePolicy":"Ignore"'
port=$port_was
seen /annotate
want created create configmap noted -n trail
operation=CREATE resource=secrets hook Mutating e-fifth /mutate
for i in $(seq 100); do
    k create secret generic "noted-$i" -n trail >/dev/null
    grep -q "^/mutate CREATE secrets" "$dir/asked" && break
    sleep 0.1
done
for i in $(seq 100); do
    grep -q '"name":"noted"' "$dir/audit.log" && grep -q '"mutated":true.*secrets\|secrets.*e-fifth' "$dir/audit.log" && break
    sleep 0.1
done
python3 - "$dir/audit.log" <<'END' || fail "the audit trail" "$(tail -3 "$dir/audit.log")"
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
notes = [e["annotations"] for e in events if e["objectRef"]["resource"] == "configmaps" and e["requestObject"]["metadata"]["name"] == "noted"][-1]
want = {
    "mutation.webhook.admission.k8s.io/round_0_index_0": '{"configuration":"a-first","webhook":"a-first.example.com","mutated":true}',
    "mutation.webhook.admission.k8s.io/round_0_index_1": '{"configuration":"b-second","webhook":"b-second.example.com","mutated":false}',
    "b-second.example.com/why": "because", "c-third.example.com/who": "kubernetes-admin",
    "failed-open.validating.webhook.admission.k8s.io/round_0_index_1": "d-fourth.example.com",
    "authorization.k8s.io/decision": "allow",
}
bad = [k for k in want if notes.get(k) != want[k]]
patch = json.loads(notes.get("patch.webhook.admission.k8s.io/round_0_index_0", "{}"))
if patch.get("patchType") != "JSONPatch" or patch["patch"][0]["op"] != "add" or patch["configuration"] != "a-first":
    bad.append("patch")
if list(notes) != sorted(notes):
    bad.append("order")
last = [e["annotations"] for e in events if e["objectRef"]["resource"] == "secrets"][-1]
if "mutation.webhook.admission.k8s.io/round_0_index_2" not in last or any(k.startswith("patch.") for k in last):
    bad.append("at level Metadata: no patch")
print(bad, notes, last) if bad else None
sys.exit(bool(bad))
END
for n in "Mutating a-first" "Mutating b-second" "Validating c-third" "Validating d-fourth" "Mutating e-fifth"; do
    # shellcheck disable=SC2086
    unhook $n
done
unseen

# --- failures ---
for policy in Fail Ignore; do
    want_text() { [ $policy = Ignore ] && echo created || echo "failed calling webhook \"$1.example.com\": $2"; }
    hook Validating hang /hang ',"timeoutSeconds":1,"failurePolicy":"'$policy'"'
    seen /hang
    expect "hang, $policy" "$(want_text hang "failed to call webhook: Post \"https://127.0.0.1:$port/hang?timeout=1s\": context deadline exceeded")" "$(make "h-$(echo $policy | tr A-Z a-z)")"
    unhook Validating hang
    hook Validating uid /wrong-uid ',"failurePolicy":"'$policy'"'
    seen /wrong-uid
    expect "uid, $policy" "$(want_text uid "received invalid webhook response: expected response.uid=")" "$(make "u-$(echo $policy | tr A-Z a-z)")"
    unhook Validating uid
    hook Validating garbage /garbage ',"failurePolicy":"'$policy'"'
    seen /garbage
    expect "garbage, $policy" "$(want_text garbage "failed to call webhook: couldn't get version/kind; json parse error: ")" "$(make "g-$(echo $policy | tr A-Z a-z)")"
    unhook Validating garbage
    hook Validating inner /500 ',"failurePolicy":"'$policy'"'
    seen /500
    expect "500, $policy" "$(want_text inner "failed to call webhook: an error on the server (\"broken inside\")")" "$(make "i-$(echo $policy | tr A-Z a-z)")"
    unhook Validating inner
    unseen
done
port_was=$port
port=1
hook Validating gone /gone
port=$port_was
for i in $(seq 100); do
    out=$(make "gone-$i")
    case "$out" in *"failed calling webhook"*) break ;; esac
    sleep 0.1
done
expect "gone" 'failed calling webhook "gone.example.com": failed to call webhook: Post "https://127.0.0.1:1/gone?timeout=10s"' "$out"
sweep
unhook Validating gone
unseen
# --- a Service: any of its ready endpoints, under the Service's name ---
cat <<END | k apply -f - >/dev/null
apiVersion: v1
kind: Service
metadata: { name: hook, namespace: demo }
spec: { clusterIP: None, ports: [ { port: 443, name: https } ] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: hook-1, namespace: demo, labels: { kubernetes.io/service-name: hook } }
addressType: IPv4
ports: [ { name: https, port: $port, protocol: TCP } ]
endpoints: [ { addresses: [ 10.99.0.2 ], conditions: { ready: false } }, { addresses: [ 10.99.0.1 ], conditions: { ready: true } } ]
END
cat <<END | k apply -f - >/dev/null
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: { name: service }
webhooks:
- { name: service.example.com, admissionReviewVersions: [ v1 ], sideEffects: None,
    clientConfig: { service: { namespace: demo, name: hook, path: /deny }, caBundle: $ca },
    rules: [ { operations: [ "*" ], apiGroups: [ apps ], apiVersions: [ v1 ], resources: [ deployments, deployments/scale ] },
             { operations: [ DELETE ], apiGroups: [ "" ], apiVersions: [ v1 ], resources: [ configmaps ] } ],
    namespaceSelector: { matchLabels: { hooked: "yes" } } }
END
for i in $(seq 100); do
    out=$(k create deployment "d-$i" --image=x -n demo)
    case "$out" in *"denied the request"*) break ;; esac
    sleep 0.1
done
expect service 'admission webhook "service.example.com" denied the request: not today' "$out"
k create configmap keep -n demo >/dev/null
expect "deletion" "denied the request" "$(k delete configmap keep -n demo)"
expect "deletion of all" "denied the request" "$(k delete configmap --field-selector metadata.name!=kube-root-ca.crt -n demo)"
want keep get configmap keep -n demo
k create deployment scaled --image=x -n demo >/dev/null
k delete validatingwebhookconfiguration service >/dev/null
for i in $(seq 100); do
    k delete configmap keep -n demo >/dev/null && break
    sleep 0.1
done
k create deployment scaled --image=x -n demo >/dev/null
group=apps resource=deployments/scale operation=UPDATE hook Validating scale /deny
for i in $(seq 100); do
    out=$(k scale deployment scaled -n demo --replicas=2)
    case "$out" in *"denied the request"*) break ;; esac
    sleep 0.1
done
expect "scale" "denied the request" "$out"
expect "scale: the question" "UPDATE deployments/scale demo/scaled" "$(grep ^/deny "$dir/asked" | tail -1)"
unhook Validating scale
k delete deployment --all -n demo >/dev/null

# --- writers within the process: the controller's pods wait, are made exactly once, and a refusal is told ---
resource=pods hook Mutating pods /mutate
resource=pods hook Validating slowpods /slow
sleep 1
: >"$dir/asked"
k create deployment web --image=x --replicas=3 -n demo >/dev/null
for i in $(seq 300); do
    n=$(k get pods -n demo -o name | wc -l)
    [ "$n" -ge 3 ] && break
    sleep 0.2
done
n=$(k get pods -n demo -o 'jsonpath={.items[*].metadata.annotations.mutated}')
expect "the controller's pods" "CREATE CREATE CREATE" "$n"
sleep 2
n=$(k get pods -n demo -o name | wc -l)
[ "$n" = 3 ] || fail "the controller's pods" "wanted: 3" "got: $n"
grep -q "pods demo/ .*system:keelson:" "$dir/asked" || fail "the controller asks as itself" "$(head -3 "$dir/asked")"
not FailedCreate get events -n demo
k delete deployment web -n demo >/dev/null
unhook Mutating pods
unhook Validating slowpods
resource=pods hook Validating nopods /deny
sleep 1
k create deployment none --image=x -n demo >/dev/null
for i in $(seq 300); do
    out=$(k get events -n demo)
    case "$out" in *'denied the request: not today'*) break ;; esac
    sleep 0.2
done
expect "a controller is told" 'admission webhook "nopods.example.com" denied the request: not today' "$out"
k delete deployment none -n demo >/dev/null
unhook Validating nopods
unseen

# --- 200 creates while a webhook takes a second each: others are answered meanwhile ---
hook Validating slow /slow ',"timeoutSeconds":30'
seen /slow
cat >"$dir/many.py" <<'END'
import json, ssl, sys, threading, time, urllib.request
url, ca, cert, key = sys.argv[1:5]
tls = ssl.create_default_context(cafile=ca)
tls.load_cert_chain(cert, key)
def call(method, path, body=None):
    r = urllib.request.Request(url + path, method=method, data=body and json.dumps(body).encode(), headers={"content-type": "application/json"})
    with urllib.request.urlopen(r, context=tls, timeout=120) as f:
        return f.status
left = [200]
bad = []
def create(i):
    try:
        if call("POST", "/api/v1/namespaces/demo/configmaps", {"metadata": {"name": "many-%d" % i}}) != 201:
            bad.append(i)
    except Exception as e:
        bad.append(e)
    left[0] -= 1
threads = [threading.Thread(target=create, args=(i,)) for i in range(200)]
for t in threads:
    t.start()
others = 0
while left[0] > 0:                      # on a busy machine some are over before all have begun
    call("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": "free-"}})
    call("GET", "/api/v1/namespaces/default/configmaps?limit=1")
    others += 1
for t in threads:
    t.join()
print("bad", len(bad), bad[:2], "others", others)
END
# Twice: the second time all connections to the webhook are there, and too old to be given what must not be sent twice.
for round in 1 2; do
    out=$(python3 "$dir/many.py" "$url" "$dir/state/pki/ca.crt" "$dir/state/pki/admin.crt" "$dir/state/pki/admin.key" 2>&1)
    case "$out" in
    *"bad 0 [] others "[1-9]*) ;;
    *) fail "200 creates, round $round" "$out" ;;
    esac
    [ $round = 2 ] || sweep
    [ $round = 2 ] || sleep 6
done
n=$(k get configmaps -n demo -o name | grep -c many-)
[ "$n" = 200 ] || fail "200 creates" "there are $n"
unhook Validating slow
unseen
kill -0 "$pid" 2>/dev/null || { wait "$pid"; fail "the server has ended" "status $?" "$(tail -5 "$dir/log")"; }
exit $bad
