#!/bin/sh
# Server-side apply with the real kubectl: create, own, conflict with words and causes, force, drop what is no longer named, lists with keys and
# defaults, co-owners, status and scale, upgrade from client-side apply, dry run, custom resources, reset. usage: apply.sh BUILD_DIR
set -u
build=$(cd "${1:?usage: apply.sh BUILD_DIR}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
command -v kubectl >/dev/null || {
    echo "kubectl is missing: apt-get install kubectl"
    exit 2
}
. "$here/lib/server.sh"
start_server
# --- YAML with a key that comes again: the last counts; field validation says so, in upstream's words ---
twice='apiVersion: v1
kind: ConfigMap
metadata:
  name: twice
  name: thrice
nothing: 1
data:
  a: "1"
  a: "2"
'
post_yaml() { printf '%s' "$twice" | c -D "$dir/headers" -H 'content-type: application/yaml' --data-binary @- "$url/api/v1/namespaces/default/configmaps?$1"; }
case "$(post_yaml fieldValidation=Strict)" in
*'"message":"ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 5: key \"name\" already set in map\n  line 9: key \"a\" already set in map, unknown field \"nothing\""'*'"code":400'*) ;;
*) fail "a key that comes again, strictly" "$(post_yaml fieldValidation=Strict)" ;;
esac
out=$(post_yaml 'dryRun=All&fieldValidation=Warn')
case "$out" in *'"name":"thrice"'*'"a":"2"'*) ;; *) fail "the last counts" "$out" ;; esac
grep -qi '^warning: 299 - "line 5: key \\"name\\" already set in map"' "$dir/headers" && grep -qi 'line 9: key' "$dir/headers" && grep -qi 'unknown field' "$dir/headers" ||
    fail "a key that comes again is warned about" "$(grep -i warning "$dir/headers")"
post_yaml 'dryRun=All&fieldValidation=Ignore' >/dev/null
grep -qi '^warning' "$dir/headers" && fail "and not when nobody asks" "$(grep -i warning "$dir/headers")"
out=$(printf '%s' "$twice" | sed /nothing/d | c -X PATCH -H 'content-type: application/apply-patch+yaml' --data-binary @- \
    "$url/api/v1/namespaces/default/configmaps/thrice?fieldManager=m&fieldValidation=Strict")
case "$out" in *'error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 5: key \"name\" already set in map'*) ;; *) fail "an apply, strictly" "$out" ;; esac

api=$url/api/v1/namespaces/default apps=$url/apis/apps/v1/namespaces/default
# apply MANAGER URL [QUERY]: the configuration of stdin, the answer on stdout.
apply() { c -X PATCH -H 'content-type: application/apply-patch+yaml' --data-binary @- "$2?fieldManager=$1${3:+&$3}"; }
# says TEXT NAME: stdin holds the text.
says() {
    out=$(cat)
    case "$out" in
    *"$1"*) ;;
    *) fail "$2" "wanted: $1" "got: $out" ;;
    esac
}
# owns KIND NAME MANAGER OPERATION [SUBRESOURCE]: the entry's fieldsV1, compact.
owns() {
    k get "$1" "$2" -o json --show-managed-fields | python3 -c '
import json, sys
for e in json.load(sys.stdin)["metadata"].get("managedFields", []):
    if (e["manager"], e["operation"], e.get("subresource", "")) == tuple(sys.argv[1:4]):
        print(json.dumps(e["fieldsV1"], separators=(",", ":")))' "$3" "$4" "${5:-}"
}

# --- create by apply, and once more ---
cat >"$dir/web.yaml" <<EOF
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        ports: [{containerPort: 80}]
EOF
want "serverside-applied" apply --server-side -f "$dir/web.yaml"
first=$(k get deployment web -o 'jsonpath={.metadata.resourceVersion}{.metadata.uid}')
want "serverside-applied" apply --server-side -f "$dir/web.yaml"
owns deployment web kubectl Apply | says '{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}' "what kubectl applied"
k get deployment web -o 'jsonpath={.metadata.uid}' | says "${first#"${first%????????-????-????-????-????????????}"}" "the same object"

# --- another manager: conflicts, force, co-owners ---
cat >"$dir/scaled.yaml" <<EOF
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 3}
EOF
want 'Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas' apply --server-side --field-manager other -f "$dir/scaled.yaml"
apply other "$apps/deployments/web" <"$dir/scaled.yaml" | tr -d ' \n' |
    says '"reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflictwith\"kubectl\"","field":".spec.replicas"}]},"code":409' "causes"
want "serverside-applied" apply --server-side --field-manager other --force-conflicts -f "$dir/scaled.yaml"
want "3" get deployment web -o 'jsonpath={.spec.replicas}'
owns deployment web kubectl Apply | grep -q replicas && fail "force" "kubectl still owns replicas"
sed 's/replicas: 2/replicas: 3/' "$dir/web.yaml" >"$dir/agreed.yaml"
want "serverside-applied" apply --server-side -f "$dir/agreed.yaml"
owns deployment web kubectl Apply | says '"f:replicas":{}' "owned by both"
owns deployment web other Apply | says '{"f:spec":{"f:replicas":{}}}' "owned by both"
sed '/replicas:/d' "$dir/web.yaml" >"$dir/less.yaml"
want "serverside-applied" apply --server-side -f "$dir/less.yaml"
want "3" get deployment web -o 'jsonpath={.spec.replicas}'
echo '{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}' | apply other "$apps/deployments/web" >/dev/null
want "1" get deployment web -o 'jsonpath={.spec.replicas}'
not "other" get deployment web -o yaml --show-managed-fields

# --- an update takes fields, and an apply must be told to take them back ---
want "image updated" set image deployment/web web=nginx:2
want 'conflict with "kubectl-set" using apps/v1: .spec.template.spec.containers[name="web"].image' apply --server-side -f "$dir/less.yaml"
want "serverside-applied" apply --server-side --force-conflicts -f "$dir/less.yaml"
want "nginx" get deployment web -o 'jsonpath={.spec.template.spec.containers[0].image}'

# --- what is no longer named goes; what others own stays ---
apply one "$api/configmaps/cm" <<EOF | says '"a":"1"' "created"
{apiVersion: v1, kind: ConfigMap, metadata: {name: cm, labels: {x: z}, finalizers: [example.com/one]}, data: {a: "1", b: "2"}}
EOF
want "patched" patch configmap cm --type merge -p '{"data":{"c":"3"}}'
apply one "$api/configmaps/cm" <<EOF >/dev/null
{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {b: "2"}}
EOF
want '{"b":"2","c":"3"}' get configmap cm -o 'jsonpath={.data}'
want 'labels= finalizers=.' get configmap cm -o 'jsonpath=labels={.metadata.labels} finalizers={.metadata.finalizers}.'
before=$(k get configmap cm -o 'jsonpath={.metadata.resourceVersion}')
apply one "$api/configmaps/cm" <<EOF >/dev/null
{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {b: "2"}}
EOF
want "$before" get configmap cm -o 'jsonpath={.metadata.resourceVersion}'

# --- refused ---
apply '' "$api/configmaps/cm" </dev/null | says 'fieldManager: Required value: is required for apply patch' "no manager"
echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, dat: {}}' | apply one "$api/configmaps/cm" |
    says 'failed to create typed patch object (/cm; /v1, Kind=ConfigMap): .dat: field not declared in schema' "unknown field"
echo '{apiVersion: v1, kind: Secret, metadata: {name: cm}}' | apply one "$api/configmaps/cm" | says 'invalid object type: /v1, Kind=Secret' "another kind"
echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: cm, managedFields: []}}' | apply one "$api/configmaps/cm" | says 'metadata.managedFields must be nil' "managedFields"
echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: other}}' | apply one "$api/configmaps/cm" | says 'does not match the name on the URL' "another name"
printf 'a: [' | apply one "$api/configmaps/cm" | says 'error decoding YAML' "no YAML"

# --- dry run ---
echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: dry}, data: {a: "1"}}' | apply one "$api/configmaps/dry" dryRun=All | says '"managedFields":' "dry run"
want "not found" get configmap dry

# --- status and scale ---
echo '{apiVersion: v1, kind: Node, metadata: {name: n1}}' | apply one "$url/api/v1/nodes/n1" >/dev/null
echo '{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {unschedulable: true}, status: {conditions: [{type: Ready, status: "True", reason: r, message: m, lastHeartbeatTime: null, lastTransitionTime: null}]}}' |
    apply watcher "$url/api/v1/nodes/n1/status" >/dev/null
owns node n1 watcher Apply status | says '{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{},' "status"
want "True" get node n1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
want "unschedulable=." get node n1 -o 'jsonpath=unschedulable={.spec.unschedulable}.'
want "scaled" scale deployment web --replicas=2
not "subresource: scale" get deployment web -o yaml --show-managed-fields # a number that was nobody's gets no owner, as upstream's scales do
want "serverside-applied" apply --server-side --field-manager other -f "$dir/scaled.yaml"
want "scaled" scale deployment web --replicas=4
owns deployment web kubectl Update scale | says '{"f:spec":{"f:replicas":{}}}' "scale"
echo '{apiVersion: autoscaling/v1, kind: Scale, metadata: {name: web}, spec: {replicas: 5}}' | apply scaler "$apps/deployments/web/scale" |
    says 'conflict with \"kubectl\" with subresource \"scale\" using apps/v1' "scale conflicts"
echo '{apiVersion: autoscaling/v1, kind: Scale, metadata: {name: web}, spec: {replicas: 5}}' | apply scaler "$apps/deployments/web/scale" force=true |
    says '"replicas":5' "scale"

# --- from client-side apply ---
cat >"$dir/csa.yaml" <<EOF
apiVersion: v1
kind: ConfigMap
metadata: {name: csa, labels: {a: b}}
data: {k: v}
EOF
want "created" apply -f "$dir/csa.yaml"
owns configmap csa kubectl-client-side-apply Update | says '"f:data":{".":{},"f:k":{}}' "client-side apply"
sed 's/k: v/k: w/' "$dir/csa.yaml" >"$dir/ssa.yaml"
want "serverside-applied" apply --server-side -f "$dir/ssa.yaml"
want "w" get configmap csa -o 'jsonpath={.data.k}'
want 'w' get configmap csa -o 'jsonpath={.metadata.annotations.kubectl\.kubernetes\.io/last-applied-configuration}'
want 'configmap/csa configured' apply -f "$dir/csa.yaml"

# --- who is tracked, and who is not any more ---
c -X PATCH -H 'content-type: application/merge-patch+json' -H 'user-agent: my-tool/1.2 (linux)' -d '{"data":{"m":"1"}}' "$api/configmaps/csa" >/dev/null
owns configmap csa my-tool Update | says '{"f:data":{"f:m":{}}}' "the client's name"
want "patched" patch configmap csa --type merge -p '{"metadata":{"managedFields":[{}]}}'
not "managedFields" get configmap csa -o yaml --show-managed-fields
want "patched" patch configmap csa --type merge -p '{"data":{"n":"1"}}'
not "managedFields" get configmap csa -o yaml --show-managed-fields
echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: csa}, data: {z: "1"}}' | apply one "$api/configmaps/csa" >/dev/null
owns configmap csa before-first-apply Update | says '"f:n":{}' "before the first apply"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
    c -X PATCH -H 'content-type: application/merge-patch+json' -d "{\"data\":{\"u$i\":\"1\"}}" "$api/configmaps/csa?fieldManager=m$i" >/dev/null
done
owns configmap csa ancient-changes Update | says '"f:u1":{}' "old updates are one"
k get configmap csa -o json --show-managed-fields | grep -c '"operation": "Update"' | says 10 "at most ten updaters"

# --- custom resources ---
cat >"$dir/crd.yaml" <<EOF
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [port, protocol]
                items: {type: object, required: [port], properties: {port: {type: integer}, protocol: {type: string, default: TCP}, name: {type: string}}}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              whole: {type: array, items: {type: string}}
              pair: {type: object, x-kubernetes-map-type: atomic, properties: {a: {type: string}, b: {type: string}}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, properties: {size: {type: integer}}}
EOF
want "serverside-applied" apply --server-side -f "$dir/crd.yaml"
want "condition met" wait --for condition=established crd/things.example.com --timeout 60s
things=$url/apis/example.com/v1/namespaces/default/things
apply one "$things/t" <<EOF | says '"kind":"Thing"' "a custom resource"
{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {size: 1, ports: [{port: 80}, {port: 80, protocol: UDP}], tags: [b, a], whole: [x], pair: {a: b}, free: {any: {x: 1}, list: [1]}}}
EOF
owns things t one Apply | says '{"f:spec":{"f:free":{"f:any":{".":{},"f:x":{}},"f:list":{}},"f:pair":{},"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"k:{\"port\":80,\"protocol\":\"UDP\"}":{".":{},"f:port":{},"f:protocol":{}}},"f:size":{},"f:tags":{"v:\"a\"":{},"v:\"b\"":{}},"f:whole":{}}}' "a custom resource's fields"
echo '{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {tags: [c], ports: [{port: 80, name: web}], pair: {b: c}}}' | apply two "$things/t" |
    says 'conflict with \"one\": .spec.pair' "custom conflicts"
echo '{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {tags: [c], ports: [{port: 80, name: web}]}}' | apply two "$things/t" >/dev/null
want '["b","a","c"]' get thing t -o 'jsonpath={.spec.tags}'
want '"name":"web"' get thing t -o 'jsonpath={.spec.ports}'
echo '{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {sise: 1}}' | apply two "$things/t" |
    says 'failed to create typed patch object (/t; example.com/v1, Kind=Thing): .spec.sise: field not declared in schema' "custom fields"
echo '{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {size: 1}}' | apply one "$things/t" >/dev/null
want 'tags=["c"] whole= ' get thing t -o 'jsonpath=tags={.spec.tags} whole={.spec.whole} '
want "scaled" scale thing t --replicas=7
owns things t kubectl Update scale | says '{"f:spec":{"f:size":{}}}' "custom scale"

# Fields of a version that cannot say all that the object has now, or that is gone: an apply is refused, another write is nobody's.
version() { echo "{name: $1, served: true, storage: $2, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {foo: {type: string}$3}}}}}}"; }
widgets() { # VERSION...
    printf 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec:\n  group: example.com\n  scope: Namespaced\n'
    printf '  names: {plural: widgets, singular: widget, kind: Widget}\n  versions:\n'
    printf '  - %s\n' "$@"
}
widgets "$(version v1beta1 true '')" >"$dir/widgets.yaml"
want "created" create -f "$dir/widgets.yaml"
want "condition met" wait --for condition=established crd/widgets.example.com --timeout 60s
for name in a b; do
    echo "{apiVersion: example.com/v1beta1, kind: Widget, metadata: {name: $name}, spec: {foo: x}}" |
        apply one "$url/apis/example.com/v1beta1/namespaces/default/widgets/$name" >/dev/null
done
widgets "$(version v1beta1 false '')" "$(version v1 true '')" >"$dir/widgets.yaml"
want "serverside-applied" apply --server-side --force-conflicts -f "$dir/widgets.yaml"
widgets=$url/apis/example.com/v1/namespaces/default/widgets
for name in a b; do
    until_is v patch widgets.v1.example.com $name --type=merge -p '{"metadata":{"labels":{"l":"v"}}}' -o 'jsonpath={.metadata.labels.l}'
done
widgets "$(version v1beta1 false '')" "$(version v1 true ', def: {type: string, default: D}')" >"$dir/widgets.yaml"
want "serverside-applied" apply --server-side --force-conflicts -f "$dir/widgets.yaml"
until_is D get widgets.v1.example.com a -o 'jsonpath={.spec.def}'
echo '{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {foo: new}}' >"$dir/a.yaml"
apply one "$widgets/a" <"$dir/a.yaml" | says '"message":".spec.def: field not declared in schema","code":500}' "an older version's fields without the new one"
want "patched" patch crd widgets.example.com --subresource=status --type=merge -p '{"status":{"storedVersions":["v1"]}}'
widgets "$(version v1 true ', def: {type: string, default: D}')" >"$dir/widgets.yaml"
want "serverside-applied" apply --server-side --force-conflicts -f "$dir/widgets.yaml"
apply one "$widgets/a" <"$dir/a.yaml" | says '"message":"request to convert CR to an invalid group/version: example.com/v1beta1","code":500}' "fields of a version that is gone"
want "patched" patch widget b --type=merge -p '{"spec":{"foo":"z"}}'
want 'z ""' get widget b --show-managed-fields -o 'jsonpath={.spec.foo} "{.metadata.managedFields}"'

# What is decoded into another form is owned as that.
printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: words}\nstringData: {a: b}\n' >"$dir/words.yaml"
want "created" create --field-manager maker -f "$dir/words.yaml"
want 'maker {"f:data":{".":{},"f:a":{}},"f:type":{}}' get secret words --show-managed-fields -o 'jsonpath={.metadata.managedFields[0].manager} {.metadata.managedFields[0].fieldsV1}'
exit $bad
