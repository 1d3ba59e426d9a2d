"""One object, from its creation to its end, on two servers."""
import copy
import json
import random
import re
import urllib.parse

import yaml

import generate
from forms import DAMAGES
from patches import PATCH, json_patch, merge_patch
from steps import JSON, Apart, Steps

MANAGERS = ["", "one", "two", "kubectl-client-side-apply", "one", "two", "m" * 128, "m" * 129, "a\nb", "\u00fc" * 64]
WATCHED = {"ServiceCIDR", "FlowSchema", "PriorityLevelConfiguration", "APIService", "CustomResourceDefinition", "ValidatingAdmissionPolicy"}  # a controller writes to it at once
KEPT = {"ServiceCIDR", "FlowSchema", "ValidatingAdmissionPolicy"}  # controllers that one of the two has not write to it
PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Life(Steps):
    def __init__(self, run, kind, number):
        self.run, self.kind = run, kind
        self.r = random.Random(f"{run.args.seed}/{number}")
        self.schema = run.schemas[kind.group]
        self.root = {"$ref": "/" + self.schema.root[kind.name]}
        self.name = f"f{run.args.seed}-{number}"
        if kind.name in ("CustomResourceDefinition", "APIService"):
            self.name = f"f{run.args.seed}x{number}"
        self.wrong = self.r.choice([0, 0, 0, 0.1, 0.3, 1])
        self.maker = generate.Maker(self.schema, self.r, self.wrong)
        self.fill = ({}, {})
        self.rename = ()

    def tag(self, what):
        return f"{self.kind.name} {what}"

    def options(self, more=()):
        r, q = self.r, dict(more)
        if r.random() < 0.5:
            q["fieldManager"] = r.choice(MANAGERS)
        if r.random() < 0.3:
            q["fieldValidation"] = r.choice(["Strict", "Warn", "Ignore", "Strict", "x"] if self.wrong else ["Strict", "Warn", "Ignore"])
        if r.random() < 0.1:
            q["dryRun"] = r.choice(["All", "All", "x"])
        return "?" + urllib.parse.urlencode(q) if q else ""

    def changed(self, o, times=(1, 4)):
        o = copy.deepcopy(o)
        for _ in range(self.r.randint(*times)):
            self.maker.edit(o, self.root, ("name", "namespace", "resourceVersion", "uid", "managedFields", "creationTimestamp"))
        return o

    def text(self, o):
        r = self.r
        s = json.dumps(o, separators=(",", ":"))
        if self.wrong and r.random() < 0.1:
            s = re.sub(r"\{", lambda m: '{"unknown%d":1,' % r.randint(0, 3) if r.random() < 0.15 else "{", s).replace(",}", "}")
        if self.wrong and r.random() < 0.05:
            s = re.sub(r'("[a-zA-Z]+":(?:"[^"]*"|\d+)),', lambda m: m[0] + m[1] + "," if r.random() < 0.2 else m[0], s)
        return s

    def first(self):
        o = json.loads(json.dumps(self.kind.seed).replace("$NS", self.run.ns).replace("$NAME", self.name))
        meta = o.setdefault("metadata", {})
        meta.pop("finalizers", None)
        self.maker.cut(o, self.root)
        meta["name"] = self.name
        if self.kind.name == "CustomResourceDefinition":
            meta["name"] = f"widgets.{self.name}.example.com"
        if self.kind.name == "APIService":
            meta["name"] = f"v1.{self.name}.example.com"
            o["spec"].update(group=f"{self.name}.example.com", version="v1")
        if self.kind.name == "ServiceCIDR":
            o["spec"] = {"cidrs": [f"10.{self.r.randint(128, 250)}.{self.r.randint(0, 255)}.0/24"]}
        if self.r.random() < 0.05 and self.kind.name not in ("CustomResourceDefinition", "APIService"):
            del meta["name"]
            meta["generateName"] = self.name + "-"
            self.rename = (self.name + "-",)
        if self.r.random() < 0.75:
            o = self.changed(o, (1, 5))
        return o

    def remember(self, a, b):
        if a.status in (200, 201) and b.status in (200, 201):
            x, y = a.json(), b.json()
            if isinstance(x, dict) and isinstance(y, dict) and x.get("kind") == y.get("kind") == self.kind.name:
                self.current = y
                m, n = x["metadata"], y["metadata"]
                self.fill = tuple({"@rv": o.get("resourceVersion", ""), "@uid": o.get("uid", ""), "@name": o.get("name", "")} for o in (m, n))
                self.fill[0].update(allocated(x, y))

    def ask(self, what, method, path, body=None, headers=None):
        """Once two answers were unlike, all that follows would be: then the object is at its end."""
        a, b = self.run.both(method, path, body, self.formed(path, body, headers), self.fill, self.tag(what), self.rename)
        self.remember(a, b)
        if not self.run.alike and (a.status < 300 or b.status < 300):
            raise Apart
        return a, b

    def formed(self, path, body, headers):
        """Built-in kinds now and then travel as protobuf, there or back."""
        headers = dict(headers or {})
        if self.run.codec and "Accept" not in headers and self.run.codec.can(json.dumps({"apiVersion": self.kind.api, "kind": self.kind.name})):
            if self.r.random() < 0.1:
                headers["Accept"] = self.r.choice([PROTOBUF, PROTOBUF, PROTOBUF + ", application/json"])
            if body and headers.get("Content-Type") == "application/json" and self.r.random() < 0.2 and self.run.codec.can(body):
                headers["Content-Type"] = PROTOBUF
                if self.r.random() < 0.1:
                    headers["damage"] = self.r.choice(list(DAMAGES))
        return headers

    def live(self):
        try:
            self.steps()
        except Apart:
                self.end(self.made)

    def steps(self):
        run, r, kind = self.run, self.r, self.kind
        o = self.first()
        self.made = o["metadata"].get("name")
        accept = {"Content-Type": "application/json"}
        body = self.text(o)
        if r.random() < 0.08:
            body, accept = yaml.safe_dump(o, allow_unicode=True), {"Content-Type": "application/yaml"}
        a, b = self.ask("create", "POST", kind.path(run.ns) + self.options(), body, accept)
        if kind.review or a.status != 201 or b.status != 201:
            if not kind.review:
                self.end(o["metadata"].get("name"))
            return
        name = self.current["metadata"].get("name", "")
        self.where = kind.path(run.ns, "@name")
        if self.current.get("aggregationRule"):
            return self.end(name)
        if kind.name in KEPT:
            return self.end(name)
        if kind.name in WATCHED:
            self.settle()
        a, b = self.ask("get", "GET", self.where)
        if a.status != 200 or b.status != 200:
            return self.end(name)
        if r.random() < 0.3:
            self.ask("table", "GET", self.where + r.choice(["", "?includeObject=Object", "?includeObject=None"]), None, {"Accept": TABLE})
        steps = [self.update, self.update, self.patch, self.patch, self.apply, self.apply, self.again, self.others]
        if kind.subresources & {"status"}:
            steps += [self.status, self.status, self.apply_status]
        if "scale" in kind.subresources:
            steps += [self.scale]
        if kind.name == "Pod":
            steps += [self.part]
        if "approval" in kind.subresources:
            steps += [self.approve] * 3
        if "finalize" in kind.subresources:
            steps += [self.finalize] * 2
        steps += [self.limits, self.leaving, self.collection, self.born]
        for _ in range(r.randint(1, 5)):
            r.choice(steps)()
            if kind.name in WATCHED:
                self.settle()
        a, b = self.ask("get after", "GET", self.where)
        if a.status == b.status == 200:
            self.delete()
        self.end(name)

    def base(self):
        o = copy.deepcopy(self.current)
        m = o["metadata"]
        for k in ("managedFields", "creationTimestamp") if self.r.random() < 0.9 else ("managedFields",):
            m.pop(k, None)
        m["resourceVersion"], m["uid"], m["name"] = "@rv", "@uid", "@name"
        if self.r.random() < 0.2:
            del m["resourceVersion"]
        elif self.r.random() < 0.03:
            m["resourceVersion"] = self.r.choice(["1", "x", "0"])
        if self.r.random() < 0.2:
            del m["uid"]
        elif self.r.random() < 0.03:
            m["uid"] = "5d8a2a2e-1111-4222-8333-444455556666"
        return o

    def update(self):
        o, r = self.changed(self.base(), (0, 3)), self.r
        if r.random() < 0.9:
            self.ask("update", "PUT", self.where + self.options(), self.text(o), {"Content-Type": "application/json"})
            return
        text = yaml.safe_dump(o, allow_unicode=True)
        if r.random() < 0.5:
            text += r.choice(["unknown: 1\n", "metadata:\n  name: x\n", "kind: X\n", "spec: {unknown: 1, unknown: 2}\n"])
        self.ask("update", "PUT", self.where + self.options(), text, {"Content-Type": "application/yaml"})

    def patch(self):
        r = self.r
        form = r.choice(["json", "merge", "strategic"])
        before = self.base()
        after = self.changed(before, (1, 3))
        for o in (before, after):
            for k in ("resourceVersion", "uid", "name"):
                o["metadata"].pop(k, None)
        if form == "json":
            body = json_patch(before, after)
            if r.random() < 0.2:
                body.insert(r.randint(0, len(body)), r.choice([{"op": "test", "path": "/metadata/name", "value": "@name"}, {"op": "remove", "path": "/spec/nothing"}, {"op": "copy", "from": "/metadata/labels", "path": "/metadata/annotations"}, {"op": "x", "path": "/a"},
                                                               {"op": "add", "path": "/metadata/labels/x~1y", "value": "1"}, {"op": "test", "path": "/kind", "value": "X"}, {"op": "replace", "path": "/metadata/labels/none", "value": "1"}, {"op": "move", "from": "/metadata/labels/app", "path": "/metadata/labels/b"}]))
        else:
            body = merge_patch(before, after, form == "strategic", r)
            if r.random() < 0.2:
                body.setdefault("metadata", {})["resourceVersion"] = "@rv"
        self.ask("patch " + form, "PATCH", self.where + self.options(), self.text(body), {"Content-Type": PATCH[form]})

    def apply(self):
        r = self.r
        o = self.first()
        o["metadata"].pop("generateName", None)
        if r.random() < 0.6:
            o = self.changed({k: v for k, v in self.current.items() if k != "status"}, (0, 3))
            o["metadata"] = {k: v for k, v in o["metadata"].items() if k in ("labels", "annotations", "finalizers")}
            self.maker.cut(o, self.root)
        o["metadata"]["name"] = "@name"
        o["metadata"].pop("managedFields", None)
        more = {"fieldManager": r.choice(["one", "two", "three"])}
        if r.random() < 0.5:
            more["force"] = "true"
        if r.random() < 0.1:
            more["dryRun"] = "All"
        if r.random() < 0.1:
            more["fieldValidation"] = r.choice(["Strict", "Ignore"])
        if r.random() < 0.03:
            more.pop("fieldManager")
        q = "?" + urllib.parse.urlencode(more)
        self.ask("apply", "PATCH", self.where + q, self.text(o), {"Content-Type": PATCH["apply"]})

    def again(self):
        """The same name once more, one that is not there, lists of this object alone."""
        r, nobody = self.r, self.kind.path(self.run.ns, "nobody")
        one = self.kind.path(self.run.ns) + "?fieldSelector=metadata.name%3D@name"
        o = self.base()
        for k in ("resourceVersion", "uid"):
            o["metadata"].pop(k, None)
        what = r.randint(0, 5)
        if what == 0:
            if r.random() < 0.3:
                o["metadata"]["generateName"] = "@name-"
            self.ask("create again", "POST", self.kind.path(self.run.ns) + self.options(), self.text(o), {"Content-Type": "application/json"})
        elif what == 1:
            o["metadata"]["name"] = "nobody"
            self.ask("update nobody", "PUT", nobody + "?dryRun=All", self.text(o), {"Content-Type": "application/json"})
        elif what == 2:
            self.ask("patch nobody", "PATCH", nobody + self.options(), "{}", {"Content-Type": PATCH[r.choice(["merge", "strategic"])]})
        elif what == 3:
            self.ask("list", "GET", one, None, {"Accept": r.choice([TABLE, "application/json", "application/yaml"])})
        elif what == 4:
            self.ask("delete nobody", "DELETE", nobody, json.dumps({"preconditions": {"uid": "x"}}) if r.random() < 0.5 else None, {"Content-Type": "application/json"})
        else:
            self.ask("delete all", "DELETE", one + r.choice(["&dryRun=All", "&labelSelector=none%3Dnobody", "&propagationPolicy=x", "&resourceVersion=x"]), None, {"Content-Type": "application/json"})

    def delete(self):
        r, o = self.r, {}
        if r.random() < 0.3:
            o["propagationPolicy"] = r.choice(["Foreground", "Background", "Orphan", "x"])
        if r.random() < 0.2:
            o["gracePeriodSeconds"] = r.choice([0, 5, -1])
        if r.random() < 0.15:
            o["preconditions"] = r.choice([{"uid": "@uid"}, {"uid": "x"}, {"resourceVersion": "@rv"}, {"resourceVersion": "1"}])
        if r.random() < 0.1:
            o["dryRun"] = [r.choice(["All", "x"])]
        if r.random() < 0.1:
            o["orphanDependents"] = r.random() < 0.5
        if o and r.random() < 0.5:
            o.update(kind="DeleteOptions", apiVersion="v1")
        self.ask("delete", "DELETE", self.where, json.dumps(o) if o or r.random() < 0.3 else None, {"Content-Type": "application/json"})
        self.ask("get deleted", "GET", self.where)

    def end(self, name):
        if not isinstance(name, str) or not name:
            return
        for server, words in zip((self.run.ours, self.run.theirs), self.fill):
            where = self.kind.path(self.run.ns, urllib.parse.quote(words.get("@name") or name))
            server.ask("PATCH", where, '{"metadata":{"finalizers":null}}', {"Content-Type": PATCH["merge"]})
            server.ask("DELETE", where, '{"gracePeriodSeconds":0,"propagationPolicy":"Background"}', {"Content-Type": "application/json"})
            server.ask("PATCH", where, '{"metadata":{"finalizers":null}}', {"Content-Type": PATCH["merge"]})


def allocated(ours, theirs):
    """What a Service was given differs: bodies have the oracle's, which are ours there."""
    a, b = ours.get("spec"), theirs.get("spec")
    if ours.get("kind") != "Service" or not isinstance(a, dict) or not isinstance(b, dict):
        return {}
    words = {}
    if a.get("clusterIP") and b.get("clusterIP") and b["clusterIP"] != "None":
        words[f'"{b["clusterIP"]}"'] = f'"{a["clusterIP"]}"'
    for x, y in zip(a.get("ports") or [], b.get("ports") or []):
        if x.get("nodePort") and y.get("nodePort"):
            words[f'"nodePort":{y["nodePort"]}'] = f'"nodePort":{x["nodePort"]}'
    return words
