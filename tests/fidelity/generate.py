"""Random objects of a kind: a valid one of tests/clients/bad/objects.yaml, cut down, and then changed at random places as the OpenAPI document allows, now and then wrongly."""
import base64
import copy
import os
import subprocess
import tempfile

import yaml

import values

HERE = os.path.dirname(os.path.abspath(__file__))
ROOTS = {"TokenReview", "SubjectAccessReview", "SelfSubjectAccessReview", "LocalSubjectAccessReview", "SelfSubjectRulesReview"}


# A custom kind with what schemas can say: defaults, rules, lists of every sort, what is not pruned.
WORD = {"type": "string", "maxLength": 20}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "gadgets.fidelity.example.com"},
    "spec": {"group": "fidelity.example.com", "scope": "Namespaced", "names": {"plural": "gadgets", "kind": "Gadget", "shortNames": ["gg"]}, "versions": [{
        "name": "v1", "served": True, "storage": True, "selectableFields": [{"jsonPath": ".spec.color"}],
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
        "additionalPrinterColumns": [{"name": "Color", "type": "string", "jsonPath": ".spec.color"}, {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
        "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
            "spec": {"type": "object", "required": ["color"], "x-kubernetes-validations": [{"rule": "!has(self.size) || !has(self.most) || self.size <= self.most", "message": "size is more than most"}], "properties": {
                "color": {"type": "string", "enum": ["red", "blue"], "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "color stays"}]},
                "size": {"type": "integer", "minimum": 1, "maximum": 1000}, "most": {"type": "integer", "default": 500}, "replicas": {"type": "integer", "format": "int32"}, "ratio": {"type": "number", "exclusiveMinimum": True, "minimum": 0},
                "pattern": {"type": "string", "pattern": "^[a-z]+$"}, "when": {"type": "string", "format": "date-time"}, "on": {"type": "boolean", "default": True}, "either": {"x-kubernetes-int-or-string": True},
                "ports": {"type": "array", "maxItems": 4, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object", "required": ["name"], "properties": {"name": WORD, "port": {"type": "integer", "default": 80}}}},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": WORD}, "plain": {"type": "array", "items": WORD}, "words": {"type": "object", "additionalProperties": WORD},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}, "none": {"type": "string", "nullable": True}, "deep": {"type": "object", "default": {}, "properties": {"a": {"type": "integer", "default": 1}, "b": WORD}}}},
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "phase": WORD, "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"], "items": {"type": "object", "required": ["type"], "properties": {"type": WORD, "status": WORD}}}}}}}}}]}}
GADGET = {"apiVersion": "fidelity.example.com/v1", "kind": "Gadget", "metadata": {"name": "$NAME"}, "spec": {
    "color": "red", "size": 3, "replicas": 2, "ratio": 1.5, "pattern": "abc", "when": "2026-01-02T03:04:05Z", "either": "25%", "ports": [{"name": "http", "port": 8080}, {"name": "dns"}], "tags": ["a", "b"], "plain": ["x", "x"],
    "words": {"k": "v"}, "free": {"any": [1, {"b": None}]}, "none": None, "deep": {"b": "c"}}}


def signing_request():
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", d + "/k", "-out", d + "/c", "-subj", "/CN=x"], check=True, capture_output=True)
        with open(d + "/c", "rb") as f:
            return base64.b64encode(f.read()).decode()


def seeds():
    with open(os.path.join(HERE, "../clients/bad/objects.yaml")) as f:
        text = f.read()
    text = text.replace("$CSR", signing_request()) if "$CSR" in text else text
    return [copy.deepcopy(o) for o in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))]


class Schema:
    """The types of one group and version; None stands for what the document does not describe."""

    def __init__(self, document):
        self.all = document["components"]["schemas"]
        self.root = {g["kind"]: n for n, s in self.all.items() for g in s.get("x-kubernetes-group-version-kind", [])}
        self.paths = document["paths"]

    def resolve(self, s):
        ref = s.get("$ref") or (s.get("allOf") or [{}])[0].get("$ref")
        if not ref:
            return "", s
        name = ref.rsplit("/", 1)[1]
        return name.removeprefix("io.k8s.api.").removeprefix("io.k8s."), self.all[name]

    def kind_of(self, s):
        name, t = self.resolve(s)
        if name.endswith("Quantity"):
            return "quantity"
        if t.get("format") == "int-or-string":
            return "intstr"
        if t.get("type") == "object" and "additionalProperties" in t:
            return "map"
        if t.get("type") == "number":
            return "integer"
        return t.get("type", "any")


class Maker:
    def __init__(self, schema, random, wrong):
        self.schema, self.random, self.wrong = schema, random, wrong

    def value(self, owner, name, s, depth=0):
        """A value for field `name` of type `owner`."""
        r, kind = self.random, self.schema.kind_of(s)
        type_name, t = self.schema.resolve(s)
        if r.random() < self.wrong * 0.2:
            return copy.deepcopy(r.choice(values.BAD.get(kind, [None])))
        short = owner.rsplit(".", 1)[-1]
        table = values.GOOD.get(f"{short}.{name}", values.GOOD.get(name))
        if t.get("enum") and kind == "string" and r.random() < 0.95:
            return r.choice(t["enum"])
        if table is not None:
            fit = [v for v in table if fits(v, kind, t)]
            if fit and r.random() < (0.9 if kind not in ("object", "array") else 0.6):
                return copy.deepcopy(r.choice(fit))
            if not table:
                return NOTHING
        if kind == "quantity":
            return r.choice(values.QUANTITIES)
        if kind == "intstr":
            return r.choice([0, 1, 80, "http", "25%"])
        if kind == "boolean":
            return r.random() < 0.5
        if kind == "integer":
            return r.choice([0, 1, 2, 10, 1000])
        if kind == "string":
            f = t.get("format")
            if f == "date-time":
                return r.choice(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z", "2026-01-02T05:04:05+02:00"])
            if f == "byte":
                return "YQ=="
            return r.choice(values.NAMES)
        if kind == "map":
            e = t["additionalProperties"]
            keys = r.sample(["a", "z", "b", "cpu", "c.example.com/d"], r.randint(0, 3))
            return {k: v for k in keys if (v := self.value(owner, k, e, depth + 1)) is not NOTHING}
        if kind == "array":
            return [v for _ in range(r.choice([0, 1, 1, 2])) if (v := self.value(owner, name + "[]", t["items"], depth + 1)) is not NOTHING]
        if kind == "object" and t.get("properties"):
            return self.object(type_name, t, depth + 1)
        return NOTHING

    def object(self, type_name, t, depth):
        r, out = self.random, {}
        common = union(type_name)
        rest = [n for n in t["properties"] if common is not None and n not in common]
        chosen = r.choice(rest) if rest and r.random() < 0.97 else None
        for name, s in t["properties"].items():
            if name in rest:
                want = name == chosen
            else:
                want = name in t.get("required", []) and r.random() < 0.98 or r.random() < 0.5 / max(depth, 1)
            if want and depth < 9:
                v = self.value(type_name, name, s, depth)
                if v is not NOTHING:
                    out[name] = v
        return out

    def places(self, tree, s, out, path=()):
        """(object, its type) for all objects of the tree that the document describes."""
        type_name, t = self.schema.resolve(s)
        if isinstance(tree, dict) and t.get("properties"):
            out.append((tree, type_name, t, path))
            for k, v in tree.items():
                if k in t["properties"] and k not in ("status", "managedFields"):
                    self.places(v, t["properties"][k], out, path + (k,))
        elif isinstance(tree, list) and t.get("items"):
            for e in tree:
                self.places(e, t["items"], out, path)
        return out

    def edit(self, tree, s, protected):
        """One change at a random place."""
        r = self.random
        places = self.places(tree, s, [])
        by_path = {}
        for p in places:
            by_path.setdefault(p[3], []).append(p)
        where, type_name, t, path = r.choice(by_path[r.choice(list(by_path))])  # many of one type weigh as one
        names = [n for n in t["properties"] if not (path == () and n in ("apiVersion", "kind", "status", "metadata")) and not (path[-1:] == ("metadata",) and len(path) == 1 and n in protected)]
        if not names:
            return
        what = r.random()
        if what < 0.15:
            have = [n for n in names if n in where and (n not in t.get("required", []) or r.random() < self.wrong)]
            if have:
                del where[r.choice(have)]
            return
        if what < 0.25:
            lists = [n for n in names if isinstance(where.get(n), list) and where[n]]
            if lists:
                l = where[r.choice(lists)]
                e = copy.deepcopy(r.choice(l))
                if isinstance(e, dict) and "name" in e and r.random() > self.wrong:
                    e["name"] = f"n{r.randint(0, 99)}"
                l.insert(r.randint(0, len(l)), e)
            return
        if what < 0.30:
            lists = [n for n in names if isinstance(where.get(n), list) and len(where[n]) > 1]
            if lists:
                r.shuffle(where[r.choice(lists)])
            return
        name = r.choice(names)
        common = union(type_name)
        if common is not None and name not in common and r.random() < 0.9:
            for n in [n for n in where if n not in common]:
                del where[n]
        v = self.value(type_name, name, t["properties"][name], len(path))
        if v is not NOTHING:
            where[name] = v

    def cut(self, tree, s):
        """Fields that need not be there go at random, so that objects are small more often than not."""
        r = self.random
        for where, type_name, t, path in self.places(tree, s, []):
            if not path or r.random() < 0.4:
                continue
            common = union(type_name)
            for n in list(where):
                if n not in t.get("required", []) and (common is None or n in common) and n not in ("selector", "template", "matchLabels", "labels") and r.random() < 0.3:
                    del where[n]
            for n, v in where.items():
                if isinstance(v, list) and len(v) > 2 and isinstance(v[0], dict):
                    where[n] = r.sample(v, r.randint(1, len(v))) if r.random() < 0.6 else v


NOTHING = object()


def union(type_name):
    return next((v for k, v in values.UNIONS.items() if type_name.endswith(k)), None)


def fits(v, kind, t):
    if v is None:
        return True
    if kind == "array":
        if not isinstance(v, list):
            return False
        item = t.get("items", {})
        plain = item.get("type") in ("string", "integer")
        return all(isinstance(e, (str, int)) == plain for e in v)
    if kind == "map":
        of = t["additionalProperties"].get("type")
        return isinstance(v, dict) and all(isinstance(e, str) for e in v.values()) if of == "string" else isinstance(v, dict)
    return {"string": str, "integer": int, "boolean": bool, "object": dict, "intstr": (int, str), "quantity": (int, str)}.get(kind, ()) and isinstance(v, {"string": str, "integer": int, "boolean": bool, "object": dict, "intstr": (int, str), "quantity": (int, str)}[kind])
