"""What makes one object of another: a JSON patch, a merge patch, a strategic one with some of its directives."""
PATCH = {"json": "application/json-patch+json", "merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json", "apply": "application/apply-patch+yaml"}


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
