#!/bin/sh
# Admission policies with the real kubectl: validating ones deny, warn, take parameters, variables and match conditions; mutating ones patch and
# apply; expressions that are none are refused; type checking tells in the status what it found. usage: policy.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl
start_server

# gives TEXT COMMAND...: tried until kubectl's output holds the text: policies take effect soon after they are written.
gives() {
    text=$1
    shift
    for _ in $(seq 150); do
        out=$(k "$@" </dev/null)
        case "$out" in
        *"$text"*) return ;;
        esac
        sleep 0.2
    done
    fail "kubectl $*" "wanted: $text" "got: $out"
}

cat >"$dir/policy.yaml" <<'YAML'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: small}
spec:
  failurePolicy: Fail
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]
  matchConditions:
  - {name: not-params, expression: "!object.metadata.name.startsWith('param')"}
  - {name: not-root, expression: "!object.metadata.name.startsWith('kube-')"}
  variables:
  - {name: size, expression: "has(object.data) ? object.data.size() : 0"}
  - {name: most, expression: "int(params.data.most)"}
  validations:
  - expression: variables.size <= variables.most
    messageExpression: "'%d entries, %d are allowed'.format([variables.size, variables.most])"
  - expression: request.operation != 'UPDATE' || object.data == oldObject.data
    message: data stays as it is
    reason: Forbidden
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: small-here}
spec:
  policyName: small
  validationActions: [Deny]
  paramRef: {name: param-most, namespace: default, parameterNotFoundAction: Deny}
  matchResources: {namespaceSelector: {matchLabels: {guarded: "yes"}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: advice}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]
  validations:
  - {expression: "has(object.metadata.labels) && 'owner' in object.metadata.labels", message: a secret should have an owner}
  - {expression: "authorizer.group('').resource('secrets').namespace(request.namespace).check('delete').allowed()", message: you cannot delete it}
  - {expression: "namespaceObject.metadata.name == request.namespace && request.userInfo.username != ''"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: advice}
spec: {policyName: advice, validationActions: [Warn]}
YAML
want created apply -f "$dir/policy.yaml"
k create namespace free >/dev/null
k create namespace guarded >/dev/null
k label namespace guarded guarded=yes >/dev/null
gives "no params found for policy binding with \`Deny\` parameterNotFoundAction" create configmap a -n guarded --from-literal=x=1 --dry-run=server
want created create configmap param-most -n default --from-literal=most=2
gives "ValidatingAdmissionPolicy 'small' with binding 'small-here' denied request: 3 entries, 2 are allowed" create configmap a -n guarded --from-literal=x=1 --from-literal=y=2 --from-literal=z=3
want '3 entries, 2 are allowed' create -n guarded -f - <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: a, resourceVersion: "7"}
data: {x: "1", y: "2", z: "3"}
YAML
want created create configmap a -n guarded --from-literal=x=1 --from-literal=y=2
want created create configmap a -n free --from-literal=x=1 --from-literal=y=2 --from-literal=z=3
want 'data stays as it is' patch configmap a -n guarded -p '{"data":{"x":"5"}}'
want '(Forbidden)' patch configmap a -n guarded -p '{"data":{"x":"5"}}'
want patched patch configmap a -n guarded -p '{"metadata":{"labels":{"l":"1"}}}'
want created create configmap param-x -n guarded --from-literal=x=1 --from-literal=y=2 --from-literal=z=3
gives "Warning: Validation failed for ValidatingAdmissionPolicy 'advice' with binding 'advice': a secret should have an owner" create secret generic s -n free --dry-run=server
not 'you cannot delete it' create secret generic s -n free
code=$(c -o "$dir/answer" -w '%{http_code}' -X POST -H 'Content-Type: application/json' "$url/api/v1/namespaces/guarded/configmaps" -d '{"metadata":{"name":"b"},"data":{"a":"1","b":"2","c":"3"}}')
[ "$code" = 422 ] || fail "the code of a refusal" "wanted: 422" "got: $code"
grep -q '"reason": *"Invalid"' "$dir/answer" || fail "the reason of a refusal" "$(cat "$dir/answer")"

# Expressions that are none.
policy() {
    printf 'apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: bad}\nspec:\n  matchConstraints:\n    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: ["*"], resources: [deployments]}]\n  validations: [%s]\n' "$1" | k apply -f -
}
says() {
    out=$(policy "$2")
    case "$out" in
    *"$1"*) ;;
    *) fail "a policy with $2" "wanted: $1" "got: $out" ;;
    esac
}
says 'spec.validations[0].expression: Invalid value: "object.x +": compilation failed: ERROR: <input>:1:11: Syntax error' '{expression: "object.x +"}'
says 'must evaluate to bool but got int' '{expression: "1 + 1"}'
says "undefined field 'nope'" '{expression: "request.nope"}'
says "undeclared reference to 'params'" '{expression: "params.x"}'
says created '{expression: "object.spec.replicas > 1 && object.spec.nothing == 2"}'
gives "apps/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:40: undefined field 'nothing'" get validatingadmissionpolicy bad -o "jsonpath={.status.typeChecking.expressionWarnings[0].warning}"
want spec.validations get validatingadmissionpolicy bad -o "jsonpath={.status.typeChecking.expressionWarnings[0].fieldRef}"
want 1 get validatingadmissionpolicy bad -o "jsonpath={.status.observedGeneration}"

# Mutations.
cat >"$dir/mutate.yaml" <<'YAML'
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: stamp}
spec:
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  variables: [{name: team, expression: "object.metadata.namespace + '-team'"}]
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >
        Object{
          metadata: Object.metadata{labels: {"team": variables.team}},
          spec: Object.spec{
            initContainers: [Object.spec.initContainers.item{name: "mesh", image: "mesh:1"}]
          }
        }
  - patchType: JSONPatch
    jsonPatch:
      expression: >
        [JSONPatch{op: "add", path: "/metadata/annotations", value: {}},
         JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("a.b/c"), value: object.metadata.labels["team"]}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: stamp}
spec: {policyName: stamp}
YAML
want created apply -f "$dir/mutate.yaml"
gives 'free-team mesh free-team' run p -n free --image=x --dry-run=server -o 'jsonpath={.metadata.labels.team} {.spec.initContainers[0].name} {.metadata.annotations.a\.b/c}'
n=$(k run p -n free --image=x --dry-run=server -o 'jsonpath={.spec.volumes[*].name}' | wc -w)
[ "$n" = 1 ] || fail "volumes of a pod that was looked at twice" "$n"
want kube-api-access run p -n free --image=x --dry-run=server -o 'jsonpath={.spec.initContainers[0].volumeMounts[0].name}'
# The second policy's change is seen by the first one, which wants to see it.
map() {
    printf 'apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {name: %s}\nspec:\n  reinvocationPolicy: %s\n  matchConstraints:\n    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]\n  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: %s}}]\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {name: %s}\nspec: {policyName: %s}\n' "$1" "$2" "$3" "$1" "$1" | k apply -f - >/dev/null
}
map first IfNeeded '"Object{data: {\"first\": string(object.?data.second.hasValue())}}"'
map second Never '"Object{data: {\"second\": \"x\"}}"'
gives 'true x' create configmap again -n free --dry-run=server -o 'jsonpath={.data.first} {.data.second}'
map third Never '"Object{nothing: \"x\"}"'
gives "policy 'third' with binding 'third' denied request: error applying patch: failed to convert patch object to typed object: .nothing: field not declared in schema" create configmap other -n free --dry-run=server
map fourth Never '"Object{metadata: Object.metadata{finalizers: [\"a.b/c\"]}}"'
k delete mutatingadmissionpolicy third >/dev/null
map fifth Never '"Object{metadata: Object.metadata{labels: {\"l\": \"m\"}}}"'
gives 'a.b/c m' create configmap set -n free --dry-run=server -o 'jsonpath={.metadata.finalizers[0]} {.metadata.labels.l}'
want deleted delete mutatingadmissionpolicy first second fourth fifth
# A test that fails changes nothing, and whoever changed something may be asked again.
printf 'apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {name: tests}\nspec:\n  reinvocationPolicy: IfNeeded\n  matchConstraints:\n    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]\n  mutations:\n  - patchType: JSONPatch\n    jsonPatch: {expression: "[JSONPatch{op: \\"test\\", path: \\"/data/a\\", value: \\"other\\"}, JSONPatch{op: \\"add\\", path: \\"/data/never\\", value: \\"x\\"}]"}\n  - patchType: ApplyConfiguration\n    applyConfiguration: {expression: "Object{data: {\\"n\\": string(int(object.?data.n.orValue(\\"0\\")) + 1)}}"}\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {name: tests}\nspec: {policyName: tests}\n' | k apply -f - >/dev/null
gives '{"a":"b","n":"2"}' create configmap counted -n free --from-literal=a=b --dry-run=server -o 'jsonpath={.data}'
want deleted delete mutatingadmissionpolicy tests
printf 'apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {name: sixth}\nspec:\n  reinvocationPolicy: Never\n  matchConstraints:\n    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]\n  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{spec: Object.spec{tolerations: [Object.spec.tolerations.item{key: \\"a\\"}]}}"}}]\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {name: sixth}\nspec: {policyName: sixth}\n' | k apply -f - >/dev/null
gives 'may not mutate atomic arrays, maps or structs: .spec.tolerations' run p -n free --image=x --dry-run=server
want deleted delete mutatingadmissionpolicy sixth
printf 'apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {name: seventh}\nspec:\n  reinvocationPolicy: Never\n  matchConstraints:\n    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [services]}]\n  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{metadata: Object.metadata{finalizers: [\\"a.b/d\\", \\"a.b/c\\"]}, spec: Object.spec{ports: [Object.spec.ports.item{port: 80, protocol: \\"UDP\\", name: \\"more\\"}, Object.spec.ports.item{port: 80, protocol: \\"TCP\\", appProtocol: \\"x\\"}]}}"}}]\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {name: seventh}\nspec: {policyName: seventh}\n' | k apply -f - >/dev/null
for i in $(seq 100); do
    out=$(printf 'apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: free, finalizers: [a.b/c]}\nspec: {clusterIP: None, ports: [{port: 80, name: web}]}\n' | k create --dry-run=server -f - -o 'jsonpath={range .spec.ports[*]}{.name}/{.port}/{.protocol}/{.appProtocol} {end}{.metadata.finalizers[*]}')
    case "$out" in *more*) break ;; esac
done
[ "$out" = 'more/80/UDP/ web/80/TCP/x a.b/d a.b/c' ] || fail "lists with keys grow together, by all keys" "$out"
want deleted delete mutatingadmissionpolicy seventh
want deleted delete mutatingadmissionpolicy stamp

# What is sent to subresources is judged as what it is: Scale, Eviction, Binding, TokenRequest; status, approval and the like as the whole object.
cat >"$dir/sub.yaml" <<'YAML'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: sub}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: [deployments/scale, pods/eviction, pods/binding, serviceaccounts/token, pods/status, pods/ephemeralcontainers, certificatesigningrequests/approval]}
  validations:
  - expression: "request.kind.kind != 'Scale' || object.spec.replicas <= oldObject.spec.replicas + 1"
    messageExpression: "'%s/%s %s of %s/%s: from %d to %d'.format([request.kind.group, request.kind.version, request.kind.kind, request.resource.resource, request.subResource, oldObject.spec.replicas, object.spec.replicas])"
  - {expression: "request.kind.kind != 'Eviction'", messageExpression: "'%s %s/%s %s'.format([request.operation, request.kind.group, request.kind.version, object.kind])"}
  - {expression: "request.kind.kind != 'TokenRequest' || object.spec.audiences.size() < 2", messageExpression: "'%s %s'.format([object.apiVersion, request.subResource])"}
  - {expression: "request.kind.kind != 'Binding' || object.target.name != 'nowhere'", messageExpression: "'%s to %s'.format([object.kind, object.target.name])"}
  - {expression: "request.subResource != 'status' || object.status.phase != 'Failed'", messageExpression: "'%s is %s'.format([object.kind, object.status.phase])"}
  - {expression: "request.subResource != 'ephemeralcontainers'", messageExpression: "'%s in a %s'.format([object.spec.ephemeralContainers[0].name, object.kind])"}
  - {expression: "request.subResource != 'approval'", messageExpression: "'%s %s'.format([object.kind, object.status.conditions[0].type])"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: sub}
spec: {policyName: sub, validationActions: [Deny]}
YAML
want created create deployment scaled -n free --image=x
want created run p -n free --image=x
want created create serviceaccount who -n free
want created apply -f "$dir/sub.yaml"
gives "denied request: autoscaling/v1 Scale of deployments/scale: from 1 to 5" scale deployment scaled -n free --replicas=5
want scaled scale deployment scaled -n free --replicas=2
post() { c -X "${3:-POST}" -H "Content-Type: ${4:-application/json}" "$url$1" -d "$2"; }
told() {
    case "$2" in
    *"$1"*) ;;
    *) fail "a policy on a subresource" "wanted: $1" "got: $2" ;;
    esac
}
told "denied request: CREATE policy/v1 Eviction" "$(post /api/v1/namespaces/free/pods/p/eviction '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p","namespace":"free"}}')"
told "denied request: Binding to nowhere" "$(post /api/v1/namespaces/free/pods/p/binding '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"p"},"target":{"kind":"Node","name":"nowhere"}}')"
told "denied request: authentication.k8s.io/v1 token" "$(post /api/v1/namespaces/free/serviceaccounts/who/token '{"spec":{"audiences":["a","b"]}}')"
told '"token"' "$(post /api/v1/namespaces/free/serviceaccounts/who/token '{"spec":{"audiences":["a"]}}')"
told "denied request: Pod is Failed" "$(post /api/v1/namespaces/free/pods/p/status '{"status":{"phase":"Failed"}}' PATCH application/merge-patch+json)"
told "denied request: debug in a Pod" "$(post /api/v1/namespaces/free/pods/p/ephemeralcontainers '{"spec":{"ephemeralContainers":[{"name":"debug","image":"x"}]}}' PATCH application/strategic-merge-patch+json)"
openssl ecparam -genkey -name prime256v1 -noout -out "$dir/csr.key" && openssl req -new -key "$dir/csr.key" -subj /CN=u -out "$dir/csr"
printf 'apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: u}\nspec: {request: %s, signerName: example.com/x, usages: [client auth]}\n' "$(base64 -w0 "$dir/csr")" | k create -f - >/dev/null
want "denied request: CertificateSigningRequest Approved" certificate approve u
want deleted delete validatingadmissionpolicy sub

want deleted delete validatingadmissionpolicybinding small-here
gives patched patch configmap a -n guarded -p '{"data":{"x":"6"}}'
exit $bad
