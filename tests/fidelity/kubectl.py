#!/usr/bin/env python3
"""Runs the same kubectl commands (commands.py) against two servers and says where what they print, how they end, or what they asked of the server differs:
kubectl.py --ours KUBECONFIG --oracle KUBECONFIG [--only WORDS] [--kubectl PROGRAM] [--out FILE]."""
import concurrent.futures
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile

import commands
import filling
import reads
from server import Server, arguments

REQUEST = re.compile(r'^[IWE]\d{4} .*?(?:round_trippers|helper)\.go:\d+\] "?(?:Response"? verb="(\S+)" url="https://[^/]+([^"]*)" status="(\d+)?|(\S+) https://[^/]+(\S*) (\d+)?)', re.M)
LOG = re.compile(r"^[IWE]\d{4} .*\n", re.M)
AGE = re.compile(r"(?<![\w.-])((\d+[dhms]){1,2}|<invalid>)(?![\w.-])")
# What each has for itself: when it was asked, where it is, what it draws, and how wide what is between is.
OWN = ((AGE, "<age>"), (re.compile(r"https://127\.0\.0\.1:\d+|127\.0\.0\.1:\d+"), "<server>"), (re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"), "<time>"), (re.compile(r"/tmp/\S*?(LIVE|MERGED)-\d+"), r"/tmp/\1"),
       (re.compile(r"^(diff -u -N|[+-]{3}) .*\n", re.M), ""), (re.compile(r"/tmp/kubectl-edit-\S+"), "/tmp/edit"), (re.compile(r"([?&](?:resourceVersion|timeoutSeconds)=)\d+"), r"\1<number>"), (re.compile(r'(Resource Version: +|"resourceVersion": ")\d+'), r"\1<revision>"),
       (re.compile(r"(NodePort: .*\s)3[0-2]\d{3}/"), r"\1<port>/"), (re.compile(r"\b10\.13\d\.\d+\.\d+\b"), "<address>"), (re.compile(r"^.*(\bmetrics\.k8s\.io\b|keelson:|system:metrics-reader).*\n", re.M), ""), (re.compile(r" +"), " "))
OURS = re.compile(r"keelson:|metrics-reader|metrics\.k8s\.io")
SELECTOR = re.compile(r"(fieldSelector=)([^&\s]+)")


def plain(text):
    for pattern, word in OWN:
        text = pattern.sub(word, text)
    return SELECTOR.sub(lambda m: m[1] + "%2C".join(sorted(m[2].split("%2C"))), reads.words(text))  # kubectl walks a map


class Client:
    def __init__(self, program, kubeconfig, folder):
        self.start = [program, "--kubeconfig", kubeconfig, "--cache-dir", os.path.join(folder, "cache")]
        self.environment = {**os.environ, "HOME": folder, "KUBE_EDITOR": "sed -i s/nginx/caddy/;s/a:/b:/"}

    def run(self, args, given):
        """(how it ended, what it printed, what it complained, what it asked), in plain words."""
        try:
            p = subprocess.run(self.start + ["-v=6"] + args, input=given, capture_output=True, text=True, timeout=60, env=self.environment)
        except subprocess.TimeoutExpired:
            return "it did not end", "", "", ""
        asked = [" ".join(w for w in m if w) for m in REQUEST.findall(p.stderr)]
        asked = sorted(plain(a) for a in asked if not OURS.search(a) and not a.startswith(("GET /api 2", "GET /apis 2", "GET /openapi/v3 2")) and "/api?" not in a and "/apis?" not in a)
        return str(p.returncode), plain(p.stdout), plain(LOG.sub("", p.stderr)), "\n".join(asked)


PARTS = ("end", "output", "complaint", "requests")


class Run:
    def __init__(self, args, folder):
        self.clients = []
        for name in ("ours", "oracle"):
            home = os.path.join(folder, name)
            os.makedirs(home)
            self.clients.append(Client(args.kubectl, os.path.abspath(getattr(args, name)), home))
        self.pair = concurrent.futures.ThreadPoolExecutor(4)
        self.count, self.different = 0, []

    def compare(self, command):
        args, given = command
        a, b = [f.result() for f in [self.pair.submit(c.run, args, given) for c in self.clients]]
        self.count += 1
        unlike = {}
        for part, x, y in zip(PARTS, a, b):
            if x != y and not (part == "output" and args[0] in LOOSELY and LOOSELY[args[0]](x) == LOOSELY[args[0]](y)):
                unlike[part] = [line for line in difflib.unified_diff(x.splitlines(), y.splitlines(), "ours", "theirs", n=0, lineterm="")][2:]
        if unlike:
            self.different.append({"command": " ".join(args), "given": given, **unlike})


def without_words(text):
    """What explain tells less the descriptions, which are each server's own: paragraphs that are no field."""
    return [line.rstrip() for line in text.splitlines() if re.match(r"(GROUP|KIND|VERSION|RESOURCE|FIELD|FIELDS|DESCRIPTION|ENUM)\b|\s+\S+\t<", line)]


# Descriptions are each server's own words; kubectl describes maps in any order.
LOOSELY = {"explain": without_words, "describe": lambda text: sorted(text.splitlines())}


def resources(servers):
    """What both serve, in the version that is preferred, as commands.reads() wants it."""
    kinds = filling.discover(servers[1])
    seen = set()
    for k in kinds:
        name = k.resource["name"] + ("." + k.api.split("/")[0] if "/" in k.api else "")
        if not k.review and name not in seen:
            seen.add(name)
            yield name, k.api, k.resource["namespaced"]


def main():
    args = arguments(__doc__, 80,
                     only=dict(default="", help="commands that hold these words"),
                     kubectl=dict(default="kubectl"))
    servers = [Server(args.ours), Server(args.oracle)]
    filling.fill(servers)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(args, folder)
        wanted = lambda c: args.only in " ".join(c[0])
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(run.compare, filter(wanted, commands.reads(list(resources(servers))))))
        for c in filter(wanted, commands.steps()):
            run.compare(c)
    if args.out:
        with open(args.out, "w") as f:
            json.dump(run.different, f, indent=1)
    for d in run.different[: args.show]:
        print(d["command"] + "".join(f"\n   {part}: " + "\n      ".join(d[part][:8]) for part in PARTS if part in d))
    print(f"{run.count} commands, {len(run.different)} differ")
    return 1 if run.different else 0


if __name__ == "__main__":
    sys.exit(main())
