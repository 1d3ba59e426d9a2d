#!/bin/sh
# What containers find in their volumes, environment and arguments, case by case as upstream's node tests ask: modes and owners of emptyDirs, of files from ConfigMaps,
# Secrets and projections, paths within them, downward API, expansion of variables, entrypoints.
# usage: pod-volumes.sh BUILD_DIR. Skips (exit 0, with a reason) without root, crun, conmon, busybox or kubectl.
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/node.sh"
mkdir "$dir/root" "$dir/root/bin"
cp "$(command -v busybox)" "$dir/root/bin/busybox"
for tool in sh echo; do ln -s busybox "$dir/root/bin/$tool"; done
entry=localhost/entry:1
"$build/keelson" image --dir "$dir/state/images" build --rootfs "$dir/root" --entrypoint /bin/echo --cmd image-cmd $entry >/dev/null || exit 1
start
one() { # NAME COMMAND MORE-OF-CONTAINER MORE-OF-POD
    printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}, annotations: {note: "x y"}}\nspec: {restartPolicy: Never, %scontainers: [{name: c, image: %s, command: [sh, -c, '"'%s'"']%s}]}\n' \
        "$1" "$1" "${4:+$4, }" $image "$2" "${3:+, $3}" >>"$dir/pods.yaml"
}
bare() { # NAME MORE-OF-CONTAINER
    printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {restartPolicy: Never, containers: [{name: c, image: %s%s}]}\n' "$1" $entry "${2:+, $2}" >>"$dir/pods.yaml"
}
cat >"$dir/pods.yaml" <<EOT
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg}
data: {one: "1", two: "2", live: old}
binaryData: {blob: /wD+}
---
apiVersion: v1
kind: Secret
metadata: {name: sec}
data: {key: czNjcmV0}
EOT
at() { echo "volumeMounts: [{name: v, mountPath: /v}]"; }
user='securityContext: {runAsUser: 1001, fsGroup: 2002}'
for medium in '' Memory; do
    m=$(echo "${medium:-disk}" | tr 'A-Z' 'a-z')
    for mode in 0644 0666 0777; do
        one "empty-$m-$mode" "stat -c %a /v; echo x >/v/f; chmod $mode /v/f; stat -c %a-%u-%g /v/f" "$(at)" "volumes: [{name: v, emptyDir: {medium: '$medium'}}]"
        one "empty-$m-$mode-user" "stat -c %a /v; echo x >/v/f; chmod $mode /v/f; stat -c %a-%u-%g /v/f" "$(at)" "$user, volumes: [{name: v, emptyDir: {medium: '$medium'}}]"
    done
done
one shared 'until [ -s /v/f ]; do sleep 0.1; done; cat /v/f' "$(at)" "volumes: [{name: v, emptyDir: {medium: Memory, sizeLimit: 1Mi}}], initContainers: [{name: i, image: $image, restartPolicy: Always, command: [sh, -c, 'sleep 1; echo shared >/v/f; head -c 2000000 /dev/zero >/v/g; sleep 3600'], volumeMounts: [{name: v, mountPath: /v}]}]"
seen='for f in $(cd /v; ls); do stat -Lc %n-%a-%u-%g /v/$f; done; cat /v/one 2>/dev/null || cat /v/a/b'
one cm "$seen" "$(at)" 'volumes: [{name: v, configMap: {name: cfg}}]'
one cm-mode "$seen" "$(at)" 'volumes: [{name: v, configMap: {name: cfg, defaultMode: 256}}]'
one cm-items "$seen; stat -Lc %a /v/a/b" "$(at)" 'volumes: [{name: v, configMap: {name: cfg, items: [{key: one, path: a/b, mode: 256}]}}]'
one cm-user "$seen" "$(at)" "$user, volumes: [{name: v, configMap: {name: cfg}}]"
one cm-group "$seen" "$(at)" "$user, volumes: [{name: v, configMap: {name: cfg, defaultMode: 288}}]"
one cm-blob 'od -An -tx1 /v/blob' "$(at)" 'volumes: [{name: v, configMap: {name: cfg}}]'
one cm-twice 'cat /v/one /w/one' 'volumeMounts: [{name: v, mountPath: /v}, {name: w, mountPath: /w}]' 'volumes: [{name: v, configMap: {name: cfg}}, {name: w, configMap: {name: cfg}}]'
one secret 'cat /v/key; stat -Lc %a /v/key' "$(at)" 'volumes: [{name: v, secret: {secretName: sec, defaultMode: 256}}]'
one secret-user 'cat /v/x; stat -Lc %a-%g /v/x' "$(at)" "$user, volumes: [{name: v, secret: {secretName: sec, items: [{key: key, path: x, mode: 288}]}}]"
one projected 'cat /v/c/one /v/s; echo; cat /v/name; stat -Lc %a /v/s' "$(at)" \
    'volumes: [{name: v, projected: {defaultMode: 288, sources: [{configMap: {name: cfg, items: [{key: one, path: c/one}]}}, {secret: {name: sec, items: [{key: key, path: s}]}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}]'
token() { echo "{name: $1, projected: {sources: [{serviceAccountToken: {path: token, audience: $2}}]}}"; }
whose='stat -Lc %a-%u-%g /v/token; cut -d. -f2 /v/token | grep -c .'
one token "$whose" "$(at)" "volumes: [$(token v vault)]"
one token-user "$whose" "$(at)" "securityContext: {runAsUser: 1001}, volumes: [$(token v vault)]"
one token-group "$whose" "$(at)" "$user, volumes: [$(token v vault)]"
one token-two 'cmp -s /v/token /w/token && echo the same; cmp -s /w/token /x/token && echo the same' \
    'volumeMounts: [{name: v, mountPath: /v}, {name: w, mountPath: /w}, {name: x, mountPath: /x}]' "volumes: [$(token v vault), $(token w bank), $(token x bank)]"
one down 'for f in name cl cr ml mr ann; do cat /v/$f; echo; done; stat -Lc %a /v/name /v/cl; cat /v/nolimit | grep -c "^[1-9]"' "$(at), resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 200m, memory: 32Mi}}" \
    "volumes: [{name: v, downwardAPI: {defaultMode: 256, items: [{path: name, fieldRef: {fieldPath: metadata.name}}, {path: cl, mode: 292, resourceFieldRef: {containerName: c, resource: limits.cpu, divisor: 1m}}, {path: cr, resourceFieldRef: {containerName: c, resource: requests.cpu, divisor: 1m}}, {path: ml, resourceFieldRef: {containerName: c, resource: limits.memory}}, {path: mr, resourceFieldRef: {containerName: c, resource: requests.memory, divisor: 1Mi}}, {path: ann, fieldRef: {fieldPath: metadata.annotations}}, {path: nolimit, resourceFieldRef: {containerName: i, resource: limits.cpu}}]}}], initContainers: [{name: i, image: $image, command: ['true']}]"
one sub-cm 'cat /one; ls /v' 'volumeMounts: [{name: v, mountPath: /one, subPath: one}, {name: v, mountPath: /v}]' 'volumes: [{name: v, configMap: {name: cfg}}]'
one sub-secret 'cat /key' 'volumeMounts: [{name: v, mountPath: /key, subPath: key}]' 'volumes: [{name: v, secret: {secretName: sec}}]'
one sub-projected 'cat /x' 'volumeMounts: [{name: v, mountPath: /x, subPath: a/b}]' 'volumes: [{name: v, projected: {sources: [{configMap: {name: cfg, items: [{key: one, path: a/b}]}}]}}]'
one sub-new 'stat -Lc %a-%g /x; : > /x/mine && echo written' 'volumeMounts: [{name: v, mountPath: /x, subPath: a/b}]' "$user, volumes: [{name: v, emptyDir: {}}]"
one sub-down 'cat /x' 'volumeMounts: [{name: v, mountPath: /x, subPath: name}]' 'volumes: [{name: v, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]'
one expand 'echo $0 $1 $2' 'args: ["$(A)", "$$(A)", "$(NONE)"], env: [{name: A, value: first}]'
one compose 'echo $C' 'env: [{name: A, value: a}, {name: B, value: b}, {name: C, value: "$(A);;$(B);;$(LATE)"}, {name: LATE, value: x}]'
one outside 'true' 'env: [{name: A, value: ".."}], volumeMounts: [{name: v, mountPath: /v, subPathExpr: "$(A)/x"}]' 'volumes: [{name: v, emptyDir: {}}]'
one absolute 'true' 'env: [{name: A, value: /tmp}], volumeMounts: [{name: v, mountPath: /v, subPathExpr: $(A)}]' 'volumes: [{name: v, emptyDir: {}}]'
bare entry
bare entry-args 'args: [own-args]'
bare entry-command 'command: [/bin/busybox, echo, own-command]'
bare entry-both 'command: [/bin/busybox, echo], args: [own, both]'
out=$(k apply -f "$dir/pods.yaml") || fail "apply" "$out"
waiting() { k get pods -o 'jsonpath={range .items[*]}{.metadata.name}={.status.phase} {end}' | tr ' ' '\n' | grep -v '=Succeeded$' | grep -vE '^(outside|absolute)=|^$'; }
for _ in $(seq 120); do [ -z "$(waiting)" ] && break; sleep 1; done
is "all end well" "" "$(waiting)"
said() { is "$1" "$2" "$(k logs "$1" -c c | tr '\n' ' ' | sed 's/ *$//; s/^ *//')"; }
for m in disk memory; do
    for mode in 0644 0666 0777; do
        sticky=
        [ $m = disk ] || sticky=1           # as tmpfs has it
        said "empty-$m-$mode" "${sticky}777 ${mode#0}-0-0"
        said "empty-$m-$mode-user" "$((2 + ${sticky:-0}))777 ${mode#0}-1001-2002"
    done
done
said shared shared
said cm "/v/blob-644-0-0 /v/live-644-0-0 /v/one-644-0-0 /v/two-644-0-0 1"
said cm-mode "/v/blob-400-0-0 /v/live-400-0-0 /v/one-400-0-0 /v/two-400-0-0 1"
said cm-items "/v/a-755-0-0 1400"
said cm-user "/v/blob-644-0-2002 /v/live-644-0-2002 /v/one-644-0-2002 /v/two-644-0-2002 1"
said cm-group "/v/blob-440-0-2002 /v/live-440-0-2002 /v/one-440-0-2002 /v/two-440-0-2002 1"
said cm-blob "ff 00 fe"
said cm-twice 11
said secret "s3cret400"
said secret-user "s3cret440-2002"
said projected "1s3cret projected440"
said token "644-0-0 1"
said token-user "600-1001-0 1"
said token-group "640-1001-2002 1"
said token-two "the same"
has "down: numbers and names" "down 200 100 $((32 << 20)) 16 " "$(k logs down -c c | tr '\n' ' ')"
has "down: annotations" 'note="x y"' "$(k logs down -c c)"
has "down: modes, and without a limit what the node has" "400 444 1" "$(k logs down -c c | tail -3 | tr '\n' ' ')"
said sub-cm "1blob live one two"
said sub-secret s3cret
said sub-projected 1
said sub-new "2777-2002 written"
said sub-down sub-down
said expand 'first $(A) $(NONE)'
said compose 'a;;b;;$(LATE)'
said entry image-cmd
said entry-args own-args
said entry-command own-command
said entry-both "own both"
becomes "outside: no way out by subPathExpr" CreateContainerConfigError 20 get outside '{.status.containerStatuses[0].state.waiting.reason}'
becomes "absolute: no absolute subPathExpr" CreateContainerConfigError 20 get absolute '{.status.containerStatuses[0].state.waiting.reason}'
k delete pods --all --wait=true --grace-period=1 >/dev/null
is "all pods are gone" "No resources found in default namespace." "$(k get pods)"
exit $bad
