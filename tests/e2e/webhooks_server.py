"""A webhook server for webhooks.sh and conversion.sh: what it does is said by the path, and of conversions by the word in the file MODE.
usage: webhooks_server.py CERT KEY LOG [MODE]; prints its port.

Each question is a line in LOG: PATH OPERATION RESOURCE[/SUB] NAMESPACE/NAME uid dry=BOOL KIND USER VERSION OBJECT'S-VERSION REQUEST'S-VERSION,
or /convert VERSION NUMBER-OF-OBJECTS REVIEW'S-VERSION.
"""
import base64
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()


def patch(*ops):
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(ops).encode()).decode()}


def annotate(request, key, value):
    meta = request["object"]["metadata"]
    if "annotations" not in meta:
        return patch({"op": "add", "path": "/metadata/annotations", "value": {key: value}})
    return patch({"op": "add", "path": "/metadata/annotations/" + key, "value": value})


def count(request, key):
    """One more in an annotation each time it is asked."""
    n = int(request["object"]["metadata"].get("annotations", {}).get(key, "0"))
    return annotate(request, key, str(n + 1))


def decide(path, request):
    allow = {"uid": request["uid"], "allowed": True}
    if path == "/deny":
        return {"uid": request["uid"], "allowed": False, "status": {"message": "not today", "code": 418, "reason": "Teapot"}}
    if path == "/deny-plain":
        return {"uid": request["uid"], "allowed": False}
    if path == "/warn":
        return dict(allow, warnings=["mind the gap", "and the step"])
    if path == "/slow":
        time.sleep(1)
        return allow
    if path == "/hang":
        time.sleep(20)
        return allow
    if path == "/wrong-uid":
        return dict(allow, uid="another")
    if path == "/mutate":
        return dict(allow, **annotate(request, "mutated", request["operation"]))
    if path == "/bad-patch":
        return dict(allow, **patch({"op": "remove", "path": "/no/such"}))
    if path == "/another-kind":
        return dict(allow, **patch({"op": "replace", "path": "/kind", "value": "Secret"}))
    if path == "/any-patch":  # whatever it is shown
        return dict(allow, **patch({"op": "add", "path": "/metadata/labels", "value": {"any": "patch"}}))
    if path == "/no-ops":
        return dict(allow, **patch())
    if path == "/no-list":
        return dict(allow, patchType="JSONPatch", patch=base64.b64encode(b"{}").decode())
    if path == "/count":
        return dict(allow, **count(request, "count"))
    if path == "/after":
        return dict(allow, **annotate(request, "after", "yes"))
    if path == "/connect":  # tells what it was shown
        shown = dict(request["object"])
        text = "%s %s " % (shown.pop("kind"), shown.pop("apiVersion"))
        return dict(allow, allowed=False, status={"message": text + "%s %s" % (dict(sorted(shown.items())), request["options"])})
    if path == "/annotate":  # for the audit trail
        return dict(allow, auditAnnotations={"why": "because", "who": request["userInfo"]["username"]})
    if path in ("/as-sent", "/as-stored"):
        meta = request["object"]["metadata"]
        return dict(allow, allowed=all((key in meta) == (path == "/as-stored") for key in ("uid", "resourceVersion", "creationTimestamp")))
    if path == "/no-name":  # what the server gives is not there yet
        meta = request["object"]["metadata"]
        absent = "uid" not in meta and "creationTimestamp" not in meta and "name" not in request
        return dict(allow, allowed=absent)
    return allow


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        path = self.path.split("?")[0]
        review = json.loads(body)
        if path == "/convert":
            self.convert(review)
            return
        r = review["request"]
        sub = "/" + r["subResource"] if "subResource" in r else ""
        with lock:
            with open(sys.argv[3], "a") as log:
                log.write("%s %s %s%s %s/%s %s dry=%s %s %s %s %s %s\n" % (path, r["operation"], r["resource"]["resource"], sub, r.get("namespace", ""),
                          r.get("name", ""), r["uid"], r["dryRun"], r["kind"]["kind"], r["userInfo"]["username"], r["kind"]["version"],
                          (r["object"] or r["oldObject"] or {}).get("apiVersion"), r["requestKind"]["version"]))
        if path == "/500":
            self.send(500, b"broken inside", "text/plain")
            return
        if path == "/garbage":
            self.send(200, b"<html>", "text/html")
            return
        self.answer(200, {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": decide(path, r)})

    def convert(self, review):
        r = review["request"]
        mode = open(sys.argv[4]).read().strip() if len(sys.argv) > 4 else ""
        with lock:
            with open(sys.argv[3], "a") as log:
                log.write("/convert %s %d %s\n" % (r["desiredAPIVersion"], len(r["objects"]), review["apiVersion"]))
        if mode == "500":
            self.send(500, b"broken inside", "text/plain")
            return
        if mode == "garbage":
            self.send(200, b"<html>", "text/html")
            return
        if mode == "hang":
            time.sleep(120)
        if mode == "slow":
            time.sleep(2)
        self.answer(200, spoil(mode, convert(review)))

    def answer(self, status, value):
        self.send(status, json.dumps(value).encode(), "application/json")

    def send(self, status, body, kind):
        try:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # the other side had a time limit

    def log_message(self, *args):
        pass


def spoil(mode, answer):
    """What a webhook may not do."""
    response = answer["response"]
    objects = response.get("convertedObjects", [])
    meta = dict(objects[0]["metadata"]) if objects else {}
    if objects:
        objects[0]["metadata"] = meta
    if mode == "uid":
        response["uid"] = "another"
    elif mode == "kind":
        answer["kind"] = "AdmissionReview"
    elif mode == "none":
        del answer["response"]
    elif mode == "count":
        objects.append(objects[0])
    elif mode == "failure":
        response["result"] = {"status": "Failure"}
    elif mode == "version":
        objects[0]["apiVersion"] = "stable.example.com/v9"
    elif mode == "another":
        objects[0]["kind"] = "Another"
    elif mode == "name":
        meta["name"] = "other"
    elif mode == "namespace":
        meta["namespace"] = "other"
    elif mode == "object-uid":
        meta["uid"] = "other"
    elif mode == "labels":
        meta["labels"] = {"a": 1}
    elif mode == "bad-labels":
        meta["labels"] = {"a b": "c"}
    elif mode == "marks":  # what it may do, and what is ignored
        meta["labels"] = dict(meta.get("labels", {}), by="webhook")
        meta["annotations"] = dict(meta.get("annotations", {}), by="webhook")
        meta["generation"] = 1000
        meta["finalizers"] = ["webhook.example.com/no"]
    return answer


def convert(review):
    request = review["request"]
    want = request["desiredAPIVersion"]
    version = review["apiVersion"]
    done = []
    for o in request["objects"]:
        o = dict(o)
        spec = dict(o.get("spec", {}))
        if o["apiVersion"].endswith("/v1") and want.endswith("/v2") and "host" in spec:
            spec["address"] = spec.pop("host") + ":" + str(spec.pop("port", 0))
        elif o["apiVersion"].endswith("/v2") and want.endswith("/v1") and "address" in spec:
            spec["host"], port = spec.pop("address").split(":")
            spec["port"] = int(port)
        if spec.get("host") == "fail" or spec.get("address", "").startswith("fail:"):
            return {"apiVersion": version, "kind": "ConversionReview",
                    "response": {"uid": request["uid"], "result": {"status": "Failure", "message": "no such host"}}}
        o["spec"] = spec
        o["apiVersion"] = want
        done.append(o)
    return {"apiVersion": version, "kind": "ConversionReview",
            "response": {"uid": request["uid"], "convertedObjects": done, "result": {"status": "Success"}}}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def finish_request(self, request, address):  # the handshake on the connection's own thread
        request = tls.wrap_socket(request, server_side=True)
        super().finish_request(request, address)

    def handle_error(self, request, address):
        pass


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[1], sys.argv[2])
server = Server(("0.0.0.0", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
