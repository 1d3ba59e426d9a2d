"""Makes each plugin of tests/conformance/wrong.txt and tests it: it must fail at exactly the policy that is told, and every policy must have one.
usage: plugin_wrong.py KEELSON SDK WRONG.txt FOLDER"""
import concurrent.futures
import os
import re
import subprocess
import sys

keelson, sdk, listing, folder = (os.path.abspath(a) for a in sys.argv[1:5])


def read_rows():
    rows, row = [], None
    for line in open(listing, encoding="utf-8").read().split("\n"):
        if line.startswith("== "):
            _, policy, kind = line.split()
            row = (policy, kind, [])
            rows.append(row)
        elif row and line[:2] in ("- ", "+ ") or line in ("-", "+"):
            pairs, mark = row[2], line[0]
            if mark == "-" and (not pairs or pairs[-1][1]):
                pairs.append(([], []))
            pairs[-1][0 if mark == "-" else 1].append(line[2:])
    return rows


def run(i, policy, kind, pairs):
    where = os.path.join(folder, str(i))
    os.mkdir(where)
    subprocess.run([keelson, "plugin", "new", kind, "wrong"], cwd=where, check=True, stdout=subprocess.DEVNULL)
    source = os.path.join(where, "wrong", "plugin.c")
    text = open(source, encoding="utf-8").read()
    for old, new in pairs:
        if text.count("\n".join(old)) != 1:
            return f"{policy} ({kind}): the template holds {text.count(chr(10).join(old))} times: {chr(10).join(old)}"
        text = text.replace("\n".join(old), "\n".join(new))
    open(source, "w", encoding="utf-8").write(text)
    so = os.path.join(where, "wrong.so")
    made = subprocess.run([os.environ.get("CC", "gcc"), "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-I", sdk + "/include", source, "-o", so,
                           "-Wl,--version-script=" + sdk + "/cmake/plugin.map,-z,now,-z,nodelete", "-pthread", "-w"], capture_output=True, text=True)
    if made.returncode:
        return f"{policy} ({kind}): {made.stderr}"
    out = subprocess.run([keelson, "plugin", "test", "--brief", "--settings", os.path.join(where, "wrong", "settings.cfg"), so], capture_output=True, text=True)
    failed = re.findall(r"^  FAILED  (\S+)", out.stdout, re.M)
    if out.returncode != 1 or failed != [policy]:
        return f"{policy} ({kind}): status {out.returncode}, failed: {failed}\n{out.stdout}{out.stderr}"
    if "What to do:" not in out.stdout:
        return f"{policy}: nothing says what to do"
    return None


rows = read_rows()
known = re.findall(r"^(KLP-\S+)", subprocess.run([keelson, "plugin", "test", "--list"], capture_output=True, text=True).stdout, re.M)
bad = [f"{p}: no wrong plugin shows it" for p in known if p not in [r[0] for r in rows]]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    bad += [x for x in pool.map(lambda a: run(*a), [(i, *r) for i, r in enumerate(rows)]) if x]
for line in bad:
    print("FAILED:", line)
print(f"{len(rows)} wrong plugins, {len(known)} policies, {len(bad)} not as they should be")
sys.exit(1 if bad else 0)
