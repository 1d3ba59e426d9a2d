#!/bin/sh
# What the server says of requests that are wrong: code, reason and words of the Status, as upstream has them; and warnings of those that are odd.
# usage: statuses.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
start_server
core=$url/api/v1
ns=$core/namespaces/default
apps=$url/apis/apps/v1/namespaces/default
# gives CODE TEXT METHOD URL [BODY [CONTENT-TYPE]]
gives() {
    code=$1 text=$2 method=$3 at=$4
    out=$(c -m 10 -X "$method" "$at" -H "content-type: ${6:-application/json}" ${5:+-d "$5"} -w '\n%{http_code}')
    case "$(echo "$out" | tail -1):$out" in
    "$code:"*"$text"*) ;;
    *) fail "$method $at ${5:-}" "wanted: $code $text" "got: $out" ;;
    esac
}
# warns TEXT METHOD URL [BODY]
warns() {
    out=$(c -m 10 -D - -o /dev/null -X "$2" "$3" -H 'content-type: application/json' ${4:+-d "$4"} | tr -d '\r')
    case "$out" in
    *"warning: 299 - \"$1\""*) ;;
    *) fail "$2 $3 ${4:-}" "wanted warning: $1" "got: $out" ;;
    esac
}
gives 201 '"name":"c1"' POST "$ns/configmaps" '{"metadata":{"name":"c1"},"data":{"a":"b"}}'
merge=application/merge-patch+json jsonp=application/json-patch+json

# bodies
unknown="the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: "
gives 400 "${unknown}unexpected end of JSON input ({\\\"metadata\\\":)" POST "$ns/configmaps" '{"metadata":'
gives 400 "${unknown}json: cannot unmarshal array into Go value of type struct" POST "$ns/configmaps" '[]'
gives 400 'cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string' POST "$ns/configmaps" '{"metadata":{"name":7}}'
gives 400 'Secret in version \"v1\" cannot be handled as a ConfigMap' POST "$ns/configmaps" '{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}'
gives 400 'the API version in the data (v9) does not match the expected API version (v1)' POST "$ns/configmaps" '{"kind":"ConfigMap","apiVersion":"v9"}'
gives 400 'strict decoding error: unknown field \"foo\", duplicate field \"data.a\"' POST "$ns/configmaps?fieldValidation=Strict" \
    '{"metadata":{"name":"x"},"foo":1,"data":{"a":"b","a":"c"}}'
warns 'unknown field \"foo\"' POST "$ns/configmaps?dryRun=All" '{"metadata":{"name":"x"},"foo":1}'
gives 415 'the body of the request was in an unknown format' POST "$ns/configmaps" '{}' text/plain
gives 400 'invalid timeout specified in the request URL - time: invalid duration \"soon\"' GET "$ns/configmaps?timeout=soon"
gives 400 'time: missing unit in duration \"30\"' GET "${core%/api/v1}/version?timeout=30"
gives 400 'time: unknown unit \"d\" in duration \"1h2d\"' DELETE "$ns/configmaps/none?timeout=1h2d"
gives 200 '"name":"c1"' GET "$ns/configmaps/c1?timeout=1h3.5m"
head -c 3200000 /dev/zero | tr '\0' a >"$dir/big"
gives 413 'Request entity too large: limit is 3145728' POST "$ns/configmaps" "@$dir/big"
gives 400 'the namespace of the provided object does not match the namespace sent on the request' POST "$ns/configmaps" '{"metadata":{"name":"x","namespace":"y"}}'
gives 422 'ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required' POST "$ns/configmaps" '{"metadata":{}}'
gives 404 'namespaces \"nope\" not found' POST "$core/namespaces/nope/configmaps" '{"metadata":{"name":"x"}}'
gives 409 '"reason":"AlreadyExists","details":{"name":"c1","kind":"configmaps"}' POST "$ns/configmaps" '{"metadata":{"name":"c1"}}'

# changes
gives 400 'the name of the object (c2) does not match the name on the URL (c1)' PUT "$ns/configmaps/c1" '{"metadata":{"name":"c2"}}'
gives 409 'please apply your changes to the latest version and try again' PUT "$ns/configmaps/c1" '{"metadata":{"name":"c1","resourceVersion":"1"}}'
gives 409 'Key: /registry/configmaps/default/c1, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: zz' \
    PUT "$ns/configmaps/c1" '{"metadata":{"name":"c1","uid":"zz"}}'
gives 409 'on ConfigMap \"c1\": the UID in the precondition (zz) does not match the UID in record' DELETE "$ns/configmaps/c1" '{"preconditions":{"uid":"zz"}}'
gives 409 'The object might have been modified' DELETE "$ns/configmaps/c1" '{"preconditions":{"resourceVersion":"1"}}'
gives 404 'configmaps \"nope\" not found' DELETE "$ns/configmaps/nope"
gives 422 'the server rejected our request due to an error in our request' PATCH "$ns/configmaps/c1" '[{"op":"test","path":"/data/a","value":"z"}]' $jsonp
gives 422 'the server rejected our request due to an error in our request' PATCH "$ns/configmaps/c1" '[{"op":"foo","path":"/data/a"}]' $jsonp
gives 400 'json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp' PATCH "$ns/configmaps/c1" '{}' $jsonp
gives 400 'error decoding patch: unexpected end of JSON input' PATCH "$ns/configmaps/c1" '{' $merge
gives 415 '415: Unsupported Media Type' PATCH "$ns/configmaps/c1" '{}' application/foo
gives 405 'the server does not allow this method on the requested resource' POST "$ns/configmaps/c1" '{}'
gives 405 'the server does not allow this method on the requested resource","reason":"MethodNotAllowed","details":{}' PUT "$ns/configmaps" '{"metadata":{"name":"x"}}'
gives 405 '"details":{}' DELETE "$core/configmaps"
gives 405 '"details":{}' POST "$url/apis/apps/v1" '{}'
gives 405 '"details":{}' PUT "$url/version" '{}'
gives 404 'the server could not find the requested resource","reason":"NotFound","details":{}' GET "$ns/nothings"
gives 404 '404 page not found' GET "$url/apis/nobody.example.com/v1/things"
gives 200 '"storageVersionHash":"qFsyl6wFWjQ="' GET "$core"
gives 422 'converting (v1.Secret) to (core.ConfigMap): unknown conversion' PATCH "$ns/configmaps/c1" '{"kind":"Secret"}' $merge
gives 200 '"kind":"ConfigMap"' PATCH "$ns/configmaps/c1" '{"kind":"Secret"}' application/strategic-merge-patch+json
gives 400 'the name of the object (c1 based on URL) was undeterminable: name must be provided' PUT "$ns/configmaps/c1" '{}'
gives 201 '"data":{"a":"1","b":"2"}' POST "$ns/configmaps?dryRun=All" '{"metadata":{"name":"x"},"data":{"b":"2","a":"1"}}'
gives 422 '.authorization.k8s.io \"\" is invalid: metadata: Invalid value: {\"name\":\"x\",' POST "$url/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" \
    '{"metadata":{"name":"x"},"spec":{"nonResourceAttributes":{"path":"/"}}}'
gives 400 'no namespace on request' POST "$url/apis/authorization.k8s.io/v1/selfsubjectrulesreviews" '{"spec":{}}'
gives 201 '"status":{"user":{},"error":"invalid bearer token"}' POST "$url/apis/authentication.k8s.io/v1/tokenreviews" '{"spec":{"token":"t"}}'
gives 400 'parsing time \"2026-01-02T03:04:05Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\"' POST "$url/apis/coordination.k8s.io/v1/namespaces/default/leases" \
    '{"metadata":{"name":"l"},"spec":{"renewTime":"2026-01-02T03:04:05Z"}}'
gives 400 'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string' POST "$ns/configmaps" '{"metadata":{"name":"x","labels":{"a":1}}}'

# options
gives 422 'PatchOptions.meta.k8s.io \"\" is invalid: [force: Forbidden: may not be specified for non-apply patch, dryRun: Unsupported value: [\"x\"]: supported values: \"All\"' \
    PATCH "$ns/configmaps/c1?dryRun=x&force=true" '{}' $merge
gives 422 'UpdateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"y\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"' \
    PUT "$ns/configmaps/c1?fieldValidation=y" '{"metadata":{"name":"c1"}}'
gives 422 'CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes' \
    POST "$ns/configmaps?fieldManager=$(printf 'a%.0s' $(seq 129))" '{"metadata":{"name":"x"}}'
gives 422 'propagationPolicy: Unsupported value: \"Foo\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"' \
    DELETE "$ns/configmaps/c1" '{"propagationPolicy":"Foo"}'
gives 422 'orphanDependents and deletionPropagation cannot be both set' DELETE "$ns/configmaps/c1" '{"propagationPolicy":"Orphan","orphanDependents":true}'
gives 422 'ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided' \
    GET "$ns/configmaps?resourceVersionMatch=Exact"
gives 422 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided' GET "$ns/configmaps?watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan"
gives 422 'sendInitialEvents is forbidden for list' GET "$ns/configmaps?sendInitialEvents=true"
gives 400 'resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax' GET "$ns/configmaps?resourceVersion=abc"
gives 400 'strconv.ParseInt: parsing \"abc\": invalid syntax' GET "$ns/configmaps?limit=abc"
gives 504 'Too large resource version: 999999999, current: ' GET "$ns/configmaps?resourceVersion=999999999"
gives 400 'continue key is not valid' GET "$ns/configmaps?continue=abc"
gives 400 'invalid continue token: continue key is not valid' GET "$ns/configmaps?continue=abc&resourceVersion=5"
gives 400 'field label not supported: spec.foo' GET "$ns/pods?fieldSelector=spec.foo%3Dx"
gives 400 'unable to parse requirement' GET "$ns/pods?labelSelector=a%3D%3D%3D"

# subresources and reviews
gives 201 '"name":"d"' POST "$apps/deployments" \
    '{"metadata":{"name":"d"},"spec":{"replicas":0,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}'
gives 422 'Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0' \
    PATCH "$apps/deployments/d/scale" '{"spec":{"replicas":-1}}' $merge
gives 422 'cannot unmarshal string into Go struct field ScaleSpec.spec.replicas of type int32' PATCH "$apps/deployments/d/scale" '{"spec":{"replicas":"x"}}' $merge
gives 422 'TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes' \
    POST "$ns/serviceaccounts/default/token" '{"spec":{"expirationSeconds":5}}'
gives 422 'exactly one of nonResourceAttributes or resourceAttributes must be specified' POST "$url/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" '{"spec":{}}'
gives 422 'at least one of user or group must be specified' POST "$url/apis/authorization.k8s.io/v1/subjectaccessreviews" '{"spec":{"nonResourceAttributes":{"path":"/"}}}'

# warnings
warns 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice' GET "$ns/endpoints"
warns "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]" \
    POST "$ns/pods?dryRun=All" '{"metadata":{"name":"a.b"},"spec":{"containers":[{"name":"c","image":"i"}]}}'
warns 'spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes' \
    POST "$url/apis/storage.k8s.io/v1/csidrivers" '{"metadata":{"name":"d.example.com"},"spec":{"tokenRequests":[{"audience":"a"}]}}'

# a collection is deleted when its answer comes, and only what was selected
gives 201 '"name":"c2"' POST "$ns/configmaps" '{"metadata":{"name":"c2","labels":{"x":"y"}}}'
gives 200 '"kind":"ConfigMapList"' DELETE "$ns/configmaps?labelSelector=x%3Dy"
gives 404 'not found' GET "$ns/configmaps/c2"
gives 200 '"name":"c1"' GET "$ns/configmaps/c1"
# a pod that waits for its gates says so from its first moment on
gives 201 '"reason":"SchedulingGated"' POST "$ns/pods" '{"metadata":{"name":"gated"},"spec":{"schedulingGates":[{"name":"example.com/g"}],"containers":[{"name":"c","image":"i"}]}}'
# what can only be read says so
c "$url/api/v1" | grep -o '"name":"componentstatuses"[^}]*' | grep -q '"verbs":\["get","list"\]' || fail "componentstatuses in discovery" "$(c "$url/api/v1" | grep -o '"name":"componentstatuses"[^}]*')"
code=$(c -o /dev/null -w '%{http_code}' -H 'content-type: application/json' -d '{}' "$url/api/v1/componentstatuses")
[ "$code" = 405 ] || fail "componentstatuses are not made" "$code"
# What has no namespace may name one: it is left out.
roles=$url/apis/rbac.authorization.k8s.io/v1/clusterroles
out=$(c -X POST "$roles" -H 'content-type: application/json' -d '{"metadata":{"name":"anywhere","namespace":"default"},"rules":[]}')
case "$out" in *'"namespace"'*) fail "a namespace where there is none" "$out" ;; esac
gives 200 '"rules":null' PUT "$roles/anywhere" '{"metadata":{"name":"anywhere","namespace":"default"},"rules":[]}'
gives 200 '"app":"x"' PATCH "$roles/anywhere" '{"metadata":{"namespace":"default","labels":{"app":"x"}}}' $merge
gives 200 '"app":"y"' PATCH "$roles/anywhere?fieldManager=m&force=true" \
    '{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"anywhere","namespace":"default","labels":{"app":"y"}}}' application/apply-patch+yaml
# A null in a map is that type's zero.
gives 201 '"data":{"a":"","b":"eA=="}' POST "$ns/secrets" '{"metadata":{"name":"s1"},"data":{"a":null,"b":"eA=="}}'
gives 201 '"data":{"a":""}' POST "$ns/configmaps" '{"metadata":{"name":"nulls"},"data":{"a":null}}'
gives 201 '"cpu":"0"' POST "$ns/resourcequotas" '{"metadata":{"name":"q"},"spec":{"hard":{"cpu":null}}}'
gives 400 'illegal base64 data at input byte 0' POST "$ns/secrets" '{"metadata":{"name":"s2"},"data":{"a":"abc"}}'

# What is there by default or empty is no change: applied anew, nothing counts up, warns or is refused.
apply=application/apply-patch+yaml
template='"template":{"metadata":{"labels":{"a":"b"}},"spec":{"hostPID":false,"nodeSelector":{},"volumes":[{"name":"d","downwardAPI":{"items":[{"path":"cpu","resourceFieldRef":{"containerName":"c","resource":"limits.cpu"}}]}}],"initContainers":[],"containers":[{"name":"c","image":"i","env":[]}]'
daemons='{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},'$template'}}}}'
job='{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j"},"spec":{"suspend":true,'$(echo "$template" | sed 's/"hostPID"/"restartPolicy":"Never","hostPID"/')'}}}}'
gives 201 '"deprecated.daemonset.template.generation":"1"' POST "$apps/daemonsets" "$daemons"
gives 200 '"deprecated.daemonset.template.generation":"1"' PATCH "$apps/daemonsets/d?fieldManager=m&force=true" "$daemons" $apply
gives 200 '"deprecated.daemonset.template.generation":"2"' PATCH "$apps/daemonsets/d" '{"spec":{"template":{"metadata":{"labels":{"c":"d"}}}}}' $merge
c "$apps/daemonsets/d" | grep -q '"f:annotations":{".":{},"f:deprecated.daemonset.template.generation":{}}' || fail "who makes daemons owns their annotation" "$(c "$apps/daemonsets/d")"
jobs=$url/apis/batch/v1/namespaces/default/jobs
gives 201 '"suspend":true' POST "$jobs" "$job"
gives 200 '"manager":"m"' PATCH "$jobs/j?fieldManager=m&force=true" "$job" $apply
gives 422 'field is immutable' PATCH "$jobs/j" '{"spec":{"template":{"spec":{"hostPID":true}}}}' $merge
# A claim's source of the core group has none in it, whichever way that is said.
claim='{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"copy"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"dataSource":{"kind":"PersistentVolumeClaim","name":"x"}}}'
gives 201 '"dataSourceRef":{' POST "$ns/persistentvolumeclaims" "$claim"
gives 200 '"x":"y"' PATCH "$ns/persistentvolumeclaims/copy" '{"metadata":{"labels":{"x":"y"}}}' $merge
# A status may be written with what else its kind lets through: annotations of deployments, no labels.
gives 201 '"generation":1' POST "$apps/deployments" '{"metadata":{"name":"by-status"},"spec":{"replicas":0,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}'
gives 200 '"via":"status"' PATCH "$apps/deployments/by-status/status" '{"metadata":{"annotations":{"via":"status"},"labels":{"no":"label"}}}' $merge
c "$apps/deployments/by-status" | grep -q '"no":"label"' && fail "labels of a deployment through its status" "$(c "$apps/deployments/by-status")"
gives 200 '"generation":2' PATCH "$apps/deployments/by-status" '{"metadata":{"annotations":{"an":"other"}}}' $merge
exit $bad
