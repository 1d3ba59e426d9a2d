#!/bin/sh
# Custom resources of two versions that a webhook converts: with the real kubectl, each verb in each version, what is stored, what upstream says of a
# webhook that is wrong or gone, lists, watches, status and scale, managed fields of two versions, and moving what is stored to another version.
# usage: conversion.sh BUILD_DIR
# takes long
set -u
[ "${CONVERSION_INSIDE:-}" ] || exec env CONVERSION_INSIDE=1 unshare -n sh -c 'ip link set lo up && ip addr add 10.99.0.1/32 dev lo && exec sh "$0" "$@"' "$0" "$@"
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
. "$here/lib/hooks.sh"
start_hooks
start_server
k create namespace demo >/dev/null

# crontab VERSION NAME SPEC: its text.
crontab() { printf '{"apiVersion":"stable.example.com/%s","kind":"CronTab","metadata":{"name":"%s","namespace":"demo"},"spec":%s}\n' "$1" "$2" "$3"; }
raw() { k get --raw "/apis/stable.example.com/$1/namespaces/demo/crontabs$2"; }
asked() { grep -c "^/convert $1" "$dir/asked"; }

out=$(definition v1)
has "definition" created "$out"
# --- what a definition may not say (upstream takes a service's name and namespace for each other) ---
for wrong in "strategy: Odd|spec.conversion.strategy: Unsupported value: \"Odd\": supported values: \"None\", \"Webhook\"" \
    "strategy: Webhook|spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook" \
    "strategy: Webhook|spec.conversion.conversionReviewVersions: Required value" \
    "strategy: Webhook, webhook: { conversionReviewVersions: [ v1 ], clientConfig: {} }|spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required" \
    "strategy: Webhook, webhook: { conversionReviewVersions: [ v9 ], clientConfig: { url: 'https://a/' } }|spec.conversion.conversionReviewVersions: Invalid value: [\"v9\"]: must include at least one of v1, v1beta1" \
    "strategy: Webhook, webhook: { conversionReviewVersions: [ v1, v1 ], clientConfig: { url: 'http://a/' } }|spec.conversion.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme" \
    "strategy: Webhook, webhook: { conversionReviewVersions: [ v1, v1 ], clientConfig: { url: 'https://a/' } }|spec.conversion.conversionReviewVersions[1]: Invalid value: \"v1\": duplicate version" \
    "strategy: Webhook, webhook: { conversionReviewVersions: [ v1 ], clientConfig: { service: { name: a, namespace: '', path: b } } }|spec.conversion.webhookClientConfig.service.name: Required value" \
    "strategy: None, webhook: { conversionReviewVersions: [ v1 ], clientConfig: { url: 'https://a/' } }|spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook" \
    "strategy: None, webhook: { conversionReviewVersions: [ v1 ] }|spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook" \
    "strategy: Webhook, webhook: { conversionReviewVersions: [ v1 ], clientConfig: { url: 'https://a/', caBundle: Cg== } }|spec.conversion.webhookClientConfig.caBundle: Invalid value: \"Cg==\": data does not contain any valid RSA or ECDSA certificates"; do
    has "bad definition" "${wrong#*|}" "$(definition v1 "{ ${wrong%%|*} }")"
done

# --- each verb in each version ---
has "create v1" created "$(crontab v1 one '{"host":"a.example.com","port":80,"replicas":1}' | k create -f -)"
hasnt "v1 is stored as it came" /convert "$(cat "$dir/asked")"
has "get v2" '"address":"a.example.com:80"' "$(raw v2 /one)"
has "get v2" '"apiVersion":"stable.example.com/v2"' "$(raw v2 /one)"
hasnt "get v2" '"host"' "$(raw v2 /one)"
rv=$(k get crontab.v1.stable.example.com one -n demo -o 'jsonpath={.metadata.resourceVersion} {.metadata.uid} {.metadata.generation}')
[ "$rv" = "$(k get crontab.v2.stable.example.com one -n demo -o 'jsonpath={.metadata.resourceVersion} {.metadata.uid} {.metadata.generation}')" ] || fail "metadata differs"
: >"$dir/asked"
has "create v2" '"address":"b.example.com:81"' "$(crontab v2 two '{"address":"b.example.com:81"}' | k create -f - -o json | tr -d ' \n')"
grep -q "^/convert stable.example.com/v1 1 apiextensions.k8s.io/v1$" "$dir/asked" || fail "what is stored was not asked for" "$(cat "$dir/asked")"
has "get v1" '"host":"b.example.com","port":81' "$(raw v1 /two)"
has "patch v2" patched "$(k patch crontab.v2.stable.example.com one -n demo --type merge -p '{"spec":{"address":"c.example.com:82"}}')"
has "patched" '"host":"c.example.com","port":82' "$(raw v1 /one)"
has "update v2" replaced "$(crontab v2 one '{"address":"d.example.com:83","replicas":2}' | k replace -f -)"
has "updated" '"host":"d.example.com","port":83' "$(raw v1 /one | tr -d ' \n')"
rv=$(k get crontab one -n demo -o 'jsonpath={.metadata.resourceVersion}')
has "an update that changes nothing" replaced "$(crontab v2 one '{"address":"d.example.com:83","replicas":2}' | k replace -f -)"
[ "$rv" = "$(k get crontab one -n demo -o 'jsonpath={.metadata.resourceVersion}')" ] || fail "an update that changes nothing made a revision"
has "apply v2" applied "$(crontab v2 three '{"address":"e.example.com:84"}' | k apply --server-side -f -)"
has "applied" '"host":"e.example.com","port":84' "$(raw v1 /three)"
has "conflict between versions" 'conflict with "kubectl": .spec.address' \
    "$(crontab v1 three '{"host":"f.example.com"}' | k apply --server-side --field-manager other -f -)"
has "apply v1, another field" applied "$(crontab v1 three '{"note":"x"}' | k apply --server-side --field-manager other -f -)"
out=$(k get crontab.v1.stable.example.com three -n demo -o jsonpath='{range .metadata.managedFields[*]}{.manager}={.apiVersion}={.fieldsV1}{"\n"}{end}' --show-managed-fields)
has "managed fields of v2" 'kubectl=stable.example.com/v2={"f:spec":{"f:address":{}}}' "$out"
has "managed fields of v1" 'other=stable.example.com/v1={"f:spec":{"f:note":{}}}' "$out"
has "an update in v1 takes the field of v2" patched "$(k patch crontab.v1.stable.example.com three -n demo --type merge -p '{"spec":{"port":85}}')"
hasnt "the field of v2 is not its manager's any more" 'stable.example.com/v2={"f:spec":{"f:address":{}}}' \
    "$(k get crontab.v1.stable.example.com three -n demo -o jsonpath='{range .metadata.managedFields[*]}{.manager}={.apiVersion}={.fieldsV1}{"\n"}{end}' --show-managed-fields)"
has "dry run" created "$(crontab v2 dry '{"address":"x.example.com:1"}' | k create --dry-run=server -f -)"
has "status" '"replicas":7' "$(k patch crontab.v2.stable.example.com one -n demo --subresource=status --type merge -p '{"status":{"replicas":7}}' -o json | tr -d ' \n')"
want 7 get crontab.v1.stable.example.com one -n demo -o 'jsonpath={.status.replicas}'
has "scale" scaled "$(k scale crontab.v2.stable.example.com one -n demo --replicas 5)"
want 5 get crontab.v1.stable.example.com one -n demo -o 'jsonpath={.spec.replicas}'
has "scaled" '"host":"d.example.com","port":83' "$(raw v1 /one | tr -d ' \n')"
has "table" AGE "$(k get crontabs.v2.stable.example.com -n demo)"

# --- lists: one question for a page; field selectors look at what is served ---
for i in $(seq 20); do crontab v1 "many-$i" "{\"host\":\"h$i\",\"port\":1}"; done >"$dir/many"
k create -f "$dir/many" >/dev/null
sleep 1.5                               # what is known for other reasons is known no more
: >"$dir/asked"
out=$(raw v2 '')
has "list" '"address":"h20:1"' "$out"
has "list" '"kind":"CronTabList"' "$out"
has "list" '{"apiVersion":"stable.example.com/v2","items":[{"apiVersion":"stable.example.com/v2","kind":"CronTab","metadata"' "$out"
[ "$(asked stable.example.com/v2)" = 1 ] || fail "a list is one question" "$(cat "$dir/asked")"
grep -q "^/convert stable.example.com/v2 23 " "$dir/asked" || fail "a list is one question for all" "$(cat "$dir/asked")"
sleep 1.5
: >"$dir/asked"
has "page" '"remainingItemCount":18' "$(raw v2 '?limit=5')"
grep -q "^/convert stable.example.com/v2 5 " "$dir/asked" || fail "a page asks for itself" "$(cat "$dir/asked")"
want many-7 get crontabs.v2.stable.example.com -n demo --field-selector spec.address=h7:1 -o name
not many-8 get crontabs.v2.stable.example.com -n demo --field-selector spec.address=h7:1 -o name

# --- a webhook that never answers about one object, of which nothing else tells: the others go on until it is given up (below) ---
crontab v1 hung '{"host":"a","port":1}' | sed 's/"demo"/"default"/' | k create -f - >/dev/null
hung() { k get --raw /apis/stable.example.com/v2/namespaces/default/crontabs/hung; }
sleep 1.2
: >"$dir/asked"
echo hang >"$dir/mode"
(
    began=$(date +%s)
    hung >"$dir/hung"
    echo $(($(date +%s) - began)) >"$dir/took"
) &
hanging=$!
for _ in $(seq 300); do grep -q /convert "$dir/asked" && break; sleep 0.1; done
echo >"$dir/mode"

# --- watches convert, in order, and are in step with both versions ---
c -N --max-time 600 "$url/apis/stable.example.com/v2/namespaces/demo/crontabs?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true" >"$dir/watch" &
for _ in $(seq 300); do grep -qs initial-events-end "$dir/watch" && break; sleep 0.1; done
[ "$(grep -c '"type":"ADDED"' "$dir/watch")" = 23 ] || fail "initial events" "$(wc -l <"$dir/watch")"
tail -1 "$dir/watch" | grep -q initial-events-end || fail "the bookmark is last" "$(tail -1 "$dir/watch")"
for i in $(seq 10); do k patch crontab.v1.stable.example.com many-1 -n demo --type merge -p "{\"spec\":{\"port\":$((100 + i))}}" >/dev/null; done
k delete crontab many-1 -n demo >/dev/null
for _ in $(seq 300); do grep -q DELETED "$dir/watch" && break; sleep 0.1; done
got=$(grep MODIFIED "$dir/watch" | grep -o 'h1:[0-9]*' | tr '\n' ' ')
[ "$got" = "$(for i in $(seq 10); do printf 'h1:%d ' $((100 + i)); done)" ] || fail "events in order" "$got"
grep DELETED "$dir/watch" | grep -q '"address":"h1:110"' || fail "deleted" "$(tail -1 "$dir/watch")"
c -N --max-time 600 "$url/apis/stable.example.com/v2/namespaces/demo/crontabs?watch=true&fieldSelector=spec.address%3Dh7:1" >"$dir/watch2" &
for _ in $(seq 300); do grep -qs ADDED "$dir/watch2" && break; sleep 0.1; done
k patch crontab.v1.stable.example.com many-8 -n demo --type merge -p '{"spec":{"port":2}}' >/dev/null
k patch crontab.v1.stable.example.com many-7 -n demo --type merge -p '{"spec":{"port":2}}' >/dev/null
for _ in $(seq 300); do grep -q DELETED "$dir/watch2" && break; sleep 0.1; done
[ "$(grep -o '"type":"[A-Z]*"' "$dir/watch2" | tr '\n' ' ')" = '"type":"ADDED" "type":"DELETED" ' ] || fail "a watch with a selector" "$(cat "$dir/watch2")"
echo failure >"$dir/mode"
k patch crontab.v1.stable.example.com many-8 -n demo --type merge -p '{"spec":{"port":3}}' >/dev/null
for _ in $(seq 300); do grep -q ERROR "$dir/watch2" && break; sleep 0.1; done
grep ERROR "$dir/watch2" | grep -q "conversion webhook for stable.example.com/v1, Kind=CronTab failed" || fail "a watch ends with what is wrong" "$(cat "$dir/watch2")"

# --- a webhook that is wrong, in upstream's words ---
sleep 1.2                               # what it answered so far is not kept longer
g='conversion webhook for stable.example.com/v1, Kind=CronTab'
for wrong in "uid|$g failed: expected response.uid=" "kind|$g failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1, Kind=AdmissionReview" \
    "none|$g failed: no response provided" "count|$g returned 2 objects, expected 1" "failure|$g failed: response.result.status was 'Failure', not 'Success'" \
    "version|$g returned invalid object at index 0: invalid groupVersion (expected stable.example.com/v2, received stable.example.com/v9)" \
    "another|$g returned invalid object at index 0: invalid kind (expected CronTab, received Another)" \
    "name|$g returned invalid object: must have the same name: one != other" "namespace|$g returned invalid object: must have the same namespace: demo != other" \
    "object-uid|$g returned invalid object: must have the same UID: " "labels|$g returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object" \
    "bad-labels|$g returned invalid metadata: metadata.labels: Invalid value: \"a b\": " "500|$g failed: an error on the server (\"broken inside\") has prevented the request from succeeding" \
    "garbage|$g failed: couldn't get version/kind; json parse error: "; do
    echo "${wrong%%|*}" >"$dir/mode"
    has "${wrong%%|*}" "Error from server: ${wrong#*|}" "$(k get crontab.v2.stable.example.com one -n demo)"
done
echo failure >"$dir/mode"
has "list" "$g failed: response.result.status was 'Failure', not 'Success'" "$(raw v2 '')"
has "create" "conversion webhook for stable.example.com/v2, Kind=CronTab failed: response.result.status was 'Failure'" "$(crontab v2 no '{"address":"x:1"}' | k create -f -)"
not no get crontabs.v1.stable.example.com -n demo -o name
has "the stored version needs nobody" '"host":"d.example.com"' "$(raw v1 /one)"
echo marks >"$dir/mode"
sleep 1.2
out=$(raw v2 /one)
has "labels and annotations" '"labels":{"by":"webhook"}' "$out"
has "labels and annotations" '"annotations":{"by":"webhook"}' "$out"
hasnt "nothing else" webhook.example.com/no "$out"
hasnt "nothing else" '"generation":1000' "$out"
echo >"$dir/mode"
sleep 1.2
has "what fails for one object" "$g failed: no such host" "$(crontab v1 bad '{"host":"fail","port":1}' | k create -f - >/dev/null; k get crontab.v2.stable.example.com bad -n demo)"
k delete crontab.v1.stable.example.com bad -n demo >/dev/null

# --- nobody else waits for a slow one; a webhook that is gone ---
echo slow >"$dir/mode"
(raw v2 /one >"$dir/slow"; echo over >>"$dir/slow") &
slow=$!
sleep 0.3
has "others go on" '"host":"d.example.com"' "$(raw v1 /one)"
grep -q over "$dir/slow" && fail "the slow one did not wait"
wait $slow
has "and it is answered" '"address":"d.example.com:83"' "$(cat "$dir/slow")"
echo >"$dir/mode"
# --- the one that never answered was given up after 30 s, as upstream's client does it; and what is counted ---
wait $hanging
has "time-out" "conversion webhook for stable.example.com/v1, Kind=CronTab failed: Post \"https://127.0.0.1:$port/convert?timeout=30s\": context deadline exceeded" "$(cat "$dir/hung")"
took=$(cat "$dir/took")
[ $took -ge 29 ] && [ $took -le 45 ] || fail "the time-out is 30 s" "$took s"
has "and the next one is asked" '"kind":"CronTab"' "$(hung)"
k delete crontab hung -n default >/dev/null
k get --raw /metrics | grep webhook >"$dir/metrics"
for line in 'apiserver_conversion_webhook_request_total{result="success",failure_type=""}' \
    'apiserver_conversion_webhook_request_total{result="failure",failure_type="conversion_webhook_call_failure"}' \
    'apiserver_conversion_webhook_request_total{result="failure",failure_type="conversion_webhook_malformed_response_failure"}' \
    'apiserver_conversion_webhook_request_total{result="failure",failure_type="conversion_webhook_partial_response_failure"}' \
    'apiserver_conversion_webhook_request_total{result="failure",failure_type="conversion_webhook_invalid_converted_object_failure"}' \
    'apiserver_conversion_webhook_duration_seconds_bucket{result="failure",failure_type="conversion_webhook_call_failure",le="45"}' \
    'apiserver_crd_conversion_webhook_duration_seconds_count{crd_name="crontabs.stable.example.com",from_version="v1",to_version="v2",succeeded="true"}' \
    'apiserver_crd_conversion_webhook_duration_seconds_count{crd_name="crontabs.stable.example.com",from_version="v2",to_version="v1",succeeded="true"}' \
    'apiserver_crd_conversion_webhook_duration_seconds_count{crd_name="crontabs.stable.example.com",from_version="v1",to_version="v2",succeeded="false"}'; do
    grep -F "$line " "$dir/metrics" | grep -q ' [1-9]' || fail "$line" "$(grep conversion "$dir/metrics")"
done
definition v1 "{ strategy: Webhook, webhook: { conversionReviewVersions: [ v1beta1 ], clientConfig: { service: { name: hook, namespace: demo, path: /convert }, caBundle: $ca } } }" >/dev/null
# until_holds WORDS: until the change of the definition is seen. By curl: kubectl tries ten times, a second apart, what is an error.
one_in_v2() { c "$url/apis/stable.example.com/v2/namespaces/demo/crontabs/one" | tr -d '\\'; }
until_holds() { soon "$1" "$1" one_in_v2; }
until_holds "$g failed: Post \"https://hook.demo.svc:443/convert?timeout=30s\": service \"hook\" not found"
cat <<END | k apply -f - >/dev/null
apiVersion: v1
kind: Service
metadata: { name: hook, namespace: demo }
spec: { clusterIP: None, ports: [ { port: 443, name: https } ] }
END
until_holds 'no endpoints available for service "hook"'
cat <<END | k apply -f - >/dev/null
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: hook-1, namespace: demo, labels: { kubernetes.io/service-name: hook } }
addressType: IPv4
ports: [ { name: https, port: $port, protocol: TCP } ]
endpoints: [ { addresses: [ 10.99.0.1 ], conditions: { ready: true } } ]
END
until_holds '"address":"d.example.com:83"'
grep -q "apiextensions.k8s.io/v1beta1" "$dir/asked" || fail "reviews of v1beta1"

# --- what is stored moves to another version; a version goes when nothing is stored in it ---
definition v2 >/dev/null
for _ in $(seq 100); do
    [ "$(k get crd crontabs.stable.example.com -o jsonpath='{.status.storedVersions}')" = '["v1","v2"]' ] && break
    sleep 0.1
done
want '["v1","v2"]' get crd crontabs.stable.example.com -o jsonpath='{.status.storedVersions}'
has "what is stored in v1 is read in v2" '"address":"d.example.com:83"' "$(raw v2 /one)"
has "a mixed list" '"host":"new","port":9' "$(crontab v2 new '{"address":"new:9"}' | k create -f - >/dev/null; raw v1 '' | tr -d ' \n')"
has "v1 may not go" 'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version' \
    "$(k patch crd crontabs.stable.example.com --type json -p '[{"op":"remove","path":"/spec/versions/0"}]')"
k get crontabs.v2.stable.example.com -n demo -o json >"$dir/all"
has "rewriting" replaced "$(k replace -f "$dir/all")"
: >"$dir/asked"
sleep 1.2
raw v2 '' >/dev/null
hasnt "all is stored in v2" /convert "$(cat "$dir/asked")"
k patch crd crontabs.stable.example.com --subresource=status --type merge -p '{"status":{"storedVersions":["v2"]}}' >/dev/null
has "v1 may go now" patched "$(k patch crd crontabs.stable.example.com --type json -p '[{"op":"remove","path":"/spec/versions/0"}]')"
for _ in $(seq 100); do
    case "$(raw v1 /one)" in *NotFound* | *"could not find"*) break ;; esac
    sleep 0.1
done
has "v1 is gone" "could not find the requested resource" "$(raw v1 /one)"
has "v2 is there" '"address":"d.example.com:83"' "$(raw v2 /one)"

# --- deletion needs no webhook ---
has "delete all" deleted "$(k delete crontabs --all -n demo)"
has "delete" deleted "$(k delete crd crontabs.stable.example.com)"
# certificates that are none: the definition is there, and not served until they are right
cat <<END | k create -f - >/dev/null
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: odds.stable.example.com }
spec:
  group: stable.example.com
  scope: Namespaced
  names: { plural: odds, singular: odd, kind: Odd }
  conversion: { strategy: Webhook, webhook: { conversionReviewVersions: [ v1 ], clientConfig: { url: 'https://127.0.0.1:$port/convert', caBundle: Cg== } } }
  versions: [ { name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object } } } ]
END
has "not served" "could not find the requested resource" "$(k get --raw /apis/stable.example.com/v1/odds)"
k patch crd odds.stable.example.com --type merge -p "{\"spec\":{\"conversion\":{\"webhook\":{\"clientConfig\":{\"caBundle\":\"$ca\"}}}}}" >/dev/null
for _ in $(seq 100); do
    case "$(k get --raw /apis/stable.example.com/v1/odds)" in *OddList*) break ;; esac
    sleep 0.1
done
has "served" OddList "$(k get --raw /apis/stable.example.com/v1/odds)"
exit $bad
