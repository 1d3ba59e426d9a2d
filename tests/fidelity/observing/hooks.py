"""What admission webhooks are asked: everything that passes admission, seen by webhooks for all, and which of many webhooks with all sorts of rules are asked, how often and in which order."""
import itertools
import json
import time

NS = "/api/v1/namespaces/observed"
GROUP = "/apis/admissionregistration.k8s.io/v1/"
ALL = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "scope": "*"}]
NOT_OURS = [{"name": "asked", "expression": "!request.userInfo.username.startsWith('system:') || request.userInfo.username.startsWith('system:serviceaccount:observed')"}]
counter = itertools.count(1)
MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}


def hook(path, name=None, rules=ALL, **members):
    """An entry of webhooks[]; kind and configuration are given by who makes it."""
    h = {"name": (name or path.strip("/").split("?")[0].replace("/", ".").lower()) + ".example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
         "clientConfig": {"url": "{{hook}}/" + path.lstrip("/"), "caBundle": "{{ca}}"}, "rules": rules, "matchConditions": NOT_OURS, **members}
    return {k: v for k, v in h.items() if v is not None}


def configuration(kind, name, hooks):
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind + "WebhookConfiguration", "metadata": {"name": name}, "webhooks": hooks}


def marker(n):
    """Asked about a limit range with a label of its own: once it is, its configuration is known."""
    return hook(f"allow/marker-{n}", rules=rule(["limitranges"], operations=["CREATE"]), objectSelector={"matchLabels": {"marker": str(n)}}, matchConditions=None)


class Hooked:
    """with Hooked(pair, ("Mutating", "name", [hooks]), ...): both know them, and have forgotten them behind it."""

    def __init__(self, pair, *configurations):
        self.pair, self.all = pair, configurations

    def probe(self, side, n):
        side.listener.take()
        side.ask("POST", "/api/v1/namespaces/default/limitranges?dryRun=All", {"metadata": {"name": "probe", "labels": {"marker": str(n)}}, "spec": {"limits": []}})
        return {c["path"].split("?")[0] for c in side.listener.take() if "/marker-" in c["path"]}

    def __enter__(self):
        self.n = next(counter)
        for kind, name, hooks in self.all:
            for s in self.pair.sides:
                a = s.ask("POST", GROUP + kind.lower() + "webhookconfigurations", json.dumps(configuration(kind, name, hooks + [dict(marker(self.n), name=f"marker.{kind.lower()}.{name}.example.com", clientConfig={"url": "{{hook}}/allow/marker-%d/%s-%s" % (self.n, kind, name), "caBundle": "{{ca}}"})])))
                if a.status != 201:
                    raise RuntimeError(f"{s.name}: {name}: {a.status} {a.body}")
        want = {f"/allow/marker-{self.n}/{k}-{n}" for k, n, _ in self.all}
        self.pair.until(f"webhooks are not known: {self.all}", lambda s: self.probe(s, self.n) == want)
        self.pair.take()
        return self

    def __exit__(self, *why):
        for kind, name, _ in self.all:
            self.pair.both("DELETE", GROUP + kind.lower() + "webhookconfigurations/" + name)
        self.pair.until("webhooks are not forgotten", lambda s: not self.probe(s, self.n))
        self.pair.take()


POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]}}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}
HPA = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "targetCPUUtilizationPercentage": 50}}
DEFINITION = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.observed.example.com"}, "spec": {
    "group": "observed.example.com", "scope": "Namespaced", "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
    "versions": [{"name": v, "served": True, "storage": v == "v1", "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                  "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"replicas": {"type": "integer", "default": 2}, "text": {"type": "string"}, "drop": {"type": "object"}}},
                                                                                   "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}}} for v in ("v1", "v2")]}}
THINGS = "/apis/observed.example.com/%s/namespaces/observed/things"


def writes():
    """(label, method, path, body, headers): every way in which something passes admission. Bodies are JSON; what is made is gone at the end."""
    yield "configmap", "POST", NS + "/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}}, {}
    yield "again", "POST", NS + "/configmaps", {"metadata": {"name": "a"}}, {}
    yield "generateName", "POST", NS + "/configmaps", {"metadata": {"generateName": "gen-"}}, {}
    yield "dry run", "POST", NS + "/configmaps?dryRun=All&fieldManager=me&fieldValidation=Strict&pretty=true", {"metadata": {"name": "dry"}}, {}
    yield "no name", "POST", NS + "/configmaps", {"metadata": {}}, {}
    yield "bad name", "POST", NS + "/configmaps", {"metadata": {"name": "A_b"}}, {}
    yield "unknown field", "POST", NS + "/configmaps?fieldValidation=Warn", {"metadata": {"name": "unknown"}, "what": 1}, {}
    yield "other namespace", "POST", NS + "/configmaps", {"metadata": {"name": "x", "namespace": "default"}}, {}
    yield "no namespace", "POST", "/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "x"}}, {}
    yield "yaml", "POST", NS + "/configmaps", "metadata: {name: yaml}\ndata: {a: b}\n", {"Content-Type": "application/yaml"}
    yield "impersonated", "POST", NS + "/configmaps", {"metadata": {"name": "imp"}}, {"Impersonate-User": "ann", "Impersonate-Group": "system:masters", "Impersonate-Uid": "u-1", "Impersonate-Extra-K%2Fx": "v"}
    yield "service account", "POST", NS + "/configmaps", {"metadata": {"name": "imp2"}}, {"Impersonate-User": "system:serviceaccount:observed:default"}
    yield "update", "PUT", NS + "/configmaps/a", {"metadata": {"name": "a"}, "data": {"k": "w"}}, {}
    yield "no change", "PUT", NS + "/configmaps/a", {"metadata": {"name": "a"}, "data": {"k": "w"}}, {}
    yield "dry update", "PUT", NS + "/configmaps/a?dryRun=All", {"metadata": {"name": "a"}, "data": {"k": "dry"}}, {}
    yield "update of nothing", "PUT", NS + "/configmaps/nothing", {"metadata": {"name": "nothing"}}, {}
    yield "update conflicts", "PUT", NS + "/configmaps/a", {"metadata": {"name": "a", "resourceVersion": "1"}}, {}
    yield "create by update", "PUT", "/apis/coordination.k8s.io/v1/namespaces/observed/leases/made", {"metadata": {"name": "made"}, "spec": {}}, {}
    yield "merge patch", "PATCH", NS + "/configmaps/a?fieldManager=p", {"data": {"m": "1"}}, MERGE
    yield "no-op patch", "PATCH", NS + "/configmaps/a", {"data": {"m": "1"}}, MERGE
    yield "strategic", "PATCH", NS + "/configmaps/a", {"metadata": {"labels": {"x": "y"}}}, STRATEGIC
    yield "json patch", "PATCH", NS + "/configmaps/a", [{"op": "add", "path": "/data/j", "value": "1"}], JSON_PATCH
    yield "patch of nothing", "PATCH", NS + "/configmaps/nothing", {"data": {}}, MERGE
    yield "apply", "PATCH", NS + "/configmaps/a?fieldManager=app&force=true", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "applied"}}, APPLY
    yield "apply creates", "PATCH", NS + "/configmaps/new?fieldManager=app", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}, APPLY
    yield "apply conflicts", "PATCH", NS + "/configmaps/a?fieldManager=other", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "o"}}, APPLY
    yield "dry apply", "PATCH", NS + "/configmaps/new2?fieldManager=app&dryRun=All", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new2"}}, APPLY
    yield "read", "GET", NS + "/configmaps/a", None, {}
    yield "delete", "DELETE", NS + "/configmaps/new", None, {}
    yield "delete with options", "DELETE", NS + "/configmaps/yaml", {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 5, "propagationPolicy": "Background", "preconditions": {}}, {}
    yield "delete by query", "DELETE", NS + "/configmaps/imp?propagationPolicy=Orphan&gracePeriodSeconds=0", None, {}
    yield "dry delete", "DELETE", NS + "/configmaps/a?dryRun=All", None, {}
    yield "delete of nothing", "DELETE", NS + "/configmaps/nothing", None, {}
    yield "delete, wrong uid", "DELETE", NS + "/configmaps/a", {"preconditions": {"uid": "wrong"}}, {}
    yield "finalizer", "POST", NS + "/configmaps", {"metadata": {"name": "held", "finalizers": ["example.com/held"], "labels": {"held": "1"}}}, {}
    yield "delete of held", "DELETE", NS + "/configmaps/held", None, {}
    yield "delete again", "DELETE", NS + "/configmaps/held", None, {}
    yield "released", "PATCH", NS + "/configmaps/held", {"metadata": {"finalizers": None}}, MERGE
    for n in ("c1", "c2", "c3"):
        yield "for a collection", "POST", NS + "/configmaps", {"metadata": {"name": n, "labels": {"all": "1"}}}, {}
    yield "dry collection", "DELETE", NS + "/configmaps?labelSelector=all%3D1&dryRun=All", None, {}
    yield "collection", "DELETE", NS + "/configmaps?labelSelector=all%3D1", {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}, {}
    yield "empty collection", "DELETE", NS + "/configmaps?labelSelector=all%3Dnone", None, {}
    yield "secret", "POST", NS + "/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}, {}
    yield "service account", "POST", NS + "/serviceaccounts", {"metadata": {"name": "sa"}}, {}
    yield "token", "POST", NS + "/serviceaccounts/sa/token", {"spec": {"expirationSeconds": 700}}, {}
    yield "dry token", "POST", NS + "/serviceaccounts/sa/token?dryRun=All", {"spec": {"expirationSeconds": 700}}, {}
    yield "pod", "POST", NS + "/pods", POD, {}
    yield "pod status", "PATCH", NS + "/pods/p/status", {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}, STRATEGIC
    yield "apply status", "PATCH", NS + "/pods/p/status?fieldManager=s", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"message": "m"}}, APPLY
    yield "ephemeral", "PATCH", NS + "/pods/p/ephemeralcontainers", {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]}}, STRATEGIC
    yield "resize", "PATCH", NS + "/pods/p/resize", {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1m"}}}]}}, STRATEGIC
    yield "binding", "POST", NS + "/pods/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "elsewhere"}}, {}
    yield "bindings", "POST", NS + "/bindings", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "elsewhere"}}, {}
    yield "dry eviction", "POST", NS + "/pods/p/eviction?dryRun=All", {"metadata": {"name": "p"}}, {}
    yield "eviction, dry by options", "POST", NS + "/pods/p/eviction", {"metadata": {"name": "p"}, "deleteOptions": {"dryRun": ["All"]}}, {}
    for sub in ("exec?command=a&command=b&container=c&stdout=true", "attach?stdin=true&stdout=true&tty=true", "portforward?ports=80", "exec?stdout=true"):
        yield "connect", "POST", NS + "/pods/p/" + sub, None, {}
        yield "connect", "GET", NS + "/pods/p/" + sub, None, {}
    for sub in ("pods/p/proxy", "pods/p/proxy/a/b?c=d", "services/s/proxy/x", "pods/http:p:80/proxy/"):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            yield "proxy", method, NS + "/" + sub, {"a": 1} if method in ("POST", "PUT", "PATCH") else None, {}
    yield "node proxy", "GET", "/api/v1/nodes/n/proxy/x?y=z", None, {}
    yield "log", "GET", NS + "/pods/p/log?container=c", None, {}
    yield "eviction", "POST", NS + "/pods/p/eviction", {"metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 3}}, {}
    yield "pod delete", "DELETE", NS + "/pods/p?gracePeriodSeconds=7", None, {}
    yield "pod delete now", "DELETE", NS + "/pods/p", {"gracePeriodSeconds": 0}, {}
    yield "eviction of nothing", "POST", NS + "/pods/p/eviction", {"metadata": {"name": "p"}}, {}
    yield "deployment", "POST", "/apis/apps/v1/namespaces/observed/deployments", DEPLOYMENT, {}
    scale = "/apis/apps/v1/namespaces/observed/deployments/d/scale"
    yield "scale", "PUT", scale, {"metadata": {"name": "d"}, "spec": {"replicas": 3}}, {}
    yield "scale by patch", "PATCH", scale, {"spec": {"replicas": 4}}, MERGE
    yield "scale by apply", "PATCH", scale + "?fieldManager=sc&force=true", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 5}}, APPLY
    yield "dry scale", "PUT", scale + "?dryRun=All", {"metadata": {"name": "d"}, "spec": {"replicas": 1}}, {}
    yield "status", "PUT", "/apis/apps/v1/namespaces/observed/deployments/d/status", {**DEPLOYMENT, "status": {"replicas": 1}}, {}
    yield "deployment delete", "DELETE", "/apis/apps/v1/namespaces/observed/deployments/d", None, {}
    yield "hpa v1", "POST", "/apis/autoscaling/v1/namespaces/observed/horizontalpodautoscalers", HPA, {}
    yield "hpa v2 patch", "PATCH", "/apis/autoscaling/v2/namespaces/observed/horizontalpodautoscalers/h", {"spec": {"minReplicas": 2}}, MERGE
    yield "hpa v1 status", "PATCH", "/apis/autoscaling/v1/namespaces/observed/horizontalpodautoscalers/h/status", {"status": {"currentReplicas": 2, "desiredReplicas": 3}}, MERGE
    yield "hpa delete", "DELETE", "/apis/autoscaling/v1/namespaces/observed/horizontalpodautoscalers/h", None, {}
    yield "event v1", "POST", "/apis/events.k8s.io/v1/namespaces/observed/events", {"metadata": {"name": "e"}, "eventTime": "2024-01-02T03:04:05.000000Z", "action": "A", "reason": "R", "type": "Normal", "reportingController": "c/d", "reportingInstance": "i", "regarding": {"namespace": "observed"}}, {}
    yield "event core", "POST", NS + "/events", {"metadata": {"name": "e2"}, "involvedObject": {"namespace": "observed"}, "reason": "r", "type": "Normal"}, {}
    yield "definition", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION, {}


def custom_writes():
    for v in ("v1", "v2"):
        things = THINGS % v
        o = {"apiVersion": "observed.example.com/" + v, "kind": "Thing", "metadata": {"name": "t"}, "spec": {"text": "x", "unknown": 1}}
        yield "thing " + v, "POST", things, o, {}
        yield "thing dry", "POST", things + "?dryRun=All", {**o, "metadata": {"generateName": "t-"}}, {}
        yield "thing patch", "PATCH", things + "/t", {"spec": {"text": "y"}}, MERGE
        yield "thing json patch", "PATCH", things + "/t", [{"op": "replace", "path": "/spec/text", "value": "z"}], JSON_PATCH
        yield "thing apply", "PATCH", things + "/t?fieldManager=a&force=true", o | {"spec": {"text": "applied"}}, APPLY
        yield "thing status", "PATCH", things + "/t/status", {"status": {"replicas": 1}}, MERGE
        yield "thing scale", "PUT", things + "/t/scale", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "t"}, "spec": {"replicas": 3}}, {}
        yield "thing scale patch", "PATCH", things + "/t/scale", {"spec": {"replicas": 4}}, MERGE
        yield "thing in the other", "PATCH", THINGS % ("v2" if v == "v1" else "v1") + "/t", {"metadata": {"labels": {"l": "1"}}}, MERGE
        yield "thing invalid", "POST", things, {**o, "metadata": {"name": "bad"}, "spec": {"text": 1}}, {}
        yield "thing delete", "DELETE", things + "/t", None, {}
        yield "things", "DELETE", things, None, {}


def cluster_writes():
    """What has no namespace."""
    yield "namespace", "POST", "/api/v1/namespaces", {"metadata": {"name": "made"}}, {}
    yield "namespace labels", "PATCH", "/api/v1/namespaces/made", {"metadata": {"labels": {"x": "y"}}}, MERGE
    yield "namespace status", "PATCH", "/api/v1/namespaces/made/status", {"metadata": {"annotations": {"x": "y"}}}, MERGE
    yield "namespace delete", "DELETE", "/api/v1/namespaces/made", None, {}
    yield "finalize", "PUT", "/api/v1/namespaces/made/finalize", {"metadata": {"name": "made"}, "spec": {"finalizers": []}}, {}
    yield "node", "POST", "/api/v1/nodes", {"metadata": {"name": "n"}}, {}
    yield "node status", "PATCH", "/api/v1/nodes/n/status", {"status": {"capacity": {"cpu": "1"}}}, MERGE
    yield "node delete", "DELETE", "/api/v1/nodes/n", None, {}
    yield "role", "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "observed"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}, {}
    yield "role delete", "DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/observed", None, {}
    yield "access review", "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {"user": "kubernetes-admin", "groups": ["system:masters"], "resourceAttributes": {"verb": "get", "resource": "pods"}}}, {}
    yield "self review", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}}}, {}
    yield "self rules", "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "observed"}}, {}
    yield "local review", "POST", "/apis/authorization.k8s.io/v1/namespaces/observed/localsubjectaccessreviews", {"metadata": {"namespace": "observed"}, "spec": {"user": "kubernetes-admin", "groups": ["system:masters"], "resourceAttributes": {"namespace": "observed", "verb": "get", "resource": "pods"}}}, {}
    yield "who am i", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, {}
    yield "token review", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "nonsense"}}, {}
    yield "storage class", "POST", "/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": "sc"}, "provisioner": "p"}, {}
    yield "storage class delete", "DELETE", "/apis/storage.k8s.io/v1/storageclasses/sc", None, {}
    yield "webhook configuration", "POST", GROUP + "validatingwebhookconfigurations?dryRun=All", configuration("Validating", "exempt", []), {}
    yield "policy", "POST", GROUP + "validatingadmissionpolicies?dryRun=All", {"metadata": {"name": "vap"}, "spec": {"matchConstraints": {"resourceRules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]}, "validations": [{"expression": "true"}]}}, {}
    yield "api service", "POST", "/apis/apiregistration.k8s.io/v1/apiservices?dryRun=All", {"metadata": {"name": "v1.x.example.com"}, "spec": {"group": "x.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10, "service": {"name": "s", "namespace": "observed"}}}, {}


def everything(pair):
    both = [("Mutating", "all", [hook("allow/m")]), ("Validating", "all", [hook("allow/v")])]
    step = lambda label, method, path, body, head: pair.step("hooks", label, method, path, body, head, rename=("gen-", "t-"), loosely=method in ("HEAD", "OPTIONS") or "/proxy" in path)
    with Hooked(pair, *both):
        for w in writes():
            step(*w)
        pair.until("the definition is not served", lambda s: s.ask("GET", THINGS % "v2").status == 200)
        for w in itertools.chain(custom_writes(), cluster_writes()):
            step(*w)
        step("definition delete", "DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.observed.example.com", None, {})


def rule(resources, groups=("",), versions=("v1",), operations=("*",), **more):
    return [{"operations": list(operations), "apiGroups": list(groups), "apiVersions": list(versions), "resources": list(resources), **more}]


CONFIGMAPS = rule(["configmaps"])
CHOICES = {  # rules and selectors, each a webhook of its own: which are asked?
    "all-star": dict(rules=rule(["*"], ["*"], ["*"])), "star-slash-star": dict(rules=rule(["*/*"], ["*"], ["*"])), "pods-star": dict(rules=rule(["pods/*"])),
    "star-status": dict(rules=rule(["*/status"], ["*"], ["*"])), "star-scale": dict(rules=rule(["*/scale"], ["*"], ["*"])), "pods": dict(rules=rule(["pods"])),
    "exec": dict(rules=rule(["pods/exec"], operations=["CONNECT"])), "evict": dict(rules=rule(["pods/eviction"], operations=["CREATE"])),
    "several": dict(rules=rule(["pods", "configmaps", "configmaps"], operations=["CREATE", "UPDATE"]) + rule(["configmaps"], operations=["DELETE"])),
    "cluster": dict(rules=rule(["*"], ["*"], ["*"], scope="Cluster")), "namespaced": dict(rules=rule(["*"], ["*"], ["*"], scope="Namespaced")),
    "exact": dict(rules=rule(["horizontalpodautoscalers"], ["autoscaling"], ["v1"]), matchPolicy="Exact"),
    "equivalent": dict(rules=rule(["horizontalpodautoscalers"], ["autoscaling"], ["v1"]), matchPolicy="Equivalent"),
    "equivalent-scale": dict(rules=rule(["deployments/scale"], ["apps"], ["v1"]), matchPolicy="Equivalent"),
    "equivalent-thing": dict(rules=rule(["things", "things/status", "things/scale"], ["observed.example.com"], ["v2"]), matchPolicy="Equivalent"),
    "exact-thing": dict(rules=rule(["things"], ["observed.example.com"], ["v2"]), matchPolicy="Exact"),
    "equivalent-event": dict(rules=rule(["events"], ["events.k8s.io"], ["v1"]), matchPolicy="Equivalent"),
    "object-label": dict(rules=CONFIGMAPS, objectSelector={"matchLabels": {"pick": "yes"}}),
    "object-expression": dict(rules=CONFIGMAPS, objectSelector={"matchExpressions": [{"key": "pick", "operator": "NotIn", "values": ["yes"]}]}),
    "object-exists": dict(rules=rule(["*"], ["*"], ["*"]), objectSelector={"matchExpressions": [{"key": "pick", "operator": "Exists"}]}),
    "namespace-label": dict(rules=rule(["*"], ["*"], ["*"]), namespaceSelector={"matchLabels": {"team": "a"}}),
    "namespace-name": dict(rules=rule(["*"], ["*"], ["*"]), namespaceSelector={"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["observed"]}]}),
    "namespace-not": dict(rules=rule(["*"], ["*"], ["*"]), namespaceSelector={"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}),
    "condition": dict(rules=rule(["*/*"], ["*"], ["*"]), matchConditions=NOT_OURS + [{"name": "x", "expression": "request.operation != 'DELETE' && object.metadata.?labels.pick.orValue('') == 'yes'"}]),
    "condition-error": dict(rules=CONFIGMAPS, failurePolicy="Ignore", matchConditions=[{"name": "x", "expression": "object.metadata.labels.pick == 'yes'"}]),
    "condition-user": dict(rules=rule(["*/*"], ["*"], ["*"]), matchConditions=NOT_OURS + [{"name": "u", "expression": "'system:masters' in request.userInfo.groups && request.resource.resource == 'configmaps' && !request.dryRun && has(request.options.fieldManager)"}]),
    "condition-may": dict(rules=CONFIGMAPS, matchConditions=NOT_OURS + [{"name": "a", "expression": "authorizer.group('').resource('pods').namespace('observed').check('create').allowed()"}]),
    "no-dry-run": dict(rules=CONFIGMAPS, sideEffects="NoneOnDryRun"),
    "path": dict(rules=CONFIGMAPS, clientConfig={"url": "{{hook}}/allow/a/b/", "caBundle": "{{ca}}"}), "timeout": dict(rules=CONFIGMAPS, timeoutSeconds=3),
}


def choices(pair):
    """One after the other in two configurations, so that the order shows; validating ones are asked at once."""
    entries = [hook("allow/" + name, name, **{k: v for k, v in more.items()}) for name, more in CHOICES.items()]
    pair.both("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
    pair.until("the definition is not served", lambda s: s.ask("GET", THINGS % "v2").status == 200)
    pair.both("PATCH", "/api/v1/namespaces/observed", {"metadata": {"labels": {"team": "a"}}}, MERGE)
    for kind in ("Mutating", "Validating"):
        with Hooked(pair, (kind, "b-first", entries[::2]), (kind, "a-second", entries[1::2])):
            for label, method, path, body, head in itertools.chain(picked(), writes(), custom_writes(), cluster_writes()):
                if label in ("definition", "proxy") or "log" == label:
                    continue
                pair.step(f"choice of {kind.lower()}", label, method, path, body, head, sort=kind == "Validating", rename=("gen-", "t-"), loosely=True, answers=False)
            for n in ("made", "other"):
                pair.both("DELETE", "/api/v1/namespaces/" + n)
    pair.both("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.observed.example.com")


def picked():
    yield "picked", "POST", NS + "/configmaps", {"metadata": {"name": "pick", "labels": {"pick": "yes"}}}, {}
    yield "label goes", "PATCH", NS + "/configmaps/pick", {"metadata": {"labels": {"pick": None}}}, MERGE
    yield "label comes", "PATCH", NS + "/configmaps/pick", {"metadata": {"labels": {"pick": "yes"}}}, MERGE
    yield "deleted", "DELETE", NS + "/configmaps/pick", None, {}
    yield "elsewhere", "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "pick", "labels": {"pick": "no"}}}, {}
    yield "elsewhere", "DELETE", "/api/v1/namespaces/default/configmaps/pick", None, {}
    yield "namespace with the label", "POST", "/api/v1/namespaces", {"metadata": {"name": "other", "labels": {"team": "a"}}}, {}
    yield "namespace loses it", "PATCH", "/api/v1/namespaces/other", {"metadata": {"labels": {"team": None}}}, MERGE
    yield "generated", "POST", NS + "/configmaps?fieldManager=me", {"metadata": {"generateName": "gen-", "labels": {"pick": "yes"}}}, {}


def reinvocation(pair):
    cm = rule(["configmaps"], operations=["CREATE", "UPDATE"])
    sets = {
        "never": [("count/1", {}), ("mark/2", {})], "first": [("count/1", {"reinvocationPolicy": "IfNeeded"}), ("mark/2", {})],
        "both": [("count/1", {"reinvocationPolicy": "IfNeeded"}), ("count/2", {"reinvocationPolicy": "IfNeeded"})],
        "last": [("mark/1", {}), ("count/2", {"reinvocationPolicy": "IfNeeded"})],
        "three": [("allow/1", {"reinvocationPolicy": "IfNeeded"}), ("mark/2", {"reinvocationPolicy": "IfNeeded"}), ("allow/3", {"reinvocationPolicy": "IfNeeded"})],
        "failing": [("count/1", {"reinvocationPolicy": "IfNeeded"}), ("500/2", {"failurePolicy": "Ignore"}), ("after/3", {})],
        "selected": [("allow/1", {"reinvocationPolicy": "IfNeeded", "objectSelector": {"matchLabels": {"hooked": "yes"}}}), ("patch-labels/2", {}), ("allow/3", {"objectSelector": {"matchLabels": {"hooked": "yes"}}})],
        "no change": [("patch-test-good/1", {"reinvocationPolicy": "IfNeeded"}), ("patch-no-ops/2", {"reinvocationPolicy": "IfNeeded"}), ("allow/3", {"reinvocationPolicy": "IfNeeded"})],
    }
    for name, list in sets.items():
        hooks = [hook(path, f"h{i}", rules=cm, **more) for i, (path, more) in enumerate(list)]
        with Hooked(pair, ("Mutating", "re", hooks), ("Validating", "re", [hook("allow/v", rules=cm)])):
            pair.step("reinvocation", name, "POST", NS + "/configmaps", {"metadata": {"name": "re"}, "data": {"a": "b"}})
            pair.step("reinvocation", name, "PATCH", NS + "/configmaps/re", {"data": {"a": "c"}}, MERGE)
            pair.step("reinvocation", name, "PATCH", NS + "/configmaps/re?fieldManager=f", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "re"}, "data": {"z": "c"}}, APPLY)
            pair.step("reinvocation", name, "PATCH", NS + "/configmaps/re-new?fieldManager=f", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "re-new"}, "data": {"z": "c"}}, APPLY)
            pair.both("DELETE", NS + "/configmaps/re")
            pair.both("DELETE", NS + "/configmaps/re-new")


def run(pair):
    pair.both("POST", "/api/v1/namespaces", {"metadata": {"name": "observed"}})
    pair.both("POST", NS + "/serviceaccounts", {"metadata": {"name": "default"}})  # no controller makes it
    time.sleep(0.5)
    everything(pair)
    choices(pair)
    reinvocation(pair)
