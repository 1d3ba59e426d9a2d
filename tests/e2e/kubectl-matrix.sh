#!/bin/sh
# What both kubectls do against the server, verb by verb: the installed one, and an old one (1.20, as Debian 12 ships it) where there is one.
# usage: kubectl-matrix.sh BUILD_DIR. The old one is $KUBECTL_OLD, or /usr/lib/kubectl-1.20/kubectl; without it only the installed one is used.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
needs kubectl
old=${KUBECTL_OLD:-/usr/lib/kubectl-1.20/kubectl}
start_server

manifests() {
    cat >"$dir/all.yaml" <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {t: a}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "nginx:1", env: [{name: A, value: "1"}], ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {t: a}}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg, labels: {t: a}}
data: {a: "1", b: "2"}
---
apiVersion: v1
kind: Secret
metadata: {name: sec, labels: {t: a}}
stringData: {a: "1"}
EOF
    sed -e 's/nginx:1/nginx:2/; s/, b: "2"//' "$dir/all.yaml" >"$dir/all2.yaml"
    sed -n '1,/^---/p' "$dir/all2.yaml" | sed '$d' >"$dir/web.yaml"
    cat >"$dir/typo.yaml" <<'EOF'
apiVersion: v1
kind: Pod
metadata: {name: typo}
spec: {containers: [{name: c, image: busybox, imge: x}]}
EOF
    printf '#!/bin/sh\nsed -i "s/replicas: [0-9]*/replicas: 4/" "$1"\n' >"$dir/editor"
    chmod +x "$dir/editor"
}

# Both kubectls make these; $1 is the namespace.
creating() {
    want "namespace/$1 created" create namespace "$1"
    k config set-context --current --namespace="$1" >/dev/null
    want "already exists" create namespace "$1"
    want "deployment.apps/d created" create deployment d --image=nginx
    want "configmap/c created" create configmap c --from-literal=a=b
    want "secret/s created" create secret generic s --from-literal=p=q
    want "secret/r created" create secret docker-registry r --docker-server=x --docker-username=u --docker-password=p
    want "secret/t created" create secret tls t --cert="$dir/state/pki/admin.crt" --key="$dir/state/pki/admin.key"
    want "job.batch/j created" create job j --image=busybox -- true
    want "role.rbac.authorization.k8s.io/r created" create role r --verb=get,list --resource=pods
    want "rolebinding.rbac.authorization.k8s.io/rb created" create rolebinding rb --role=r --user=bob
    want "clusterrole.rbac.authorization.k8s.io/$1 created" create clusterrole "$1" --verb=get --resource=nodes
    want "clusterrolebinding.rbac.authorization.k8s.io/$1 created" create clusterrolebinding "$1" --clusterrole="$1" --user=bob
    want "resourcequota/q created" create quota q --hard=configmaps=50,pods=50
    want "serviceaccount/sa created" create serviceaccount sa
    want "service/svc created" create service clusterip svc --tcp=80:8080
    want "service/np created" create service nodeport np --tcp=80:8080
    want "service/en created" create service externalname en --external-name example.com
    want "service/lb created" create service loadbalancer lb --tcp=80
    want "priorityclass.scheduling.k8s.io/$1 created" create priorityclass "$1" --value=100
    want "ingress.networking.k8s.io/ing created" create ingress ing --rule='a.example.com/*=svc:80'
    want "pod/p created" run p --image=busybox --labels=app=d --env=A=b --port=80
    want "service/d exposed" expose deployment d --port=80 --target-port=8080
    want "horizontalpodautoscaler.autoscaling/d autoscaled" autoscale deployment d --min=1 --max=3
    want "created (server dry run)" create configmap never --from-literal=a=b --dry-run=server
    want "created (dry run)" create configmap never --from-literal=a=b --dry-run=client
    not "resourceVersion" create configmap never --from-literal=a=b --dry-run=server -o yaml
    want "not found" get configmap never
}

getting() {
    want "0/1     Pending   0" get pods
    want "NOMINATED NODE   READINESS GATES" get pods -o wide
    want "kind: List" get deploy,svc -o yaml
    want '"kind": "Pod"' get pod p -o json
    want "busybox" get pods -o 'jsonpath={.items[*].spec.containers[*].image}'
    want "d " get deploy -o 'custom-columns=N:.metadata.name,R:.spec.replicas' --no-headers
    want "$1" get pods -A
    want "app=d" get pods -l 'app in (d,e)' --show-labels
    want "No resources found" get pods -l 'app notin (d),!job-name'
    want "p " get pods --field-selector=status.phase=Pending,metadata.name=p
    want "pod/p" get pods -o name --sort-by=.metadata.name
    want "deployment.apps/d" get all
    want "CREATED AT" get role r
    want "Role/r" get rolebinding rb -o wide
    want "a.example.com" get ingress
    want "Deployment/d" get hpa
    want "example.com" get svc en
    want "<pending>" get svc lb
    want "STATUS" get job j
    want '"major": "1"' get --raw /version
    want "Error from server (NotFound): pods \"nothing\" not found" get pods nothing
    want "the server doesn't have a resource type \"nothing\"" get nothing
    want "field label not supported: spec.foo" get pods --field-selector=spec.foo=x
    want "found '' expected: '('" get pods -l 'a in'
}

describing() {
    for o in pod/p deploy/d svc/svc cm/c secret/s job/j role/r rolebinding/rb quota/q sa/sa ing/ing hpa/d; do
        want "Name:" describe "$o"
    done
    for o in "ns/$1" "clusterrole/$1" "clusterrolebinding/$1" "pc/$1"; do
        want "Name:" describe "$o"
    done
    want "QoS Class:" describe pod p
    want "1 desired | " describe deploy d
    want "Target" describe svc svc
}

applying() {
    want "deployment.apps/web created (dry run)" apply -f "$dir/all.yaml" --dry-run=client
    want "deployment.apps/web created (server dry run)" apply -f "$dir/all.yaml" --dry-run=server
    want "configmap/cfg created" apply -f "$dir/all.yaml"
    want "deployment.apps/web unchanged" apply -f "$dir/all.yaml"
    want "service/web unchanged" apply -f "$dir/all.yaml"
    want '+        image: nginx:2' diff -f "$dir/all2.yaml"
    k diff -f "$dir/all2.yaml" | grep -q '^[-+] *resourceVersion' && fail "kubectl diff" "a dry run has another resourceVersion"
    want "configmap/cfg configured" apply -f "$dir/all2.yaml"
    want '{"a":"1"}' get cm cfg -o 'jsonpath={.data}'
    want "already exists" create -f "$dir/all.yaml"
    want "deployment.apps/web replaced" replace -f "$dir/all2.yaml"
    want "unknown field" apply -f "$dir/typo.yaml"
    want "not found" get pod typo
    want "pod/typo created" apply -f "$dir/typo.yaml" --validate=false
}

changing() {
    export EDITOR="$dir/editor"
    want "deployment.apps/web edited" edit deploy web
    want "4" get deploy web -o 'jsonpath={.spec.replicas}'
    EDITOR=true
    want "Edit cancelled" edit deploy web
    want "image updated" set image deploy/web c=nginx:9
    want "env updated" set env deploy/web B=c
    want "B=c" set env deploy/web --list
    want "resource requirements updated" set resources deploy/web --limits=cpu=200m,memory=512Mi --requests=cpu=100m
    want "selector updated" set selector svc web app=web,x=y
    want "serviceaccount updated" set serviceaccount deploy/web sa
    want "deployment.apps/web" rollout history deploy/web
    want "paused" rollout pause deploy/web
    want "resumed" rollout resume deploy/web
    want "restarted" rollout restart deploy/web
    want "annotated" annotate deploy web a=b
    want "already has a value (b)" annotate deploy web a=c
    want "annotated" annotate deploy web a-
    want "labeled" label deploy web a=b
    want "labeled" label deploy web a=c --overwrite
    want "labeled" label deploy -l t=a z=1
    want "labeled" label deploy web a-
    want "Expected replicas to be 9, was 4" scale deploy web --replicas=2 --current-replicas=9
    want "scaled" scale deploy web --replicas=2
    want "The request is invalid" patch deploy web --type=json -p '[{"op":"test","path":"/spec/replicas","value":99}]'
    want "The request is invalid" patch deploy web --type=json -p '[{"op":"remove","path":"/spec/nothing"}]'
    want "patched" patch deploy web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":3}]'
    want "patched" patch deploy web --type=merge -p '{"spec":{"replicas":2}}'
    want "is invalid" patch deploy web --type=merge -p '{"spec":{"replicas":"x"}}'
    want "must be greater than or equal to 0" patch deploy web -p '{"spec":{"replicas":-1}}'
    want "patched" patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"C","value":"d"}]}]}}}}'
    want "A=1" set env deploy/web --list
    want "patched (no change)" patch deploy web -p '{"metadata":{"labels":{"t":"a"}}}'
    want "field is immutable" patch deploy web -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'
}

watching() {
    (k get cm -w --request-timeout=3s -o name >"$dir/watch") &
    watcher=$!
    sleep 1
    want "created" create configmap late --from-literal=a=b
    want "condition" wait --for=condition=Available deploy/web --timeout=1s
    (sleep 1 && k delete cm late >/dev/null) &
    want "configmap/late condition met" wait --for=delete cm/late --timeout=10s
    wait "$watcher"
    grep -q "configmap/late" "$dir/watch" || fail "get -w" "did not show what was created" "$(cat "$dir/watch")"
}

asking() {
    want "deployments" api-resources
    want "pods" api-resources --namespaced=true --verbs=list,watch -o name
    want "rbac.authorization.k8s.io/v1" api-versions
    want "v1.36" version
    want "is running at" cluster-info
    want "yes" auth can-i create pods
    want "no" auth can-i create pods --as=nobody
    want "*.*" auth can-i --list
    want "imagePullPolicy" explain pods --recursive
    want "The containers; at least one" explain pod.spec.containers
    want "doesn't have a resource type" explain nothing
    want "LAST SEEN" get events
}

deleting() {
    want "deleted" delete pod p --now
    want "force deleted" delete pod typo --force --grace-period=0
    want "not found" get pod p
    want "deleted" delete deploy d --cascade=orphan
    want "deleted" delete job j --cascade=background
    want "deleted" delete cm,secret -l t=a
    want "not found" delete cm nothing
    not "not found" delete cm nothing --ignore-not-found
    want "deleted" delete svc --all
    want "deleted" delete clusterrole,clusterrolebinding,priorityclass "$1"
    want "created" create configmap held --from-literal=a=b
    want "patched" patch cm held --type=merge -p '{"metadata":{"finalizers":["test.keelson.dev/hold"]}}'
    want "deleted" delete ns "$1" --wait=false
    want "Terminating" get ns "$1"
    want "because it is being terminated" create configmap z
    want "patched" patch cm held --type=merge -p '{"metadata":{"finalizers":null}}'
}

# Server-side apply, nodes that are emptied, certificates that are asked for. NAME: a suffix of what has no namespace.
administering() {
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {a: "1"}\n' >"$dir/ssa.yaml"
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {a: "2"}\n' >"$dir/ssa2.yaml"
    want "configmap/ssa serverside-applied" apply --server-side -f "$dir/ssa.yaml"
    want 'conflict with "kubectl": .data.a' apply --server-side --field-manager other -f "$dir/ssa2.yaml"
    want "configmap/ssa serverside-applied" apply --server-side --field-manager other --force-conflicts -f "$dir/ssa2.yaml"
    want "2" get cm ssa -o 'jsonpath={.data.a}'
    want "deleted" delete cm ssa

    cat >"$dir/node.yaml" <<EOF
apiVersion: v1
kind: Node
metadata: {name: node-$1}
---
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec: {nodeName: node-$1, tolerations: [{operator: Exists}], containers: [{name: c, image: i}]}
EOF
    want "node/node-$1 created" create -f "$dir/node.yaml"
    want "node/node-$1 tainted" taint node "node-$1" a=b:NoSchedule
    want "already has a taint" taint node "node-$1" a=c:NoSchedule
    want "node/node-$1 untainted" taint node "node-$1" a-
    want "node/node-$1 cordoned" cordon "node-$1"
    want "SchedulingDisabled" get node "node-$1"
    want "bare" drain "node-$1" --timeout=20s
    want "pod/bare evicted" drain "node-$1" --force --ignore-daemonsets --grace-period=0 --timeout=60s
    not "bare" get pods
    want "node/node-$1 uncordoned" uncordon "node-$1"
    want "deleted" delete node "node-$1"

    openssl req -new -newkey rsa:2048 -nodes -keyout "$dir/csr.key" -subj /O=builders/CN=ann -out "$dir/csr.pem" 2>/dev/null
    cat >"$dir/csr.yaml" <<EOF
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: csr-$1}
spec: {signerName: kubernetes.io/kube-apiserver-client, usages: [client auth], request: $(base64 -w0 "$dir/csr.pem")}
EOF
    want "certificatesigningrequest.certificates.k8s.io/csr-$1 created" create -f "$dir/csr.yaml"
    want "Pending" get csr "csr-$1"
    want "certificatesigningrequest.certificates.k8s.io/csr-$1 approved" certificate approve "csr-$1"
    want "Approved" get csr "csr-$1"
    want "deleted" delete csr "csr-$1"
    want "created" create -f "$dir/csr.yaml"
    want "certificatesigningrequest.certificates.k8s.io/csr-$1 denied" certificate deny "csr-$1"
    want "Denied" get csr "csr-$1"
    want "deleted" delete csr "csr-$1"
}

# What only the newer one knows.
newer() {
    want "cronjob.batch/cj created" create cronjob cj --image=busybox --schedule='*/5 * * * *' -- true
    want "*/5 * * * *   <none>     False" get cj
    want "poddisruptionbudget.policy/b created" create poddisruptionbudget b --selector=app=web --min-available=1
    want "Min available:" describe pdb b
    want "system:masters" auth whoami
    want "ey" create token sa
    want "patched" patch deploy web --subresource=status --type=merge -p '{"status":{"replicas":3}}'
    want "3" get deploy web -o 'jsonpath={.status.replicas}'
    want "condition met" wait --for=jsonpath='{.spec.replicas}'=2 deploy/web --timeout=5s
    want "configmap/cfg configured" apply -f "$dir/all.yaml"
    want "configmap/cfg pruned (server dry run)" apply --prune -l t=a -f "$dir/web.yaml" --dry-run=server
    want "KIND:       Deployment" explain deployment.spec.strategy
    want "DESCRIPTION:" explain deployment.spec.strategy --output=plaintext-openapiv2
    want "metrics not available yet" top pods
    want "deleted" delete pod typo
    want "Warning: unknown field \"spec.containers[0].imge\"" create -f "$dir/typo.yaml" --validate=warn
}

all() {
    kubectl=$1
    manifests
    creating "$2"
    getting "$2"
    describing "$2"
    applying
    changing
    watching
    asking
    administering "$2"
    [ "$2" = new ] && newer
    deleting "$2"
}

echo "kubectl: $(kubectl version --client 2>/dev/null | head -n 1)"
all kubectl new
if [ -x "$old" ]; then
    echo "old kubectl: $("$old" version --client --short 2>/dev/null | head -n 1)"
    all "$old" old
else
    echo "no old kubectl at $old: only the installed one was tried"
fi
exit $bad
