#!/bin/sh
# Built-in admission beside quotas and Pod Security, with the real kubectl: default classes, what is in use, growth of claims, runtime classes, new
# nodes; and owner references, which only a configuration brings in. usage: admission.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl openssl
start_server
claim() { # NAME SIZE
    printf 'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: %s}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: %s}}}\n' "$1" "$2"
}
claim before 1Gi | k create -f - >/dev/null
want "" get pvc before -o jsonpath='{.spec.storageClassName}'
k create -f - >/dev/null <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: gold, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: example.com/x
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: front, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: example.com/x}
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: vm}
handler: vm
overhead: {podFixed: {cpu: 250m}}
scheduling: {nodeSelector: {vm: "yes"}, tolerations: [{key: vm, operator: Exists}]}
END
claim after 1Gi | k create -f - >/dev/null
want "gold" get pvc after -o jsonpath='{.spec.storageClassName}'
want "kubernetes.io/pvc-protection" get pvc after -o jsonpath='{.metadata.finalizers}'
want "ingress.networking.k8s.io/web created" create ingress web --rule='a.example/*=svc:80'
want "front" get ingress web -o jsonpath='{.spec.ingressClassName}'
k create -f - >/dev/null <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: v}
spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}, storageClassName: gold, hostPath: {path: /tmp/v}}
END
k patch pvc after -p '{"spec":{"volumeName":"v"}}' >/dev/null
until_is Bound get pvc after -o jsonpath='{.status.phase}'
want 'persistentvolumeclaims "after" is forbidden: only dynamically provisioned pvc can be resized' patch pvc after -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
k patch storageclass gold -p '{"allowVolumeExpansion":true}' >/dev/null
want "persistentvolumeclaim/after patched" patch pvc after -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'

# a claim in use waits for its pod
k create -f - >/dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: user}
spec: {nodeName: somewhere, terminationGracePeriodSeconds: 0, containers: [{name: c, image: x}], volumes: [{name: v, persistentVolumeClaim: {claimName: after}}]}
END
want "deleted" delete pvc before --wait=true
k delete pvc after --wait=false >/dev/null
want "kubernetes.io/pvc-protection" get pvc after -o jsonpath='{.metadata.finalizers}'
k delete pod user --force --grace-period=0 >/dev/null
until_is "" get pvc after --ignore-not-found

# runtime classes
want 'pods "a" is forbidden: pod rejected: RuntimeClass "none" not found' run a --image x --overrides '{"spec":{"runtimeClassName":"none"}}'
want "pod/b created" run b --image x --overrides '{"spec":{"runtimeClassName":"vm"}}'
want '{"cpu":"250m"} {"vm":"yes"}' get pod b -o jsonpath='{.spec.overhead} {.spec.nodeSelector}'
want '"key":"vm","operator":"Exists"' get pod b -o jsonpath='{.spec.tolerations}'
want '"key":"node.kubernetes.io/not-ready"' get pod b -o jsonpath='{.spec.tolerations}'

# a node that has said nothing yet
printf '{"apiVersion":"v1","kind":"Node","metadata":{"name":"fresh"}}' >"$dir/node.json"
want "node.kubernetes.io/not-ready" create -f "$dir/node.json" -o jsonpath='{.spec.taints}'

# a pod's zone is its node's
want "node/fresh labeled" label node fresh topology.kubernetes.io/zone=z1 topology.kubernetes.io/region=r1
k run c --image x --overrides '{"spec":{"schedulerName":"nobody"}}' >/dev/null
printf '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"c","annotations":{"said":"yes"}},"target":{"apiVersion":"v1","kind":"Node","name":"fresh"}}' >"$dir/binding.json"
want "Success" create --raw /api/v1/namespaces/default/pods/c/binding -f "$dir/binding.json"
want 'fresh r1 z1 yes' get pod c -o jsonpath='{.spec.nodeName} {.metadata.labels.topology\.kubernetes\.io/region} {.metadata.labels.topology\.kubernetes\.io/zone} {.metadata.annotations.said}'
# the same by the old way, which makes no object of the Binding
k run d --image x --overrides '{"spec":{"schedulerName":"nobody"}}' >/dev/null
sed 's/"name":"c"/"name":"d"/' "$dir/binding.json" >"$dir/bindings.json"
want "Success" create --raw /api/v1/namespaces/default/bindings -f "$dir/bindings.json"
want 'fresh yes' get pod d -o jsonpath='{.spec.nodeName} {.metadata.annotations.said}'
want 'is already assigned to node "fresh"' create --raw /api/v1/namespaces/default/bindings -f "$dir/bindings.json"

# owner references, when the chain has them
kill "$pid"
wait "$pid" 2>/dev/null
mkdir "$dir/conf"
sed 's/"resource-quota" \]/"owner-references-permission-enforcement", "resource-quota" ]/' "$(dirname "$0")/../../conf/keelson.cfg" >"$dir/conf/keelson.cfg"
mkdir "$dir/conf/conf.d"
cat >"$dir/conf/conf.d/events.cfg" <<END
chains = { admission = [ "event-rate-limit" ]; };
instances = ( { plugin = "admission-eventratelimit"; settings = { limits = ( { type = "Namespace"; qps = 1; burst = 2; cache_size = 100; },
                                                                           { type = "SourceAndObject"; qps = 1; burst = 50; } ); }; } );
END
"$build/keelson" server --config "$dir/conf/keelson.cfg" --plugins "$build/plugins" --state-dir "$dir/state" --port 0 >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 300); do
    url=$(sed -n 's|.*server: ||p' "$KUBECONFIG")
    c "$url/readyz" 2>/dev/null | grep -q ok && break
    sleep 0.1
done
c "$url/readyz" | grep -q ok || {
    fail "the second server" "$url: $(c "$url/readyz")" "$(cat "$dir/log")"
    exit 1
}
k create serviceaccount bob >/dev/null
k create role maker --verb=create,get,patch,update --resource=configmaps >/dev/null
k create rolebinding maker --role=maker --serviceaccount=default:bob >/dev/null
k create configmap thing >/dev/null
uid=$(k get configmap thing -o jsonpath='{.metadata.uid}')
owner() { printf '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"thing","uid":"%s","blockOwnerDeletion":%s}]}}' "$uid" "$1"; }
k create configmap mine >/dev/null
bob() { until_is yes auth can-i "$1" configmaps --as system:serviceaccount:default:bob; }
bob patch
want "cannot set an ownerRef on a resource you can't delete" patch configmap mine --as system:serviceaccount:default:bob -p "$(owner false)"
k create role deleter --verb=delete --resource=configmaps >/dev/null
k create rolebinding deleter --role=deleter --serviceaccount=default:bob >/dev/null
bob delete
want "configmap/mine patched" patch configmap mine --as system:serviceaccount:default:bob -p "$(owner false)"
want "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on" patch configmap mine --as system:serviceaccount:default:bob -p "$(owner true)"
want "configmap/mine patched" patch configmap mine -p "$(owner true)"

# limits of events, when they are configured: a namespace that says too much is refused, others are not
k create namespace quiet >/dev/null
k create namespace calm >/dev/null
tell() { # NAMESPACE [QUERY]
    c -H 'content-type: application/json' "$url/api/v1/namespaces/$1/events${2:-}" \
        -d '{"metadata":{"generateName":"e-"},"involvedObject":{"kind":"Pod","name":"p","namespace":"'"$1"'"},"reason":"R","message":"m","type":"Normal"}'
}
case "$(tell quiet '?dryRun=All&x=[1-30]')" in *TooManyRequests*) fail "dry runs cost nothing" ;; esac
out=$(tell quiet '?x=[1-30]') # curl asks 30 times
case "$out" in
*'"message":"Too many requests: limit reached on type Namespace for key quiet"'*'"code":429'*) ;;
*) fail "limits of events" "$out" ;;
esac
out=$(tell calm)
case "$out" in *'"kind":"Event"'*) ;; *) fail "another namespace's events" "$out" ;; esac
out=$(c -H 'content-type: application/json' "$url/apis/events.k8s.io/v1/namespaces/quiet/events?x=[1-30]" \
    -d '{"metadata":{"generateName":"e-"},"regarding":{"kind":"Pod","name":"p","namespace":"quiet"},"eventTime":"2026-01-01T00:00:00.000000Z","reportingController":"a/b",
"reportingInstance":"i","action":"A","reason":"R","note":"m","type":"Normal"}')
case "$out" in *TooManyRequests* | *Failure*) fail "events.k8s.io has no limits" "$out" ;; esac
exit $bad
