#!/bin/sh
# matchPolicy Equivalent: a webhook or a policy whose rules name one version is asked about the others too, and sees the object in the version it named;
# with Exact it is not. Built-in kinds of two versions, and custom resources that a webhook converts.
# usage: equivalent.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
. "$here/lib/hooks.sh"
start_hooks
start_server
k create namespace demo >/dev/null

# hook KIND NAME PATH POLICY GROUP VERSION RESOURCE
hook() {
    cat <<END | k apply -f - >/dev/null
{"apiVersion":"admissionregistration.k8s.io/v1","kind":"$1WebhookConfiguration","metadata":{"name":"$2"},"webhooks":[
{"name":"$2.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","matchPolicy":"$4","clientConfig":{"url":"https://127.0.0.1:$port$3","caBundle":"$ca"},
"rules":[{"operations":["CREATE","UPDATE","DELETE"],"apiGroups":["$5"],"apiVersions":["$6"],"resources":["$7"]}]}]}
END
}
scaler() {
    cat <<END
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: $1, namespace: demo }
spec: { maxReplicas: 3, scaleTargetRef: { kind: Deployment, name: x, apiVersion: apps/v1 },
        metrics: [ { type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 50 } } } ] }
END
}
hook Validating exact /exact Exact autoscaling v1 horizontalpodautoscalers
hook Mutating fits /mutate Equivalent autoscaling v1 horizontalpodautoscalers
hook Validating same /same Exact autoscaling v2 horizontalpodautoscalers
# Configurations are seen a moment after they are written.
for i in $(seq 100); do
    scaler "h$i" | k create -f - >/dev/null
    grep -q "^/mutate " "$dir/asked" && grep -q "^/same " "$dir/asked" && break
    sleep 0.1
done
grep "^/mutate CREATE horizontalpodautoscalers " "$dir/asked" | tail -1 | grep -q " HorizontalPodAutoscaler kubernetes-admin v1 autoscaling/v1 v2$" ||
    fail "the version that the rule has" "$(grep '^/mutate' "$dir/asked" | tail -1)"
grep -q "^/exact" "$dir/asked" && fail "Exact is exact" "$(grep '^/exact' "$dir/asked")"
want CREATE get hpa "h$i" -n demo -o 'jsonpath={.metadata.annotations.mutated}'
want 50 get hpa.v2.autoscaling "h$i" -n demo -o 'jsonpath={.spec.metrics[0].resource.target.averageUtilization}'
k delete hpa "h$i" -n demo >/dev/null
grep "^/mutate DELETE" "$dir/asked" | tail -1 | grep -q " v1 autoscaling/v1 v2$\| v1 autoscaling/v1 v1$" || fail "deletion" "$(grep '^/mutate DELETE' "$dir/asked")"
k delete mutatingwebhookconfigurations,validatingwebhookconfigurations --all >/dev/null

# --- policies ---
cat <<END | k apply -f - >/dev/null
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: cpu }
spec:
  matchConstraints: { resourceRules: [ { operations: [ CREATE ], apiGroups: [ autoscaling ], apiVersions: [ v1 ], resources: [ horizontalpodautoscalers ] } ] }
  validations:
  - { expression: "object.apiVersion != 'autoscaling/v1' || object.spec.targetCPUUtilizationPercentage < 50",
      messageExpression: "'seen as ' + object.apiVersion + ' ' + request.kind.version + ' ' + request.requestKind.version + ' ' + request.resource.version" }
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: cpu }
spec: { policyName: cpu, validationActions: [ Deny ] }
END
for i in $(seq 100); do
    out=$(scaler "p$i" | k create -f -)
    case "$out" in *denied*) break ;; esac
    sleep 0.1
done
case "$out" in
*"seen as autoscaling/v1 v1 v2 v1"*) ;;
*) fail "a policy in another version" "$out" ;;
esac
k patch validatingadmissionpolicy cpu --type merge -p '{"spec":{"matchConstraints":{"matchPolicy":"Exact"}}}' >/dev/null
for i in $(seq 100); do
    out=$(scaler "q$i" | k create -f -)
    case "$out" in *created*) break ;; esac
    sleep 0.1
done
case "$out" in *created*) ;; *) fail "Exact is exact" "$out" ;; esac
k delete validatingadmissionpolicy,validatingadmissionpolicybinding --all >/dev/null

# --- custom resources, converted by a webhook ---
definition v1 >/dev/null
hook Mutating custom /mutate Equivalent stable.example.com v2 crontabs
cat <<END | k apply -f - >/dev/null
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: { name: port }
spec:
  matchConstraints: { resourceRules: [ { operations: [ CREATE ], apiGroups: [ stable.example.com ], apiVersions: [ v2 ], resources: [ crontabs ] } ] }
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations: [ { patchType: JSONPatch, jsonPatch: { expression: "[JSONPatch{op: 'replace', path: '/spec/address', value: object.spec.address + '0'}]" } } ]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: { name: port }
spec: { policyName: port }
END
crontab() { printf '{"apiVersion":"stable.example.com/v1","kind":"CronTab","metadata":{"name":"%s","namespace":"demo"},"spec":{"host":"%s","port":8}}' "$1" "$2"; }
: >"$dir/asked"
for i in $(seq 100); do
    crontab "c$i" a | k create -f - >"$dir/out"
    grep -q "^/mutate " "$dir/asked" && [ "$(k get crontab.v1.stable.example.com "c$i" -n demo -o 'jsonpath={.spec.port}')" = 80 ] && break
    sleep 0.1
done
grep "^/mutate CREATE crontabs" "$dir/asked" | tail -1 | grep -q " CronTab kubernetes-admin v2 stable.example.com/v2 v1$" ||
    fail "a custom resource in the version that the rule has" "$(grep '^/mutate' "$dir/asked" | tail -1)" "$(cat "$dir/out")"
want "a 80 CREATE" get crontab.v1.stable.example.com "c$i" -n demo -o 'jsonpath={.spec.host} {.spec.port} {.metadata.annotations.mutated}'
want '["v1"]' get crd crontabs.stable.example.com -o 'jsonpath={.status.storedVersions}'
echo failure >"$dir/mode"
out=$(crontab no b | k create -f -)
case "$out" in
*"conversion webhook for stable.example.com/v1, Kind=CronTab failed"*) ;;
*) fail "what cannot be converted is not let through" "$out" ;;
esac
exit $bad
