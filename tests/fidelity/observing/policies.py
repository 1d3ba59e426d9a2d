"""ValidatingAdmissionPolicies and MutatingAdmissionPolicies: what they say, and to whom. (Type checking is a controller's: controllers/.)"""
import itertools
import time

from .hooks import APPLY, GROUP, MERGE, NS, POD, rule

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
        self.pair, self.all, self.refused = pair, all, set()

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
                if any(x.status != 201 for x in a):
                    self.refused.add(o["metadata"]["name"])
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


def tries(pair, label, ns="observed", also=()):
    maps = f"/api/v1/namespaces/{ns}/configmaps"
    step = lambda *a: pair.step("policies", label, *a, rename=("gen-",), calls=False)
    step("POST", maps, cm())
    step("POST", maps + "?dryRun=All", cm(metadata={"generateName": "gen-"}))
    pair.both("POST", maps, cm())
    step("PATCH", maps + "/a", {"data": {"k": "w"}}, MERGE)
    step("PATCH", maps + "/ap?fieldManager=f", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ap"}, "data": {"k": "v"}}, APPLY)
    step("DELETE", maps + "/a")
    for t in also:
        step(*t)
    pair.both("DELETE", maps)


def together(pair, kind, cases):
    """Cases (label, spec of the policy, specs of its bindings): all are made at once, each for a namespace of its own, and tried one after the other."""
    made = []
    for i, (label, spec, bindings) in enumerate(cases):
        ns, name = f"pol-{i}", f"v-{i}"
        pair.both("POST", "/api/v1/namespaces", {"metadata": {"name": ns, "labels": {"team": "a"}}})
        for n, labels, most in (("one", {"p": "1"}, "3"), ("two", {"p": "1"}, "10")):
            pair.both("POST", f"/api/v1/namespaces/{ns}/configmaps", {"metadata": {"name": n, "labels": labels}, "data": {"most": most}})
        made.append((kind, policy(kind, name, **spec), [within(ns, binding(kind, name if not k else f"{name}-{k}", policyName=name, **b)) for k, b in enumerate(bindings)]))
    with Policies(pair, *made) as p:
        for i, (label, spec, bindings) in enumerate(cases):
            if f"v-{i}" not in p.refused:
                tries(pair, label, f"pol-{i}")


def within(ns, b):
    r = b["spec"].setdefault("matchResources", {})
    r["namespaceSelector"] = {**r.get("namespaceSelector", {}), "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": [ns]}]}
    return b


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
    cases = []
    for name, validations in VALIDATIONS.items():
        for fail in ("Fail", "Ignore") if name in ("error", "error then false", "costly", "error of types", "index", "message fails") else ("Fail",):
            cases.append((f"{name} {fail}", dict(validations=validations, failurePolicy=fail), [{}]))
    for actions in (["Warn"], ["Audit"], ["Warn", "Audit"], ["Deny", "Audit"], ["Deny", "Warn"], []):
        for fail in ("Fail", "Ignore"):
            spec = dict(failurePolicy=fail, validations=[{"expression": "true"}, {"expression": "false", "messageExpression": "'first'"}, {"expression": "object.data.nothing == 'x'", "message": "m"}, {"expression": "false", "reason": "Forbidden"}],
                        auditAnnotations=[{"key": "a", "valueExpression": "'is ' + request.operation"}, {"key": "null", "valueExpression": "null"}, {"key": "blank", "valueExpression": "' '"}])
            cases.append((f"actions {actions} {fail}", spec, [{"validationActions": actions}]))
    notes = [{"key": "fails", "valueExpression": "object.data.nothing"}], [{"key": "long", "valueExpression": "object.data.k + 'x'"}], [{"key": "same", "valueExpression": "'a'"}], [{"key": "n", "valueExpression": "1"}]
    for i, list in enumerate(notes):
        cases += [(f"annotations {i} {fail}", dict(auditAnnotations=list, failurePolicy=fail), [{}, {}]) for fail in ("Fail", "Ignore")]
    variables = {"used": ([{"name": "a", "expression": "object.data.k"}, {"name": "b", "expression": "variables.a + '!'"}], [{"expression": "variables.b == 'x!'", "messageExpression": "variables.b"}]),
                 "failing": ([{"name": "a", "expression": "object.data.nothing"}], [{"expression": "variables.a == 'x'"}]), "unused": ([{"name": "a", "expression": "object.data.nothing"}], [{"expression": "false"}]),
                 "later": ([{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}], [{"expression": "variables.a == 1"}]), "unknown": ([], [{"expression": "variables.q == 1"}]), "list": ([{"name": "l", "expression": "[1, 'a', object]"}], [{"expression": "variables.l.size() == 4", "messageExpression": "string(variables.l[0])"}])}
    cases += [(f"variables {name}", dict(variables=list, validations=v), [{}]) for name, (list, v) in variables.items()]
    together(pair, "Validating", cases)


def matching(pair):
    false = [{"expression": "false", "message": "matched"}]
    conditions = {"true": "true", "false": "false", "error": "object.data.nothing == 'x'", "user": "request.userInfo.username == 'kubernetes-admin'", "authorizer": "authorizer.group('').resource('pods').check('get').allowed()", "create": "request.operation == 'CREATE'", "object": "has(object.data) && object.data.k == 'v'"}
    cases = [(f"condition {name} {fail}", dict(validations=false, failurePolicy=fail, matchConditions=[{"name": "c", "expression": e}, {"name": "d", "expression": "true"}]), [{}]) for name, e in conditions.items() for fail in ("Fail", "Ignore")]
    resources = {"object": {"objectSelector": {"matchLabels": {"x": "y"}}}, "namespace": {"namespaceSelector": {"matchLabels": {"team": "c"}}}, "rules": {"resourceRules": rule(["configmaps"], operations=["DELETE"])},
                 "names": {"resourceRules": rule(["configmaps"], resourceNames=["a"])}, "exclude": {"excludeResourceRules": rule(["configmaps"], operations=["UPDATE"])}, "other": {"resourceRules": rule(["secrets"])}, "exact": {"matchPolicy": "Exact"}}
    for name, r in resources.items():
        cases.append((f"binding {name}", dict(validations=false), [{"matchResources": r}]))
        cases.append((f"constraints {name}", dict(validations=false, matchConstraints={**CM, **r}), [{}]))
    together(pair, "Validating", cases)
    everything = {"resourceRules": rule(["*/*"], ["*"], ["*"], ["*"])}
    also = [("POST", NS + "/pods", POD), ("POST", NS + "/pods/p/eviction?dryRun=All", {"metadata": {"name": "p"}}), ("PATCH", NS + "/pods/p/status", {"status": {"phase": "Running"}}, MERGE), ("GET", NS + "/pods/p/exec?command=a&stdout=1"), ("GET", NS + "/pods/p/proxy/"),
            ("POST", NS + "/serviceaccounts/default/token", {"spec": {}}), ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}}}), ("DELETE", NS + "/pods/p?gracePeriodSeconds=0")]
    mine = [{"name": "mine", "expression": "request.userInfo.username == 'kubernetes-admin' && request.resource.group != 'admissionregistration.k8s.io' && request.resource.resource != 'limitranges'"}]
    say = "request.operation + ' ' + request.kind.group + '/' + request.kind.kind + ' ' + request.resource.resource + '/' + (has(request.subResource) ? request.subResource : '') + ' ' + (object == null ? 'no object' : object.kind) + ' ' + (oldObject == null ? 'no old' : oldObject.kind)"
    for actions in (["Warn"], ["Deny"]):
        with Policies(pair, ("Validating", policy("Validating", "v", matchConstraints=everything, matchConditions=mine, validations=[{"expression": "false", "messageExpression": say}]), [binding("Validating", "v", validationActions=actions)])):
            tries(pair, f"everything {actions}", also=also)
        pair.both("DELETE", NS + "/pods/p?gracePeriodSeconds=0")


def parameters(pair):
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    pair.both("POST", "/api/v1/namespaces/free/configmaps", {"metadata": {"name": "three", "labels": {"p": "2"}}, "data": {"most": "0"}})
    refs = {"name": {"name": "one"}, "name in namespace": {"name": "three", "namespace": "free"}, "nothing": {"name": "nothing"}, "selector": {"selector": {"matchLabels": {"p": "1"}}}, "none selected": {"selector": {"matchLabels": {"p": "9"}}}, "all": {"selector": {}}, "none": None}
    cases = []
    for (name, ref), missing, fail in itertools.product(refs.items(), ("Deny", "Allow"), ("Fail", "Ignore")):
        spec = dict(paramKind=kind, failurePolicy=fail, validations=[{"expression": "int(params.data.most) > 5", "messageExpression": "'most is ' + params.data.most + ' of ' + params.metadata.name"}], matchConditions=[{"name": "a", "expression": "object == null || object.metadata.name == 'a'"}])
        cases.append((f"param {name} {missing} {fail}", spec, [{"paramRef": {**ref, "parameterNotFoundAction": missing}} if ref is not None else {}]))
    missing = {"apiVersion": "nothing.example.com/v1", "kind": "Nothing"}
    for k in ({"apiVersion": "v1", "kind": "Node"}, {"apiVersion": "apps/v1", "kind": "Deployment"}):
        cases += [(f"param kind {k['kind']} {fail}", dict(paramKind=k, failurePolicy=fail, validations=[{"expression": "params.spec.x == 1"}]), [{"paramRef": {"name": "x", "parameterNotFoundAction": "Deny"}}]) for fail in ("Fail", "Ignore")]
    together(pair, "Validating", cases)
    for fail in ("Fail", "Ignore"):  # alone: upstream holds it against all that the policy matches, whatever its bindings say
        together(pair, "Validating", [(f"param kind {fail}", dict(paramKind=missing, failurePolicy=fail, validations=[{"expression": "params.spec.x == 1"}]), [{"paramRef": {"name": "x", "parameterNotFoundAction": "Deny"}}])])


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
    spec = dict(matchConstraints={"resourceRules": rule(["configmaps"], operations=["CREATE", "UPDATE"])})
    cases = [(f"mutation {name} {fail} {reinvoke}", dict(mutations=[m], failurePolicy=fail, reinvocationPolicy=reinvoke, **spec), [{}])
             for (name, m), (fail, reinvoke) in itertools.product(MUTATIONS.items(), (("Fail", "Never"), ("Ignore", "Never"), ("Fail", "IfNeeded")))]
    together(pair, "Mutating", cases)
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
