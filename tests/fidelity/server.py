"""A Kubernetes API server as a kubeconfig names it: one connection, kept; answers as status, headers and bytes."""
import argparse
import base64
import http.client
import json
import os
import socket
import ssl
import sys
import tempfile
import urllib.parse

import yaml


def arguments(doc, show, **more):
    """What a comparison is told: both servers, how many differences it shows, where all of them go, and options of its own. Without an oracle it says so and is done."""
    p = argparse.ArgumentParser(description=doc)
    p.add_argument("--ours", required=True)
    p.add_argument("--oracle")
    for name, options in more.items():
        p.add_argument("--" + name, **options)
    p.add_argument("--show", type=int, default=show)
    p.add_argument("--out", help="all differences, as JSON")
    args = p.parse_args()
    if not args.oracle:
        print("skipped: no oracle (--oracle KUBECONFIG of a kube-apiserver 1.36)")
        sys.exit(0)
    return args


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        """The body as it was written: members keep their order."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name]


class Server:
    def __init__(self, kubeconfig, credentials=True):
        with open(kubeconfig) as f:
            conf = yaml.safe_load(f)
        by_name = lambda what: {e["name"]: e[what.rstrip("s")] for e in conf[what]}
        context = by_name("contexts")[conf["current-context"]]
        cluster, user = by_name("clusters")[context["cluster"]], by_name("users")[context["user"]]
        self.address = urllib.parse.urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cafile=self._file(cluster, "certificate-authority", kubeconfig))
        self.tls.check_hostname = False
        self.token = user.get("token")
        if not credentials:
            self.token = None
        elif not self.token:
            self.tls.load_cert_chain(self._file(user, "client-certificate", kubeconfig), self._file(user, "client-key", kubeconfig))
        self.connection = None

    @staticmethod
    def _file(of, name, beside):
        if name in of:
            return os.path.join(os.path.dirname(os.path.abspath(beside)), of[name])
        with tempfile.NamedTemporaryFile(delete=False) as f:  # load_cert_chain takes no bytes
            f.write(base64.b64decode(of[name + "-data"]))
        return f.name

    def ask(self, method, path, body=None, headers=None):
        head = {"Accept": "application/json", "User-Agent": "fidelity/1.0", **(headers or {})}
        if self.token:
            head["Authorization"] = "Bearer " + self.token
        head = {k: v for k, v in head.items() if v}
        for last in (False, True):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.tls, timeout=70)
                    self.connection.connect()
                    self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connection.request(method, path, body=body.encode() if isinstance(body, str) else body, headers=head)
                answer = self.connection.getresponse()
                return Answer(answer.status, answer.getheaders(), answer.read())
            except (http.client.HTTPException, OSError):
                self.connection = None
                if last:
                    return Answer(0, [], b"no answer")
