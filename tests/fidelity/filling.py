"""What both servers hold before they are read: objects of every kind, with statuses; custom resources of many shapes; and a history for watches."""
import copy
import json
import time

import yaml

import generate
import states
from compare import Kind

JSON, MERGE = {"Content-Type": "application/json"}, {"Content-Type": "application/merge-patch+json"}
SPACES = ("r1", "r2", "watched", "empty")

SHAPES = yaml.safe_load("""
plain: {type: object}
number: {type: integer, format: int32, minimum: 1, maximum: 10, default: 3}
fraction: {type: number, multipleOf: 0.5}
words: {type: string, enum: [a, b], description: "One of two."}
text: {type: string, pattern: '^[a-z]+$', minLength: 1, maxLength: 20}
when: {type: string, format: date-time}
either: {x-kubernetes-int-or-string: true}
eitherLong: {anyOf: [{type: integer}, {type: string}], x-kubernetes-int-or-string: true, pattern: '^\\\\d+%?$'}
free: {type: object, x-kubernetes-preserve-unknown-fields: true}
embedded: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
template: {type: object, x-kubernetes-embedded-resource: true, properties: {apiVersion: {type: string}, kind: {type: string}, metadata: {type: object}, spec: {type: object, properties: {n: {type: integer}}}}}
maybe: {type: string, nullable: true}
maybeDefault: {type: string, nullable: true, default: null}
labels: {type: object, additionalProperties: {type: string}}
nested: {type: object, required: [one], properties: {one: {type: string}, two: {type: boolean, default: true}}, default: {one: x}}
set: {type: array, items: {type: string}, x-kubernetes-list-type: set}
map: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, port: {type: integer, default: 80}}}, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name]}
atomic: {type: array, maxItems: 4, items: {type: integer}, x-kubernetes-list-type: atomic}
granular: {type: object, x-kubernetes-map-type: granular, additionalProperties: {type: integer}}
ruled: {type: object, properties: {min: {type: integer}, max: {type: integer}}, x-kubernetes-validations: [{rule: "self.min <= self.max", message: "min above max", reason: FieldValueInvalid, fieldPath: ".min"}]}
choice: {type: object, properties: {a: {type: string}, b: {type: string}}, oneOf: [{required: [a]}, {required: [b]}]}
any: {x-kubernetes-preserve-unknown-fields: true}
""")

VALUES = {"plain": {}, "fraction": 1.5, "words": "a", "text": "abc", "when": "2026-01-02T03:04:05Z", "either": "5%", "eitherLong": 5, "free": {"z": 1, "a": {"c": [1, "x"], "b": None}},
          "embedded": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}, "data": {"k": "v"}}, "maybe": None, "labels": {"b": "1", "a": "2"}, "set": ["b", "a"], "map": [{"name": "x"}],
          "atomic": [3, 1], "granular": {"b": 1, "a": 2}, "ruled": {"min": 1, "max": 2}, "choice": {"a": "x"}, "any": [1, {"y": 0, "x": 0}]}


def definitions():
    spec = {"type": "object", "properties": SHAPES}
    whole = {"type": "object", "description": "A thing of many shapes.", "required": ["spec"],
             "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}, "spec": spec,
                            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}}}}}
    columns = [{"name": "Number", "type": "integer", "jsonPath": ".spec.number"}, {"name": "Words", "type": "string", "jsonPath": ".spec.words", "priority": 1, "description": "which"},
               {"name": "When", "type": "date", "jsonPath": ".spec.when"}, {"name": "Map", "type": "string", "jsonPath": ".spec.map[*].name"}, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    yield crd("things", "Thing", "Namespaced", [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}, "additionalPrinterColumns": columns,
                                                  "selectableFields": [{"jsonPath": ".spec.words"}, {"jsonPath": ".spec.number"}],
                                                  "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.number", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}}},
                                                 {"name": "v1beta1", "served": True, "storage": False, "deprecated": True, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}},
                                                 {"name": "v1alpha1", "served": True, "storage": False, "deprecated": True, "deprecationWarning": "things are over",
                                                  "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"number": {"type": "integer"}}}}}}}], ["th"], ["all"])
    yield crd("orbs", "Orb", "Cluster", [{"name": "v2", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"color": {"type": "string", "default": "red"}}}}}])


def crd(plural, kind, scope, versions, short=(), categories=()):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": plural + ".reads.example.com"},
            "spec": {"group": "reads.example.com", "scope": scope, "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": kind + "List", "shortNames": list(short), "categories": list(categories)},
                     "versions": versions}}


STATUS = {
    "Pod": {"phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "hostIP": "10.0.0.9", "startTime": "2026-01-02T03:04:05Z",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}, {"type": "Initialized", "status": "True"}],
            "containerStatuses": [{"name": "main", "ready": True, "restartCount": 2, "image": "nginx", "imageID": "x", "started": True, "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}},
                                   "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-02T03:04:05Z", "startedAt": "2026-01-02T03:04:01Z"}}}]},
    "Deployment": {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1, "observedGeneration": 1},
    "ReplicaSet": {"replicas": 3, "readyReplicas": 2}, "StatefulSet": {"replicas": 3, "readyReplicas": 1}, "ReplicationController": {"replicas": 3, "readyReplicas": 2},
    "Job": {"active": 1, "startTime": "2026-01-02T03:04:05Z"},
    "Node": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
             "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1", "containerRuntimeVersion": "crun://1", "machineID": "", "systemUUID": "", "bootID": "", "kubeProxyVersion": "", "operatingSystem": "linux",
                          "architecture": "amd64"}},
    "PersistentVolumeClaim": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}, "PersistentVolume": {"phase": "Bound"},
    "Ingress": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}},
    "CronJob": {"lastScheduleTime": "2026-01-02T03:04:05Z"}, "HorizontalPodAutoscaler": {"currentReplicas": 2, "desiredReplicas": 3}, "PodDisruptionBudget": {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2},
}


def named(kind, name, ns, n):
    """The kind's valid object, under that name and with labels to select."""
    o = json.loads(json.dumps(kind.seed).replace("$NS", ns).replace("$NAME", name))
    meta = o.setdefault("metadata", {})
    meta.pop("finalizers", None)
    meta["name"] = name
    meta["labels"] = {**meta.get("labels", {}), "team": "xyz"[n % 3], "n": str(n)}
    if n == 0:
        meta["annotations"] = {**meta.get("annotations", {}), "note": "<&> \u2028 \u00e9"}
    if kind.name == "CustomResourceDefinition":
        meta["name"] = f"widgets.{name}.example.com"
        o = json.loads(json.dumps(o).replace(kind.seed["spec"]["group"], f"{name}.example.com"))
        o["spec"]["group"] = f"{name}.example.com"
    if kind.name == "APIService":
        meta["name"] = f"v1.{name}.example.org"
        o["spec"].update(group=f"{name}.example.org", version="v1")
    if kind.name == "ServiceCIDR":
        o["spec"] = {"cidrs": [f"10.{130 + n}.0.0/24"]}
    return o


class Filler:
    def __init__(self, servers):
        self.servers = servers
        self.revisions = ({}, {})

    def both(self, method, path, body, headers=JSON):
        answers = [s.ask(method, path, json.dumps(body) if body is not None else None, headers) for s in self.servers]
        if answers[0].status != answers[1].status:
            print(f"filling: {method} {path}: {answers[0].status} and {answers[1].status}: {answers[0].body[:200]} {answers[1].body[:200]}")
        return answers

    def mark(self, word):
        """What was the newest revision, on each side, as a word of paths."""
        for fill, a in zip(self.revisions, [s.ask("GET", "/api/v1/namespaces/watched/configmaps?limit=1") for s in self.servers]):
            fill[word] = a.json()["metadata"]["resourceVersion"]

    def objects(self, kind):
        for n, (ns, name) in enumerate((("r1", "one"), ("r1", "two"), ("r1", "three"), ("r2", "one"))):
            if not kind.resource["namespaced"] and ns == "r2":
                continue
            o = named(kind, name, ns, n)
            self.both("POST", kind.path(ns), o)
            if n < 2 and kind.name in STATUS and "status" in kind.subresources:
                self.both("PATCH", kind.path(ns, o["metadata"]["name"], "status"), {"status": STATUS[kind.name]}, MERGE)

    def history(self):
        """Objects that come into and leave selections."""
        maps = "/api/v1/namespaces/watched/configmaps"
        self.mark("@before")
        for n in range(3):
            self.both("POST", maps, {"metadata": {"name": f"w{n}", "labels": {"in": "yes" if n else "no"}}, "data": {"k": str(n)}})
        self.mark("@made")
        self.both("PATCH", maps + "/w0", {"metadata": {"labels": {"in": "yes"}}}, MERGE)
        self.both("PATCH", maps + "/w1", {"metadata": {"labels": {"in": "no"}}}, MERGE)
        self.both("PATCH", maps + "/w2", {"data": {"k": "changed"}}, MERGE)
        self.both("DELETE", maps + "/w2", None)
        self.both("DELETE", maps + "/w1", None)
        pods = "/api/v1/namespaces/watched/pods"
        self.both("POST", pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
        self.both("POST", pods + "/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "one"}})
        self.both("PATCH", pods + "/p/status", {"status": {"phase": "Running"}}, MERGE)
        self.both("PATCH", pods + "/p/status", {"status": {"phase": "Failed"}}, MERGE)
        self.both("DELETE", pods + "/p?gracePeriodSeconds=0", None)
        things = "/apis/reads.example.com/v1/namespaces/watched/things"
        self.both("POST", things, {"apiVersion": "reads.example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"words": "a"}})
        self.both("PATCH", things + "/t", {"spec": {"words": "b"}}, MERGE)
        self.both("DELETE", things + "/t", None)
        self.mark("@after")

    def tokens(self):
        """Continue tokens, of each server."""
        for fill, s in zip(self.revisions, self.servers):
            for word, path in (("@token", "/api/v1/namespaces/r1/configmaps?limit=3"), ("@alltoken", "/api/v1/configmaps?limit=3"), ("@selecttoken", "/api/v1/namespaces/r1/configmaps?limit=3&labelSelector=page"),
                               ("@thingtoken", "/apis/reads.example.com/v1/things?limit=1"), ("@roletoken", "/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=10")):
                fill[word] = s.ask("GET", path).json()["metadata"].get("continue", "none")


def discover(server):
    resources = {}
    for p in ["/api/v1"] + ["/apis/" + v["groupVersion"] for g in server.ask("GET", "/apis").json()["groups"] for v in g["versions"]]:
        resources[p] = (server.ask("GET", p).json() or {}).get("resources", [])  # none where another server should answer and does not
    return [Kind(s, resources) for s in generate.seeds()]


def fill(servers):
    f = Filler(servers)
    kinds = discover(servers[1])
    for ns in ("default",) + SPACES:
        f.both("POST", "/api/v1/namespaces", {"metadata": {"name": ns, "labels": {"space": ns}}}) if ns != "default" else [s.ask("POST", "/api/v1/namespaces", '{"metadata":{"name":"default"}}', JSON) for s in servers]
        [s.ask("POST", f"/api/v1/namespaces/{ns}/serviceaccounts", '{"metadata":{"name":"default"}}', JSON) for s in servers]
    for d in definitions():
        f.both("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", d)
    for s in servers:  # made by upstream for tokens of a kind that we do not give out
        s.ask("DELETE", "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking")
    seen = set()
    for k in kinds:
        if not k.review and (k.group, k.resource["name"]) not in seen:
            seen.add((k.group, k.resource["name"]))
            f.objects(k)
    for n in range(9):
        f.both("POST", "/api/v1/namespaces/r1/configmaps", {"metadata": {"name": f"page-{n}", "labels": {"page": str(n)}}, "data": {"k": "v" * n}, "binaryData": {"b": "AAEC"}})
    f.both("POST", "/api/v1/namespaces/r2/secrets", {"metadata": {"name": "big"}, "stringData": {"k": "x" * 200000}})
    time.sleep(3)  # until definitions and what controllers make of the objects are there
    for n, ns in enumerate(("r1", "r1", "r2")):
        spec = copy.deepcopy(VALUES)
        spec["words"] = "ab"[n % 2]
        f.both("POST", f"/apis/reads.example.com/v1/namespaces/{ns}/things", {"spec": spec, "metadata": {"name": f"t{n}", "labels": {"team": "xyz"[n], "a": "1"}}, "kind": "Thing", "apiVersion": "reads.example.com/v1"})
    f.both("PATCH", "/apis/reads.example.com/v1/namespaces/r1/things/t0/status", {"status": {"replicas": 2, "selector": "a=b", "phase": "x"}}, MERGE)
    f.both("POST", "/apis/reads.example.com/v2/orbs", {"kind": "Orb", "apiVersion": "reads.example.com/v2", "metadata": {"name": "o"}})
    states.fill(f.both, next(k.seed["spec"] for k in kinds if k.name == "CertificateSigningRequest"))
    f.history()
    time.sleep(1)
    f.tokens()
    return kinds, f.revisions
