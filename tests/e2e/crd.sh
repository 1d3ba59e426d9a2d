#!/bin/sh
# Custom resources with the real kubectl: served at once, pruned, defaulted, validated in upstream's words, two versions, status and scale,
# columns, watched by the garbage collector, gone again with their objects, and still there after kill -9. usage: crd.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl
start_server
cat >"$dir/crd.yaml" <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.labelSelector}}
    selectableFields: [{jsonPath: .spec.image}]
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status', priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [cronSpec]
            properties:
              cronSpec: {type: string, pattern: '^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$', description: When it runs.}
              image: {type: string, default: busybox}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
              mode: {type: string, enum: [Fast, Slow]}
              port: {x-kubernetes-int-or-string: true}
              extra: {type: object, x-kubernetes-preserve-unknown-fields: true}
              labels: {type: object, additionalProperties: {type: string, maxLength: 5}}
              steps:
                type: array
                maxItems: 3
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string}, count: {type: integer, default: 7}}}
          status:
            type: object
            default: {phase: New}
            properties:
              phase: {type: string}
              replicas: {type: integer}
              labelSelector: {type: string}
              conditions: {type: array, items: {type: object, properties: {type: {type: string}, status: {type: string}}}}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {cronSpec: {type: string}}}}}}
YAML
want "created" create -f "$dir/crd.yaml"
want "condition met" wait --for=condition=Established --timeout=5s crd/crontabs.stable.example.com
want "NoConflicts" get crd crontabs.stable.example.com -o jsonpath='{.status.conditions}'
want '["v1"]' get crd crontabs.stable.example.com -o jsonpath='{.status.storedVersions}'
want "crontabs" api-resources --api-group=stable.example.com
want "stable.example.com/v1beta1" api-versions
want "When it runs" explain crontab.spec.cronSpec
want "<integer>" explain crontab.spec

cat >"$dir/one.yaml" <<'YAML'
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: one, labels: {app: x}}
spec:
  cronSpec: "* * * * */5"
  extra: {any: {thing: [1, two]}}
  steps: [{name: a}, {name: b, count: 2}]
YAML
want "created" apply -f "$dir/one.yaml"
want '{"phase":"New"}' get ct one -o jsonpath='{.status}'
rv=$(k get crontab one -o jsonpath='{.metadata.resourceVersion}')
want "crontab.stable.example.com/one" apply -f "$dir/one.yaml"
want "$rv" get crontab one -o jsonpath='{.metadata.resourceVersion}'
want "busybox 1 7 2 two" get ct one -o jsonpath='{.spec.image} {.spec.replicas} {.spec.steps[0].count} {.spec.steps[1].count} {.spec.extra.any.thing[1]}'
want "SPEC" get crontabs
want "* * * * */5" get crontabs
want "crontab.stable.example.com/one" get all -o name
want "one" get ct --field-selector spec.image=busybox
want "No resources" get ct --field-selector spec.image=nginx
want "Cron Spec" describe ct one
want "generation: 1" get ct one -o yaml

# refused, in upstream's words
try() {
    want "$1" apply --validate=false -f - <<YAML
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: bad}
spec: $2
YAML
}
try 'spec.cronSpec: Required value' '{}'
try "spec.cronSpec: Invalid value: \"x\": spec.cronSpec in body should match '" '{cronSpec: x}'
try 'spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10' '{cronSpec: "* * * * *", replicas: 11}'
try 'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"' '{cronSpec: "* * * * *", replicas: "2"}'
try 'spec.mode: Unsupported value: "Odd": supported values: "Fast", "Slow"' '{cronSpec: "* * * * *", mode: Odd}'
try 'spec.labels.a: Too long: may not be more than 5 bytes' '{cronSpec: "* * * * *", labels: {a: sixsix}}'
try 'spec.steps[1]: Duplicate value: {"name":"a"}' '{cronSpec: "* * * * *", steps: [{name: a}, {name: a}]}'
try 'spec.steps: Too many: 4: must have at most 3 items' '{cronSpec: "* * * * *", steps: [{name: a}, {name: b}, {name: c}, {name: d}]}'
try 'must be of type integer,string' '{cronSpec: "* * * * *", port: true}'
want 'unknown field "spec.nonsense"' apply -f - <<'YAML'
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: bad}
spec: {cronSpec: "* * * * *", nonsense: 1}
YAML

# patches, status, scale, versions
want "patched" patch ct one --type=merge -p '{"spec":{"replicas":3}}'
want "the body of the request was in an unknown format" patch ct one --type=strategic -p '{"spec":{"replicas":3}}'
want "2" get ct one -o jsonpath='{.metadata.generation}'
want "patched" patch ct one --subresource=status --type=merge -p '{"status":{"replicas":3,"labelSelector":"app=x","conditions":[{"type":"Ready","status":"True"}]},"spec":{"replicas":9}}'
want "3 3 2" get ct one -o jsonpath='{.spec.replicas} {.status.replicas} {.metadata.generation}'
want "True" get ct one -o wide
want "scaled" scale ct one --replicas=5
want '"selector":"app=x"' get --raw /apis/stable.example.com/v1/namespaces/default/crontabs/one/scale
want "spec.replicas in body should be less than or equal to 10" scale ct one --replicas=50
want "stable.example.com/v1beta1" get crontabs.v1beta1.stable.example.com one -o jsonpath='{.apiVersion}'
case "$(k get crontabs.v1beta1.stable.example.com one -o jsonpath='{.spec}')" in *replicas*)
    echo "FAILED: v1beta1 shows what it does not know"
    bad=1
    ;;
esac

# another definition may not take the names
sed 's/crontabs/cronjabs/; s/plural: crontabs/plural: cronjabs/' "$dir/crd.yaml" >"$dir/rival.yaml"
want "created" create -f "$dir/rival.yaml"
want "is already in use" get crd cronjabs.stable.example.com -o jsonpath='{.status.conditions}'
want "deleted" delete crd cronjabs.stable.example.com
want 'must be spec.names.plural+"."+spec.group' create -f - <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: wrong}
spec: {group: a.b, scope: Odd, names: {plural: xs, kind: X}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {properties: {a: {}}}}}]}
YAML

# the garbage collector knows the new kind
uid=$(k get ct one -o jsonpath='{.metadata.uid}')
want "created" create -f - <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: owned, ownerReferences: [{apiVersion: stable.example.com/v1, kind: CronTab, name: one, uid: $uid}]}
YAML
want "deleted" delete ct one
for _ in $(seq 50); do
    k get cm owned | grep -q NotFound && break
    sleep 0.1
done
want "not found" get cm owned

# kill -9: definitions and objects are there again
want "created" apply -f "$dir/one.yaml"
port=$(sed -n 's|.*server: https://127.0.0.1:||p' "$dir/state/admin.kubeconfig")
kill -9 "$pid"
wait "$pid" 2>/dev/null
start_server "$port"
want "one" get ct

# a changed schema counts at once
sed -i 's/maximum: 10/maximum: 20/' "$dir/crd.yaml"
want "configured" apply -f "$dir/crd.yaml"
want "patched" patch ct one --type=merge -p '{"spec":{"replicas":15}}'

# a namespace takes them along; a definition goes with its objects, also those that hold on for a while
want "created" create ns team
want "created" apply -n team -f "$dir/one.yaml"
want "deleted" delete ns team --timeout=20s
want "patched" patch ct one --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
want "deleted" delete crd crontabs.stable.example.com --wait=false
want "InstanceDeletionInProgress" get crd crontabs.stable.example.com -o jsonpath='{.status.conditions}'
want "create not allowed while custom resource definition is terminating" create -f - <<'YAML'
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: late}
spec: {cronSpec: "* * * * *"}
YAML
want "patched" patch ct one --type=merge -p '{"metadata":{"finalizers":null}}'
want "" wait --for=delete --timeout=10s crd/crontabs.stable.example.com
want "could not find the requested resource" get --raw /apis/stable.example.com/v1/crontabs
want "created" create -f "$dir/crd.yaml"
want "No resources found" get crontabs
[ "$bad" = 0 ] || tail -n 20 "$dir/log"
exit $bad
