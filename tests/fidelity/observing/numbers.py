"""What /metrics tells once all the rest has been asked: names, types and labels of upstream's stable and beta metrics."""
import re

LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# Upstream's own parts, which a server that is not made of Go, etcd and its libraries has nothing to tell of.
NOT_HERE = re.compile(r"^(go_|etcd_|grpc_|rest_client_go|process_|promhttp_)")


def family(name, types):
    for end in ("_bucket", "_sum", "_count"):
        if name.endswith(end) and types.get(name[: -len(end)], "") in ("histogram", "summary"):
            return name[: -len(end)]
    return name


def page(text):
    """{family: {type, level, labels, values}}; values: those of each label."""
    types, levels, found = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            types[line.split()[2]] = line.split()[3]
        elif line.startswith("# HELP "):
            m = re.search(r"\[(ALPHA|BETA|STABLE|INTERNAL)\]", line)
            levels[line.split()[2]] = m[1] if m else "-"
        elif m := LINE.match(line):
            f = family(m[1], types)
            e = found.setdefault(f, {"type": types.get(f), "level": levels.get(f, "-"), "labels": set(), "series": set()})
            labels = [(k, v) for k, v in LABEL.findall(m[2] or "") if k != "le"]
            e["labels"].add(tuple(sorted(k for k, _ in labels)))
            e["series"].add(tuple(sorted(labels)))
    for f in types:
        found.setdefault(f, {"type": types[f], "level": levels.get(f, "-"), "labels": set(), "series": set()})
    return found


def run(pair):
    ours, theirs = [page(s.ask("GET", "/metrics", None, {"Accept": "text/plain"}).body.decode()) for s in pair.sides]
    for name, t in sorted(theirs.items()):
        if NOT_HERE.match(name) or t["level"] in ("INTERNAL",):
            continue
        area, o = f"metrics {t['level']}", ours.get(name)
        if o is None:
            found = [("absent", name + " is absent", f"{name} {t['type']} {sorted(t['labels'])[:1]}")]
        else:
            found = [(what, f"{name}: {sorted(o[what]) if what == 'labels' else o[what]}", f"{name}: {sorted(t[what]) if what == 'labels' else t[what]}") for what in ("type", "level", "labels") if o[what] != t[what]]
        pair.report.note(area, name, found, {})
