"""The events that both servers keep of every step of all areas, found again by the Audit-ID that the step was sent with."""
import json
import os
import time

import normal

from . import sides

POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: false
rules:
- {level: None, users: ["system:apiserver", "system:anonymous"], resources: [{group: coordination.k8s.io}, {group: flowcontrol.apiserver.k8s.io}]}
- {level: None, namespaces: [audit-none]}
- {level: Metadata, namespaces: [audit-metadata]}
- {level: Request, namespaces: [audit-request], omitStages: [RequestReceived]}
- {level: RequestResponse, namespaces: [audit-unmanaged], omitManagedFields: true, omitStages: [ResponseStarted]}
- {level: Metadata, resources: [{group: "", resources: [secrets]}, {group: authentication.k8s.io}]}
- {level: Metadata, users: [audited-user], verbs: [get, list]}
- {level: Request, userGroups: [audited-group]}
- {level: Metadata, resources: [{group: "", resources: ["pods/log", "pods/status"]}, {group: "", resources: [configmaps], resourceNames: [audit-named]}]}
- {level: None, nonResourceURLs: ["/livez*"]}
- {level: Metadata, nonResourceURLs: ["/healthz", "/version", "/api*"]}
- {level: RequestResponse}
"""
# What is each event's own, or measured.
OWN = {"requestReceivedTimestamp", "stageTimestamp"}


def policy(folder):
    with open(os.path.join(folder, "audit.yaml"), "w") as f:
        f.write(POLICY)
    return f.name


def events(path):
    """By audit id."""
    found = {}
    with open(path) as f:
        for line in f:
            try:
                e = json.loads(line)
            except ValueError:
                continue  # half of a line that is being written
            found.setdefault(e["auditID"], []).append(e)
    return found


def shown(e):
    e = {k: v for k, v in e.items() if k not in OWN}
    notes = {k: v for k, v in e.get("annotations", {}).items() if not k.startswith("apiserver.latency.k8s.io/")}
    if notes or "annotations" in e:
        e["annotations"] = dict(sorted(notes.items()))
    if not e.get("annotations"):
        e.pop("annotations", None)
    return sides.words(e, ("gen-", "t-"))


def compare(pair, folder):
    time.sleep(1.5)
    logs = [events(os.path.join(folder, f"{s.name}.audit")) for s in pair.sides]
    for area, label, id in pair.audited:
        ours, theirs = [[shown(e) for e in log.get(id, [])] for log in logs]
        stages = [[e["stage"] for e in l] for l in (ours, theirs)]
        if stages[0] != stages[1]:
            found = [("events (stages)", str(stages[0]), str(stages[1]))]
        else:
            found = [(f"event {e['stage']}{where}", a, b) for e, f in zip(ours, theirs) for where, a, b in normal.differences(e, f)]
        pair.report.note("audit of " + area, label, found, {"id": id})
