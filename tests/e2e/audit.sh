#!/bin/sh
# The audit trail: policy, stages, objects, truncation, files that are put aside, mistakes; audit.py reads it. usage: audit.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
. "$here/lib/server.sh"
needs kubectl
cp "$here/../../conf/keelson.cfg" "$dir/keelson.cfg"
mkdir "$dir/conf.d" "$dir/log"
echo "instances = ( { plugin = \"audit-log\"; settings = { path = \"$dir/log/audit.log\"; max_size = \"20k\"; }; } );" >"$dir/conf.d/audit.cfg"
cat >"$dir/policy.yaml" <<END
apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
  resources: [{group: "", resources: [secrets]}]
  namespaces: [logged]
  omitStages: [RequestReceived]
- level: RequestResponse
  resources: [{group: "", resources: [configmaps, pods, pods/log, services]}]
  namespaces: [logged]
- level: Metadata
  resources: [{group: "", resources: [serviceaccounts/token]}]
  namespaces: [logged]
  omitStages: [RequestReceived]
- level: Metadata
  nonResourceURLs: [/version]
END
keelson="$build/keelson server --config $dir/keelson.cfg --plugins $build/plugins --state-dir $dir/state --port 0 --audit-event-max 50k"
# Mistakes end the start, and check-config, with status 2 and where they are.
sed 's/level: None/level: Non/' "$dir/policy.yaml" >"$dir/wrong.yaml"
for command in "$keelson" "$build/keelson check-config --config $dir/keelson.cfg --plugins $build/plugins"; do
    out=$($command --audit-policy-file "$dir/wrong.yaml" 2>&1)
    rc=$?
    case "$rc:$out" in
    2:*"wrong.yaml:5: rules[0].level: unsupported value \"Non\""*'did you mean "None"?'*) ;;
    *) fail "a bad policy" "$rc: $out" ;;
    esac
done
$keelson --audit-policy-file "$dir/policy.yaml" >"$dir/out" 2>&1 &
pid=$!
export KUBECONFIG="$dir/state/admin.kubeconfig"
for _ in $(seq 100); do
    url=$(sed -n 's|.*server: ||p' "$KUBECONFIG" 2>/dev/null)
    [ -n "$url" ] && c "$url/readyz" 2>/dev/null | grep -q ok && break
    sleep 0.1
done
maps="$url/api/v1/namespaces/logged/configmaps"
want created create namespace logged
for _ in $(seq 100); do                 # made by a controller: it would be a list's only other item
    k get configmap -n logged kube-root-ca.crt >/dev/null 2>&1 && break
    sleep 0.1
done
want created create clusterrolebinding v --clusterrole=view --serviceaccount=logged:x
want created create secret generic hidden -n logged --from-literal=k=hidden
cat "$dir"/log/audit*.log >"$dir/before" # kubectl's own look-ups are over; what follows is curl's alone
c -o /dev/null -H 'Audit-ID: 11111111-2222-3333-4444-555555555555' -H 'X-Forwarded-For: nonsense, 192.0.2.7' -A tester/1.0 -H 'Content-Type: application/json' \
    -d '{"metadata":{"name":"whole"},"data":{"a":"b"}}' "$maps?fieldManager=me"
c -o /dev/null -H 'Accept: application/vnd.kubernetes.protobuf' "$maps/whole"
c -o /dev/null "$maps"
c -o /dev/null -X PATCH -H 'Content-Type: application/merge-patch+json' -d '{"data":{"c":"d"}}' "$maps/whole"
c -o /dev/null "$maps/nothing"
c -o /dev/null "$url/api/v1/namespaces/logged/pods/none/log"
c -o /dev/null -H 'Content-Type: application/json' -d '{"metadata":{"name":"odd"},"data":7}' "$maps"
c -o /dev/null -H 'Content-Type: application/json' -H 'Impersonate-User: bob' -d '{"metadata":{"name":"not"}}' "$maps"
c -o /dev/null -X DELETE -H 'Content-Type: application/json' -d '{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}' "$maps/whole"
c -o /dev/null "$maps?watch=1&timeoutSeconds=1"
c -o /dev/null -H 'Impersonate-User: bob' "$url/api/v1/namespaces/logged/pods"
c -o /dev/null -H 'Impersonate-User: system:serviceaccount:logged:x' "$url/api/v1/namespaces/logged/services"
curl -s -o /dev/null --cacert "$dir/state/pki/ca.crt" -H 'Authorization: Bearer nonsense' "$url/version"
c -o "$dir/token" -H 'Content-Type: application/json' -d '{"spec":{"expirationSeconds":600}}' "$url/api/v1/namespaces/logged/serviceaccounts/default/token"
c -o /dev/null "$url/version"
c -o /dev/null "$url/healthz"
head -c 60000 /dev/zero | tr '\0' x | sed 's/.*/{"metadata":{"name":"large"},"data":{"a":"&"}}/' |
    c -o /dev/null -H 'Content-Type: application/json' -d @- "$maps"
# What admission has to say: policies, Pod Security.
cat >"$dir/admission.yaml" <<END
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: watched}
spec:
  matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]}
  validations: [{expression: "true"}, {expression: "!object.metadata.name.startsWith('seen')", message: it is seen}]
  auditAnnotations:
  - {key: name, valueExpression: "'it is ' + object.metadata.name"}
  - {key: nothing, valueExpression: "null"}
  - {key: empty, valueExpression: "' '"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: watched}
spec: {policyName: watched, validationActions: [Audit, Warn]}
END
k create -f "$dir/admission.yaml" >/dev/null
c -o /dev/null -H 'Content-Type: application/json' -d '{"metadata":{"name":"seen"}}' "$maps"
k label namespace logged pod-security.kubernetes.io/audit=baseline >/dev/null
c -o /dev/null -H 'Content-Type: application/json' -d '{"metadata":{"name":"host"},"spec":{"hostPID":true,"containers":[{"name":"a","image":"x"}]}}' "$url/api/v1/namespaces/logged/pods"
c "$url/metrics" >"$dir/page"
grep -q '^apiserver_audit_event_total [1-9]' "$dir/page" || fail "audit metrics"
grep -q '^apiserver_audit_error_total{plugin="log"} 0' "$dir/page" || fail "events are lost" "$(grep audit "$dir/page")"
kill "$pid"
wait "$pid"
ls "$dir"/log/audit-*.log >/dev/null 2>&1 || fail "no file was put aside"
cat "$dir"/log/audit-*.log "$dir/log/audit.log" >"$dir/trail"
grep -v '"userAgent":"kubectl' "$dir/trail" | grep -v '"user":{"username":"system:' >"$dir/own"
grep '"resource":"secrets"' "$dir/trail" >>"$dir/own"
openssl x509 -in "$dir/state/pki/admin.crt" -outform DER | sha256sum >"$dir/credential"
python3 "$here/audit.py" "$dir/own" "$dir/token" "$dir/credential" || fail "audit.py"
exit $bad
