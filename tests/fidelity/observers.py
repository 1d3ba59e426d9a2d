#!/usr/bin/env python3
"""What an API server tells others (webhooks, the audit trail, nodes, aggregated servers, whoever reads its metrics), beside what upstream's tells them:
observers.py BIN BUILD [--only AREA,...] [--out FILE] [--keep DIR]. BIN has upstream's programs (pair build)."""
import argparse
import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from observing import audit, listener, sides

AREAS = {}
for name in ("hooks", "hook_answers", "trail", "reviews", "policies", "elsewhere", "numbers"):
    AREAS[name] = __import__("observing." + name, fromlist=[name])
HERE = os.path.dirname(os.path.abspath(__file__))
ADDRESS = "198.51.100.1"  # of the listeners, where loopback is not allowed


def apart():
    """A network of our own, in which ADDRESS is."""
    if os.environ.get("OBSERVERS_APART"):
        return
    inside = f'ip link set lo up && ip addr add {ADDRESS}/32 dev lo && exec "$0" "$@"'
    os.environ["OBSERVERS_APART"] = "1"
    os.execvp("unshare", ["unshare", "-n", "sh", "-c", inside, sys.executable, *sys.argv])


def kubeconfig(folder, name, port, path):
    with open(os.path.join(folder, name), "w") as f:
        f.write(f"""apiVersion: v1
kind: Config
current-context: a
contexts: [{{name: a, context: {{cluster: a, user: a}}}}]
clusters: [{{name: a, cluster: {{server: "https://127.0.0.1:{port}/{path}", certificate-authority: ca.crt}}}}]
users: [{{name: a, user: {{token: observed}}}}]
""")
    return f.name


def begin(args, folder):
    """Both servers, told to tell all; ours first."""
    listener.certificates(folder, ["IP:127.0.0.1", f"IP:{ADDRESS}", "DNS:localhost", "DNS:observer.observed.svc"])
    ears = [listener.Listener(folder) for _ in range(2)]
    policy = audit.policy(folder)
    tokens, access = ([kubeconfig(folder, f"{what}-{i}.kubeconfig", e.port, what) for i, e in enumerate(ears)] for what in ("tokens", "access"))
    with open(os.path.join(folder, "authorization.yaml"), "w") as f:
        f.write(f"""apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- type: Webhook
  name: webhook
  webhook: {{timeout: 30s, subjectAccessReviewVersion: v1, matchConditionSubjectAccessReviewVersion: v1, failurePolicy: NoOpinion, authorizedTTL: 5m, unauthorizedTTL: 30s,
    connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {access[0]}}}}}
""")
    with open(os.path.join(folder, "observed.cfg"), "w") as f:
        f.write(f"""chains: {{ authn = [ "webhook" ]; authz = [ "configured" ]; }};
instances = ( {{ plugin = "audit-log"; settings = {{ path = "{folder}/ours.audit"; }}; }},
  {{ plugin = "auth-webhook"; on = "server"; provider = "webhook"; settings = {{ kubeconfig = "{tokens[0]}"; }}; }},
  {{ plugin = "auth-webhook"; on = "server"; provider = "configured"; settings = {{ file = "{folder}/authorization.yaml"; }}; }} );
""")
    env = {**os.environ, "OUR_CONF": f.name, "OUR_FLAGS": f"--audit-policy-file {policy}",
           "ORACLE_FLAGS": f"--advertise-address {ADDRESS} --audit-policy-file {policy} --audit-log-path {folder}/oracle.audit --authentication-token-webhook-config-file {tokens[1]} --authentication-token-webhook-version v1 "
           f"--authorization-mode Webhook --authorization-webhook-config-file {access[1]} --authorization-webhook-version v1"}
    subprocess.run([os.path.join(HERE, "pair"), "start", args.bin, args.build, os.path.join(folder, "pair")], env=env, check=True)
    with open(os.path.join(folder, "ca.crt"), "rb") as f:
        ca = base64.b64encode(f.read()).decode()
    return [sides.Side(name, f"{folder}/pair/{name}.kubeconfig", e, ca) for name, e in zip(("ours", "oracle"), ears)]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("bin", nargs="?")
    p.add_argument("build", nargs="?")
    p.add_argument("--only", default="", help="areas: " + ", ".join(AREAS))
    p.add_argument("--show", type=int, default=60)
    p.add_argument("--out", help="all differences, as JSON")
    p.add_argument("--keep", help="logs of both stay in this folder")
    args = p.parse_args()
    if not args.bin or not os.path.exists(os.path.join(args.bin, "kube-apiserver")):
        print("skipped: no oracle (the folder of a kube-apiserver 1.36 and of an etcd)")
        return 0
    apart()
    folder = os.path.abspath(args.keep) if args.keep else tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    try:
        report = sides.Report()
        pair = sides.Pair(begin(args, folder), report)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
        for name in args.only.split(",") if args.only else AREAS:
            try:
                AREAS[name].run(pair)
            except RuntimeError as e:  # one of both did not come to where a comparison begins; what was compared is told
                report.note(name, "did not end", [("ended", str(e), "")], {})
        audit.compare(pair, folder)
        return 1 if report.show(args.show, args.out) else 0
    finally:
        subprocess.run([os.path.join(HERE, "pair"), "stop", os.path.join(folder, "pair")], check=False)
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
