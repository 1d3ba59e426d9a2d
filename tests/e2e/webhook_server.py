"""Answers TokenReviews and SubjectAccessReviews over HTTPS, writes each question into DIR/asked. usage: webhook_server.py DIR"""
import http.server, json, os, ssl, sys, time

d = sys.argv[1]


def token(spec):
    users = {"t-ann": {"username": "ann", "uid": "7", "groups": ["builders"], "extra": {"k": ["1", "2"]}}}
    user = users.get(spec.get("token"))
    if spec.get("token") == "t-elsewhere":
        return {"authenticated": True, "user": {"username": "x"}, "audiences": ["elsewhere"]}
    return {"authenticated": True, "user": user} if user else {"authenticated": False, "error": "never heard of it"}


def access(spec):
    at = spec.get("resourceAttributes") or spec.get("nonResourceAttributes")
    if at.get("namespace") == "closed":
        return {"allowed": False, "denied": True, "reason": "closed to all"}
    if at.get("resource") == "configmaps" and spec.get("user") == "ann":
        return {"allowed": True, "reason": "ann may"}
    if at.get("resource") == "services" and at.get("labelSelector", {}).get("requirements") == [{"key": "app", "operator": "In", "values": ["x"]}]:
        return {"allowed": True}
    return {"allowed": False}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        v = json.loads(body)
        with open(f"{d}/asked", "a") as f:
            f.write(v["kind"] + " " + body.decode() + "\n")
        if os.path.exists(f"{d}/slow"):
            time.sleep(0.5)
        good = self.headers.get("authorization") == "Bearer hook-secret" and not os.path.exists(f"{d}/broken")
        v["status"] = (token if v["kind"] == "TokenReview" else access)(v["spec"])
        out = json.dumps(v).encode() if good else b"{}"
        self.send_response(200 if good else 500)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{d}/tls.crt", f"{d}/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(f"{d}/port.new", "w") as f:
    f.write(str(server.server_port))
os.rename(f"{d}/port.new", f"{d}/port")
server.serve_forever()
