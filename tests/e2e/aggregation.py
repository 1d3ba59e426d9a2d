"""A small aggregated API server: group wardle.example.com/v1, kind Flunder, namespaced. Believes X-Remote headers of the front-proxy certificate only.

Usage: aggregation.py CERT KEY CLIENT_CA ADDRESS PORT
"""
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BASE = "/apis/wardle.example.com/v1"
store, changed, log, version = {}, threading.Condition(), [], [1]


def flunder(body, ns):
    version[0] += 1
    body.setdefault("metadata", {}).update(namespace=ns, resourceVersion=str(version[0]), uid="u-%d" % version[0],
                                           creationTimestamp="2026-01-01T00:00:00Z")
    body.update(kind="Flunder", apiVersion="wardle.example.com/v1")
    return body


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def send(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def status(self, code, reason, message):
        self.send(code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
                         "message": message})

    def who(self):
        cert = self.connection.getpeercert()
        names = [v for part in (cert or {}).get("subject", ()) for k, v in part if k == "commonName"]
        return names == ["front-proxy-client"]

    def handle_one(self, method):
        path, _, query = self.path.partition("?")
        n = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(n)) if n else {}
        if not self.who():
            return self.status(401, "Unauthorized", "no front-proxy certificate")
        if self.headers["X-Remote-User"] != "system:kube-aggregator":
            log.append({"method": method, "path": self.path, "user": self.headers.get_all("X-Remote-User"),
                        "groups": self.headers.get_all("X-Remote-Group"), "authorization": self.headers.get("Authorization"),
                        "impersonate": self.headers.get("Impersonate-User"), "uid": self.headers.get("X-Remote-Uid"),
                        "extra": {k.lower(): v for k, v in self.headers.items() if k.lower().startswith("x-remote-extra-")}})
        if path == BASE:
            return self.send(200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "wardle.example.com/v1", "resources": [
                {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "shortNames": ["flu"],
                 "verbs": ["create", "delete", "get", "list", "watch"]}]})
        if path == "/openapi/v3":
            return self.send(200, {"paths": {BASE[1:]: {"serverRelativeURL": "/openapi/v3" + BASE + "?hash=ABC"}}})
        if path == "/openapi/v3" + BASE:
            return self.send(200, {"openapi": "3.0.0", "info": {"title": "wardle", "version": "v1"}, "paths": {
                BASE + "/namespaces/{namespace}/flunders": {"get": {"x-kubernetes-action": "list", "x-kubernetes-group-version-kind": {
                    "group": "wardle.example.com", "version": "v1", "kind": "Flunder"}, "responses": {"200": {"description": "OK"}}}}}, "components": {"schemas": {
                "com.example.wardle.v1.Flunder": {"type": "object", "description": "A Flunder of the aggregated server.",
                                                  "x-kubernetes-group-version-kind": [{"group": "wardle.example.com", "version": "v1", "kind": "Flunder"}],
                                                  "properties": {"spec": {"type": "object", "description": "What is wanted."}}}}}})
        part = path[len(BASE):].strip("/").split("/")
        if not path.startswith(BASE) or part[0] != "namespaces" and part != ["flunders"]:
            return self.status(404, "NotFound", "nothing there")
        ns, name = (part[1] if len(part) > 1 else None), (part[3] if len(part) > 3 else None)
        if method == "POST":
            o = flunder(body, ns)
            with changed:
                store[ns, o["metadata"]["name"]] = o
                changed.notify_all()
            return self.send(201, o)
        if method == "DELETE":
            with changed:
                o = store.pop((ns, name), None)
            return self.send(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}) if o else \
                self.status(404, "NotFound", 'flunders.wardle.example.com "%s" not found' % name)
        if name:
            o = store.get((ns, name))
            return self.send(200, o) if o else self.status(404, "NotFound", 'flunders.wardle.example.com "%s" not found' % name)
        if "watch=" in query:
            return self.watch()
        self.send(200, {"kind": "FlunderList", "apiVersion": "wardle.example.com/v1", "metadata": {"resourceVersion": str(version[0])},
                        "items": [o for (n_, _), o in store.items() if ns in (None, n_)]})

    def watch(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = dict(store)
        while True:
            with changed:
                new = [o for k, o in store.items() if k not in seen]
                if not new:
                    changed.wait(1)
            for o in new:
                seen[o["metadata"]["namespace"], o["metadata"]["name"]] = o
                data = json.dumps({"type": "ADDED", "object": o}).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

    def do_GET(self):
        if self.path == "/asked":
            return self.send(200, log)
        self.handle_one("GET")

    def do_POST(self):
        self.handle_one("POST")

    def do_DELETE(self):
        self.handle_one("DELETE")


cert, key, ca, address, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
context.load_verify_locations(ca)
context.verify_mode = ssl.CERT_OPTIONAL
server = ThreadingHTTPServer((address, int(port)), Handler)
server.daemon_threads = True
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
