#!/bin/sh
# StatefulSets, DaemonSets, Jobs, CronJobs and disruption budgets with the real kubectl; this script plays the nodes.
# usage: workloads.sh BUILD_DIR. Skips (exit 0, with a reason) without a kubectl that can patch a status.
# takes long
set -u
build=$(cd "$1" && pwd)
kubectl patch --help 2>/dev/null | grep -q -e --subresource || {
    echo "skipped: no kubectl with patch --subresource"
    exit 0
}
. "$(dirname "$0")/lib/server.sh"
player=
trap 'ended=$?; kill $player 2>/dev/null; wait $player 2>/dev/null; server_finish' EXIT
start_server
node() {
    printf 'apiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {disk: %s}}\n' "$1" "$2" | k apply -f - >/dev/null
    k patch node "$1" --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"True"}],
        "allocatable":{"cpu":"64","memory":"64Gi","pods":"500"},"capacity":{"cpu":"64","memory":"64Gi","pods":"500"}}}' >/dev/null
}
# Pods of jobs stay as they are; others are soon ready; those that are to go, go. Nodes send their heartbeat.
play() {
    while :; do
        k get pods -l '!job-name' -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
            awk 'NF == 1 { print $1 }' >"$dir/unready"
        # shellcheck disable=SC2046
        [ ! -s "$dir/unready" ] || k patch pods $(cat "$dir/unready") --subresource=status --type=strategic -p '{"status":{"phase":"Running",
            "podIP":"10.9.0.1","podIPs":[{"ip":"10.9.0.1"}],"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}'
        k get pods -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.metadata.deletionTimestamp}{"\n"}{end}' | awk 'NF == 2 { print $1 }' >"$dir/going"
        # shellcheck disable=SC2046
        [ ! -s "$dir/going" ] || k delete pods $(cat "$dir/going") --grace-period=0 --force --wait=false
        for n in n1 n2 n3; do
            printf -- '---\napiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: %s, namespace: kube-node-lease}\nspec: {renewTime: "%s"}\n' \
                $n "$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)"
        done | k apply -f -
        sleep 0.1
    done >/dev/null 2>&1
}
node n1 ssd
node n2 ssd
node n3 hdd
play &
player=$!

# --- StatefulSet ---
cat <<'END' | k apply -f - >/dev/null
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: "i:1"}]}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
END
soon "a statefulset is rolled out" "3 new pods" k rollout status statefulset db --timeout=30s
soon "in order" "db-0 db-1 db-2" k get pods -l app=db --sort-by=.metadata.creationTimestamp -o 'jsonpath={.items[*].metadata.name}'
soon "each with its claim" "data-db-2" k get pod db-2 -o 'jsonpath={.spec.volumes[*].persistentVolumeClaim.claimName}'
soon "which is there" "data-db-0 data-db-1 data-db-2" k get pvc -o 'jsonpath={.items[*].metadata.name}'
soon "and its name" "db-1 db" k get pod db-1 -o 'jsonpath={.spec.hostname} {.spec.subdomain}'
k patch statefulset db --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}' >/dev/null
k set image statefulset db c=i:2 >/dev/null
soon "an update down to the partition" "i:1 i:1 i:2" k get pods -l app=db -o 'jsonpath={.items[*].spec.containers[0].image}'
k patch statefulset db --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}' >/dev/null
soon "and to the end" "i:2 i:2 i:2" k get pods -l app=db -o 'jsonpath={.items[*].spec.containers[0].image}'
soon "undo" "rolled back" k rollout undo statefulset db
soon "undone" "i:1 i:1 i:1" k get pods -l app=db -o 'jsonpath={.items[*].spec.containers[0].image}'
k scale statefulset db --replicas=1 >/dev/null
none "scaled down from the end" k get pods db-1 db-2 -o name --ignore-not-found
soon "claims stay" "data-db-2" k get pvc data-db-2 -o name
k delete statefulset db >/dev/null
none "its pods go with it" k get pods -l app=db -o name

# --- DaemonSet ---
cat <<'END' | k apply -f - >/dev/null
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template: {metadata: {labels: {app: agent}}, spec: {nodeSelector: {disk: ssd}, containers: [{name: c, image: "i:1"}]}}
END
soon "a daemonset is rolled out" "successfully rolled out" k rollout status daemonset agent --timeout=30s
soon "on the nodes that fit" "n1 n2" k get pods -l app=agent --sort-by=.spec.nodeName -o 'jsonpath={.items[*].spec.nodeName}'
k label node n3 disk=ssd --overwrite >/dev/null
soon "and on one that fits now" "3 3" k get daemonset agent -o 'jsonpath={.status.desiredNumberScheduled} {.status.numberReady}'
k set image daemonset agent c=i:2 >/dev/null
soon "updated" "successfully rolled out" k rollout status daemonset agent --timeout=60s
soon "everywhere" "i:2 i:2 i:2" k get pods -l app=agent -o 'jsonpath={.items[*].spec.containers[0].image}'
soon "history" "2" k rollout history daemonset agent
soon "as Go writes it, whose readers compare bytes" '{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"agent"}},"spec":{"containers":[{"image":"i:2",' \
    k get --raw /apis/apps/v1/namespaces/default/controllerrevisions
k taint node n3 example.org/out=now:NoExecute >/dev/null
soon "not on a node that is tainted" "2 2" k get daemonset agent -o 'jsonpath={.status.desiredNumberScheduled} {.status.currentNumberScheduled}'
k delete daemonset agent >/dev/null
none "gone" k get pods -l app=agent -o name

# --- Job ---
finish() {
    k patch pod "$1" --subresource=status --type=merge -p "{\"status\":{\"phase\":\"$2\",\"containerStatuses\":[{\"name\":\"c\",\"image\":\"i\",\"imageID\":\"\",
        \"ready\":false,\"restartCount\":0,\"state\":{\"terminated\":{\"exitCode\":$3,\"finishedAt\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"}}}]}}" >/dev/null
}
pods_of() { k get pods -l "job-name=$1" --field-selector status.phase=Pending -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}'; }
job() { printf 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s}\nspec: {%s template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n' "$1" "$2" | k apply -f - >/dev/null; }
job five "completions: 5, parallelism: 2, completionMode: Indexed,"
soon "two at a time" "2" k get job five -o 'jsonpath={.status.active}'
for _ in $(seq 60); do
    for p in $(pods_of five); do finish "$p" Succeeded 0; done
    k get job five -o 'jsonpath={.status.succeeded}' | grep -q 5 && break
    sleep 0.5
done
soon "a job completes" "condition met" k wait --for=condition=complete job/five --timeout=20s
soon "each index" "0-4 5" k get job five -o 'jsonpath={.status.completedIndexes} {.status.succeeded}'
none "no pod is held" k get pods -l job-name=five -o 'jsonpath={.items[*].metadata.finalizers}'
k patch job five -p '{"spec":{"ttlSecondsAfterFinished":1}}' >/dev/null
none "it goes after its time" k get job,pods -l job-name=five -o name
job fails "backoffLimit: 0,"
soon "a pod" fails k get pods -l job-name=fails -o name
finish "$(pods_of fails)" Failed 1
soon "a job fails" "BackoffLimitExceeded" k get job fails -o 'jsonpath={.status.conditions[?(@.type=="Failed")].reason}'
job policy "backoffLimit: 6, podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]},"
soon "a pod" policy k get pods -l job-name=policy -o name
finish "$(pods_of policy)" Failed 42
soon "by its policy" "exit code 42 matching FailJob rule at index 0" k get job policy -o 'jsonpath={.status.conditions[*].message}'
job waits "suspend: true, activeDeadlineSeconds: 2,"
soon "a suspended job" "JobSuspended" k get job waits -o 'jsonpath={.status.conditions[*].reason}'
none "has no pods" k get pods -l job-name=waits -o name
k patch job waits --type=merge -p '{"spec":{"suspend":false}}' >/dev/null
soon "resumed, it meets its deadline" "DeadlineExceeded" k get job waits -o 'jsonpath={.status.conditions[?(@.type=="Failed")].reason}'
none "and its pods go" k get pods -l job-name=waits -o name
k delete job fails policy waits >/dev/null
none "pods of deleted jobs are not held" k get pods -l job-name -o name

# --- disruption budget ---
k create deployment web --image=i --replicas=3 >/dev/null
k create poddisruptionbudget web --selector=app=web --min-available=2 >/dev/null
soon "one may be disturbed" "1 3 2 3" k get pdb web -o 'jsonpath={.status.disruptionsAllowed} {.status.currentHealthy} {.status.desiredHealthy} {.status.expectedPods}'
evict() { printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"default"}}' "$1" | k create --raw "/api/v1/namespaces/default/pods/$1/eviction" -f -; }
# shellcheck disable=SC2046
set -- $(k get pods -l app=web -o 'jsonpath={.items[*].metadata.name}')
got="$(evict "$1") $(evict "$2")"
case "$got" in
*Success*"would violate the pod's disruption budget"*) echo "ok: the second eviction is refused" ;;
*) fail "evictions" "$got" ;;
esac
k run evicted --image=i --overrides='{"metadata":{"finalizers":["example.com/wait"]}}' >/dev/null
evict evicted >/dev/null
soon "an evicted pod says why it goes" "EvictionByEvictionAPI True" k get pod evicted -o 'jsonpath={range .status.conditions[?(@.type=="DisruptionTarget")]}{.reason} {.status}{end}'
k patch pod evicted --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null
soon "the node is drained" "node/n1 drained" k drain n1 --pod-selector=app=web --timeout=50s
none "of these pods" k get pods -l app=web --field-selector spec.nodeName=n1 -o name
k uncordon n1 >/dev/null
soon "when it is replaced, another may be" "1 3" k get pdb web -o 'jsonpath={.status.disruptionsAllowed} {.status.currentHealthy}'

# --- ReplicationController ---
printf 'apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rc}\nspec: {replicas: 2, selector: {app: rc}, template: {metadata: {labels: {app: rc}}, spec: {containers: [{name: c, image: i}]}}}\n' | k apply -f - >/dev/null
soon "a replication controller" "2 2" k get rc rc -o 'jsonpath={.status.replicas} {.status.readyReplicas}'

# --- CronJob: the next full minute comes ---
k create cronjob tick --image=i --schedule='* * * * *' >/dev/null
k create job --from=cronjob/tick by-hand >/dev/null
soon "a job by hand is told of, and in nobody's way" "Saw a job that the controller did not create or forgot: by-hand" k get events --field-selector reason=UnexpectedJob
soon "a job by the schedule" "job.batch/tick-" k get jobs -o name
soon "is remembered" "00Z" k get cronjob tick -o 'jsonpath={.status.lastScheduleTime}'

grep -E ' [WE] ' "$dir/log" | grep -v -e 'comes back' && bad=1
exit $bad
