#!/usr/bin/env python3
"""Compares custom resources of two versions while their definition changes: evolve.py --ours KUBECONFIG --oracle KUBECONFIG [--seed N] [--rounds N]. What is stored may be wrong by the schema of now, or of a shape that is no more."""
import copy
import json
import random
import sys
import time

from compare import Run, report
from patches import PATCH, json_patch
from server import arguments

JSON = {"Content-Type": "application/json"}
GROUP, PATH = "evolve.example.com", "/apis/evolve.example.com"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
VERSIONS = ["v1", "v1beta1"]
TEXT, NUMBER = {"type": "string", "maxLength": 30}, {"type": "integer"}
rules = lambda t, *l: {**t, "x-kubernetes-validations": [{"rule": r} if isinstance(r, str) else r for r in l]}
array = lambda items, **more: {"type": "array", "maxItems": 10, "items": items, **{"x-kubernetes-" + k.replace("_", "-"): v for k, v in more.items()}}
thing = lambda **properties: {"type": "object", "properties": properties}
keyed = lambda value, **more: array({"type": "object", "required": ["key"], "properties": {"key": TEXT, "value": value}}, list_type="map", list_map_keys=["key"], **more)

# What each field may be, by turns. The first takes nearly everything.
FIELDS = {
    "text": [TEXT, TEXT, {**TEXT, "maxLength": 3}, {**TEXT, "pattern": "^a"}, {**TEXT, "enum": ["a", "bb"]}, {**TEXT, "minLength": 2}, {"type": "string", "format": "date-time"}, {**TEXT, "default": "d"}, {**TEXT, "nullable": True},
             rules(TEXT, "self == oldSelf"), rules(TEXT, {"rule": "!oldSelf.hasValue() || oldSelf.value() != self || self == 'a'", "optionalOldSelf": True, "message": "changes"}), rules(TEXT, {"rule": "self.size() < 4", "messageExpression": "'is ' + self", "reason": "FieldValueForbidden"})],
    "number": [NUMBER, NUMBER, {**NUMBER, "maximum": 5}, {**NUMBER, "minimum": 3, "exclusiveMinimum": True}, {**NUMBER, "multipleOf": 2}, {**NUMBER, "default": 7}, {**NUMBER, "oneOf": [{"minimum": 10}, {"maximum": 2}]}, {**NUMBER, "not": {"enum": [4]}}, rules(NUMBER, "self >= oldSelf"),
               rules(NUMBER, "self > 2", {"rule": "self >= oldSelf.orValue(4)", "optionalOldSelf": True})],
    "list": [array(TEXT), array(TEXT), {**array(TEXT), "maxItems": 1}, {**array(TEXT), "minItems": 2}, array(TEXT, list_type="set"), array({**TEXT, "enum": ["a", "bb"]}), array({**TEXT, "maxLength": 1}), rules(array(TEXT), "self.all(x, x in oldSelf)"), array(TEXT, list_type="atomic"),
             array(rules({**TEXT}, "self != 'bb'"))],
    "keyed": [keyed(NUMBER), keyed(NUMBER), keyed({**NUMBER, "maximum": 5}), keyed(rules(NUMBER, "self >= oldSelf")), keyed({**NUMBER, "default": 3}), {**keyed(NUMBER), "maxItems": 1}, keyed({**TEXT}), rules(keyed(NUMBER), "self.exists(x, x.key == 'a')"),
              {"type": "array", "maxItems": 10, "items": thing(key=TEXT, value=NUMBER), "x-kubernetes-list-type": "atomic"}],
    "object": [thing(a=NUMBER, b=TEXT), thing(a=NUMBER, b=TEXT), {**thing(a=NUMBER, b=TEXT), "required": ["a"]}, thing(a=NUMBER), thing(a={**NUMBER, "maximum": 5}, b={**TEXT, "enum": ["a"]}), {**thing(a=NUMBER, b=TEXT), "x-kubernetes-map-type": "atomic"}, {**thing(a=NUMBER), "x-kubernetes-preserve-unknown-fields": True},
               rules(thing(a=NUMBER, b=TEXT), "!has(self.a) || !has(oldSelf.a) || self.a == oldSelf.a"), {**thing(a={**NUMBER, "default": 2}), "default": {}}, rules(thing(a=NUMBER, b=TEXT), {"rule": "has(self.b)", "fieldPath": ".b", "reason": "FieldValueRequired", "message": "give b"}), {**thing(a=NUMBER, b=TEXT), "minProperties": 2}],
    "words": [{"type": "object", "additionalProperties": TEXT}, {"type": "object", "additionalProperties": TEXT}, {"type": "object", "maxProperties": 1, "additionalProperties": TEXT}, {"type": "object", "maxProperties": 10, "additionalProperties": {**TEXT, "pattern": "^a"}},
              rules({"type": "object", "maxProperties": 10, "additionalProperties": TEXT}, "self.all(k, k in oldSelf)"), {"type": "object", "maxProperties": 10, "additionalProperties": rules(TEXT, "self == oldSelf")}],
    "flip": [{"x-kubernetes-preserve-unknown-fields": True}, {"x-kubernetes-preserve-unknown-fields": True}, TEXT, NUMBER, {"x-kubernetes-int-or-string": True}, {"type": "boolean"}, array(NUMBER), thing(a=NUMBER)],
    "deep": [thing(inner=thing(x=NUMBER, list=array(thing(y=TEXT)))), thing(inner={**thing(x={**NUMBER, "minimum": 3}, list=array({**thing(y={**TEXT, "maxLength": 1}), "required": ["y"]})), "required": ["x"]}), thing(inner=rules(thing(x=NUMBER, list=array(thing(y=TEXT))), "self.x == oldSelf.x || self.x > 3"))],
    "whole": [{"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}, {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": thing(a=NUMBER)}}],
}
VALUES = {
    "text": ["a", "bb", "abc", "long text", "2026-01-02T03:04:05Z", "", None], "number": [1, 2, 4, 5, 8, 12, None], "list": [[], ["a"], ["bb"], ["a", "a"], ["a", "bb", "ccc"], None],
    "keyed": [[], [{"key": "a", "value": 1}], [{"key": "a", "value": 8}, {"key": "b"}], [{"key": "b", "value": 4}], [{"key": "c", "value": 2}, {"key": "a"}]], "object": [{}, {"a": 1}, {"a": 8, "b": "bb"}, {"b": "a"}, {"a": 3, "c": 1}],
    "words": [{}, {"k": "a"}, {"k": "bb"}, {"k": "a", "l": "bb"}], "flip": ["a", 1, True, [1], {"a": 1}, {"a": "b"}], "deep": [{}, {"inner": {"x": 1}}, {"inner": {"x": 5, "list": [{"y": "a"}, {}]}}, {"inner": {"list": [{"y": "bb"}]}}],
    "whole": [{"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "spec": {"a": 1, "b": 2}}, {"apiVersion": "v1", "kind": "X", "metadata": {"name": "UPPER", "labels": {"a b": "c"}}}],
}
STATUS = {"phase": [TEXT, {**TEXT, "enum": ["a", "bb"]}, rules(TEXT, "self == oldSelf")], "count": [NUMBER, {**NUMBER, "maximum": 5}]}
WHOLE = [[], [], ["!has(self.number) || self.number != 12"], [{"rule": "!has(self.text) || !has(oldSelf.text) || self.text.size() >= oldSelf.text.size()", "message": "text grows"}], [{"rule": "!has(self.number) || self.number < 9", "messageExpression": "string(self.number) + ' is much'", "fieldPath": ".number"}]]


class Round:
    def __init__(self, run, number):
        self.run, self.r, self.number = run, random.Random(f"evolve {run.args.seed}/{number}"), number
        self.word = f"e{run.args.seed}x{number}"
        self.plural, self.kind, self.epoch, self.storage = self.word + "s", self.word.capitalize(), 0, "v1"
        self.fields = {n: f[0] for n, f in FIELDS.items()}
        self.required, self.whole = [], []

    def schema(self, version):
        r = self.r
        own = copy.deepcopy(self.fields)
        if version == "v1beta1" and r.random() < 0.5:
            own["number"] = {**NUMBER, "default": 9}
        spec = rules({"type": "object", "properties": {**own, "epoch": {**NUMBER, "maximum": self.epoch}, "replicas": NUMBER}, "required": self.required}, *self.whole)
        if not self.whole:
            del spec["x-kubernetes-validations"]
        if not self.required:
            del spec["required"]
        return {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "properties": {"replicas": NUMBER, **{n: r.choice(f) for n, f in STATUS.items()}}}}}

    def define(self):
        """Another schema, and another version to store perhaps; both servers know it in the end."""
        r = self.r
        self.epoch += 1
        for n in FIELDS:
            if self.epoch > 1 and r.random() < 0.5 or r.random() < 0.1:
                self.fields[n] = r.choice(FIELDS[n])
        if self.epoch > 1:
            self.required, self.whole, self.storage = r.choice([[], [], ["text"], ["object", "list"]]), r.choice(WHOLE), r.choice(VERSIONS)
        versions = [{"name": v, "served": True, "storage": v == self.storage, "schema": {"openAPIV3Schema": self.schema(v)},
                     "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}} for v in VERSIONS]
        o = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{self.plural}.{GROUP}"}, "spec": {"group": GROUP, "scope": "Namespaced", "names": {"plural": self.plural, "kind": self.kind}, "versions": versions}}
        if self.epoch == 1:
            a, b = self.run.both("POST", CRDS, json.dumps(o), JSON, tag="define")
        else:
            a, b = self.run.both("PATCH", f"{CRDS}/{self.plural}.{GROUP}", json.dumps({"spec": {"versions": versions}}), {"Content-Type": PATCH["merge"]}, tag="define again")
        if a.status // 100 != 2 or b.status // 100 != 2:
            return False
        for server in (self.run.ours, self.run.theirs):
            for version in VERSIONS:
                self.until_known(server, version)
        return True

    def until_known(self, server, version):
        """A field's limit is the number of the schema: one that is above what is known yet is complained about."""
        probe = {"apiVersion": f"{GROUP}/{version}", "kind": self.kind, "metadata": {"name": "probe"}, "spec": {"epoch": self.epoch}}
        for _ in range(100):
            a = server.ask("POST", self.where(version) + "?dryRun=All", json.dumps(probe), JSON)
            if a.status in (201, 422) and b"spec.epoch" not in a.body:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.plural} {version}: the schema did not come: {a.status} {a.body[:300]}")

    def where(self, version, name=""):
        return f"{PATH}/{version}/namespaces/default/{self.plural}" + (f"/{name}" if name else "")

    def spec(self):
        r = self.r
        return {n: copy.deepcopy(r.choice(v)) for n, v in VALUES.items() if r.random() < 0.5}

    def body(self, version, name, spec, **more):
        return {"apiVersion": f"{GROUP}/{version}", "kind": self.kind, "metadata": {"name": name}, "spec": spec, **more}

    def go(self):
        r, names = self.r, []
        if self.define():
            for i in range(4):
                version = r.choice(VERSIONS)
                a, b = self.run.both("POST", self.where(version) + "?fieldManager=maker", json.dumps(self.body(version, f"o{i}", self.spec())), JSON, tag="create")
                if a.status == b.status == 201:
                    names.append(f"o{i}")
                for server in (self.run.ours, self.run.theirs) if a.status != b.status else ():
                    server.ask("DELETE", self.where("v1", f"o{i}"))
            for _ in range(3):
                if not self.define():
                    break
                for name in list(names):
                    if not all(self.step(name) for _ in range(r.randint(1, 4))):
                        names.remove(name)
                        for server in (self.run.ours, self.run.theirs):
                            server.ask("DELETE", self.where("v1", name))
                self.run.both("GET", self.where(r.choice(VERSIONS)) + "?fieldSelector=metadata.name%21%3Dx", tag="list")
        for server in (self.run.ours, self.run.theirs):
            server.ask("DELETE", f"{CRDS}/{self.plural}.{GROUP}")

    def step(self, name):
        """False: the two went apart."""
        r, version = self.r, self.r.choice(VERSIONS)
        where, field = self.where(version, name), self.r.choice(list(FIELDS))
        a, b = self.run.both("GET", where, tag="get")
        if a.status != 200 or b.status != 200:
            return a.status == b.status
        now = b.json()
        for k in ("managedFields", "creationTimestamp", "uid", "resourceVersion", "generation"):
            now["metadata"].pop(k, None)
        after, value = copy.deepcopy(now), copy.deepcopy(r.choice(VALUES[field]))
        after.setdefault("spec", {})[field] = value
        if not isinstance(now.get("spec"), dict):
            now["spec"] = {}
        q = "?fieldManager=" + r.choice(["maker", "one", "two"]) + r.choice(["", "", "&dryRun=All", "&fieldValidation=Strict"])
        what = r.choice(["update", "update", "merge", "merge", "json", "apply", "apply", "label", "status", "status merge", "apply status", "scale", "again", "same"])
        send = lambda tag, method, path, body, form=None: self.run.both(method, path + q, json.dumps(body), {"Content-Type": PATCH[form]} if form else JSON, tag=tag)
        status = {n: r.choice(["a", "bb", 1, 8]) if n == "phase" else r.choice([1, 8]) for n in STATUS if r.random() < 0.7}
        if what == "update":
            send(what, "PUT", where, after)
        elif what == "merge":
            send(what, "PATCH", where, {"spec": {field: value}}, "merge")
        elif what == "json":
            send(what, "PATCH", where, json_patch(now, after), "json")
        elif what == "apply":
            q += "&force=true" if r.random() < 0.6 else ""
            send(what, "PATCH", where, self.body(version, name, {field: value, **({} if r.random() < 0.5 else self.spec())}), "apply")
        elif what == "label":
            send(what, "PATCH", where, {"metadata": {"labels": {"l": r.choice("ab")}}}, "merge")
        elif what == "status":
            send(what, "PUT", where + "/status", {**now, "status": status})
        elif what == "status merge":
            send(what, "PATCH", where + "/status", {"status": status}, "merge")
        elif what == "apply status":
            q += "&force=true"
            send(what, "PATCH", where + "/status", {"apiVersion": f"{GROUP}/{version}", "kind": self.kind, "metadata": {"name": name}, "status": status}, "apply")
        elif what == "scale":
            send(what, "PATCH", where + "/scale", {"spec": {"replicas": r.choice([1, 2])}}, "merge")
        elif what == "again":
            q = "?dryRun=All"
            send(what, "POST", self.where(version), {**after, "metadata": {"name": name + "-again"}})
        else:
            send(what, "PUT", where, now)
        return self.run.alike


def main():
    args = arguments(__doc__, 40,
                     seed=dict(type=int, default=int(time.time()) % 100000),
                     rounds=dict(type=int, default=10),
                     first=dict(type=int, default=0, help="number of the first round"))
    args.codec = None
    run = Run(args)
    for n in range(args.first, args.first + args.rounds):
        Round(run, n).go()
    return report(run)


if __name__ == "__main__":
    sys.exit(main())
