#!/usr/bin/env python3
"""Sends the same random requests to two servers and says where the answers differ: compare.py --ours KUBECONFIG --oracle KUBECONFIG [--seed N] [--count N] [--only Kind,...]."""
import concurrent.futures
import collections
import json
import re
import sys
import time

import forms
import generate
import normal
from forms import DAMAGES
from life import PROTOBUF, Life
from server import Server, arguments

HEADERS = ("content-type", "warning", "allow", "location", "retry-after", "cache-control", "www-authenticate", "vary", "x-content-type-options", "link")
CRDS, GADGETS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/fidelity.example.com/v1"


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
        self.codec = forms.Codec(args.codec) if args.codec else None
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
            return self.coded(server, method, p, b, dict(headers or {}))
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

    def coded(self, server, method, path, body, headers):
        damage = headers.pop("damage", None)
        if self.codec and headers.get("Content-Type") == PROTOBUF:
            body = self.codec.encode(body)
            body = DAMAGES[damage](body) if damage else body
        a = server.ask(method, path, body, headers)
        if self.codec and a.all("content-type")[:1] == [PROTOBUF]:
            a.body = self.codec.decode(a.body)
        return a

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
            for p in ["/api/v1"] + ["/apis/" + g["preferredVersion"]["groupVersion"] for g in server.ask("GET", "/apis").json()["groups"] if not g["name"].endswith("example.com")] + ["/apis/autoscaling/v1"]:
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


def report(run):
    args = run.args
    ranked = sorted(run.found.items(), key=lambda e: -e[1][0])
    if args.out:
        with open(args.out, "w") as f:
            json.dump([{"tag": s[0], "where": s[1], "count": c, "examples": e} for s, (c, e) in ranked], f, indent=1)
    for (tag, where, x, y), (count, examples) in ranked[: args.show]:
        print(f"{count:5}  {tag}: {where}\n         ours   {examples[0]['ours'][:300]}\n         theirs {examples[0]['theirs'][:300]}")
    print(f"seed {args.seed}: {run.requests} requests, {run.unlike} differ in {len(run.found)} ways; answers of the oracle: " + ", ".join(f"{c}xx {n}" for c, n in sorted(run.codes.items())))
    return 1 if run.unlike else 0


def main():
    args = arguments(__doc__, 40,
                     codec=dict(help="the program that pair builds; without it nothing travels as protobuf"),
                     seed=dict(type=int, default=int(time.time()) % 100000),
                     count=dict(type=int, default=500, help="objects"),
                     first=dict(type=int, default=0, help="number of the first object"),
                     only=dict(default=""))
    run = Run(args)
    run.discover()
    only = set(args.only.split(",")) - {""}
    kinds = [k for k in run.kinds if not only or k.name in only]
    for n in range(args.first, args.first + args.count):
        Life(run, kinds[n % len(kinds)], n).live()
    return report(run)


if __name__ == "__main__":
    sys.exit(main())
