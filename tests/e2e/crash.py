#!/usr/bin/env python3
"""kill -9 at random points under write load: no acknowledged write is lost, none is half there, revisions never go back, no watcher saw what
was lost, and a watch that resumes gets exactly what it missed or 410.

usage: crash.py BUILD_DIR STATE_DIR ROUNDS SEED [OPTION OF THE SERVER...]"""
import http.client
import json
import os
import random
import re
import signal
import ssl
import subprocess
import sys
import threading
import time

BUILD, STATE, ROUNDS, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
WRITERS, KEYS = 4, 6  # keys of each writer: one write in flight per writer, so what may have happened is known
MAPS = "/api/v1/namespaces/default/configmaps"


def fail(text):
    print(f"FAILED: {text} (seed {SEED})")
    sys.stdout.flush()
    if Server.process:
        Server.process.kill()
    os._exit(1)


class Server:
    process = None

    def __init__(self):
        self.log = os.path.join(STATE, "log")

    def start(self):
        with open(self.log, "wb") as log:
            Server.process = subprocess.Popen(
                [BUILD + "/keelson", "server", "--state-dir", STATE, "--port", "0"] + sys.argv[5:], stdout=log, stderr=log)
        for _ in range(1000):
            found = re.search(r"ready on https://[^:]*:(\d+) ", open(self.log).read())
            if found:
                self.port = int(found.group(1))
                break
            if self.process.poll() is not None:
                fail("the server does not start: " + open(self.log).read())
            time.sleep(0.01)
        else:
            fail("the server does not become ready: " + open(self.log).read())
        self.tls = ssl.create_default_context(cafile=STATE + "/pki/ca.crt")
        self.tls.load_cert_chain(STATE + "/pki/admin.crt", STATE + "/pki/admin.key")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def connect(self, timeout=20):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=timeout)


def ask(conn, method, path, body=None, kind="application/json"):
    conn.request(method, path, body=json.dumps(body) if body else None, headers={"Content-Type": kind})
    answer = conn.getresponse()
    return answer.status, json.loads(answer.read())


def state_of(item):
    """What an object holds, as a number; both halves must agree."""
    data = item["data"]
    if data["n"] != data["copy"]:
        fail(f"{item['metadata']['name']} is half written: {data['n']} and {data['copy']}")
    return int(data["n"])


class Writer(threading.Thread):
    """Creates, changes and deletes its keys, one write at a time. known[key]: (number or None, revision) as acknowledged."""

    def __init__(self, server, name, known, seed):
        super().__init__(daemon=True)
        self.server, self.name, self.known, self.dice = server, name, known, random.Random(seed)
        self.pending = None  # (key, number or None)
        self.written = 0

    def run(self):
        conn = self.server.connect()
        try:
            while True:
                self.write(conn)
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the server is gone; what was pending is uncertain

    def write(self, conn):
        key = f"{self.name}-{self.dice.randrange(KEYS)}"
        number, _ = self.known.get(key, (None, 0))
        n = self.dice.randrange(1 << 30)
        body = {"metadata": {"name": key}, "data": {"n": str(n), "pad": "x" * self.dice.randrange(4000), "copy": str(n)}}
        if number is None:
            self.pending = (key, n)
            status, answer = ask(conn, "POST", MAPS, body)
        elif self.dice.random() < 0.2:
            self.pending = (key, None)
            status, answer = ask(conn, "DELETE", f"{MAPS}/{key}")
        elif self.dice.random() < 0.5:
            self.pending = (key, n)
            status, answer = ask(conn, "PUT", f"{MAPS}/{key}", body)
        else:
            self.pending = (key, n)
            status, answer = ask(conn, "PATCH", f"{MAPS}/{key}", {"data": body["data"]}, "application/merge-patch+json")
        if status not in (200, 201):
            fail(f"{self.pending} was answered with {status}: {answer}")
        meta = answer.get("metadata", {})
        self.known[key] = (self.pending[1], int(meta.get("resourceVersion", 0)) or self.known.get(key, (0, 0))[1])
        self.pending = None
        self.written += 1


class Watcher(threading.Thread):
    """Notes all events after a revision: (type, name, revision, number)."""

    def __init__(self, server, revision, seconds=60):
        super().__init__(daemon=True)
        self.server, self.revision, self.seconds = server, revision, seconds
        self.events, self.expired = [], False

    def run(self):
        try:
            conn = self.server.connect()
            conn.request("GET", f"{MAPS}?watch=true&resourceVersion={self.revision}&timeoutSeconds={self.seconds}")
            answer = conn.getresponse()
            if answer.status == 410:
                self.expired = True
                return
            for line in answer:
                if not line.endswith(b"\n"):
                    return  # cut by the end of the server
                event = json.loads(line)
                item = event["object"]
                if event["type"] == "ERROR":
                    self.expired = item["code"] == 410
                    if not self.expired:
                        fail(f"a watch ends with {item}")
                    return
                if item["metadata"]["name"] != "kube-root-ca.crt":
                    self.events.append((event["type"], item["metadata"]["name"], int(item["metadata"]["resourceVersion"]), state_of(item)))
        except (OSError, http.client.HTTPException, ValueError):
            pass


def check_order(events, what):
    for before, after in zip(events, events[1:]):
        if after[2] <= before[2]:
            fail(f"{what}: revision {after[2]} comes after {before[2]}")


def check_state(server, known, uncertain, highest, seen):
    """Compares the recovered store with what was acknowledged and what watchers saw; returns its revision."""
    status, answer = ask(server.connect(), "GET", MAPS)
    if status != 200:
        fail(f"LIST is answered with {status}")
    revision = int(answer["metadata"]["resourceVersion"])
    if revision < highest:
        fail(f"the revision went back from {highest} to {revision}")
    now = {i["metadata"]["name"]: (state_of(i), int(i["metadata"]["resourceVersion"])) for i in answer["items"] if "n" in i.get("data", {})}
    for key in set(known) | set(now) | set(uncertain):
        number, at = now.get(key, (None, 0))
        allowed = [known.get(key, (None, 0))[0]] + ([uncertain[key]] if key in uncertain else [])
        if number not in allowed:
            fail(f"{key} holds {number}; acknowledged was {allowed[0]}" + (f", in flight {allowed[1]}" if len(allowed) > 1 else ""))
        known[key] = (number, at)
    for kind, key, at, number in {e[1]: e for e in seen}.values():  # the last event of each key
        there, since = now.get(key, (None, 0))
        if kind == "DELETED" and there is not None and since < at:
            fail(f"a watcher saw {key} deleted at {at}, but it is there since {since}")
        if kind != "DELETED" and there is not None and (since < at or (since == at and there != number)):
            fail(f"a watcher saw {key} = {number} at {at}, but now it is {there} of {since}")
    return revision


def one_round(server, dice, known, revision):
    first = Watcher(server, revision)
    first.start()
    writers = [Writer(server, f"w{i}", {k: v for k, v in known.items() if k.startswith(f"w{i}-")}, dice.randrange(1 << 30)) for i in range(WRITERS)]
    for w in writers:
        w.start()
    time.sleep(dice.uniform(0.03, 0.25))
    seen = list(first.events)
    start = dice.choice(seen)[2] if seen else revision
    second = Watcher(server, start)
    second.start()
    time.sleep(dice.uniform(0.03, 0.25))
    server.kill()
    for t in writers + [first, second]:
        t.join(30)
        if t.is_alive():
            fail("a client does not notice that the server is gone")
    check_order(first.events, "watch")
    check_order(second.events, "resumed watch")
    if second.expired:
        fail(f"a watch of a server with that history was refused with 410 at {start}")
    missed = [e for e in first.events if e[2] > start]
    n = min(len(missed), len(second.events))
    if missed[:n] != second.events[:n]:
        fail(f"a watch resumed at {start} got other events than one that was there all the time")
    uncertain = {w.pending[0]: w.pending[1] for w in writers if w.pending}
    for w in writers:
        known.update(w.known)
    events = first.events if len(first.events) > len(second.events) else second.events
    last_seen = max([e[2] for e in events] + [v[1] for v in known.values()] + [revision])
    server.start()
    now = check_state(server, known, uncertain, last_seen, events)
    resumed = Watcher(server, last_seen, seconds=1)
    resumed.start()
    resumed.join(20)
    late = [k for k, v in known.items() if v[0] is not None and v[1] > last_seen]
    if not resumed.expired and sorted(late) != sorted(e[1] for e in resumed.events if e[0] != "DELETED" and known[e[1]][1] == e[2]):
        fail(f"a watch resumed at {last_seen} after the restart got {resumed.events}, missed were {late}")
    return now, sum(w.written for w in writers), len(events)


def main():
    dice = random.Random(SEED)
    server, known, revision, written, seen = Server(), {}, 0, 0, 0
    server.start()
    revision = check_state(server, known, {}, 0, [])
    for _ in range(ROUNDS):
        revision, w, e = one_round(server, dice, known, revision)
        written += w
        seen += e
    server.kill()
    check = subprocess.run([BUILD + "/keelson", "store", "check", "--state-dir", STATE], capture_output=True, text=True)
    if check.returncode:
        fail("store check: " + check.stdout + check.stderr)
    print(f"ok: {ROUNDS} kills, {written} acknowledged writes, {seen} events seen, revision {revision}, seed {SEED}")


main()
