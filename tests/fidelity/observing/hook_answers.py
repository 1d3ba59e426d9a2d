"""What becomes of every kind of answer of an admission webhook: to the client, to the next webhook, to the trail."""
from . import answers
from .hooks import APPLY, MERGE, NS, Hooked, hook, rule

CM = rule(["configmaps"])
DATA = {"metadata": {"name": "a"}, "data": {"k": "v"}}


def one(pair, kind, word, policy, **more):
    entry = hook(f"{word}/h", "h", rules=CM, failurePolicy=policy, **{"timeoutSeconds": 1 if word == "slow" else 10, **more})
    area = f"answers to {kind.lower()}"
    label = f"{word} {policy}"
    behind = ("Validating" if kind == "Mutating" else "Mutating", "z", [hook("allow/z", rules=CM)])
    with Hooked(pair, (kind, "h", [entry]), behind):
        pair.step(area, label, "POST", NS + "/configmaps", DATA)
        if policy == "Fail":
            pair.step(area, label, "POST", NS + "/configmaps?dryRun=All", {"metadata": {"generateName": "gen-"}, "data": {"k": "v"}}, rename=("gen-",))
            pair.both("POST", NS + "/configmaps", {"metadata": {"name": "b"}})
            pair.step(area, label, "PATCH", NS + "/configmaps/a", {"data": {"k": "w"}}, MERGE)
            if word not in ("patch-name", "patch-whole"):  # upstream stores another name than is asked for, which nobody can delete then
                pair.step(area, label, "PATCH", NS + "/configmaps/applied?fieldManager=x", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}}, APPLY)
            pair.step(area, label, "DELETE", NS + "/configmaps/a")
            pair.step(area, label, "DELETE", NS + "/configmaps", sort=True)
    pair.both("DELETE", NS + "/configmaps")


def several(pair):
    """Validating webhooks are asked at once: which refusal is told?"""
    for words in (["deny-message/1", "deny-code/2"], ["500/1", "deny-message/2"], ["warn/1", "warn/2", "warn-twice/3"], ["warn/1", "deny-message/2"], ["audit/1", "audit/2"], ["500/1", "500/2"]):
        hooks = [hook(w, f"h{i}", rules=CM) for i, w in enumerate(words)]
        for kind in ("Mutating", "Validating"):
            with Hooked(pair, (kind, "h", hooks)):
                pair.step(f"several {kind.lower()}", " ".join(words), "POST", NS + "/configmaps", DATA, sort=kind == "Validating")
            pair.both("DELETE", NS + "/configmaps")


def unreachable(pair):
    """Addresses at which nobody answers, certificates that nobody trusts, services that are not there, side effects."""
    service = lambda **more: {"service": {"namespace": "observed", "name": "observer", **more}, "caBundle": "{{ca}}"}
    cases = {
        "closed port": dict(clientConfig={"url": "https://127.0.0.1:1/x", "caBundle": "{{ca}}"}), "no ca": dict(clientConfig={"url": "{{hook}}/allow"}),
        "no such host": dict(clientConfig={"url": "https://nowhere.invalid/x"}), "other name": dict(clientConfig={"url": "https://other.observed.svc:1/", "caBundle": "{{ca}}"}),
        "query": dict(clientConfig={"url": "{{hook}}/allow/a%20b/", "caBundle": "{{ca}}"}), "no service": dict(clientConfig={"service": {"namespace": "observed", "name": "nothing", "path": "/x"}}),
        "service": dict(clientConfig=service(path="/allow/service")), "service port": dict(clientConfig=service(port=8443, path="/allow/port/")), "service, no path": dict(clientConfig=service()),
        "service, wrong port": dict(clientConfig=service(port=444)), "no endpoints": dict(clientConfig={"service": {"namespace": "observed", "name": "empty", "path": "/x"}}),
        "side effects": dict(sideEffects="NoneOnDryRun"), "versions": dict(admissionReviewVersions=["v9", "v1", "v1beta1"]), "beta first": dict(admissionReviewVersions=["v1beta1", "v1"]),
        "condition fails": dict(matchConditions=[{"name": "c", "expression": "object.data.nothing == 'x'"}]),
    }
    pair.both("POST", NS + "/services", {"metadata": {"name": "observer"}, "spec": {"ports": [{"name": "a", "port": 443}, {"name": "b", "port": 8443}]}})
    pair.both("POST", NS + "/services", {"metadata": {"name": "empty"}, "spec": {"ports": [{"port": 443}], "selector": {"no": "thing"}}})
    for s in pair.sides:
        s.ask("POST", "/apis/discovery.k8s.io/v1/namespaces/observed/endpointslices", {"metadata": {"name": "observer", "labels": {"kubernetes.io/service-name": "observer"}}, "addressType": "IPv4",
              "endpoints": [{"addresses": ["198.51.100.1"], "conditions": {"ready": True}}], "ports": [{"name": "a", "port": s.listener.port, "protocol": "TCP"}, {"name": "b", "port": s.listener.port, "protocol": "TCP"}]})
        s.ask("POST", NS + "/endpoints", {"metadata": {"name": "observer"}, "subsets": [{"addresses": [{"ip": "198.51.100.1"}], "ports": [{"name": "a", "port": s.listener.port}, {"name": "b", "port": s.listener.port}]}]})
    for name, more in cases.items():
        for kind in ("Mutating", "Validating"):
            for policy in ("Fail", "Ignore"):
                with Hooked(pair, (kind, "h", [hook("allow/h", "h", rules=CM, failurePolicy=policy, **more)])):
                    pair.step("reaching", f"{name} {kind} {policy}", "POST", NS + "/configmaps", DATA)
                    pair.step("reaching", f"{name} {kind} {policy} dry", "POST", NS + "/configmaps?dryRun=All", DATA)
                pair.both("DELETE", NS + "/configmaps")
    pair.both("DELETE", NS + "/services/observer")
    pair.both("DELETE", NS + "/services/empty")


WORDS = list(answers.RESPONSES) + list(answers.WHOLE) + ["slow", "v1beta1", "no-version", "other-kind"]


def run(pair):
    pair.both("POST", "/api/v1/namespaces", {"metadata": {"name": "observed"}})
    for word in WORDS:
        for kind in ("Mutating", "Validating"):
            for policy in ("Fail", "Ignore"):
                if policy == "Fail" or word in answers.WHOLE or word.startswith(("patch", "uid", "no-", "slow", "allowed-", "other", "v1beta1")):
                    one(pair, kind, word, policy)
    several(pair)
    unreachable(pair)
