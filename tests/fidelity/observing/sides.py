"""Two servers, each with a listener of its own that it calls, and what is found unlike between them."""
import collections
import itertools
import json
import re
import time

import normal
from server import Answer, Server

CONTINUE = re.compile(r"\beyJ2IjoibWV0YS5rOHMuaW8v[\w-]+")
PORT = re.compile(r"\b(127\.0\.0\.1|198\.51\.100\.1|localhost|https:on|observer[\w.-]*):\d{4,5}\b")
LOCAL = re.compile(r"\b127\.0\.0\.1:\d{4,5}->")
TOOK = re.compile(r"\b\d+(\.\d+)?(ms|µs|s)\b(?= )")
# Each answer's own.
SILENT = {"date", "audit-id", "content-length", "transfer-encoding", "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"}


def words(v, rename=()):
    """Without what must differ."""
    v = normal.tree(v, rename)
    return json.loads(CONTINUE.sub("<continue>", PORT.sub(r"\1:<port>", json.dumps(v, ensure_ascii=False))))


def order(v):
    """Members of an object in any order: those of maps are in upstream's, those of structs are compared elsewhere (compare.py)."""
    return json.dumps(v, sort_keys=True)


class Side:
    def __init__(self, name, kubeconfig, listener, ca):
        self.name, self.kubeconfig, self.listener, self.ca = name, kubeconfig, listener, ca
        self.server = Server(kubeconfig)
        self.words = {"{{hook}}": f"https://127.0.0.1:{listener.port}", "{{port}}": str(listener.port), "{{ca}}": ca}
        self.events = {}

    def fill(self, s):
        for k, v in self.words.items():
            s = s.replace(k, v) if isinstance(s, str) else s
        return s

    def ask(self, method, path, body=None, headers=None, server=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        body = self.fill(body)
        head = dict(headers or {})
        if body is not None and not any(k.lower() == "content-type" for k in head):
            head["Content-Type"] = "application/json"
        return (server or self.server).ask(method, self.fill(path), body, head)


class Report:
    def __init__(self):
        self.found, self.steps, self.unlike = collections.OrderedDict(), collections.Counter(), collections.Counter()

    def note(self, area, label, differences, evidence):
        self.steps[area] += 1
        differences = list(differences)
        self.unlike[area] += bool(differences)
        for where, ours, theirs in differences:
            ours, theirs = (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in (ours, theirs))
            signature = (area, re.sub(r"\[\d+\]", "[]", where), re.sub(r"\d+", "#", ours)[:80], re.sub(r"\d+", "#", theirs)[:80])
            entry = self.found.setdefault(signature, [0, []])
            entry[0] += 1
            if len(entry[1]) < 4:
                entry[1].append({"step": label, "where": where, "ours": ours[:3000], "theirs": theirs[:3000], **evidence})

    def show(self, most, out):
        ranked = sorted(self.found.items(), key=lambda e: -e[1][0])
        if out:
            with open(out, "w") as f:
                json.dump([{"area": s[0], "where": s[1], "count": n, "examples": e} for s, (n, e) in ranked], f, indent=1)
        for (area, where, _, _), (count, examples) in ranked[:most]:
            e = examples[0]
            print(f"{count:5}  {area}: {where}   {e['step']}\n         ours   {e['ours'][:400]}\n         theirs {e['theirs'][:400]}")
        for area, n in self.steps.items():
            print(f"{area}: {n} compared, {self.unlike[area]} differ")
        return sum(self.unlike.values())


class Pair:
    def __init__(self, sides, report):
        self.sides, self.report = sides, report
        self.audited = []  # (area, label, audit id)
        self.ids = itertools.count(1)
        self.only = None

    def both(self, method, path, body=None, headers=None):
        """Makes ready; nothing is compared."""
        return [s.ask(method, path, body, headers) for s in self.sides]

    def until(self, what, test, seconds=20):
        """test(side) of both."""
        for s in self.sides:
            end = time.monotonic() + seconds
            while not test(s):
                if time.monotonic() > end:
                    raise RuntimeError(f"{s.name}: {what}")
                time.sleep(0.1)

    def take(self):
        for s in self.sides:
            s.listener.take()

    def step(self, area, label, method, path, body=None, headers=None, sort=False, settle=0.0, rename=(), servers=None, loosely=False, calls=True, answers=True):
        """The same to both: answers and what each listener heard are compared. settle: how long it may go on hearing. loosely: of the answer only the status."""
        number = next(self.ids)
        audit = "0b5e4e40-0000-4000-8000-%012d" % number
        self.take()
        pairs = []
        for i, s in enumerate(self.sides):
            pairs.append((s.ask(method, path, body, {"Audit-ID": audit, **(headers or {})}, servers and servers[i]), s.listener))
        if settle:
            time.sleep(settle)
        answer = [shown(a, rename) for a, _ in pairs]
        heard = [[words(said(c), rename) for c in l.take()] for _, l in pairs]
        if sort:
            heard = [sorted(h, key=order) for h in heard]
        label = f"{label}: {method} {path}"
        evidence = {"ours answered": str(answer[0])[:2000], "theirs answered": str(answer[1])[:2000], "ours heard": len(heard[0]), "theirs heard": len(heard[1])}
        if answers:
            x, y = [{"status": a["status"]} for a in answer] if loosely or answer[0]["status"] != answer[1]["status"] else answer
            found = list(normal.differences(normal.settled(x, y), y, "answer"))
            if x["status"] != y["status"]:
                found = [("answer.status", f"{x['status']} {answer[0]['body']}", f"{y['status']} {answer[1]['body']}")]
            self.report.note(area + " answers", label, found, evidence)
        if calls:
            found = list(normal.differences(*heard, "calls")) if len(heard[0]) == len(heard[1]) else [("calls (number)", brief(heard[0]), brief(heard[1]))]
            self.report.note(area + " calls", label, found, evidence)
        self.audited.append((area, label, audit))
        return [a for a, _ in pairs]


def brief(calls):
    out = []
    for c in calls:
        r = c["body"].get("request", {}) if isinstance(c["body"], dict) else {}
        out.append(" ".join(x for x in (c["path"], r.get("operation"), (r.get("resource") or {}).get("resource") if isinstance(r.get("resource"), dict) else None, r.get("subResource"), r.get("name")) if x))
    return f"{len(calls)}: {out}"


def said(call):
    """A call without the length of its body, and headers as a map."""
    heads = collections.defaultdict(list)
    for k, v in call["headers"]:
        if k not in ("content-length", "host", "traceparent", "accept-encoding"):  # the last: what its client library can unpack
            heads[k].append(v)
    if isinstance(call["body"], dict) and call["body"].get("kind") in ("TokenReview", "SubjectAccessReview"):
        heads.pop("user-agent", None)  # the client library's
    return {**call, "headers": {k: ", ".join(v) for k, v in sorted(heads.items())}}


def shown(a: Answer, rename):
    heads = {}
    for k, v in a.headers:
        if k.lower() not in SILENT:
            heads.setdefault(k.lower(), []).append(v)
    body = a.json()
    return words({"status": a.status, "headers": dict(sorted(heads.items())), "body": body if body is not None else a.body.decode("utf-8", "replace")}, rename)
