"""Requests for the audit trail's sake: reads, watches, errors, levels, streams, impersonation, unknown paths, odd headers."""
import json

from . import sides
from .hooks import APPLY, JSON_PATCH, MERGE, STRATEGIC, DEPLOYMENT, POD

SPACES = ("audit-none", "audit-metadata", "audit-request", "audit-unmanaged", "observed")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io, application/json"


def of_namespace(ns):
    cm = f"/api/v1/namespaces/{ns}/configmaps"
    yield "create", "POST", cm + "?fieldManager=me", {"metadata": {"name": "a"}, "data": {"k": "v"}}, {}
    yield "create", "POST", cm, {"metadata": {"name": "a"}}, {}
    yield "generate", "POST", cm, {"metadata": {"generateName": "gen-"}}, {}
    yield "named by the policy", "POST", cm, {"metadata": {"name": "audit-named"}}, {}
    yield "named by the policy", "GET", cm + "/audit-named", None, {}
    yield "no json", "POST", cm, "{nonsense", {}
    yield "no body", "POST", cm, "", {}
    yield "another kind", "POST", cm, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}}, {}
    yield "type", "POST", cm, {"metadata": {"name": 1}}, {}
    yield "unknown field", "POST", cm + "?fieldValidation=Strict", {"metadata": {"name": "u"}, "x": 1}, {}
    yield "invalid", "POST", cm, {"metadata": {"name": "A B"}}, {}
    yield "media type", "POST", cm, "x", {"Content-Type": "text/plain"}
    yield "yaml", "POST", cm, "metadata: {name: y}\ndata: {a: b}\n", {"Content-Type": "application/yaml"}
    yield "as yaml", "GET", cm + "/y", None, {"Accept": "application/yaml"}
    yield "as protobuf", "GET", cm + "/y", None, {"Accept": "application/vnd.kubernetes.protobuf"}
    yield "as table", "GET", cm + "/y", None, {"Accept": TABLE}
    yield "as partial", "GET", cm + "/y", None, {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    yield "not acceptable", "GET", cm + "/y", None, {"Accept": "text/html"}
    yield "get", "GET", cm + "/a", None, {}
    yield "get nothing", "GET", cm + "/nothing", None, {}
    yield "head", "HEAD", cm + "/a", None, {}
    yield "options", "OPTIONS", cm + "/a", None, {}
    yield "list", "GET", cm, None, {}
    yield "list page", "GET", cm + "?limit=1", None, {}
    yield "list as table", "GET", cm, None, {"Accept": TABLE}
    yield "list by label", "GET", cm + "?labelSelector=a%3Db&fieldSelector=metadata.name%3Da", None, {}
    yield "list, bad selector", "GET", cm + "?labelSelector=a%3D%3D%3Db", None, {}
    yield "list of a name", "GET", cm + "?fieldSelector=metadata.name%3Da&pretty=1", None, {}
    yield "watch", "GET", cm + "?watch=1&timeoutSeconds=1", None, {}
    yield "watch a name", "GET", cm + "?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Da", None, {}
    yield "watch, old form", "GET", f"/api/v1/watch/namespaces/{ns}/configmaps/a?timeoutSeconds=1", None, {}
    yield "watch, bad", "GET", cm + "?watch=1&resourceVersion=x", None, {}
    yield "update", "PUT", cm + "/a", {"metadata": {"name": "a"}, "data": {"k": "w"}}, {}
    yield "update, other name", "PUT", cm + "/a", {"metadata": {"name": "b"}}, {}
    yield "update of nothing", "PUT", cm + "/nothing", {"metadata": {"name": "nothing"}}, {}
    yield "conflict", "PUT", cm + "/a", {"metadata": {"name": "a", "resourceVersion": "1"}}, {}
    yield "merge patch", "PATCH", cm + "/a", {"data": {"m": "1"}}, MERGE
    yield "strategic", "PATCH", cm + "/a", {"data": {"s": "1"}}, STRATEGIC
    yield "json patch", "PATCH", cm + "/a", [{"op": "add", "path": "/data/j", "value": "1"}], JSON_PATCH
    yield "apply", "PATCH", cm + "/a?fieldManager=x&force=true", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "z"}}, APPLY
    yield "apply yaml", "PATCH", cm + "/ap?fieldManager=x", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ap\n", APPLY
    yield "apply conflicts", "PATCH", cm + "/a?fieldManager=y", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "q"}}, APPLY
    yield "bad patch", "PATCH", cm + "/a", "{", MERGE
    yield "bad json patch", "PATCH", cm + "/a", [{"op": "remove", "path": "/nothing"}], JSON_PATCH
    yield "patch type", "PATCH", cm + "/a", {}, {"Content-Type": "application/json"}
    yield "patch of nothing", "PATCH", cm + "/nothing", {"data": {}}, MERGE
    yield "deployment", "POST", f"/apis/apps/v1/namespaces/{ns}/deployments", DEPLOYMENT, {}
    yield "scale", "PUT", f"/apis/apps/v1/namespaces/{ns}/deployments/d/scale", {"metadata": {"name": "d"}, "spec": {"replicas": 2}}, {}
    yield "get scale", "GET", f"/apis/apps/v1/namespaces/{ns}/deployments/d/scale", None, {}
    yield "delete deployment", "DELETE", f"/apis/apps/v1/namespaces/{ns}/deployments/d", {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan"}, {}
    yield "pod", "POST", f"/api/v1/namespaces/{ns}/pods", POD, {}
    yield "privileged", "POST", f"/api/v1/namespaces/{ns}/pods", {"metadata": {"name": "priv"}, "spec": {"hostPID": True, "containers": [{"name": "c", "image": "i"}]}}, {}
    yield "pod status", "PATCH", f"/api/v1/namespaces/{ns}/pods/p/status", {"status": {"phase": "Running"}}, STRATEGIC
    yield "eviction", "POST", f"/api/v1/namespaces/{ns}/pods/p/eviction?dryRun=All", {"metadata": {"name": "p"}}, {}
    yield "binding", "POST", f"/api/v1/namespaces/{ns}/pods/p/binding", {"target": {"kind": "Node", "name": "n"}, "metadata": {"name": "p"}}, {}
    yield "log", "GET", f"/api/v1/namespaces/{ns}/pods/p/log", None, {}
    yield "exec", "POST", f"/api/v1/namespaces/{ns}/pods/p/exec?command=x&stdout=1", None, {}
    yield "exec", "GET", f"/api/v1/namespaces/{ns}/pods/p/exec?command=x&stdout=1", None, {}
    yield "attach of nothing", "POST", f"/api/v1/namespaces/{ns}/pods/nothing/attach", None, {}
    yield "portforward", "POST", f"/api/v1/namespaces/{ns}/pods/p/portforward", None, {}
    yield "proxy", "GET", f"/api/v1/namespaces/{ns}/services/nothing/proxy/x?y=z", None, {}
    yield "proxy", "POST", f"/api/v1/namespaces/{ns}/pods/nothing/proxy", {"a": 1}, {}
    yield "pod delete", "DELETE", f"/api/v1/namespaces/{ns}/pods/p?gracePeriodSeconds=0", None, {}
    yield "secret", "POST", f"/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}, {}
    yield "secrets", "GET", f"/api/v1/namespaces/{ns}/secrets", None, {}
    yield "token", "POST", f"/api/v1/namespaces/{ns}/serviceaccounts/default/token", {"spec": {"expirationSeconds": 600}}, {}
    yield "local review", "POST", f"/apis/authorization.k8s.io/v1/namespaces/{ns}/localsubjectaccessreviews", {"metadata": {"namespace": ns}, "spec": {"user": "kubernetes-admin", "groups": ["system:masters"], "resourceAttributes": {"namespace": ns, "verb": "get", "resource": "pods"}}}, {}
    yield "delete", "DELETE", cm + "/a", {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}, {}
    yield "delete by query", "DELETE", cm + "/y?gracePeriodSeconds=0", None, {}
    yield "delete of nothing", "DELETE", cm + "/nothing", None, {}
    yield "collection", "DELETE", cm + "?labelSelector=none", {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}, {}
    yield "collection", "DELETE", cm, None, {}


def elsewhere():
    as_user = lambda **more: {"Impersonate-" + k.replace("_", "-"): v for k, v in more.items()}
    for path in ("/", "/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1", "/healthz", "/healthz/ping", "/livez", "/livez/ping", "/readyz?verbose", "/version", "/version/", "/metrics",
                 "/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/logs", "/nothing", "/api/v2", "/apis/nothing.example.com/v1/things", "/api/v1/nothing", "/api/v1/namespaces/x/nothing/y",
                 "/apis/apps/v1/deployments/", "/api/v1/namespaces//pods", "/api/v1//pods", "/a%20b?c=%2F", "/debug/pprof/", "/.well-known/openid-configuration", "/openid/v1/jwks", "/statusz", "/flagz"):
        yield "path", "GET", path, None, {}
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"):
        yield "method", method, "/version", None, {}
        yield "method", method, "/api/v1/pods", None, {}
        yield "method", method, "/nothing", None, {}
    for user in ("audited-user", "nobody", "system:anonymous", "system:serviceaccount:observed:default", "system:node:n1"):
        for path in ("/api/v1/namespaces/observed/configmaps", "/api/v1/namespaces/observed/configmaps/x", "/version", "/nothing", "/api/v1/nodes/n1", "/apis"):
            yield "as " + user, "GET", path, None, as_user(User=user)
        yield "as " + user, "POST", "/api/v1/namespaces/observed/configmaps", {"metadata": {"name": "as"}}, as_user(User=user)
    yield "groups", "GET", "/api/v1/namespaces/observed/pods", None, as_user(User="ann", Group="audited-group")
    yield "all", "POST", "/api/v1/namespaces/observed/configmaps?dryRun=All", {"metadata": {"name": "as"}}, as_user(User="ann", Group="system:masters", Uid="7", Extra_Some_Key="v", **{"Extra_a%2Fb": "w"})
    yield "groups alone", "GET", "/version", None, as_user(Group="x")
    yield "not allowed to", "GET", "/version", None, as_user(Uid="7")
    yield "agent", "GET", "/version/x", None, {"User-Agent": "a" * 2000}
    yield "agent", "GET", "/api/v1/pods?limit=1", None, {"User-Agent": "odd \"agent\" <&> \\"}
    yield "no agent", "GET", "/api/v1/pods?limit=1", None, {"User-Agent": ""}
    for via in ("192.0.2.7", "192.0.2.7, 198.51.100.9", "nonsense", "192.0.2.7,nonsense,2001:db8::1", "127.0.0.1", " 192.0.2.7 ", "[2001:db8::1]:80", "192.0.2.7:99"):
        yield "forwarded", "GET", "/api/v1/pods?limit=1", None, {"X-Forwarded-For": via}
        yield "real ip", "GET", "/api/v1/pods?limit=1", None, {"X-Real-Ip": via}
    yield "both", "GET", "/api/v1/pods?limit=1", None, {"X-Forwarded-For": "192.0.2.7", "X-Real-Ip": "192.0.2.8"}
    yield "query", "GET", "/api/v1/pods?limit=1&labelSelector=a+in+(b,c)&x=%00&y", None, {}
    yield "empty query", "GET", "/api/v1/pods?", None, {}
    yield "review", "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {"user": "kubernetes-admin", "groups": ["system:masters"], "nonResourceAttributes": {"path": "/x", "verb": "get"}}}, {}
    yield "self review", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}}}, {}
    yield "who am i", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, {}
    yield "namespace", "POST", "/api/v1/namespaces", {"metadata": {"name": "audit-ns"}}, {}
    yield "namespace", "GET", "/api/v1/namespaces/audit-ns", None, {}
    yield "namespace", "DELETE", "/api/v1/namespaces/audit-ns", None, {}
    yield "warned", "GET", "/api/v1/componentstatuses?limit=1", None, {}
    yield "warned", "GET", "/api/v1/endpoints?limit=1", None, {}
    yield "role", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/observed/roles", {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}, {}
    yield "escalation", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/observed/roles", {"metadata": {"name": "r2"}, "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}, as_user(User="roles-admin")
    yield "binding", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/observed/rolebindings", {"metadata": {"name": "rb"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}]}, {}
    yield "by a role", "GET", "/api/v1/namespaces/observed/pods/nothing", None, as_user(User="ann")
    yield "roles gone", "DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/observed/roles", None, {}
    yield "bindings gone", "DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/observed/rolebindings", None, {}


def run(pair):
    for ns in SPACES:
        labels = {"pod-security.kubernetes.io/audit": "baseline", "pod-security.kubernetes.io/warn": "restricted"} if ns == "observed" else {}
        pair.both("POST", "/api/v1/namespaces", {"metadata": {"name": ns}})
        pair.both("PATCH", f"/api/v1/namespaces/{ns}", {"metadata": {"labels": labels}}, MERGE)
        pair.both("POST", f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "default"}})
    pair.until("pods are not admitted", lambda s: s.ask("POST", "/api/v1/namespaces/observed/pods?dryRun=All", POD).status == 201)
    for ns in SPACES:
        for label, method, path, body, head in of_namespace(ns):
            pair.step(ns, label, method, path, body, head, rename=("gen-",), loosely=True, calls=False, answers=False)
    for label, method, path, body, head in elsewhere():
        pair.step("trail", label, method, path, body, head, rename=("gen-",), loosely=True, calls=False, answers=False)
    strangers(pair)


def strangers(pair):
    """Who has no certificate: anonymous, or with a token."""
    bare = [sides.Server(s.kubeconfig, credentials=False) for s in pair.sides]
    for token in ("", "nonsense", "Bearer", "known"):
        head = {"Authorization": f"Bearer {token}"} if token else {}
        for path in ("/api/v1/pods", "/version", "/healthz", "/nothing", "/api/v1/namespaces/observed/configmaps"):
            pair.step("strangers", token, "GET", path, None, head, servers=bare, loosely=True, calls=False)
        pair.step("strangers", token, "POST", "/api/v1/namespaces/observed/configmaps", {"metadata": {"name": "x"}}, head, servers=bare, loosely=True, calls=False)
        pair.step("strangers", token, "GET", "/api/v1/pods?watch=1&timeoutSeconds=1", None, head, servers=bare, loosely=True, calls=False)
    pair.step("strangers", "basic", "GET", "/api/v1/pods", None, {"Authorization": "Basic eDp5"}, servers=bare, loosely=True, calls=False)
    pair.step("strangers", "impersonating", "GET", "/api/v1/pods", None, {"Impersonate-User": "ann"}, servers=bare, loosely=True, calls=False)
