#!/usr/bin/env python3
"""Sends the requests of words.txt and holds what is answered to the letter: words.py URL PKI_DIR. With a kubeconfig instead (words.py KUBECONFIG): prints the file as that server answers."""
import http.client
import json
import os
import re
import ssl
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {"": "application/json", "/json": "application/json-patch+json", "/merge": "application/merge-patch+json", "/strategic": "application/strategic-merge-patch+json",
         "/apply": "application/apply-patch+yaml", "/yaml": "application/yaml"}
CHANGING = [(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"), (r"\b20(?!26-01-02)\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"), (r'(ResourceVersion in (?:object meta: |record \())\d+', r'\1<revision>'), (r'(resourceVersion\\*": ?\\*")\d+', r"\1<revision>")]


class Server:
    def __init__(self, url, ca, cert, key):
        at = urllib.parse.urlsplit(url)
        tls = ssl.create_default_context(cafile=ca)
        tls.check_hostname = False
        tls.load_cert_chain(cert, key)
        self.connection = http.client.HTTPSConnection(at.hostname, at.port, context=tls, timeout=60)

    def ask(self, method, path, body, content_type):
        self.connection.request(method, path, body=body.encode() if body else None, headers={"content-type": content_type, "user-agent": "words"})
        r = self.connection.getresponse()
        return r.status, [v for k, v in r.getheaders() if k.lower() == "warning"], r.read().decode()

    def served(self, definition):
        """A kind is there once its definition says so."""
        for _ in range(600):
            text = self.ask("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + definition, "", "application/json")[2]
            if any(c["type"] == "Established" and c["status"] == "True" for c in json.loads(text).get("status", {}).get("conditions") or []):
                return
            time.sleep(0.05)


def steady(s):
    for pattern, word in CHANGING:
        s = re.sub(pattern, word, s)
    return s


def reach(v, path):
    for key in re.findall(r"[^.\[\]]+|\[[^\]]*\]", path):
        key = key.strip("[]")
        v = v[int(key)] if isinstance(v, list) else v.get(key, "absent") if isinstance(v, dict) else "absent"
    return v


def answer(server, request, wanted):
    """The lines that stand below a request: the code with the message, warnings, and what the lines PATH = VALUE ask for."""
    words = request.split(" ", 2) + [""]
    method, _, patch = words[0].partition("/")
    code, warnings, text = server.ask(method, words[1], words[2].replace("\\n", "\n") if patch == "yaml" else words[2], TYPES[patch and "/" + patch])
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    if code == 201 and body.get("kind") == "CustomResourceDefinition" and "dryRun" not in words[1]:
        server.served(body["metadata"]["name"])
    message = body.get("message", "") if body.get("kind") == "Status" else ""
    lines = [f"{code} {json.dumps(steady(message), ensure_ascii=False)[1:-1]}".rstrip()] + ["! " + w for w in warnings]
    for line in wanted:
        path, is_value, _ = line.partition(" = ")
        if is_value and not re.match(r"\d{3} |! ", line):
            lines.append(f"{path} = {steady(json.dumps(reach(body, path), ensure_ascii=False))}")
    return lines


def main():
    if len(sys.argv) == 3:
        url, pki = sys.argv[1:]
        server = Server(url, pki + "/ca.crt", pki + "/admin.crt", pki + "/admin.key")
    else:
        text = open(sys.argv[1]).read()
        server = Server(*(re.search(w + r': "?([^"\s,}]+)', text)[1] for w in ("server", "certificate-authority", "client-certificate", "client-key")))
    recording, bad, asked = len(sys.argv) == 2, 0, 0
    blocks = re.split(r"(?m)^(?=[A-Z]+(?:/[a-z]+)? /|#|$)", open(os.path.join(HERE, "words.txt")).read())
    for block in blocks:
        lines = block.rstrip("\n").split("\n")
        if not re.match(r"[A-Z]+(/[a-z]+)? /", lines[0]):
            if recording:
                print(block, end="")
            continue
        wanted = [l.strip() for l in lines[1:]]
        got = answer(server, lines[0], wanted)
        asked += 1
        if recording:
            print("\n".join([lines[0]] + ["  " + l for l in got]))
        elif wanted and got != wanted:
            bad += 1
            print("\n".join([lines[0]] + ["  wanted " + l for l in wanted if l not in got] + ["  got    " + l for l in got if l not in wanted or sorted(got) == sorted(wanted)]))
    if not recording:
        print(f"{asked} requests, {bad} answered in other words")
    return 1 if bad or not asked else 0


if __name__ == "__main__":
    sys.exit(main())
