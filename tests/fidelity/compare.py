#!/usr/bin/env python3
"""Sends the same random requests to two servers and says where the answers differ: compare.py --ours KUBECONFIG --oracle KUBECONFIG [--seed N] [--count N] [--only Kind,...]."""
import argparse
import concurrent.futures
import copy
import collections
import json
import random
import re
import sys
import time
import urllib.parse

import generate
import normal
from server import Server

HEADERS = ("content-type", "warning", "allow", "location", "retry-after", "cache-control", "www-authenticate", "vary", "x-content-type-options", "link")
PATCH = {"json": "application/json-patch+json", "merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json", "apply": "application/apply-patch+yaml"}
MANAGERS = ["", "one", "two", "kubectl-client-side-apply"]
WATCHED = {"ServiceCIDR", "FlowSchema", "PriorityLevelConfiguration", "APIService", "CustomResourceDefinition", "ValidatingAdmissionPolicy"}  # a controller writes to it at once
CRDS, GADGETS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/fidelity.example.com/v1"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Kind:
    def __init__(self, seed, resources):
        self.seed, self.name = seed, seed["kind"]
        self.api = seed["apiVersion"]
        self.group = "/api/v1" if self.api == "v1" else "/apis/" + self.api
        mine = resources[self.group]
        self.resource = next(r for r in mine if r["kind"] == self.name and "/" not in r["name"] and not r.get("group"))
        self.subresources = {r["name"].split("/")[1] for r in mine if r["name"].startswith(self.resource["name"] + "/")}
        self.review = "get" not in self.resource["verbs"]

    def path(self, ns, name="", sub=""):
        return self.group + ("/namespaces/" + ns if self.resource["namespaced"] else "") + "/" + self.resource["name"] + ("/" + name if name else "") + ("/" + sub if sub else "")


class Run:
    def __init__(self, args):
        self.args = args
        self.ours, self.theirs = Server(args.ours), Server(args.oracle)
        self.pool = concurrent.futures.ThreadPoolExecutor(2)
        self.found = collections.OrderedDict()  # signature: [count, examples]
        self.requests = self.unlike = 0
        self.codes = collections.Counter()
        self.ns = "default"
        self.schemas, self.by_group = {}, {}

    def both(self, method, path, body=None, headers=None, fill=({}, {}), tag="", rename=()):
        """The two answers, compared; fill: what stands for @words in path and body on each side."""
        def on(server, words):
            p, b = path, body
            for k, v in words.items():
                p = p.replace(k, v)
                b = b and b.replace(k, v)
            return server.ask(method, p, b, headers)
        a, b = self.pool.map(on, (self.ours, self.theirs), fill)
        self.requests += 1
        self.codes[b.status // 100] += 1
        diffs = list(self.unlike_parts(a, b, rename))
        self.alike = not [d for d in diffs if d[0] == "status" or d[0].startswith("body") and "order" not in d[0]]
        if diffs:
            self.unlike += 1
        for where, x, y in diffs:
            self.note(tag, where, x, y, (method, path, headers, body, a, b))
        return a, b

    def unlike_parts(self, a, b, rename):
        if b.status == 0:
            return  # a panic of the oracle
        if a.status == 400 and b.status == 500 and typed_alike(*(normal.text(short(r), rename) for r in (a, b))):
            return  # a client's mistake, and we say so
        if a.status != b.status:
            yield "status", f"{a.status} {short(a)}", f"{b.status} {short(b)}"
            return
        for h in HEADERS:
            x, y = sorted(normal.text(v, rename) for v in a.all(h)), sorted(normal.text(v, rename) for v in b.all(h))
            if x != y:
                yield "header " + h, x, y
            elif a.all(h) and [normal.text(v, rename) for v in a.all(h)] != [normal.text(v, rename) for v in b.all(h)]:
                yield "order of header " + h, a.all(h), b.all(h)
        x, y = a.json(), b.json()
        if x is None or y is None:
            if normal.text(a.body.decode("latin-1"), rename) != normal.text(b.body.decode("latin-1"), rename):
                yield "body", a.body[:300], b.body[:300]
            return
        x, y = normal.tree(x, rename), normal.tree(y, rename)
        yield from (("body" + p, u, v) for p, u, v in normal.differences(normal.settled(x, y), y))

    def note(self, tag, where, x, y, example):
        signature = (tag, re.sub(r"\[\d+\]", "[]", where), shape(x), shape(y)) if "message" in where or where == "status" or "header" in where else (tag, re.sub(r"\[\d+\]", "[]", where), type(x).__name__, type(y).__name__)
        entry = self.found.setdefault(signature, [0, []])
        entry[0] += 1
        if len(entry[1]) < 2:
            method, path, headers, body, a, b = example
            entry[1].append({"request": f"{method} {path}", "headers": headers, "body": body, "ours": str(x)[:1500], "theirs": str(y)[:1500], "our answer": a.body.decode("latin-1")[:6000], "their answer": b.body.decode("latin-1")[:6000]})

    def discover(self):
        resources = {}
        for server in (self.theirs,):
            for p in ["/api/v1"] + ["/apis/" + g["preferredVersion"]["groupVersion"] for g in server.ask("GET", "/apis").json()["groups"]] + ["/apis/autoscaling/v1"]:
                resources[p] = server.ask("GET", p).json()["resources"]
        self.kinds = []
        for server in (self.ours, self.theirs):
            server.ask("POST", CRDS, json.dumps(generate.DEFINITION), {"Content-Type": "application/json"})
        for _ in range(60):  # until both serve it, and the oracle describes it
            docs = [s.ask("GET", p).status for s, p in ((self.ours, GADGETS), (self.theirs, GADGETS), (self.theirs, "/openapi/v3" + GADGETS))]
            if docs == [200, 200, 200] and "Gadget" in self.theirs.ask("GET", "/openapi/v3" + GADGETS).body.decode():
                break
            time.sleep(0.5)
        resources[GADGETS] = self.theirs.ask("GET", GADGETS).json()["resources"]
        for s in generate.seeds() + [generate.GADGET] * 3:
            k = Kind(s, resources)
            if k.group not in self.schemas:
                self.schemas[k.group] = generate.Schema(self.theirs.ask("GET", "/openapi/v3" + k.group).json())
            self.kinds.append(k)
        for server in (self.ours, self.theirs):
            for ns in ("default", "other"):
                server.ask("POST", "/api/v1/namespaces", json.dumps({"metadata": {"name": ns}}), {"Content-Type": "application/json"})
                server.ask("POST", f"/api/v1/namespaces/{ns}/serviceaccounts", json.dumps({"metadata": {"name": "default"}}), {"Content-Type": "application/json"})


def short(a):
    j = a.json()
    return j.get("message", "")[:700] if isinstance(j, dict) and j.get("kind") == "Status" else ""


def typed_alike(ours, theirs):
    """Two complaints about a configuration that does not fit. The members of a Go map have no order, and one that is not known ends the walk through its map."""
    heads = [t.split(": ", 1)[0] for t in (ours, theirs)]
    if heads[0] != heads[1] or not re.match("failed to (create typed patch object|convert new object)", theirs):
        return False
    return sorted(ours.splitlines()) == sorted(theirs.splitlines()) or all("field not declared in schema" in t for t in (ours, theirs))


def shape(v):
    s = re.sub(r'"[^"]*"|\d+', "#", str(v))
    return re.sub(r"\bf#\S*|\[#\]", "#", s)[:160]


class Apart(Exception):
    pass


class Life:
    """One object, from its creation to its end, on both servers."""

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
        if r.random() < 0.07:
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
        a, b = self.run.both(method, path, body, headers, self.fill, self.tag(what), self.rename)
        self.remember(a, b)
        if not self.run.alike and (a.status < 300 or b.status < 300):
            raise Apart
        return a, b

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
            import yaml
            body, accept = yaml.safe_dump(o, allow_unicode=True), {"Content-Type": "application/yaml"}
        a, b = self.ask("create", "POST", kind.path(run.ns) + self.options(), body, accept)
        if kind.review or a.status != 201 or b.status != 201:
            if not kind.review:
                self.end(o["metadata"].get("name"))
            return
        name = self.current["metadata"].get("name", "")
        self.where = kind.path(run.ns, "@name")
        if kind.name in WATCHED or self.current.get("aggregationRule"):
            return self.end(name)
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
        steps += [self.limits, self.leaving]
        for _ in range(r.randint(1, 5)):
            r.choice(steps)()
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
        return o

    def update(self):
        o, r = self.changed(self.base(), (0, 3)), self.r
        if r.random() < 0.9:
            self.ask("update", "PUT", self.where + self.options(), self.text(o), {"Content-Type": "application/json"})
            return
        import yaml
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

    def others(self):
        """Subresources that take an object of another kind."""
        r, name = self.r, self.kind.name
        json_type = {"Content-Type": "application/json"}
        if name == "ServiceAccount":
            spec = r.choice([{}, {"expirationSeconds": r.choice([600, 5, 1 << 33, -1])}, {"audiences": ["a", ""]}, {"boundObjectRef": {"kind": r.choice(["Pod", "Secret", "X"]), "apiVersion": "v1", "name": "x"}}])
            a, b = self.run.both("POST", self.where + "/token?dryRun=All", json.dumps({"spec": spec}), json_type, self.fill, self.tag("token")) if spec.get("expirationSeconds") != 600 else (None, None)
        elif name == "Pod" and r.random() < 0.5:
            o = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": r.choice(["@name", "other"])}, "deleteOptions": r.choice([{}, {"gracePeriodSeconds": -1}, {"dryRun": ["All"]}, {"preconditions": {"uid": "x"}}])}
            self.ask("evict", "POST", self.where + "/eviction?dryRun=All", self.text(o), json_type)
        elif name == "Pod":
            o = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "@name"}, "target": r.choice([{"kind": "Node", "name": "nn"}, {"kind": "Pod", "name": "x"}, {"name": ""}, {}])}
            self.ask("bind", "POST", self.where + "/binding?dryRun=All", self.text(o), json_type)

    def apply_status(self):
        r = self.r
        t = self.schema.resolve(self.root)[1]["properties"].get("status")
        v = self.maker.value(self.kind.name, "status", t, 1) if t else None
        if isinstance(v, dict):
            o = {"apiVersion": self.kind.api, "kind": self.kind.name, "metadata": {"name": "@name"}, "status": v}
            q = "?" + urllib.parse.urlencode({"fieldManager": r.choice(["one", "two"]), "force": "true", **({"dryRun": "All"} if r.random() < 0.2 else {})})
            self.ask("apply status", "PATCH", self.where + "/status" + q, self.text(o), {"Content-Type": PATCH["apply"]})

    def status(self):
        r = self.r
        o = self.base()
        t = self.schema.resolve(self.root)[1]["properties"].get("status")
        if not t:
            return
        for _ in range(r.randint(1, 4)):
            if r.random() < 0.4 or not o.get("status"):
                v = self.maker.value(self.kind.name, "status", t, 1)
                if isinstance(v, dict):
                    o["status"] = {**(o.get("status") or {}), **v}
            else:
                self.maker.edit(o["status"], t, ())
        if r.random() < 0.3:
            o = self.changed(o, (0, 1))
        if r.random() < 0.6:
            self.ask("update status", "PUT", self.where + "/status" + self.options(), self.text(o), {"Content-Type": "application/json"})
        else:
            form = r.choice(["merge", "strategic"])
            self.ask("patch status", "PATCH", self.where + "/status" + self.options(), self.text({"status": merge_patch(self.current.get("status") or {}, o.get("status") or {}, form == "strategic", r)}), {"Content-Type": PATCH[form]})

    def part(self):
        """Parts of a pod's spec that have a path of their own."""
        r = self.r
        main = ((self.current.get("spec") or {}).get("containers") or [{}])[0].get("name", "main")
        if r.random() < 0.5:
            sub, spec = "ephemeralcontainers", {"ephemeralContainers": [r.choice([{"name": "debug", "image": "busybox"}, {"name": main, "image": "x"}, {"name": "d2", "image": "x", "ports": [{"containerPort": 80}]}, {"name": "d3", "image": "x", "targetContainerName": r.choice([main, "none"])}])]}
        else:
            sub, spec = "resize", {"containers": [{"name": main, "resources": r.choice([{"requests": {"cpu": "1"}}, {"limits": {"memory": "1Gi"}}, {"requests": {"cpu": "-1"}}, {"requests": {"example.com/x": "1"}}])}]}
        form = r.choice(["strategic", "merge", "apply"])
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "@name"}, "spec": spec} if form == "apply" else {"spec": spec}
        q = "?fieldManager=one&force=true" if form == "apply" else self.options()
        self.ask(f"patch {sub} {form}", "PATCH", self.where + "/" + sub + q, self.text(body), {"Content-Type": PATCH[form]})

    def limits(self):
        """What is nearly, or quite, too large; names at their ends."""
        r, merge = self.r, {"Content-Type": PATCH["merge"]}
        what = r.randint(0, 4)
        if what == 0:
            self.ask("annotations at their limit", "PATCH", self.where + "?dryRun=All", json.dumps({"metadata": {"annotations": {"a": "x" * ((256 << 10) - r.choice([1, 2, 0, -1, 100]))}}}), merge)
        elif what == 1 and self.kind.name in ("ConfigMap", "Secret"):
            self.ask("data at its limit", "PATCH", self.where + "?dryRun=All", json.dumps({"data": {"a": "eHh4" * ((1 << 18) - r.choice([1, 2, 0, -1]))}}), merge)
        elif what == 2:
            o = self.base()
            o["metadata"] = {"name": "a" * r.choice([63, 64, 253, 254])}
            self.ask("long name", "POST", self.kind.path(self.run.ns) + "?dryRun=All", self.text(o), {"Content-Type": "application/json"})
        elif what == 3:
            key = r.choice(["a" * 63, "a" * 64, "b" * 253 + "/a", "b" * 254 + "/a", "b.c/" + "a" * 64])
            self.ask("long label", "PATCH", self.where + "?dryRun=All", json.dumps({"metadata": {"labels": {key: "v" * r.choice([63, 64, 1])}}}), merge)
        else:
            user = r.choice([{"Impersonate-User": "nobody"}, {"Impersonate-User": "x", "Impersonate-Group": "system:masters"}, {"Impersonate-Group": "x"}, {"Impersonate-User": "system:serviceaccount:default:default"}])
            self.ask("impersonated", r.choice(["GET", "DELETE"]), self.where + "?dryRun=All", None, user)

    def leaving(self):
        """On its way: deleted while finalizers hold it, then changed, and asked to go in other ways."""
        r, merge = self.r, {"Content-Type": PATCH["merge"]}
        if self.kind.name in ("Pod", "Namespace") or r.random() < 0.5:
            return
        self.ask("hold", "PATCH", self.where, '{"metadata":{"finalizers":["example.com/hold"]}}', merge)
        for _ in range(r.randint(1, 3)):
            o = r.choice([{}, {"propagationPolicy": "Foreground"}, {"propagationPolicy": "Orphan"}, {"propagationPolicy": "Background"}, {"orphanDependents": True}, {"orphanDependents": False, "propagationPolicy": "Orphan"}])
            self.ask("delete held", "DELETE", self.where, json.dumps(o), {"Content-Type": "application/json"})
        self.ask("finalizer more", "PATCH", self.where, json.dumps({"metadata": {"finalizers": r.choice([["example.com/hold", "example.com/more"], ["orphan"], ["example.com/hold"]])}}), merge)
        self.ask("label held", "PATCH", self.where, '{"metadata":{"labels":{"held":"1"}}}', merge)
        self.ask("let go", "PATCH", self.where, '{"metadata":{"finalizers":null}}', merge)
        self.ask("get gone", "GET", self.where)
        raise Apart

    def scale(self):
        r = self.r
        self.ask("get scale", "GET", self.where + "/scale")
        self.ask("patch scale", "PATCH", self.where + "/scale" + self.options(), json.dumps({"spec": {"replicas": r.choice([0, 2, -1, "x"])}}), {"Content-Type": PATCH["merge"]})

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


def json_patch(a, b, path=""):
    out = []
    for k in a:
        p = path + "/" + k.replace("~", "~0").replace("/", "~1")
        if k not in b:
            out.append({"op": "remove", "path": p})
        elif isinstance(a[k], dict) and isinstance(b[k], dict):
            out += json_patch(a[k], b[k], p)
        elif a[k] != b[k]:
            out.append({"op": "replace", "path": p, "value": b[k]})
    return out + [{"op": "add", "path": path + "/" + k.replace("~", "~0").replace("/", "~1"), "value": b[k]} for k in b if k not in a]


def merge_patch(a, b, strategic, r):
    out = {}
    for k in a:
        if k not in b:
            out[k] = None
    for k, v in b.items():
        if k not in a or type(a[k]) is not type(v):
            out[k] = v
        elif isinstance(v, dict):
            if v != a[k]:
                out[k] = merge_patch(a[k], v, strategic, r)
                if strategic and r.random() < 0.05:
                    out[k]["$retainKeys"] = [m for m in v if r.random() < 0.8]
        elif a[k] != v:
            out[k] = v
            if strategic and isinstance(v, list) and v and isinstance(v[0], str) and r.random() < 0.2:
                out["$deleteFromPrimitiveList/" + k] = [r.choice(v)]
            if strategic and isinstance(v, list) and v and isinstance(v[0], dict) and "name" in v[0] and r.random() < 0.2:
                out["$setElementOrder/" + k] = [{"name": e["name"]} for e in v if "name" in e]
            if strategic and isinstance(v, list) and v and isinstance(v[0], dict):
                if r.random() < 0.2:
                    out[k] = v + [{"$patch": "replace"}]
                elif r.random() < 0.2 and "name" in v[0]:
                    out[k] = [{"$patch": "delete", "name": v[0]["name"]}]
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--ours", required=True)
    p.add_argument("--oracle")
    p.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    p.add_argument("--count", type=int, default=500, help="objects")
    p.add_argument("--first", type=int, default=0, help="number of the first object")
    p.add_argument("--only", default="")
    p.add_argument("--show", type=int, default=40)
    p.add_argument("--out", help="all differences, as JSON")
    args = p.parse_args()
    if not args.oracle:
        print("skipped: no oracle (--oracle KUBECONFIG of a kube-apiserver 1.36)")
        return 0
    run = Run(args)
    run.discover()
    only = set(args.only.split(",")) - {""}
    kinds = [k for k in run.kinds if not only or k.name in only]
    for n in range(args.first, args.first + args.count):
        Life(run, kinds[n % len(kinds)], n).live()
    ranked = sorted(run.found.items(), key=lambda e: -e[1][0])
    if args.out:
        with open(args.out, "w") as f:
            json.dump([{"tag": s[0], "where": s[1], "count": c, "examples": e} for s, (c, e) in ranked], f, indent=1)
    for (tag, where, x, y), (count, examples) in ranked[: args.show]:
        print(f"{count:5}  {tag}: {where}\n         ours   {examples[0]['ours'][:300]}\n         theirs {examples[0]['theirs'][:300]}")
    print(f"seed {args.seed}: {run.requests} requests, {run.unlike} differ in {len(run.found)} ways; answers of the oracle: " + ", ".join(f"{c}xx {n}" for c, n in sorted(run.codes.items())))
    return 1 if run.unlike else 0


if __name__ == "__main__":
    sys.exit(main())
