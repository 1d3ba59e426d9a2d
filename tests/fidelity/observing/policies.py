"""ValidatingAdmissionPolicies and MutatingAdmissionPolicies: what they say, to whom, and what their status tells."""
import itertools
import json
import re
import time

import normal

from . import sides
from .hooks import APPLY, DEFINITION, GROUP, MERGE, NS, POD, THINGS, rule

counter = itertools.count(1)
CM = {"resourceRules": rule(["configmaps"], operations=["CREATE", "UPDATE", "DELETE"])}
NAMES = {"Validating": "validatingadmissionpolic", "Mutating": "mutatingadmissionpolic"}


def policy(kind, name, **spec):
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind + "AdmissionPolicy", "metadata": {"name": name}, "spec": {"matchConstraints": CM, **spec}}


def binding(kind, name, **spec):
    actions = {"validationActions": ["Deny"]} if kind == "Validating" else {}
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind + "AdmissionPolicyBinding", "metadata": {"name": name}, "spec": {"policyName": name, **actions, **spec}}


class Policies:
    """with Policies(pair, ("Validating", policy, bindings), ...): both judge by them."""

    def __init__(self, pair, *all):
        self.pair, self.all, self.refused = pair, all, False

    def known(self, s):
        a = s.ask("POST", "/api/v1/namespaces/default/limitranges?dryRun=All", {"metadata": {"name": f"marker-{self.n}"}, "spec": {"limits": []}})
        return a.status == 422 and f"marker {self.n}".encode() in a.body

    def __enter__(self):
        self.n = next(counter)
        marker = policy("Validating", "zz-marker", matchConstraints={"resourceRules": rule(["limitranges"], operations=["CREATE"])}, validations=[{"expression": f"object == null || object.metadata.name != 'marker-{self.n}'", "message": f"marker {self.n}"}])
        self.made = []
        for kind, p, bindings in (*self.all, ("Validating", marker, [binding("Validating", "zz-marker")])):
            for path, o in [("ies", p), *[("ybindings", b) for b in bindings]]:
                at = GROUP + NAMES[kind] + path
                a = self.pair.step("policies", "definition " + o["metadata"]["name"], "POST", at, o, loosely=False, calls=False)
                self.refused |= any(x.status != 201 for x in a)
                self.made.append(at + "/" + o["metadata"]["name"])
        self.pair.until("policies are not known", self.known)
        if any(k == "Mutating" for k, *_ in self.all):
            time.sleep(1.5)  # their source is another one
        return self

    def __exit__(self, *why):
        for path in reversed(self.made):
            self.pair.both("DELETE", path)
        self.pair.until("policies are not forgotten", lambda s: not self.known(s))


def cm(**more):
    return {"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v", "n": "5"}, **more}


def tries(pair, label, also=()):
    step = lambda *a: pair.step("policies", label, *a, rename=("gen-",), calls=False)
    step("POST", NS + "/configmaps", cm())
    step("POST", NS + "/configmaps?dryRun=All", cm(metadata={"generateName": "gen-"}))
    pair.both("POST", "/api/v1/namespaces/free/configmaps", cm())
    step("PATCH", NS + "/configmaps/a", {"data": {"k": "w"}}, MERGE)
    step("PATCH", NS + "/configmaps/ap?fieldManager=f", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ap"}, "data": {"k": "v"}}, APPLY)
    step("DELETE", NS + "/configmaps/a")
    for t in also:
        step(*t)
    pair.both("DELETE", NS + "/configmaps")


VALIDATIONS = {
    "false": [{"expression": "false"}], "message": [{"expression": "false", "message": "it is false"}], "true": [{"expression": "true"}], "long": [{"expression": "object == null ||\n  object.data.k ==\n  'other'"}],
    "messageExpression": [{"expression": "false", "messageExpression": "'operation ' + request.operation + ' by ' + request.userInfo.username"}], "both": [{"expression": "false", "message": "m", "messageExpression": "'e'"}],
    "message fails": [{"expression": "false", "message": "m", "messageExpression": "object.data.nothing"}], "message fails alone": [{"expression": "false", "messageExpression": "object.data.nothing"}],
    "message empty": [{"expression": "false", "messageExpression": "''"}], "message blank": [{"expression": "false", "messageExpression": "'  '", "message": "m"}], "message lines": [{"expression": "false", "messageExpression": "'a\\nb'"}],
    "message long": [{"expression": "false", "messageExpression": "'0123456789'.split('').map(x, '0123456789'.split('').map(y, '0123456789'.split('').map(z, '0123456789').join()).join()).join()"}],
    "reason Invalid": [{"expression": "false", "reason": "Invalid", "message": "m"}], "reason Forbidden": [{"expression": "false", "reason": "Forbidden"}], "reason Unauthorized": [{"expression": "false", "reason": "Unauthorized", "message": "m"}],
    "reason RequestEntityTooLarge": [{"expression": "false", "reason": "RequestEntityTooLarge", "message": "m"}], "reason odd": [{"expression": "false", "reason": "Odd"}], "error": [{"expression": "object.data.nothing == 'x'"}],
    "error of types": [{"expression": "object.data.k > 5"}], "divide": [{"expression": "1 / (size(object.data) - 2) == 0"}], "null": [{"expression": "object.data.k == 'v'"}], "several": [{"expression": "true"}, {"expression": "false", "message": "second"}, {"expression": "false", "message": "third"}],
    "error then false": [{"expression": "object.nothing == 1"}, {"expression": "false", "message": "second"}], "index": [{"expression": "[1,2][5] == 1"}], "regex": [{"expression": "'a'.matches('(')"}], "duration": [{"expression": "duration('x') == duration('1s')"}],
    "not boolean": [{"expression": "'text'"}], "syntax": [{"expression": "object."}], "unknown name": [{"expression": "nothing == 1"}], "unknown function": [{"expression": "object.foo()"}], "costly": [{"expression": "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, a+b+c+d+e+f > 0))))))"}],
    "request": [{"expression": "request.kind.kind == 'ConfigMap' && request.resource.resource == 'configmaps' && request.requestKind.version == 'v1' && request.name == 'nobody'", "messageExpression": "string(request.dryRun) + request.namespace + request.name + (has(request.subResource) ? 'sub' : 'none') + (has(request.options) ? 'options' : 'no options')"}],
    "operation": [{"expression": "oldObject != null", "messageExpression": "'old is ' + (oldObject == null ? 'null' : 'there')"}], "namespaceObject": [{"expression": "namespaceObject.metadata.labels['team'] == 'b'", "messageExpression": "'of ' + namespaceObject.metadata.name + ' ' + namespaceObject.metadata.labels['team']"}],
    "authorizer": [{"expression": "!authorizer.group('').resource('configmaps').namespace('observed').check('get').allowed()", "messageExpression": "authorizer.path('/x').check('get').reason() + '|' + authorizer.requestResource.check('delete').reason()"}],
    "meta": [{"expression": "false", "messageExpression": "object.metadata.name + ' ' + (has(object.metadata.uid) ? 'uid' : 'no uid') + (has(object.metadata.creationTimestamp) ? ' time' : ' no time') + (has(object.metadata.managedFields) ? ' managed' : ' not managed') + ' ' + object.kind + object.apiVersion"}],
    "quantity": [{"expression": "quantity('1Gi').isGreaterThan(quantity('2Gi'))"}], "url": [{"expression": "url('https://a/b').getHost() == 'b'"}], "format": [{"expression": "format.named('dns1123Label').value().validate('A_b') == optional.none()", "messageExpression": "format.dns1123Label().validate('A_b').value()[0]"}],
    "semver": [{"expression": "isSemver('1.2')", "messageExpression": "string(semver('1.2.3').major())"}], "lists": [{"expression": "[1, 2].sum() == 4", "messageExpression": "string([3,1].min()) + string(sets.contains([1],[2])) + ip('10.0.0.1').family().string()"}],
}


def validating(pair):
    for name, validations in VALIDATIONS.items():
        for fail in ("Fail", "Ignore") if name in ("error", "error then false", "costly", "error of types", "index", "message fails") else ("Fail",):
            with Policies(pair, ("Validating", policy("Validating", "v", validations=validations, failurePolicy=fail), [binding("Validating", "v")])) as p:
                if not p.refused:
                    tries(pair, f"{name} {fail}")
    for actions in (["Warn"], ["Audit"], ["Warn", "Audit"], ["Deny", "Audit"], ["Deny", "Warn"], []):
        for fail in ("Fail", "Ignore"):
            spec = dict(failurePolicy=fail, validations=[{"expression": "true"}, {"expression": "false", "messageExpression": "'first'"}, {"expression": "object.data.nothing == 'x'", "message": "m"}, {"expression": "false", "reason": "Forbidden"}],
                        auditAnnotations=[{"key": "a", "valueExpression": "'is ' + request.operation"}, {"key": "null", "valueExpression": "null"}, {"key": "blank", "valueExpression": "' '"}])
            with Policies(pair, ("Validating", policy("Validating", "v", **spec), [binding("Validating", "v", validationActions=actions)])) as p:
                if not p.refused:
                    tries(pair, f"actions {actions} {fail}")
    notes = [{"key": "fails", "valueExpression": "object.data.nothing"}], [{"key": "long", "valueExpression": "object.data.k + 'x'"}], [{"key": "same", "valueExpression": "'a'"}], [{"key": "n", "valueExpression": "1"}]
    for i, list in enumerate(notes):
        for fail in ("Fail", "Ignore"):
            with Policies(pair, ("Validating", policy("Validating", "v", auditAnnotations=list, failurePolicy=fail), [binding("Validating", "v"), {**binding("Validating", "v"), "metadata": {"name": "v2"}}])) as p:
                if not p.refused:
                    tries(pair, f"annotations {i} {fail}")
    variables = {"used": ([{"name": "a", "expression": "object.data.k"}, {"name": "b", "expression": "variables.a + '!'"}], [{"expression": "variables.b == 'x!'", "messageExpression": "variables.b"}]),
                 "failing": ([{"name": "a", "expression": "object.data.nothing"}], [{"expression": "variables.a == 'x'"}]), "unused": ([{"name": "a", "expression": "object.data.nothing"}], [{"expression": "false"}]),
                 "later": ([{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}], [{"expression": "variables.a == 1"}]), "unknown": ([], [{"expression": "variables.q == 1"}]), "list": ([{"name": "l", "expression": "[1, 'a', object]"}], [{"expression": "variables.l.size() == 4", "messageExpression": "string(variables.l[0])"}])}
    for name, (list, validations) in variables.items():
        with Policies(pair, ("Validating", policy("Validating", "v", variables=list, validations=validations), [binding("Validating", "v")])) as p:
            if not p.refused:
                tries(pair, f"variables {name}")


def matching(pair):
    false = [{"expression": "false", "message": "matched"}]
    conditions = {"true": "true", "false": "false", "error": "object.data.nothing == 'x'", "user": "request.userInfo.username == 'kubernetes-admin'", "authorizer": "authorizer.group('').resource('pods').check('get').allowed()", "create": "request.operation == 'CREATE'", "object": "has(object.data) && object.data.k == 'v'"}
    for name, e in conditions.items():
        for fail in ("Fail", "Ignore"):
            with Policies(pair, ("Validating", policy("Validating", "v", validations=false, failurePolicy=fail, matchConditions=[{"name": "c", "expression": e}, {"name": "d", "expression": "true"}]), [binding("Validating", "v")])):
                tries(pair, f"condition {name} {fail}")
    resources = {"object": {"objectSelector": {"matchLabels": {"x": "y"}}}, "namespace": {"namespaceSelector": {"matchLabels": {"team": "c"}}}, "rules": {"resourceRules": rule(["configmaps"], operations=["DELETE"])},
                 "names": {"resourceRules": rule(["configmaps"], resourceNames=["a"])}, "exclude": {"excludeResourceRules": rule(["configmaps"], operations=["UPDATE"])}, "other": {"resourceRules": rule(["secrets"])}, "exact": {"matchPolicy": "Exact"}}
    for name, r in resources.items():
        with Policies(pair, ("Validating", policy("Validating", "v", validations=false), [binding("Validating", "v", matchResources=r)])):
            tries(pair, f"binding {name}")
        with Policies(pair, ("Validating", policy("Validating", "v", validations=false, matchConstraints={**CM, **r}), [binding("Validating", "v")])):
            tries(pair, f"constraints {name}")
    everything = {"resourceRules": rule(["*/*"], ["*"], ["*"], ["*"])}
    also = [("POST", NS + "/pods", POD), ("POST", NS + "/pods/p/eviction?dryRun=All", {"metadata": {"name": "p"}}), ("PATCH", NS + "/pods/p/status", {"status": {"phase": "Running"}}, MERGE), ("GET", NS + "/pods/p/exec?command=a&stdout=1"), ("GET", NS + "/pods/p/proxy/"),
            ("POST", NS + "/serviceaccounts/default/token", {"spec": {}}), ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}}}), ("DELETE", NS + "/pods/p?gracePeriodSeconds=0")]
    mine = [{"name": "mine", "expression": "request.userInfo.username == 'kubernetes-admin' && request.resource.group != 'admissionregistration.k8s.io'"}]
    say = "request.operation + ' ' + request.kind.group + '/' + request.kind.kind + ' ' + request.resource.resource + '/' + (has(request.subResource) ? request.subResource : '') + ' ' + (object == null ? 'no object' : object.kind) + ' ' + (oldObject == null ? 'no old' : oldObject.kind)"
    for actions in (["Warn"], ["Deny"]):
        with Policies(pair, ("Validating", policy("Validating", "v", matchConstraints=everything, matchConditions=mine, validations=[{"expression": "request.name.startsWith('marker')", "messageExpression": say}]), [binding("Validating", "v", validationActions=actions)])):
            tries(pair, f"everything {actions}", also)
            pair.both("DELETE", NS + "/pods/p?gracePeriodSeconds=0")


def parameters(pair):
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    for ns, name, labels, most in (("observed", "one", {"p": "1"}, "3"), ("observed", "two", {"p": "1"}, "10"), ("free", "three", {"p": "2"}, "0")):
        pair.both("POST", f"/api/v1/namespaces/{ns}/configmaps", {"metadata": {"name": name, "labels": labels}, "data": {"most": most}})
    refs = {"name": {"name": "one"}, "name in namespace": {"name": "three", "namespace": "free"}, "nothing": {"name": "nothing"}, "selector": {"selector": {"matchLabels": {"p": "1"}}}, "none selected": {"selector": {"matchLabels": {"p": "9"}}}, "all": {"selector": {}}, "none": None}
    for (name, ref), missing, fail in itertools.product(refs.items(), ("Deny", "Allow"), ("Fail", "Ignore")):
        b = binding("Validating", "v", **({"paramRef": {**ref, "parameterNotFoundAction": missing}} if ref is not None else {}))
        spec = dict(paramKind=kind, failurePolicy=fail, validations=[{"expression": "int(params.data.most) > 5", "messageExpression": "'most is ' + params.data.most + ' of ' + params.metadata.name"}], matchConditions=[{"name": "a", "expression": "object == null || object.metadata.name == 'a'"}])
        with Policies(pair, ("Validating", policy("Validating", "v", **spec), [b])) as p:
            if not p.refused:
                time.sleep(0.5)
                pair.step("policies", f"param {name} {missing} {fail}", "POST", NS + "/configmaps", cm(), calls=False)
                pair.both("DELETE", NS + "/configmaps/a")
    for k in ({"apiVersion": "nothing.example.com/v1", "kind": "Nothing"}, {"apiVersion": "v1", "kind": "Node"}, {"apiVersion": "apps/v1", "kind": "Deployment"}):
        for fail in ("Fail", "Ignore"):
            with Policies(pair, ("Validating", policy("Validating", "v", paramKind=k, failurePolicy=fail, validations=[{"expression": "params.spec.x == 1"}]), [binding("Validating", "v", paramRef={"name": "x", "parameterNotFoundAction": "Deny"})])) as p:
                pair.step("policies", f"param kind {k['kind']} {fail}", "POST", NS + "/configmaps?dryRun=All", cm(), calls=False)


TYPED = {  # expressions whose types are looked at against the schemas of what they match
    "field": "object.spec.nothing == 1", "type": "object.spec.replicas == 'three'", "good": "object.spec.replicas > 1", "deep": "object.spec.template.spec.containers.all(c, c.nothing == 1)", "function": "object.metadata.name.foo()", "map": "object.metadata.labels['a'] == 1",
    "old": "oldObject.spec.nope == 1", "meta": "object.metadata.nope == 'x'", "several": "object.spec.a == 1 && object.spec.b == 2", "request": "request.nothing == 1", "params": "params.data.x == 1", "optional": "object.?spec.?nope.orValue(1) == 1", "has": "has(object.spec.nope)",
}


def types(pair):
    pair.both("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
    pair.until("the definition is not served", lambda s: s.ask("GET", THINGS % "v2").status == 200)
    matches = {"deployments": rule(["deployments"], ["apps"]), "two": rule(["deployments", "replicasets"], ["apps"]), "many": rule(["deployments", "pods", "jobs"], ["apps", "", "batch"]), "star": rule(["*"], ["apps"]), "things": rule(["things"], ["observed.example.com"], ["v1", "v2"]), "nothing": rule(["nothings"], ["nothing.example.com"]), "scale": rule(["deployments/scale"], ["apps"])}
    n = 0
    for (name, e), (what, rules) in itertools.product(TYPED.items(), matches.items()):
        n += 1
        spec = dict(matchConstraints={"resourceRules": rules}, validations=[{"expression": e}], **({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}} if name == "params" else {}))
        pair.both("POST", GROUP + "validatingadmissionpolicies", policy("Validating", f"typed-{n}", **spec))
        TYPED_LABELS[n] = f"typed {name} {what}"
    more = dict(variables=[{"name": "a", "expression": "object.spec.nope"}, {"name": "b", "expression": "variables.a + variables.zzz"}], validations=[{"expression": "variables.b == 1", "messageExpression": "object.spec.wrong"}], auditAnnotations=[{"key": "k", "valueExpression": "object.spec.more"}],
                matchConditions=[{"name": "m", "expression": "object.spec.condition == 1"}], matchConstraints={"resourceRules": matches["deployments"]})
    pair.both("POST", GROUP + "validatingadmissionpolicies", policy("Validating", "typed-all", **more))
    paths = [GROUP + f"validatingadmissionpolicies/typed-{i}" for i in [*range(1, n + 1), "all"]]
    for path in paths:
        if pair.sides[1].ask("GET", path).status == 404:
            continue
        for s in pair.sides:
            end = time.monotonic() + (20 if path == paths[0] else 2)
            while time.monotonic() < end and "typeChecking" not in (s.ask("GET", path).json() or {}).get("status", {}):
                time.sleep(0.1)
        ours, theirs = [sides.words((s.ask("GET", path).json() or {}).get("status")) for s in pair.sides]
        label = TYPED_LABELS.get(int(re.sub(r"\D", "", path.rsplit("-", 1)[1]) or 0), path)
        pair.report.note("type checking", label, normal.differences(ours, theirs, "status"), {"ours all": json.dumps(ours)[:3000], "theirs all": json.dumps(theirs)[:3000]})
    for path in paths:
        pair.both("DELETE", path)


TYPED_LABELS = {}
MUTATIONS = {
    "apply": {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{metadata: Object.metadata{labels: {'by': 'policy'}}}"}}, "json": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/data/added', value: 'x'}]"}},
    "json key": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b~c'), value: 'x'}]"}}, "json test": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'test', path: '/data/k', value: 'other'}]"}},
    "json missing": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'remove', path: '/data/nothing'}]"}}, "json empty": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}, "json op": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'put', path: '/data/nothing'}]"}},
    "unknown field": {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{nothing: Object.nothing{a: 1}}"}}, "other type": {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{data: {'a': 1}}"}}, "error": {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{data: {'a': object.data.nothing}}"}},
    "not object": {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "'text'"}}, "json not list": {"patchType": "JSONPatch", "jsonPatch": {"expression": "1"}}, "name": {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{metadata: Object.metadata{name: 'other'}}"}},
    "json name": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'replace', path: '/metadata/name', value: 'other'}]"}}, "invalid": {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{metadata: Object.metadata{labels: {'a b': 'c d'}}}"}},
    "json object": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/data', value: {'a': 'b'}}]"}}, "json copy": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'copy', from: '/data/k', path: '/data/copied'}]"}},
    "count": {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/data/count', value: string(int(has(object.data.count) ? object.data.count : '0') + 1)}]"}},
}


def mutating(pair):
    constraints = {"resourceRules": rule(["configmaps"], operations=["CREATE", "UPDATE"])}
    spec = dict(matchConstraints=constraints, matchConditions=[{"name": "not-marked", "expression": "!object.metadata.?name.orValue('x').startsWith('marker')"}])
    for (name, m), reinvoke in itertools.product(MUTATIONS.items(), ("Never", "IfNeeded")):
        for fail in ("Fail", "Ignore") if reinvoke == "Never" else ("Fail",):
            with Policies(pair, ("Mutating", policy("Mutating", "m", mutations=[m], failurePolicy=fail, reinvocationPolicy=reinvoke, **spec), [binding("Mutating", "m")])) as p:
                if not p.refused:
                    tries(pair, f"mutation {name} {fail} {reinvoke}")
    two = [("Mutating", policy("Mutating", f"m{i}", mutations=[MUTATIONS["count"], MUTATIONS["json"]], failurePolicy="Fail", reinvocationPolicy=r, **spec), [binding("Mutating", f"m{i}")]) for i, r in enumerate(("IfNeeded", "IfNeeded", "Never"))]
    with Policies(pair, *two):
        tries(pair, "several mutations")


def run(pair):
    for ns, team in (("observed", "a"), ("free", "c")):
        pair.both("POST", "/api/v1/namespaces", {"metadata": {"name": ns}})
        pair.both("PATCH", "/api/v1/namespaces/" + ns, {"metadata": {"labels": {"team": team}}}, MERGE)
        pair.both("POST", f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "default"}})
    validating(pair)
    matching(pair)
    parameters(pair)
    mutating(pair)
    types(pair)
