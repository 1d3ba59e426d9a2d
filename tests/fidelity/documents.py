#!/usr/bin/env python3
"""Compares what two servers' OpenAPI documents say, v2 and every v3: documents.py --ours KUBECONFIG --oracle KUBECONFIG [--show N] [--out FILE].
Descriptions are each server's own words: only where one has none is told, by --descriptions. All else must be equal, in order of lists."""
import collections
import json
import re
import sys

import definitions
import normal
from server import Server, arguments

OWN = "metrics.k8s.io"  # the group that we serve without a metrics server


def without_own(v):
    """Paths and definitions that belong to our own group are left out."""
    v["paths"] = {k: e for k, e in v["paths"].items() if OWN not in k}
    for holder in (v, v.get("components", {})):
        for key in ("definitions", "schemas"):
            if key in holder:
                holder[key] = {k: e for k, e in holder[key].items() if ".metrics.pkg.apis." not in k and not k.endswith(".meta.v1.Duration")}
                for e in holder[key].values():
                    if "x-kubernetes-group-version-kind" in e:
                        e["x-kubernetes-group-version-kind"] = [g for g in e["x-kubernetes-group-version-kind"] if g["group"] != OWN]
    return v


def without_words(v, key=None):
    """The document without descriptions. Members of "properties" are names, also when one is called "description"."""
    if isinstance(v, dict):
        return {k: without_words(e, k) for k, e in v.items() if k != "description" or key in ("properties", "definitions", "schemas")}
    return [without_words(e) for e in v] if isinstance(v, list) else v


def shared(v):
    """Form 2 has parameters that many operations share below names that end in a hash of their text, words and all: each goes back to where it is used."""
    known = v.get("parameters", {})

    def put_back(e):
        if isinstance(e, dict):
            return known[e["$ref"].split("/")[-1]] if str(e.get("$ref")).startswith("#/parameters/") else {k: put_back(x) for k, x in e.items()}
        return [put_back(x) for x in e] if isinstance(e, list) else e
    v = put_back(v)
    if known:
        v["parameters"] = {f"{name[:-9]}/{json.dumps(without_words(p), sort_keys=True)}": p for name, p in known.items()}
    return v


def undescribed(ours, theirs, path=""):
    """Where theirs has a description and ours has none."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if isinstance(theirs.get("description"), str) and theirs["description"] and not ours.get("description"):
            yield path
        for k in theirs:
            if k in ours:
                yield from undescribed(ours[k], theirs[k], f"{path}/{k}")


def place(path):
    """Where it is, with all that is named by the user of a document gone: differences of the same kind fall together."""
    p = re.sub(r"\.(paths)\./[^ ]*?(?=\.(get|put|post|patch|delete|options|head|parameters)\b|$| )", r".\1.*", path)
    p = re.sub(r"\.(definitions|schemas)\.[\w.-]*?(?=\.(properties|type|format|required|items|x-|default|enum|allOf|oneOf|\$ref|additional)|$| )", r".\1.*", p)
    p = re.sub(r"\.properties\.[\w$-]+", ".properties.*", p)
    return re.sub(r"\[\d+\]", "[]", p)


def documents(server):
    yield "v2", server.ask("GET", "/openapi/v2").json()
    index = server.ask("GET", "/openapi/v3").json()["paths"]
    for path in index:
        if OWN not in path:
            yield path, server.ask("GET", index[path]["serverRelativeURL"]).json()


def main():
    args = arguments(__doc__, 60,
                     only=dict(default="", help="documents, by the beginning of their names"),
                     descriptions=dict(action="store_true"))
    servers = [Server(args.ours), Server(args.oracle)]
    definitions.make(servers)
    ours, theirs = [dict(documents(s)) for s in servers]
    found, every, n, bare = collections.OrderedDict(), [], 0, collections.Counter()
    for name in sorted(ours.keys() ^ theirs.keys()):
        every.append((name, "document", name in ours, name in theirs))
        found.setdefault(("", "document", name, ""), []).append(every[-1])
    for name in sorted(ours.keys() & theirs.keys()):
        if not name.startswith(args.only):
            continue
        a, b = shared(without_own(ours[name])), shared(without_own(theirs[name]))
        for where in undescribed(a, b) if args.descriptions else ():
            bare[where] += 1
        for where, x, y in normal.differences(without_words(a), without_words(b)):
            if "(order)" in where:
                continue  # of members
            n += 1
            every.append((name, where, x, y))
            found.setdefault((name == "v2", place(where), json.dumps(x)[:60], json.dumps(y)[:60]), []).append(every[-1])
    for (_, where, _, _), same in sorted(found.items(), key=lambda e: -len(e[1]))[: args.show]:
        name, at, x, y = same[0]
        print(f"{len(same):5}  {name}: {at}\n         ours   {json.dumps(x)[:400]}\n         theirs {json.dumps(y)[:400]}")
    for where, count in bare.most_common():
        print(f"no description: {where} ({count})")
    if args.out:
        with open(args.out, "w") as f:
            json.dump(every, f, indent=1)
    print(f"{len(ours)} and {len(theirs)} documents, {n} differences in {len(found)} ways" + (f"; {sum(bare.values())} descriptions are missing" if args.descriptions else ""))
    return 1 if every else 0


if __name__ == "__main__":
    sys.exit(main())
