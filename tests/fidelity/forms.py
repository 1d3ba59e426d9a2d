"""Bodies in protobuf, as Go clients make and read them (the program of the folder codec)."""
import base64
import json
import subprocess
import threading

# What a client may get wrong: fields that are not known stay harmless.
DAMAGES = {
    "cut": lambda b: b[:-3], "magic": lambda b: b"x" + b[1:], "empty": lambda b: b"", "magic alone": lambda b: b[:4], "unknown field": lambda b: b + b"\xfa\x7f\x01a", "zero": lambda b: b + b"\0",
    "group": lambda b: b + b"\xfb\x7f", "json": lambda b: b"{}"}


class Codec:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()

    def _ask(self, **request):
        with self.lock:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def can(self, text):
        """Does a Go client have a type for it, and is it of that type?"""
        try:
            return "error" not in self._ask(to="protobuf", object=json.loads(text))
        except ValueError:
            return False

    def encode(self, text):
        return base64.b64decode(self._ask(to="protobuf", object=json.loads(text))["body"])

    def decode(self, body):
        a = self._ask(**{"from": "protobuf", "body": base64.b64encode(body).decode()})
        return json.dumps(a["object"]).encode() if "object" in a else ("not read: " + a["error"]).encode()
