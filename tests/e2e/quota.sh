#!/bin/sh
# LimitRange and ResourceQuota with the real kubectl: defaults, limits, words of refusal, use that follows creations and deletions, and a quota that
# a hundred writers at once do not exceed. usage: quota.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl curl
# pods of a priority class that only quotas open
mkdir "$dir/conf"
sed 's/{ plugin = "admission-quota"; on = "server"; }/{ plugin = "admission-quota"; on = "server"; settings = { limited_resources = ( { resource = "pods"; match_scopes = ( { scope = "PriorityClass"; operator = "In"; values = [ "guarded" ]; } ); } ); }; }/' \
    "$(dirname "$0")/../../conf/keelson.cfg" >"$dir/conf/keelson.cfg"
server_flags="--config $dir/conf/keelson.cfg --plugins $build/plugins"
start_server
used() { until_is "$2" get resourcequota -n "${3:-quotas}" "$1" -o jsonpath='{.status.used}'; }
pod() { # NAME REQUESTS LIMITS
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: c, image: x, resources: {requests: {%s}, limits: {%s}}}]}\n' "$1" "$2" "$3" >"$dir/$1.yaml"
}

# LimitRange
k create namespace limits >/dev/null
want "limitrange/l created" create -n limits -f - <<END
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec:
  limits:
  - {type: Container, default: {cpu: 500m}, defaultRequest: {cpu: 100m}, max: {cpu: "1"}, maxLimitRequestRatio: {cpu: "5"}}
  - {type: Pod, max: {memory: 1Gi}}
  - {type: PersistentVolumeClaim, min: {storage: 1Gi}}
END
pod plain '' 'memory: 1Mi'
pod greedy '' 'cpu: 2, memory: 2Gi'
want "pod/plain created" create -n limits -f "$dir/plain.yaml"
want '{"limits":{"cpu":"500m","memory":"1Mi"},"requests":{"cpu":"100m","memory":"1Mi"}}' get pod -n limits plain -o jsonpath='{.spec.containers[0].resources}'
want 'LimitRanger plugin set: cpu request for container c; cpu limit for container c' get pod -n limits plain -o jsonpath='{.metadata.annotations.kubernetes\.io/limit-ranger}'
want 'pods "greedy" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Pod is 1Gi, but limit is 2Gi]' create -n limits -f "$dir/greedy.yaml"
want 'persistentvolumeclaims "small" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi' create -n limits -f - <<END
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: small}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
END

# ResourceQuota
k create namespace quotas >/dev/null
want "resourcequota/q created" create quota q -n quotas --hard=pods=2,requests.cpu=1,services=1,services.nodeports=1,configmaps=4,count/deployments.apps=1
until_is "kube-root-ca.crt" get configmaps -n quotas -o jsonpath='{.items[*].metadata.name}'
used q '{"configmaps":"1","count/deployments.apps":"0","pods":"0","requests.cpu":"0","services":"0","services.nodeports":"0"}'
pod a 'cpu: 300m' ''
pod b 'cpu: 900m' ''
pod none '' ''
want "pod/a created" create -n quotas -f "$dir/a.yaml"
want 'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=900m, used: requests.cpu=300m, limited: requests.cpu=1' create -n quotas -f "$dir/b.yaml"
want 'pods "none" is forbidden: failed quota: q: must specify requests.cpu for: c' create -n quotas -f "$dir/none.yaml"
want "deployment.apps/web created" create deployment web -n quotas --image x
want 'deployments.apps "more" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1' create deployment more -n quotas --image x
want "service/one created" create service clusterip one -n quotas --tcp=80
want 'services "two" is forbidden: exceeded quota: q, requested: services=1, used: services=1, limited: services=1' create service clusterip two -n quotas --tcp=80
want "service/one patched" patch service one -n quotas -p '{"spec":{"type":"NodePort"}}'
used q '{"configmaps":"1","count/deployments.apps":"1","pods":"1","requests.cpu":"300m","services":"1","services.nodeports":"1"}'
want "pod/c created" create -n quotas -f - <<END
apiVersion: v1
kind: Pod
metadata: {name: c, finalizers: [example.com/wait]}
spec: {containers: [{name: c, image: x, resources: {requests: {cpu: 100m}}}]}
END
k patch pod c -n quotas --subresource=status -p '{"status":{"phase":"Succeeded"}}' >/dev/null
used q '{"configmaps":"1","count/deployments.apps":"1","pods":"1","requests.cpu":"300m","services":"1","services.nodeports":"1"}'
for x in deployment/web service/one pod/a; do k delete -n quotas $x >/dev/null; done
used q '{"configmaps":"1","count/deployments.apps":"0","pods":"0","requests.cpu":"0","services":"0","services.nodeports":"0"}'
k patch pod c -n quotas --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]' >/dev/null
# a finalizer keeps what is deleted: counted until it is gone
want "configmap/held created" create -n quotas -f - <<END
apiVersion: v1
kind: ConfigMap
metadata: {name: held, finalizers: [example.com/wait]}
END
k delete configmap held -n quotas --wait=false >/dev/null
used q '{"configmaps":"2","count/deployments.apps":"0","pods":"0","requests.cpu":"0","services":"0","services.nodeports":"0"}'
k patch configmap held -n quotas --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]' >/dev/null
used q '{"configmaps":"1","count/deployments.apps":"0","pods":"0","requests.cpu":"0","services":"0","services.nodeports":"0"}'
want "pods: 0/2" get quota q -n quotas
want "resourcequota/q patched" patch quota q -n quotas -p '{"spec":{"hard":{"pods":"3","requests.cpu":null}}}'
until_is '{"configmaps":"4","count/deployments.apps":"1","pods":"3","services":"1","services.nodeports":"1"}' get resourcequota q -n quotas -o jsonpath='{.status.hard}'

# scopes
want "resourcequota/best created" create quota best -n limits --hard=pods=0 --scopes=BestEffort
want "pod/plain2 created" create -n limits -f - <<END
apiVersion: v1
kind: Pod
metadata: {name: plain2}
spec: {containers: [{name: c, image: x, resources: {limits: {memory: 1Mi}}}]}
END
k create namespace best >/dev/null
k create quota best -n best --hard=pods=0 --scopes=BestEffort >/dev/null
want 'exceeded quota: best, requested: pods=1, used: pods=0, limited: pods=0' create -n best -f "$dir/none.yaml"
want "pod/a created" create -n best -f "$dir/a.yaml"

# a hundred writers at once, right behind the quota's making
k create namespace rush >/dev/null
want "resourcequota/r created" create quota r -n rush --hard=pods=17,secrets=23
body='{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"p-"},"spec":{"containers":[{"name":"c","image":"x"}]}}'
secret='{"apiVersion":"v1","kind":"Secret","metadata":{"generateName":"s-"}}'
printf '%s' "$body" >"$dir/pod.json"
printf '%s' "$secret" >"$dir/secret.json"
for i in $(seq 200); do
    printf '%s\ncacert = "%s"\ncert = "%s"\nkey = "%s"\n' "$([ "$i" = 1 ] || echo next)" "$dir/state/pki/ca.crt" "$dir/state/pki/admin.crt" "$dir/state/pki/admin.key"
    kind=$([ $((i % 2)) = 0 ] && echo pod || echo secret)
    printf 'url = "%s/api/v1/namespaces/rush/%ss"\ndata-binary = "@%s"\nheader = "content-type: application/json"\noutput = "/dev/null"\nwrite-out = "%%{http_code} %s\\n"\n' "$url" $kind "$dir/$kind.json" $kind
done >"$dir/rush.curl"
curl -s --parallel --parallel-immediate --parallel-max 100 --config "$dir/rush.curl" >"$dir/rush" 2>/dev/null
count() { grep -c "$1" "$dir/rush"; }
[ "$(count '201 pod')" = 17 ] && [ "$(count '403 pod')" = 83 ] || fail "100 pods at once" "$(sort "$dir/rush" | uniq -c)"
[ "$(count '201 secret')" = 23 ] && [ "$(count '403 secret')" = 77 ] || fail "100 secrets at once" "$(sort "$dir/rush" | uniq -c)"
[ "$(k get pods -n rush -o name | wc -l)" = 17 ] || fail "pods of the rush" "$(k get pods -n rush -o name)"
used r '{"pods":"17","secrets":"23"}' rush
k delete pods -n rush --all >/dev/null
used r '{"pods":"0","secrets":"23"}' rush

k create priorityclass guarded --value=5 >/dev/null
k create namespace open >/dev/null
guarded() { k run "$1" -n open --image=x --overrides='{"spec":{"priorityClassName":"guarded"}}'; }
case "$(guarded a)" in
*'pods "a" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [guarded]}]'*) ;;
*) fail "a class that needs a quota" "$(guarded a)" ;;
esac
want created create -f - <<END
apiVersion: v1
kind: ResourceQuota
metadata: {name: opens, namespace: open}
spec: {hard: {pods: "1"}, scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: Exists}]}}
END
case "$(guarded a)" in *created*) ;; *) fail "a quota opens it" "$(guarded a)" ;; esac
case "$(guarded b)" in *"exceeded quota: opens"*) ;; *) fail "and holds" "$(guarded b)" ;; esac
exit $bad
