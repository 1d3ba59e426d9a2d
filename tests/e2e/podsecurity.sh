#!/bin/sh
# Pod Security with the real kubectl: enforced, warned about, labels checked, a namespace that becomes stricter. usage: podsecurity.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl
start_server
pod() { # NAME SPEC
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {%s}\n' "$1" "$2" >"$dir/$1.yaml"
}
pod bare 'containers: [{name: c, image: x}]'
pod host 'hostNetwork: true, hostPID: true, containers: [{name: c, image: x}]'
pod good 'securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{name: c, image: x, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]'

want "pod/host created" create -f "$dir/host.yaml"
k create namespace strict >/dev/null
want "namespace/strict labeled" label namespace strict pod-security.kubernetes.io/enforce=restricted
want 'pods "bare" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")' \
    create -n strict -f "$dir/bare.yaml"
want "pod/good created" create -n strict -f "$dir/good.yaml"
want 'Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false' create deployment web -n strict --image x
want "deployment.apps/web" get deployments -n strict -o name
want 'is forbidden: violates PodSecurity' debug -n strict good --image x --target c
want "must be one of privileged, baseline, restricted" label namespace strict --overwrite pod-security.kubernetes.io/enforce=strong
want "restricted" get namespace strict -o jsonpath='{.metadata.labels}'
want 'metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"' create -f - <<END
apiVersion: v1
kind: Namespace
metadata: {name: wrong, labels: {pod-security.kubernetes.io/warn-version: "1.2"}}
END
want 'Warning: existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"' label --dry-run=server namespace default pod-security.kubernetes.io/enforce=baseline
want 'Warning: host: host namespaces' label namespace default pod-security.kubernetes.io/enforce=baseline
want "deleted" delete pod host
want 'violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true, hostPID=true)' create -f "$dir/host.yaml" --dry-run=server
want "pod/bare created" create -f "$dir/bare.yaml"
k create namespace wary >/dev/null
k label namespace wary pod-security.kubernetes.io/warn=baseline pod-security.kubernetes.io/warn-version=v1.25 >/dev/null
want 'Warning: would violate PodSecurity "baseline:v1.25": host namespaces' create -n wary -f "$dir/host.yaml"
want "pod/host" get pods -n wary -o name
exit $bad
