"""What the listener answers: the first word of the path says it."""
import base64
import json
import time
import urllib.parse

JSON = {"content-type": "application/json"}


def encoded(v):
    return base64.b64encode(v if isinstance(v, bytes) else json.dumps(v).encode()).decode()


def patch(*ops):
    return {"patchType": "JSONPatch", "patch": encoded(list(ops))}


def annotation(request, key, value):
    at = (request.get("object") or {}).get("metadata") or {}
    if "annotations" not in at:
        return patch({"op": "add", "path": "/metadata/annotations", "value": {key: value}})
    return patch({"op": "add", "path": "/metadata/annotations/" + key, "value": value})


# Members of the response, over {uid, allowed: true}; a function is given the request.
RESPONSES = {
    "allow": {},
    "mark": lambda r: annotation(r, "mark", r["operation"]),
    "count": lambda r: annotation(r, "count", str(int(((r.get("object") or {}).get("metadata") or {}).get("annotations", {}).get("count", "0")) + 1)),
    "after": lambda r: annotation(r, "after", "yes"),
    "deny": {"allowed": False},
    "deny-message": {"allowed": False, "status": {"message": "not today"}},
    "deny-code": {"allowed": False, "status": {"message": "not today", "code": 418, "reason": "Teapot"}},
    "deny-reason": {"allowed": False, "status": {"reason": "Forbidden"}},
    "deny-details": {"allowed": False, "status": {"message": "m", "code": 422, "reason": "Invalid", "status": "Failure", "metadata": {"resourceVersion": "7"},
                     "details": {"name": "n", "group": "g", "kind": "k", "uid": "u", "retryAfterSeconds": 3, "causes": [{"reason": "FieldValueInvalid", "message": "c", "field": "f"}]}}},
    "deny-200": {"allowed": False, "status": {"code": 200, "message": "fine"}},
    "deny-99": {"allowed": False, "status": {"code": 99, "message": "low"}},
    "deny-302": {"allowed": False, "status": {"code": 302, "message": "elsewhere"}},
    "deny-500": {"allowed": False, "status": {"code": 500, "message": "inside"}},
    "deny-999": {"allowed": False, "status": {"code": 999, "message": "high"}},
    "deny-success": {"allowed": False, "status": {"status": "Success", "message": "success"}},
    "deny-empty": {"allowed": False, "status": {}},
    "deny-null": {"allowed": False, "status": None},
    "deny-code-type": {"allowed": False, "status": {"code": "four", "message": "text"}},
    "deny-lines": {"allowed": False, "status": {"message": "two\nlines \u00e9 \u0001 <&>"}},
    "allow-status": {"status": {"code": 403, "message": "no"}},
    "warn": {"warnings": ["mind the gap", "and the step"]},
    "warn-deny": {"allowed": False, "warnings": ["refused too"], "status": {"message": "no"}},
    "warn-odd": {"warnings": ["", "new\nline", "tab\tand \"quotes\" \\ and \u00e9\u4e16", "x" * 300, "\u0001"]},
    "warn-many": {"warnings": ["%03d %s" % (i, "y" * 200) for i in range(30)]},
    "warn-twice": {"warnings": ["same", "same"]},
    "warn-type": {"warnings": "one"},
    "audit": {"auditAnnotations": {"why": "because", "b/c": "slash", "": "empty", "UPPER_case.1": "x", "long" * 30: "y", "a": "first"}},
    "audit-deny": {"allowed": False, "auditAnnotations": {"why": "because"}},
    "audit-type": {"auditAnnotations": {"n": 1}},
    "uid": {"uid": "another"},
    "no-uid": {"uid": None},
    "allowed-text": {"allowed": "yes"},
    "allowed-null": {"allowed": None},
    "patch-none": {"patchType": "JSONPatch"},
    "patch-null": {"patchType": None, "patch": None},
    "patch-empty-text": {"patchType": "JSONPatch", "patch": ""},
    "patch-no-type": {"patch": encoded([])},
    "patch-empty-type": {"patchType": "", "patch": encoded([])},
    "patch-merge": {"patchType": "MergePatch", "patch": encoded({"metadata": {"labels": {"a": "b"}}})},
    "patch-not-base64": {"patchType": "JSONPatch", "patch": "%%%"},
    "patch-not-json": {"patchType": "JSONPatch", "patch": encoded(b"nonsense")},
    "patch-object": {"patchType": "JSONPatch", "patch": encoded({})},
    "patch-null-json": {"patchType": "JSONPatch", "patch": encoded(None)},
    "patch-no-ops": patch(),
    "patch-op": patch({"op": "put", "path": "/metadata/labels", "value": {}}),
    "patch-no-path": patch({"op": "add", "value": {}}),
    "patch-missing": patch({"op": "remove", "path": "/no/such"}),
    "patch-remove-missing": patch({"op": "remove", "path": "/metadata/nothing"}),
    "patch-replace-missing": patch({"op": "replace", "path": "/metadata/nothing", "value": 1}),
    "patch-test": patch({"op": "test", "path": "/metadata/name", "value": "other"}),
    "patch-test-good": patch({"op": "test", "path": "/kind", "value": "ConfigMap"}, {"op": "add", "path": "/metadata/labels", "value": {"tested": "yes"}}),
    "patch-labels": patch({"op": "add", "path": "/metadata/labels", "value": {"hooked": "yes"}}),
    "patch-type": patch({"op": "add", "path": "/metadata/labels", "value": "text"}),
    "patch-unknown": patch({"op": "add", "path": "/unknown", "value": {"a": 1}}, {"op": "add", "path": "/metadata/what", "value": 1}),
    "patch-invalid": patch({"op": "add", "path": "/metadata/labels", "value": {"a b": "c d"}}),
    "patch-data": patch({"op": "add", "path": "/data", "value": {"from": "hook"}}),
    "patch-name": patch({"op": "replace", "path": "/metadata/name", "value": "renamed"}),
    "patch-namespace": patch({"op": "replace", "path": "/metadata/namespace", "value": "elsewhere"}),
    "patch-kind": patch({"op": "replace", "path": "/kind", "value": "Secret"}),
    "patch-version": patch({"op": "replace", "path": "/apiVersion", "value": "v9"}),
    "patch-uid": patch({"op": "add", "path": "/metadata/uid", "value": "11111111-2222-3333-4444-555555555555"}),
    "patch-managed": patch({"op": "add", "path": "/metadata/managedFields", "value": []}),
    "patch-whole": patch({"op": "replace", "path": "", "value": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "whole"}}}),
    "patch-whole-null": patch({"op": "replace", "path": "", "value": None}),
    "patch-copy": patch({"op": "copy", "from": "/metadata/name", "path": "/data/copied"}),
    "patch-move": patch({"op": "move", "from": "/data", "path": "/binaryData"}),
}


# Whole answers: (status, headers, body).
WHOLE = {
    "none": (200, JSON, b""),
    "garbage": (200, {"content-type": "text/html"}, b"<html>"),
    "null": (200, JSON, b"null"),
    "list": (200, JSON, b"[]"),
    "number": (200, JSON, b"7"),
    "no-response": (200, JSON, b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}'),
    "empty-object": (200, JSON, b"{}"),
    "500": (500, {"content-type": "text/plain"}, b"broken inside"),
    "500-json": (500, JSON, b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"told","reason":"InternalError","code":500}'),
    "404": (404, {"content-type": "text/plain"}, b"404 page not found\n"),
    "400": (400, JSON, b'{"error":"bad"}'),
    "401": (401, {"content-type": "text/plain"}, b"who?"),
    "403": (403, JSON, b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"Forbidden","code":403}'),
    "429": (429, {"content-type": "text/plain", "retry-after": "1"}, b"slowly"),
    "503": (503, {"content-type": "text/plain"}, b""),
    "201": (201, {"content-type": "text/plain"}, b""),
    "204": (204, {}, b""),
    "301": (301, {"location": "/allow"}, b""),
    "302": (302, {"location": "https://127.0.0.1:1/allow", "content-type": "text/plain"}, b"gone"),
    "307": (307, {"location": "/allow"}, b""),
    "teapot": (418, {"content-type": "text/plain"}, b"short and stout"),
    "600": (600, {"content-type": "text/plain"}, b"beyond"),
    "huge": (200, JSON, b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"x","allowed":true,"status":{"message":"' + b"z" * (4 << 20) + b'"}}}'),
}


def admission(word, review):
    request = review["request"]
    version, kind = "admission.k8s.io/v1", "AdmissionReview"
    if word == "slow":
        time.sleep(2.5)
    if word == "v1beta1":
        version = "admission.k8s.io/v1beta1"
    if word == "no-version":
        return {"response": {"uid": request["uid"], "allowed": True}}
    if word == "other-kind":
        kind = "TokenReview"
    members = RESPONSES.get(word, {})
    response = {"uid": request["uid"], "allowed": True, **(members(request) if callable(members) else members)}
    return {"apiVersion": version, "kind": kind, "response": {k: v for k, v in response.items() if k != "uid" or v is not None}}


def answer(path, body):
    """(status, headers, bytes) for a request."""
    word = urllib.parse.urlsplit(path).path.strip("/").split("/")[0]
    if word in WHOLE:
        return WHOLE[word]
    kind = body.get("kind") if isinstance(body, dict) else None
    if kind in KINDS:
        out = KINDS[kind](word, body)
        return out if isinstance(out, tuple) else (200, JSON, json.dumps(out).encode())
    return served(path)


SERVED = {
    "agg-200": (200, JSON, b'{"kind":"Thing","apiVersion":"agg.example.com/v1","metadata":{"name":"x"}}\n'), "agg-404": (404, {"content-type": "text/plain"}, b"no such thing"), "agg-500": (500, {"content-type": "text/plain"}, b"broken"),
    "agg-302": (302, {"location": "/apis/agg.example.com/v1/agg-200", "content-type": "text/plain"}, b"there"), "agg-json": (409, JSON, b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"m","reason":"Conflict","code":409}'),
    "agg-warning": (200, {**JSON, "warning": '299 - "from below"', "audit-id": "of-below", "x-kubernetes-pf-flowschema-uid": "below"}, b"{}"), "agg-headers": (200, {**JSON, "set-cookie": "a=b", "server": "below", "x-custom": "y", "cache-control": "max-age=5", "etag": '"e"'}, b"{}"),
    "agg-204": (204, {}, b""), "agg-text": (200, {"content-type": "text/plain"}, b"plain"), "agg-html": (200, {"content-type": "text/html"}, b'<html><body><a href="/x">x</a><a href="y">y</a><a href="https://other/">z</a></body></html>'),
}


def served(path):
    """Of an aggregated server, a kubelet, a pod."""
    for word in urllib.parse.urlsplit(path).path.split("/"):
        if word in SERVED:
            return SERVED[word]
    if path.startswith("/containerLogs"):
        return 200, {"content-type": "text/plain"}, b"a line\n"
    if urllib.parse.urlsplit(path).path == "/apis/agg.example.com/v1":
        return 200, JSON, json.dumps({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "agg.example.com/v1", "resources": [{"name": "things", "singularName": "", "namespaced": True, "kind": "Thing", "verbs": ["get"]}]}).encode()
    return 404, {"content-type": "text/plain"}, b"404 page not found\n"


def reviewed(review, status):
    return {"apiVersion": review["apiVersion"], "kind": review["kind"], "metadata": {}, "spec": review["spec"], "status": status}


def token(word, review):
    t = review["spec"].get("token", "")
    user = lambda name, **more: {"authenticated": True, "user": {"username": name, **more}}
    statuses = {
        "ann": user("ann", uid="7", groups=["builders"], extra={"k": ["1", "2"]}), "known": user("known"), "bare-user": user("bare"), "error": {"authenticated": False, "error": "never heard of it"},
        "audience": {**user("aud"), "audiences": ["elsewhere"]}, "audience-good": {**user("aud"), "audiences": review["spec"].get("audiences") or ["x"]}, "empty-name": user(""),
        "extra": user("extra", groups=["b", "a", "b"], extra={"Upper/Key": ["x"], "a.b/c": ["y", "x"]}), "system-user": user("system:admin", groups=["system:masters"]), "anon": user("system:anonymous", groups=["system:unauthenticated"]),
        "no-status": None,
    }
    if t in ("500", "garbage"):
        return WHOLE[t]
    if t == "wrong-kind":
        return {"apiVersion": "v1", "kind": "Pod"}
    return reviewed(review, statuses.get(t, {"authenticated": False}))


def access(word, review):
    spec = review["spec"]
    statuses = {
        "allowed": {"allowed": True, "reason": "may"}, "denied": {"allowed": False, "denied": True, "reason": "must not"}, "evaluation-error": {"allowed": False, "evaluationError": "broke"}, "both": {"allowed": True, "denied": True},
        "reason": {"allowed": False, "reason": "not sure"}, "no-status": None, "bare": {"allowed": True}, "aud": {"allowed": True},
    }
    if spec.get("user") in WHOLE:
        return WHOLE[spec["user"]]
    if spec.get("user") == "wrong-kind":
        return {"apiVersion": "v1", "kind": "Pod"}
    return reviewed(review, statuses.get(spec.get("user"), {"allowed": False}))


def conversion(word, review):
    request = review["request"]
    want = request["desiredAPIVersion"]
    objects = [{**o, "apiVersion": want, "spec": {**o.get("spec", {}), "seen": want}} for o in request["objects"]]
    first = objects[0] if objects else {}
    meta = lambda **more: [{**first, "metadata": {**first.get("metadata", {}), **more}}, *objects[1:]]
    spoilt = {
        "conv-failure": {"result": {"status": "Failure", "message": "will not"}, "convertedObjects": []}, "conv-failure-plain": {"result": {"status": "Failure"}}, "conv-uid": {"uid": "another"}, "conv-count": {"convertedObjects": objects + objects[:1]},
        "conv-version": {"convertedObjects": [{**o, "apiVersion": "conv.example.com/v9"} for o in objects]}, "conv-kind": {"convertedObjects": [{**o, "kind": "Other"} for o in objects]}, "conv-name": {"convertedObjects": meta(name="other")},
        "conv-labels": {"convertedObjects": meta(labels={"a b": "c d"})}, "conv-meta": {"convertedObjects": meta(labels={"l": "1"}, annotations={"a": "1"}, finalizers=["f.example.com/x"], generation=99, uid="u")}, "conv-null": {"convertedObjects": [None for _ in objects]},
        "conv-result": {"result": {}}, "conv-empty": {"convertedObjects": []},
    }
    response = {"uid": request["uid"], "convertedObjects": objects, "result": {"status": "Success"}, **spoilt.get(word, {})}
    return {"apiVersion": review["apiVersion"], "kind": "Other" if word == "other-kind" else "ConversionReview", **({} if word == "conv-no-response" else {"response": response})}


KINDS = {"ConversionReview": conversion, "AdmissionReview": admission, "TokenReview": token, "SubjectAccessReview": access}
