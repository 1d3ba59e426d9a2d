#!/bin/sh
# A definition that makes a map and a list atomic, and granular again: the next write of an object brings its managedFields in line.
# usage: schema-change.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
start_server
# define MAP LIST
define() {
    cat <<END | k apply -f - >/dev/null
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: things.stable.example.com }
spec:
  group: stable.example.com
  scope: Namespaced
  names: { plural: things, singular: thing, kind: Thing }
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          n: { type: integer }
          m: { type: object, x-kubernetes-map-type: $1, properties: { a: { type: integer }, b: { type: integer } } }
          l: { type: array, x-kubernetes-list-type: $2, items: { type: object, required: [ k ], properties: { k: { type: string }, v: { type: integer } } }$([ "$2" = map ] && echo ', x-kubernetes-list-map-keys: [ k ]') }
END
}
fields() { k get thing one -o 'jsonpath={.metadata.managedFields[?(@.manager=="owner")].fieldsV1}' --show-managed-fields; }
n=0
# comes_to WHAT FIELDS: writes as somebody else until the owner's entry is that.
comes_to() {
    for _ in $(seq 100); do
        n=$((n + 1))
        k patch thing one --type merge --field-manager other -p "{\"n\":$n}" >/dev/null
        [ "$(fields)" = "$2" ] && return
        sleep 0.1
    done
    fail "$1" "wanted: $2" "got: $(fields)"
}
define granular map
for _ in $(seq 100); do
    out=$(printf 'apiVersion: stable.example.com/v1\nkind: Thing\nmetadata: {name: one}\nm: {a: 1}\nl: [{k: x, v: 1}]\n' | k apply --server-side --field-manager owner -f -)
    case "$out" in *applied*) break ;; esac
    sleep 0.1
done
granular='{"f:l":{"k:{\"k\":\"x\"}":{".":{},"f:k":{},"f:v":{}}},"f:m":{"f:a":{}}}'
comes_to "granular" "$granular"
define atomic atomic
comes_to "atomic" '{"f:l":{},"f:m":{}}'
define granular map
comes_to "granular again" '{"f:l":{".":{},"k:{\"k\":\"x\"}":{".":{},"f:k":{},"f:v":{}}},"f:m":{".":{},"f:a":{}}}'
# And once more, one at a time: a definition may change as often as it likes.
define atomic map
comes_to "the map is atomic again" '{"f:l":{".":{},"k:{\"k\":\"x\"}":{".":{},"f:k":{},"f:v":{}}},"f:m":{}}'
define granular atomic
comes_to "the list is, the map is not" '{"f:l":{},"f:m":{".":{},"f:a":{}}}'
define atomic atomic
comes_to "both" '{"f:l":{},"f:m":{}}'
define granular map
comes_to "none" '{"f:l":{".":{},"k:{\"k\":\"x\"}":{".":{},"f:k":{},"f:v":{}}},"f:m":{".":{},"f:a":{}}}'
# The owner may take its item out, and it goes: it owned it all the time.
printf 'apiVersion: stable.example.com/v1\nkind: Thing\nmetadata: {name: one}\nm: {a: 2}\n' | k apply --server-side --field-manager owner -f - >/dev/null
want '{"a":2}' get thing one -o 'jsonpath={.m}'
[ -z "$(k get thing one -o 'jsonpath={.l}')" ] || fail "the list went with its owner" "$(k get thing one -o 'jsonpath={.l}')"
exit $bad
