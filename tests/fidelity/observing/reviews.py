"""TokenReviews and SubjectAccessReviews that are asked elsewhere: what is asked, how often, and what becomes of the answers."""
from . import sides
from .hooks import APPLY, MERGE

NS = "/api/v1/namespaces/observed"
PATHS = [  # (method, path, body, headers): attributes of every shape
    ("GET", NS + "/pods", None, {}), ("GET", NS + "/pods/x", None, {}), ("GET", NS + "/pods/x/log", None, {}), ("POST", NS + "/pods/x/exec", None, {}), ("GET", NS + "/pods/x/exec", None, {}),
    ("GET", NS + "/pods/x/exec", None, {"Connection": "Upgrade", "Upgrade": "websocket"}), ("GET", "/api/v1/pods?watch=1&timeoutSeconds=1", None, {}), ("GET", "/api/v1/watch/pods", None, {}),
    ("POST", NS + "/pods", {"metadata": {"name": "secretly"}}, {}), ("POST", NS + "/pods/x/eviction", {"metadata": {"name": "x"}}, {}), ("PUT", NS + "/pods/x", {}, {}), ("PUT", NS + "/pods/x/status", {}, {}),
    ("PATCH", NS + "/pods/x", {}, MERGE), ("PATCH", NS + "/configmaps/x?fieldManager=a", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}}, APPLY), ("DELETE", NS + "/pods/x", None, {}),
    ("DELETE", NS + "/pods", None, {}), ("DELETE", NS + "/pods?labelSelector=a%3Db&fieldSelector=spec.nodeName%3Dn", None, {}), ("GET", "/api/v1/nodes/n/proxy/x/y", None, {}), ("GET", NS + "/services/s:p/proxy/x", None, {}),
    ("POST", NS + "/services/s/proxy", {}, {}), ("GET", "/api/v1/namespaces/observed", None, {}), ("GET", "/api/v1/namespaces", None, {}), ("DELETE", "/api/v1/namespaces/observed", None, {}),
    ("GET", "/apis/apps/v1/namespaces/observed/deployments/d/scale", None, {}), ("GET", "/apis/nothing.example.com/v1/things", None, {}), ("GET", "/apis/nothing.example.com/v1/namespaces/a/things/b/c/d", None, {}),
    ("GET", "/api/v1/unknown", None, {}), ("GET", "/version/x", None, {}), ("POST", "/logs/a", None, {}), ("HEAD", "/odd", None, {}), ("OPTIONS", "/odd", None, {}), ("GET", "/apis/apps/v2", None, {}), ("GET", "/api/v1x", None, {}),
    ("PATCH", "/odd/../x", None, {}), ("GET", "/metrics?x=y", None, {}), ("GET", NS + "/pods?pretty=1&labelSelector=", None, {}), ("HEAD", NS + "/pods", None, {}), ("OPTIONS", NS + "/pods", None, {}),
    *[("GET", NS + "/pods?labelSelector=" + s, None, {}) for s in ("a", "!a", "a%3Db", "a!%3Db", "a+in+(c,b)", "a+notin+(b)", "a%3Db,c%3Dd,!e", "a%3E1", "a+gt+1", "a+lt+5", "%3D%3D", "a%3D")],
    *[("GET", NS + "/pods?fieldSelector=" + s, None, {}) for s in ("metadata.name%3Dx", "metadata.name!%3Dx", "spec.nodeName%3Dn,status.phase!%3DFailed", "nonsense", "spec.nodeName%3D", "a%3Db%5C,c")],
    ("GET", NS + "/pods?labelSelector=a%3Db&fieldSelector=metadata.name%3Dx&watch=true", None, {}), ("POST", NS + "/pods?labelSelector=a%3Db", {"metadata": {"name": "p"}}, {}), ("GET", NS + "/pods/x?fieldSelector=metadata.name%3Dx", None, {}),
    ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}, {}),
    ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}}, {}), ("POST", NS + "/serviceaccounts/default/token", {}, {}),
]
REVIEWS = [
    {"resourceAttributes": {"namespace": "a", "verb": "get", "group": "g", "version": "v", "resource": "r", "subresource": "s", "name": "n"}}, {"nonResourceAttributes": {"path": "/asked", "verb": "get"}},
    {"resourceAttributes": {"verb": "list", "resource": "pods", "labelSelector": {"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}}},
    {"resourceAttributes": {"verb": "list", "resource": "pods", "labelSelector": {"rawSelector": "a=b,c in (d,e)"}}}, {"resourceAttributes": {"verb": "list", "resource": "pods", "fieldSelector": {"rawSelector": "metadata.name=x"}}},
    {"resourceAttributes": {"verb": "list", "resource": "pods", "fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n"]}, {"key": "x", "operator": "Exists"}]}}},
    {"resourceAttributes": {"verb": "*", "resource": "*", "group": "*"}}, {"resourceAttributes": {}},
]
NAMES = ("allowed", "denied", "evaluation-error", "no-status", "500", "403", "garbage", "wrong-kind", "both", "reason", "slow-once")


def permissions(pair):
    as_ = lambda user, **more: {"Impersonate-User": user, **more}
    for method, path, body, head in PATHS:
        pair.step("permissions", "ann", method, path, body, {**head, **as_("ann", **{"Impersonate-Group": "builders", "Impersonate-Uid": "7", "Impersonate-Extra-Key": "v"})}, loosely=method in ("HEAD", "OPTIONS"))
    for spec in REVIEWS:
        pair.step("permissions", "review", "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {**spec, "user": "ben", "groups": ["g1", "g2"], "uid": "9", "extra": {"Some-Key": ["b", "a"]}}})
        pair.step("permissions", "self", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec}, as_("carl"))
    for user in NAMES:
        for path in (NS + "/pods", NS + "/pods", NS + "/secrets/x", "/odd"):
            pair.step("permissions", user, "GET", path, None, as_(user))
    for i in range(3):
        pair.step("permissions", "remembered", "GET", NS + "/pods", None, as_("dora"))
        pair.step("permissions", "remembered", "GET", NS + "/pods?labelSelector=a%3Db", None, as_("dora"))
        pair.step("permissions", "rules", "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "observed"}}, as_("dora"))


def tokens(pair):
    bare = [sides.Server(s.kubeconfig, credentials=False) for s in pair.sides]
    for token in ("ann", "ann", "bare-user", "no", "no", "error", "audience", "audience-good", "500", "garbage", "no-status", "wrong-kind", "empty-name", "extra", "a b", "x" * 5000, "system-user", "anon", "eyJhbGciOiJub25lIn0.e30.", "aaaaaa.bbbbbbbbbbbbbbbb"):
        for path in ("/api/v1/namespaces/observed/pods", "/version"):
            pair.step("tokens", token[:20], "GET", path, None, {"Authorization": "Bearer " + token}, servers=bare)
        pair.step("tokens", token[:20], "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, {"Authorization": "Bearer " + token}, servers=bare)
    for spec in ({"token": "reviewed"}, {"token": "ann"}, {"token": "ann", "audiences": ["elsewhere"]}, {"token": "audience", "audiences": ["elsewhere", "more"]}, {"token": "error"}, {"token": ""}, {"token": "500"}, {"token": "extra"}):
        pair.step("tokens", "review", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": spec})
    for head in ({"Authorization": "bearer lower"}, {"Authorization": "Bearer  two"}, {"Authorization": "Bearer"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Token x"}):
        pair.step("tokens", str(head), "GET", "/version", None, head, servers=bare)


def run(pair):
    pair.both("POST", "/api/v1/namespaces", {"metadata": {"name": "observed"}})
    permissions(pair)
    tokens(pair)
