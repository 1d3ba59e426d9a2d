"""What two servers may differ in (uids, revisions, times, allocated addresses and ports, random ends of names) becomes the same word; the rest is compared."""
import datetime
import re

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\b(\d{4}-\d\d-\d\d)T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
GO_TIME = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC( m=[+-][\d.]+)?")
VOLUME = re.compile(r"kube-api-access-[a-z0-9]{5}\b")
ADDRESS = re.compile(r"\b10\.(9[6-9]|10\d|11[01])\.\d+\.\d+\b")
CERTIFICATE = re.compile(r"X509SHA256=[0-9a-f]{64}")
RECORD = re.compile(r"((?:map\[[^\"]*\bresourceVersion:|ResourceVersion in record \(|ResourceVersion in object meta: |resourceVersion\\+\":\\+\"))\d+")
TOKEN = re.compile(r"\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")
YAML_REVISION = re.compile(r'(?m)^(\s*resourceVersion: )"\d+"$')
NODE_PORT = re.compile(r"\b(\d+):3[0-2]\d{3}/")
AGE = re.compile(r"\d+s")
PORTS = {"nodePort", "healthCheckNodePort"}
TODAY = {str(datetime.date.today() + datetime.timedelta(d)) for d in (-1, 0, 1)}


def text(s, rename=()):
    s = UID.sub("<uid>", s)
    s = TOKEN.sub("<token>", s)
    s = YAML_REVISION.sub(r"\1<revision>", s)
    s = CERTIFICATE.sub("X509SHA256=<sum>", s)
    s = TIME.sub(lambda m: "<time" + ("." + str(len(m[2]) - 1) if m[2] else "") + ">" if m[1] in TODAY else m[0], s)
    s = GO_TIME.sub("<time>", s)
    s = VOLUME.sub("kube-api-access-<random>", s)
    s = ADDRESS.sub("<address>", s)
    s = RECORD.sub(r"\1<revision>", s)
    s = NODE_PORT.sub(r"\1:<port>/", s)
    for prefix in rename:
        s = re.sub(re.escape(prefix) + r"[a-z0-9]{5}\b", prefix + "<random>", s)
    return s


def tree(v, rename=(), key=None):
    if isinstance(v, dict):
        if v.keys() >= {"name", "type", "format", "description", "priority"} and v["description"]:
            v = {**v, "description": "<words>"}  # of a table's column: each has its own
        return {text(k, rename): tree(e, rename, k) for k, e in v.items()}
    if isinstance(v, list):
        if key in ("resourceRules", "nonResourceRules") and v and "verbs" in v[0]:  # of a review: upstream has them in any order
            v = sorted(v, key=str)
        return ["<age>" if key == "cells" and isinstance(e, str) and AGE.fullmatch(e) else tree(e, rename, key) for e in v]
    if isinstance(v, str):
        if key == "resourceVersion" and v.isdigit() and v != "0":
            return "<revision>"
        return text(v, rename)
    if key in PORTS and isinstance(v, int) and 30000 <= v <= 32790:  # upstream's dry runs go beyond the range
        return "<port>"
    return v


def settled(ours, theirs):
    """Causes of a Status that upstream finds while it walks a map of Go, or fields that several managers own, come in any order: then theirs is ours too."""
    lists = [(o.get("details") or {}).get("causes") if isinstance(o, dict) and o.get("kind") == "Status" else None for o in (ours, theirs)]
    if not all(isinstance(l, list) and l for l in lists) or sorted(lists[0], key=str) != sorted(lists[1], key=str):
        return ours
    conflict = all(c.get("reason") == "FieldManagerConflict" for c in lists[0]) or "." in theirs["details"].get("group", "") and theirs["details"]["group"].endswith(".example.com")  # whose schema is a map
    places = [[re.sub(r"\[[^\]\d][^\]]*\]", "[]", c.get("field", "")) for c in l] for l in lists]
    if not conflict and places[0] != places[1]:
        return ours
    return {**ours, "message": theirs.get("message"), "details": {**ours["details"], "causes": lists[1]}}


def differences(ours, theirs, path=""):
    """(path, ours, theirs) for all that differs; what only one has stands against None. Order of members counts, and comes last."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for k in theirs:
            if k not in ours:
                yield f"{path}.{k}", "<absent>", theirs[k]
        for k, v in ours.items():
            if k not in theirs:
                yield f"{path}.{k}", v, "<absent>"
            else:
                yield from differences(v, theirs[k], f"{path}.{k}")
        if [k for k in ours if k in theirs] != [k for k in theirs if k in ours]:
            yield f"{path} (order)", list(ours), list(theirs)
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{path} (length)", ours, theirs
        else:
            for i, (a, b) in enumerate(zip(ours, theirs)):
                yield from differences(a, b, f"{path}[{i}]")
    elif type(ours) is not type(theirs) or ours != theirs:
        yield path, ours, theirs
