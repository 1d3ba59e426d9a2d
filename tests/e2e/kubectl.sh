#!/bin/sh
# The real kubectl against a real server: create, read in all forms, patch three ways, errors, and kill -9 in between.
# usage: kubectl.sh BUILD_DIR. Skips (exit 0, with a reason) without kubectl.
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl
start_server
want "Active" get ns default
want "namespace/demo created" create namespace demo
want "deployment.apps/web created" create deployment web --image=nginx --replicas=3 -n demo
cat >"$dir/all.yaml" <<'EOF'
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg, namespace: demo}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: sec, namespace: demo}
stringData: {p: hello}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: demo}
spec: {selector: {app: web}, ports: [{port: 80}], type: NodePort}
---
apiVersion: v1
kind: Pod
metadata: {name: p1, namespace: demo, labels: {app: web}}
spec: {containers: [{name: c, image: "busybox:1.36"}]}
EOF
want "pod/p1 created" apply -f "$dir/all.yaml"
want "pod/p1 unchanged" apply -f "$dir/all.yaml"
want "service/web unchanged" apply -f "$dir/all.yaml"
want "0/3" get deploy -n demo -o wide
want "aGVsbG8=" get secret sec -n demo -o jsonpath='{.data.p}'
want "NodePort" get svc web -n demo
want "Pending" get pods -A -l app=web --field-selector status.phase=Pending
want "IfNotPresent" get pod p1 -n demo -o yaml
want "Always" get deploy web -n demo -o jsonpath='{.spec.template.spec.containers[0].imagePullPolicy}'
want "scaled" scale deploy web --replicas=5 -n demo
want "5" get deploy web -n demo -o jsonpath='{.spec.replicas}'
want "image updated" set image deploy/web nginx=nginx:2 -n demo
want "3" get deploy web -n demo -o jsonpath='{.metadata.generation}'
want "labeled" label pod p1 x=y -n demo
want "annotated" annotate pod p1 n=m -n demo
want "patched" patch svc web -n demo --type=json -p '[{"op":"replace","path":"/spec/ports/0/port","value":81}]'
want "patched" patch cm cfg -n demo --type=merge -p '{"data":{"b":"2"}}'
want "patched" patch deploy web -n demo -p '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","env":[{"name":"A","value":"b"}]}]}}}}'
want "nginx:2" get deploy web -n demo -o jsonpath='{.spec.template.spec.containers[0].image}'
want "restarted" rollout restart deploy/web -n demo
want "DeploymentStrategy" explain deployment.spec.strategy
want "deployments" api-resources
want "apps/v1" api-versions
want "kubernetes-admin" auth whoami
want "yes" auth can-i create pods
want "5 desired" describe deploy web -n demo
want "is running at" cluster-info
want "AlreadyExists" create namespace demo
want "not found" get pod nothing -n demo
want "unknown field \"spec.containers[0].imge\"" apply -f - <<'EOF'
apiVersion: v1
kind: Pod
metadata: {name: bad}
spec: {containers: [{name: c, imge: x}]}
EOF
want "spec.containers[0].image: Required value" create -f - <<'EOF'
apiVersion: v1
kind: Pod
metadata: {name: bad-pod}
spec: {containers: [{name: c}]}
EOF
want "field is immutable" patch deploy web -n demo -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'
(k get cm -n demo -w --request-timeout=4s -o name >"$dir/watch") &
watcher=$!
sleep 1
want "created" create configmap late --from-literal=a=b -n demo
wait "$watcher"
has "a watch shows what was created" "configmap/late" "$(cat "$dir/watch")"
before=$(k get all,cm,secret -A -o json | grep -c '"uid"')
kill -9 "$pid"
wait "$pid" 2>/dev/null
start_server "${url##*:}"
after=$(k get all,cm,secret -A -o json | grep -c '"uid"')
[ "$before" -gt 5 ] || fail "there are objects" "$before"
is "objects after kill -9" "$before" "$after"
want "created" create configmap again --from-literal=a=b -n demo
want "deleted" delete cm cfg -n demo
want "not found" get cm cfg -n demo
want "deleted" delete pod p1 -n demo
exit $bad
