#!/bin/sh
# Rules in CEL with the real kubectl: definitions with rules that are none are refused, in upstream's words; objects that break a rule are, with
# its message, reason and field; transitions; values that did not change are let through with a warning. usage: cel.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
. "$(dirname "$0")/lib/server.sh"
needs kubectl
start_server

# crd NAME RULE...: a definition whose spec has these rules.
crd() {
    cat <<YAML
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $1s.cel.example.com}
spec:
  group: cel.example.com
  scope: Namespaced
  names: {plural: $1s, singular: $1, kind: $(echo "$1" | cut -c1 | tr a-z A-Z)$(echo "$1" | cut -c2-)}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations:
$2
            properties:
              min: {type: integer}
              max: {type: integer}
              name: {type: string, maxLength: 20}
              a.b: {type: string, maxLength: 5}
              namespace: {type: string, maxLength: 10}
              port: {x-kubernetes-int-or-string: true}
              when: {type: string, format: date-time}
              free: {type: string}
              list: {type: array, items: {type: string}}
              steps:
                type: array
                maxItems: 5
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [id]
                items:
                  type: object
                  required: [id]
                  x-kubernetes-validations: [{rule: "self.size >= oldSelf.size", message: a step never shrinks, fieldPath: .size}]
                  properties: {id: {type: string, maxLength: 5}, size: {type: integer, default: 1}}
YAML
}
apply() { k apply -f - ; }
# bad TEXT RULE: a definition with that rule is refused so.
wrong() {
    out=$(crd bad "            - $2" | apply)
    case "$out" in
    *"$1"*) ;;
    *) fail "a definition with $2" "wanted: $1" "got: $out" ;;
    esac
}
wrong "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: Invalid value:" '{rule: "self.nope > 1"}'
wrong "compilation failed: ERROR: <input>:1:5: undefined field 'nope'" '{rule: "self.nope > 1"}'
wrong "undeclared reference to 'other' (in container '')" '{rule: "other == 1"}'
wrong "found no matching overload for '_>_' applied to '(int, string)'" "{rule: \"self.min > 'a'\"}"
wrong "cel expression must evaluate to a bool" '{rule: "self.min + 1"}'
wrong "messageExpression must evaluate to a string" '{rule: "true", messageExpression: "1 + 1"}'
wrong "fieldPath: Invalid value: \".nope\": must be a valid path" '{rule: "true", fieldPath: .nope}'
wrong "estimated rule cost exceeds budget by factor of more than 100x" '{rule: "self.list.all(x, self.list.all(y, x != y))"}'
wrong "optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule" '{rule: "true", optionalOldSelf: true}'
wrong "Syntax error: mismatched input '<EOF>'" '{rule: "self.min >"}'

crd good '            - {rule: "self.min <= self.max", messageExpression: "\"min %d is above %d\".format([self.min, self.max])"}
            - {rule: "!has(self.name) || self.name.startsWith(\"k-\")", message: names begin with k-, reason: FieldValueForbidden, fieldPath: .name}
            - {rule: "!has(self.name) || !has(oldSelf.name) || self.name == oldSelf.name", message: the name stays}
            - {rule: "!has(self.a__dot__b) || self.a__dot__b != \"x\"", message: not x}
            - {rule: "!has(self.__namespace__) || self.__namespace__ != \"y\"", message: not y}
            - {rule: "!has(self.port) || (type(self.port) == int ? self.port > 0 : self.port.matches(\"^[a-z]+$\"))", message: odd port}
            - {rule: "!has(self.when) || self.when < timestamp(\"2100-01-01T00:00:00Z\")", message: too late}
            - {rule: "oldSelf.hasValue() || !has(self.max) || self.max < 100", optionalOldSelf: true, message: begins small}' >"$dir/good.yaml"
want created apply -f "$dir/good.yaml"
want 'condition met' wait --for condition=Established crd/goods.cel.example.com --timeout 60s
# make TEXT SPEC [NAME]: what kubectl says to such an object.
make() {
    out=$(printf 'apiVersion: cel.example.com/v1\nkind: Good\nmetadata: {name: %s}\nspec: %s\n' "${3:-a}" "$2" | apply)
    case "$out" in
    *"$1"*) ;;
    *) fail "a good with $2" "wanted: $1" "got: $out" ;;
    esac
}
make 'spec: Invalid value: min 5 is above 3' '{min: 5, max: 3}'
make 'spec.name: Forbidden: names begin with k-' '{min: 1, max: 3, name: x}'
make 'not x' '{min: 1, max: 3, a.b: x}'
make 'not y' '{min: 1, max: 3, namespace: "y"}'
make 'odd port' '{min: 1, max: 3, port: -5}'
make 'odd port' '{min: 1, max: 3, port: "8"}'
make 'too late' '{min: 1, max: 3, when: "2150-01-01T00:00:00Z"}'
make 'begins small' '{min: 1, max: 300}'
make 'no such key: min evaluating rule' '{max: 3}'
make created '{min: 1, max: 3, name: k-1, port: http, steps: [{id: a, size: 3}, {id: b, size: 1}]}'
make 'the name stays' '{min: 1, max: 3, name: k-2, steps: [{id: a, size: 3}, {id: b, size: 1}]}'
make 'spec.steps[1].size: Invalid value: a step never shrinks' '{min: 1, max: 3, name: k-1, steps: [{id: b, size: 1}, {id: a, size: 2}]}'
make configured '{min: 1, max: 300, name: k-1, steps: [{id: b, size: 2}, {id: a, size: 3}, {id: c, size: 1}]}'

# A rule that comes later: what breaks it already may stay as it is, and be changed elsewhere.
crd good '            - {rule: "self.min > 5", message: min is above five}
            - {rule: "!has(self.name) || self.name.startsWith(\"k-\")", message: names begin with k-}' >"$dir/later.yaml"
want configured apply -f "$dir/later.yaml"
late() { k annotate --overwrite good/a "tried=$(date +%N)"; }
for _ in $(seq 100); do
    late | grep -q 'min is above five' && break
    sleep 0.2
done
want 'Warning: spec: Invalid value: min is above five' annotate --overwrite good/a seen=yes
want 'annotated' annotate --overwrite good/a seen=again
make 'spec: Invalid value: min is above five' '{min: 2, max: 300, name: k-1, steps: [{id: b, size: 2}, {id: a, size: 3}, {id: c, size: 1}]}'
make 'min is above five' '{min: 1, max: 3}' other
want deleted delete crd goods.cel.example.com
exit $bad
