#!/usr/bin/env python3
"""Fills two servers with the same objects, sends both the same reads and says where the answers differ: reads.py --ours KUBECONFIG --oracle KUBECONFIG [--only PREFIX,...] [--out FILE]."""
import collections
import concurrent.futures
import gzip
import json
import re
import sys
import threading

import documents
import filling
import normal
import questions
import wire
from server import Server, arguments

# Each answer's own, or the connection's.
SILENT = {"date", "audit-id", "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid", "content-length", "transfer-encoding", "connection", "last-modified", "etag", "accept-ranges", "process-start-time-unix"}
COUNTS = re.compile(r'("?(?:resourceVersion|ResourceVersion)\\*"?[:=]\s*\\*"?)\d+')
VERSIONS = re.compile(r"(Too large resource version: |current: |too old resource version: )\d+( \(\d+\))?")
SERVER = re.compile(r'(serverAddress\\*"?: ?\\*"?)[\d.]+:\d+')
YAML_VERSION = re.compile(r'(resourceVersion: ")\d+')
HASH = re.compile(r"\bhash=[0-9A-F]+")
NODE_PORT = re.compile(r"(nodePort: )3[0-2]\d{3}\b")
AGE = re.compile(r"(\d+[dhms]){1,2}|<invalid>")
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)
TOKEN = re.compile(r"\beyJ2IjoibWV0YS5rOHMuaW8v[\w-]+")


def words(s):
    s = TOKEN.sub("<token>", VERSIONS.sub(r"\1<revision>", normal.text(s)))
    s = PEM.sub("<certificate>", s)
    s = NODE_PORT.sub(r"\1<port>", s)
    return HASH.sub("hash=<hash>", YAML_VERSION.sub(r"\1<revision>", SERVER.sub(r"\1<address>", s)))


def without_own(v):
    """The group that we serve without a metrics server."""
    for key, name in (("groups", lambda g: g.get("name")), ("items", lambda g: (g.get("metadata") or {}).get("name"))):
        if isinstance(v, dict) and isinstance(v.get(key), list):
            v = {**v, key: [g for g in v[key] if not isinstance(g, dict) or name(g) != "metrics.k8s.io"]}
    return v


def without_ages(v):
    """Both tell how old an object is, which they were asked at different moments."""
    if isinstance(v, dict):
        return {k: [("<age>" if isinstance(c, str) and AGE.fullmatch(c) else c) for c in e] if k == "cells" and isinstance(e, list) else without_ages(e) for k, e in v.items()}
    return [without_ages(e) for e in v] if isinstance(v, list) else v


def tree(v):
    if isinstance(v, dict) and ("openapi" in v or "swagger" in v):  # descriptions are each server's own words
        return documents.without_words(documents.shared(documents.without_own(v)))
    v = without_ages(normal.tree(without_own(v)))
    return json.loads(words(json.dumps(v))) if isinstance(v, (dict, list)) else v


def parsed(answer, watch=False):
    """A body as (form, tree): JSON, lines of it, YAML, protobuf, or text."""
    b, kind = answer.body, (answer.all("content-type") or [""])[0]
    if "gzip" in answer.all("content-encoding"):
        b = gzip.decompress(b)
    if "protobuf" in kind:
        try:
            return ("frames", wire.frames(b)) if "stream=watch" in kind else ("protobuf", wire.message(b))
        except (ValueError, IndexError):
            return "bytes", b.hex()
    text = b.decode("utf-8", "replace")
    if "yaml" in kind:
        return "yaml", words(text).split("\n")
    if "json" in kind:
        try:
            if not watch or answer.status != 200:
                return "json " + layout(text), tree(json.loads(text))
        except ValueError:
            pass
        try:
            return "lines", without_bookmarks([tree(json.loads(line)) for line in text.splitlines()])
        except ValueError:
            pass
    return "text", words(text).split("\n")


def layout(text):
    """How it is written: one line or several, and how it ends."""
    return ("pretty" if "\n" in text.rstrip("\n") else "compact") + (" with a newline" if text.endswith("\n") else "")


def without_bookmarks(events):
    """The bookmark before a watch ends comes when it comes; the one that ends the initial events is compared."""
    return [e for e in events if not isinstance(e, dict) or e.get("type") != "BOOKMARK" or "initial-events-end" in json.dumps(e)]


def cannot(q, theirs):
    """The oracle is not able to: its etcd is too old to tell progress, no proxy lets it out of its machine, or it broke off."""
    return (b"Too large resource version" in theirs.body and "=999999999" not in q.path) or b"RequestWatchProgress is disabled" in theirs.body or b"resolve_deny" in theirs.body or theirs.status == 0


class Run:
    def __init__(self, args):
        self.args = args
        self.local = threading.local()
        self.lock = threading.Lock()
        self.found = collections.OrderedDict()
        self.asked, self.unlike, self.excused, self.by_area = 0, 0, 0, collections.Counter()
        self.differing = []

    def servers(self, who):
        """A pair of connections of this thread: as administrator or as nobody."""
        all = self.local.__dict__.setdefault("servers", {})
        if who not in all:
            all[who] = [Server(k, credentials=who != "anonymous") for k in (self.args.ours, self.args.oracle)]
        return all[who]

    def ask(self, q):
        """q is a questions.Question; its @words are filled in for each server."""
        answers = []
        for server, fill in zip(self.servers(q.who), self.fill):
            path, body = q.path, q.body
            for k, v in fill.items():
                path = path.replace(k, v)
                body = body.replace(k, v) if isinstance(body, str) else body
            answers.append(server.ask(q.method, path, body, q.headers))
        return answers

    def compare(self, q):
        a, b = self.ask(q)
        diffs = list(self.unlike_parts(q, a, b))
        if diffs and cannot(q, b):
            with self.lock:
                self.asked, self.excused = self.asked + 1, self.excused + 1
            return
        with self.lock:
            self.asked += 1
            if diffs:
                self.unlike += 1
                self.by_area[q.area] += 1
                self.differing.append((q, [d[0] for d in diffs]))
            for where, x, y in diffs:
                self.note(q, where, x, y, a, b)

    def unlike_parts(self, q, a, b):
        if a.status != b.status:
            yield "status", f"{a.status} {a.body[:300].decode('latin-1')}", f"{b.status} {b.body[:300].decode('latin-1')}"
            return
        for h in sorted({k.lower() for k, _ in a.headers + b.headers} - SILENT):
            x, y = [words(v) for v in a.all(h)], [words(v) for v in b.all(h)]
            if x != y:
                yield "header " + h, x, y
        if q.loosely:
            return
        watch = "watch" in q.path
        (f, x), (g, y) = parsed(a, watch), parsed(b, watch)
        if f != g:
            yield "form", f, g
        if type(x) is type(y):
            document = isinstance(x, dict) and "paths" in x and "info" in x
            yield from (("body" + p, u, v) for p, u, v in normal.differences(x, y) if not document or "(order)" not in p)
        else:
            yield "body", str(x)[:300], str(y)[:300]

    def note(self, q, where, x, y, a, b):
        signature = (q.area, re.sub(r"\[\d+\]", "[]", where), re.sub(r"\d+", "#", str(x))[:80], re.sub(r"\d+", "#", str(y))[:80])
        entry = self.found.setdefault(signature, [0, []])
        entry[0] += 1
        if len(entry[1]) < 3:
            entry[1].append({"request": f"{q.method} {q.path}", "who": q.who, "headers": q.headers, "where": where, "ours": str(x)[:3000], "theirs": str(y)[:3000],
                             "our answer": a.body[:6000].decode("latin-1"), "their answer": b.body[:6000].decode("latin-1")})

    def report(self):
        ranked = sorted(self.found.items(), key=lambda e: -e[1][0])
        if self.args.out:
            with open(self.args.out, "w") as f:
                json.dump({"ways": [{"area": s[0], "where": s[1], "count": c, "examples": e} for s, (c, e) in ranked],
                           "reads": [[q.area, q.method, q.path, q.headers, d] for q, d in self.differing]}, f, indent=1)
        for (area, where, _, _), (count, examples) in ranked[: self.args.show]:
            e = examples[0]
            print(f"{count:5}  {area}: {where}   {e['request']} {e['headers'] or ''}\n         ours   {e['ours'][:300]}\n         theirs {e['theirs'][:300]}")
        print(f"{self.asked} reads, {self.unlike} differ in {len(self.found)} ways ({self.excused} that the oracle cannot answer): " + ", ".join(f"{a} {n}" for a, n in self.by_area.most_common()))


def main():
    args = arguments(__doc__, 60,
                     only=dict(default="", help="areas, by the beginning of their names"))
    run = Run(args)
    kinds, run.fill = filling.fill([Server(args.ours), Server(args.oracle)])
    only = tuple(args.only.split(",")) if args.only else ("",)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for f in concurrent.futures.as_completed([pool.submit(run.compare, q) for q in questions.all(kinds) if q.area.startswith(only)]):
            f.result()
    run.report()
    return 1 if run.unlike else 0


if __name__ == "__main__":
    sys.exit(main())
