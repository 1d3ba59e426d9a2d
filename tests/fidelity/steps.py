"""What is done to an object on its way beside writing the whole of it: subresources, its status, what is at a limit, its end while it is held, whole collections."""
import copy
import json
import time
import urllib.parse

from patches import PATCH, merge_patch

JSON = {"Content-Type": "application/json"}
BODIES = 3 << 20  # upstream's most
EVICTIONS = [{}, {"gracePeriodSeconds": -1}, {"dryRun": ["All"]}, {"preconditions": {"uid": "x"}}, {"preconditions": {"resourceVersion": "1"}}, {"propagationPolicy": "x"}]
APPROVALS = [{"type": "Approved", "status": "True", "reason": "R"}, {"type": "Denied", "status": "True"}, {"type": "Failed", "status": "True"}, {"type": "Approved", "status": "False"}, {"type": "x", "status": "True", "message": "m"}, {"type": "Approved"}]


class Apart(Exception):
    """Two answers were unlike: all that follows would be."""


class Steps:
    def others(self):
        """Subresources that take an object of another kind."""
        r, name = self.r, self.kind.name
        dry = r.choice(["?dryRun=All", "?dryRun=All", "?dryRun=All&fieldManager=one", "?dryRun=x"])
        if name == "ServiceAccount":
            spec = r.choice([{}, {"expirationSeconds": r.choice([600, 5, 1 << 33, -1])}, {"audiences": ["a", ""]}, {"boundObjectRef": {"kind": r.choice(["Pod", "Secret", "Node", "X"]), "apiVersion": r.choice(["v1", "v2"]), "name": "x"}}])
            if spec.get("expirationSeconds") != 600:
                o = {"spec": spec, **r.choice([{}, {"metadata": {"name": r.choice(["@name", "x"])}}, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}, {"apiVersion": "v1", "kind": "Pod"}])}
                self.run.both("POST", self.where + "/token" + dry, self.text(o), JSON, self.fill, self.tag("token"))
        elif name == "Pod" and r.random() < 0.5:
            o = {"apiVersion": r.choice(["policy/v1", "policy/v1", "policy/v1beta1", "v1"]), "kind": "Eviction", "metadata": {"name": r.choice(["@name", "@name", "other", ""])}, "deleteOptions": r.choice(EVICTIONS)}
            self.ask("evict", "POST", self.where + "/eviction" + dry, self.text(o), JSON)
        elif name == "Pod":
            o = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": r.choice(["@name", "@name", "other"]), **r.choice([{}, {"labels": {"bound": "1"}, "annotations": {"x": "y"}}, {"uid": "x"}, {"uid": "@uid", "resourceVersion": "@rv"}])},
                 "target": r.choice([{"kind": "Node", "name": "nn"}, {"kind": "Node", "name": "nn"}, {"kind": "Pod", "name": "x"}, {"name": ""}, {}])}
            if r.random() < 0.3:
                self.ask("bind", "POST", self.kind.path(self.run.ns).rsplit("/", 1)[0] + "/bindings" + r.choice(["", dry]), self.text(o), JSON)
            else:
                self.ask("bind", "POST", self.where + "/binding" + r.choice(["", dry]), self.text(o), JSON)
            self.ask("get", "GET", self.where)

    def approve(self):
        o = self.base()
        o.setdefault("status", {})["conditions"] = [self.r.choice(APPROVALS) for _ in range(self.r.randint(0, 2))]
        if self.r.random() < 0.3:
            o = self.changed(o, (1, 2))
        if self.r.random() < 0.7:
            self.ask("approve", "PUT", self.where + "/approval" + self.options(), self.text(o), JSON)
        else:
            self.ask("approve", "PATCH", self.where + "/approval" + self.options(), self.text({"status": o["status"]}), {"Content-Type": PATCH["merge"]})

    def finalize(self):
        o = self.base()
        o["spec"] = self.r.choice([{}, {"finalizers": ["kubernetes"]}, {"finalizers": ["kubernetes", "example.com/f"]}, {"finalizers": ["x"]}])
        if self.r.random() < 0.2:
            o["metadata"]["name"] = "x"
        self.ask("finalize", "PUT", self.where + "/finalize" + self.options(), self.text(o), JSON)

    def apply_status(self):
        r = self.r
        t = self.schema.resolve(self.root)[1]["properties"].get("status")
        v = self.maker.value(self.kind.name, "status", t, 1) if t else None
        if isinstance(v, dict):
            o = {"apiVersion": self.kind.api, "kind": self.kind.name, "metadata": {"name": "@name"}, "status": v}
            q = "?" + urllib.parse.urlencode({"fieldManager": r.choice(["one", "two"]), "force": "true", **({"dryRun": "All"} if r.random() < 0.2 else {})})
            self.ask("apply status", "PATCH", self.where + "/status" + q, self.text(o), {"Content-Type": PATCH["apply"]})

    def status(self):
        r = self.r
        o = self.base()
        t = self.schema.resolve(self.root)[1]["properties"].get("status")
        if not t:
            return
        for _ in range(r.randint(1, 4)):
            if r.random() < 0.4 or not o.get("status"):
                v = self.maker.value(self.kind.name, "status", t, 1)
                if isinstance(v, dict):
                    o["status"] = {**(o.get("status") or {}), **v}
            else:
                self.maker.edit(o["status"], t, ())
        if r.random() < 0.3:
            o = self.changed(o, (0, 1))
        if r.random() < 0.6:
            self.ask("update status", "PUT", self.where + "/status" + self.options(), self.text(o), JSON)
        else:
            form = r.choice(["merge", "strategic"])
            self.ask("patch status", "PATCH", self.where + "/status" + self.options(), self.text({"status": merge_patch(self.current.get("status") or {}, o.get("status") or {}, form == "strategic", r)}), {"Content-Type": PATCH[form]})

    def part(self):
        """Parts of a pod's spec that have a path of their own."""
        r = self.r
        main = ((self.current.get("spec") or {}).get("containers") or [{}])[0].get("name", "main")
        if r.random() < 0.5:
            sub, spec = "ephemeralcontainers", {"ephemeralContainers": [r.choice([{"name": "debug", "image": "busybox"}, {"name": main, "image": "x"}, {"name": "d2", "image": "x", "ports": [{"containerPort": 80}]}, {"name": "d3", "image": "x", "targetContainerName": r.choice([main, "none"])}])]}
        else:
            sub, spec = "resize", {"containers": [{"name": main, "resources": r.choice([{"requests": {"cpu": "1"}}, {"limits": {"memory": "1Gi"}}, {"requests": {"cpu": "-1"}}, {"requests": {"example.com/x": "1"}}])}]}
        form = r.choice(["strategic", "merge", "apply", "update"])
        if form == "update":
            return self.update_part(sub, spec)
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "@name"}, "spec": spec} if form == "apply" else {"spec": spec}
        q = "?fieldManager=one&force=true" if form == "apply" else self.options()
        self.ask(f"patch {sub} {form}", "PATCH", self.where + "/" + sub + q, self.text(body), {"Content-Type": PATCH[form]})

    def update_part(self, sub, spec):
        o = self.base()
        if sub == "ephemeralcontainers":
            o["spec"].setdefault("ephemeralContainers", []).extend({"terminationMessagePolicy": "File", "imagePullPolicy": "Always", **e} for e in spec["ephemeralContainers"])
        else:
            o["spec"]["containers"][0]["resources"] = spec["containers"][0]["resources"]
        if self.r.random() < 0.3:
            o = self.changed(o, (1, 2))
        self.ask(f"update {sub}", "PUT", self.where + "/" + sub + self.options(), self.text(o), JSON)

    def limits(self):
        """What is nearly, or quite, too large; names at their ends."""
        r, merge = self.r, {"Content-Type": PATCH["merge"]}
        what = r.randint(0, 7)
        if what == 0:
            self.ask("annotations at their limit", "PATCH", self.where + "?dryRun=All", json.dumps({"metadata": {"annotations": {"a": "x" * ((256 << 10) - r.choice([1, 2, 0, -1, 100]))}}}), merge)
        elif what == 1 and self.kind.name in ("ConfigMap", "Secret"):
            self.ask("data at its limit", "PATCH", self.where + "?dryRun=All", json.dumps({"data": {"a": "eHh4" * ((1 << 18) - r.choice([1, 2, 0, -1]))}}), merge)
        elif what == 2:
            o = self.base()
            o["metadata"] = {"name": "a" * r.choice([63, 64, 253, 254])}
            self.ask("long name", "POST", self.kind.path(self.run.ns) + "?dryRun=All", self.text(o), JSON)
        elif what == 3:
            key = r.choice(["a" * 63, "a" * 64, "b" * 253 + "/a", "b" * 254 + "/a", "b.c/" + "a" * 64])
            self.ask("long label", "PATCH", self.where + "?dryRun=All", json.dumps({"metadata": {"labels": {key: "v" * r.choice([63, 64, 1])}}}), merge)
        elif what == 4:
            o, end = self.base(), r.choice(["a" * 57, "a" * 58, "a" * 59, "a" * 63, "a" * 247, "a" * 254, "A-", "a.", "a--"])
            o["metadata"] = {"generateName": end}
            self.rename += (end[:58], end[:248])
            self.ask("long generated name", "POST", self.kind.path(self.run.ns) + "?dryRun=All", self.text(o), JSON)
        elif what == 5:
            self.large(BODIES + r.choice([0, 0, 1, -1, 100]))
        elif what == 6:
            self.ask("unknown form", r.choice(["PUT", "PATCH", "DELETE"]), self.where + "?dryRun=All", "{}", {"Content-Type": r.choice(["application/cbor", "application/apply-patch+cbor", "application/cbor-seq", "text/plain", "application/json;charset=latin1", "", "application/x"])})
        else:
            user = r.choice([{"Impersonate-User": "nobody"}, {"Impersonate-User": "x", "Impersonate-Group": "system:masters"}, {"Impersonate-Group": "x"}, {"Impersonate-User": "system:serviceaccount:default:default"}])
            self.ask("impersonated", r.choice(["GET", "DELETE"]), self.where + "?dryRun=All", None, user)

    def large(self, size):
        """A body of that many bytes."""
        r, form = self.r, self.r.choice(["update", "merge", "json", "apply", "delete", "create"])
        padded = lambda o: (lambda s: s + " " * (size - len(s)))(json.dumps(o))
        o = {"apiVersion": self.kind.api, "kind": self.kind.name, "metadata": {"name": "nobody"}}
        if form in ("update", "create"):
            self.ask("large " + form, "PUT" if form == "update" else "POST", self.kind.path(self.run.ns, "nobody" if form == "update" else "") + "?dryRun=All", padded({**copy.deepcopy(self.current), **o}), JSON)
        elif form == "delete":
            self.ask("large delete", "DELETE", self.where + "?dryRun=All", padded({}), JSON)
        else:
            self.ask("large " + form, "PATCH", self.where + "?dryRun=All" + ("&fieldManager=x" if form == "apply" else ""), padded({"json": [{"op": "test", "path": "/kind", "value": self.kind.name}] * r.choice([1, 10000, 10001]), "merge": {}, "apply": {**o, "metadata": {}}}[form]), {"Content-Type": PATCH[form]})

    def collection(self):
        """Whole collections go, as far as a selector and the options let them: this object alone is in it."""
        r = self.r
        if self.kind.name in ("Namespace", "Service") or "deletecollection" not in self.kind.resource["verbs"]:
            return
        label = {"metadata": {"labels": {"alone": self.name}}}
        self.ask("label", "PATCH", self.where, json.dumps(label), {"Content-Type": PATCH["merge"]})
        q = [r.choice([("labelSelector", "alone=" + self.name), ("labelSelector", f"alone in ({self.name},x)"), ("fieldSelector", "metadata.name=@name"), ("labelSelector", "alone=nobody"), ("fieldSelector", "metadata.none=x")])]
        q += r.choice([[], [], [("limit", "1")], [("dryRun", "All")], [("resourceVersion", "0")], [("gracePeriodSeconds", "0")], [("propagationPolicy", "Orphan")], [("timeoutSeconds", "1")]])
        if q[0][0] == "fieldSelector":
            q.append(("labelSelector", "alone=" + self.name))
        o = r.choice([None, {}, {"dryRun": ["All"]}, {"preconditions": {"uid": "x"}}, {"preconditions": {"uid": "@uid", "resourceVersion": "@rv"}}, {"propagationPolicy": r.choice(["Foreground", "Orphan", "Background", "x"])}, {"gracePeriodSeconds": r.choice([0, -1, 5])},
                      {"kind": "DeleteOptions", "apiVersion": r.choice(["v1", self.kind.api, "x/v1"])}, {"kind": "X", "apiVersion": "v1"}, {"unknown": 1}])
        self.ask("delete collection", "DELETE", self.kind.path(self.run.ns) + "?" + urllib.parse.urlencode(q, safe="@"), json.dumps(o) if o is not None else None, JSON)
        self.ask("get after collection", "GET", self.where)

    def born(self):
        """Another object, made by a PUT or a configuration for a name that nobody has."""
        r, o, name = self.r, self.first(), self.name + "-born"
        if self.kind.name in ("CustomResourceDefinition", "APIService", "ServiceCIDR", "IPAddress"):
            return
        where = self.kind.path(self.run.ns, name)
        o["metadata"] = {k: v for k, v in o["metadata"].items() if k != "generateName"}
        o["metadata"]["name"] = r.choice([name] * 9 + ["other"])
        if r.random() < 0.2:
            o["metadata"][r.choice(["uid", "resourceVersion"])] = r.choice(["@uid", "1", "0", ""])
        keep = self.where, self.fill, self.rename, self.current
        self.where, self.rename = where, (name + "-",)
        try:
            if r.random() < 0.5:
                self.ask("update that creates", "PUT", where + self.options(), self.text(o), JSON)
            else:
                self.ask("apply that creates", "PATCH", where + self.options({"fieldManager": "one"}), self.text(o), {"Content-Type": PATCH["apply"]})
            self.ask("get born", "GET", where)
        finally:
            self.where, self.fill, self.rename, self.current = keep
            for server in (self.run.ours, self.run.theirs):
                server.ask("PATCH", where, '{"metadata":{"finalizers":null}}', {"Content-Type": PATCH["merge"]})
                server.ask("DELETE", where, '{"gracePeriodSeconds":0,"propagationPolicy":"Background"}', JSON)

    def leaving(self):
        """On its way: deleted while finalizers hold it, then changed, and asked to go in other ways."""
        r, merge = self.r, {"Content-Type": PATCH["merge"]}
        if self.kind.name in ("Pod", "Namespace") or r.random() < 0.5:
            return
        self.ask("hold", "PATCH", self.where, '{"metadata":{"finalizers":["example.com/hold"]}}', merge)
        for _ in range(r.randint(1, 3)):
            o = r.choice([{}, {"propagationPolicy": "Foreground"}, {"propagationPolicy": "Orphan"}, {"propagationPolicy": "Background"}, {"orphanDependents": True}, {"orphanDependents": False, "propagationPolicy": "Orphan"}])
            self.ask("delete held", "DELETE", self.where, json.dumps(o), JSON)
        self.ask("finalizer more", "PATCH", self.where, json.dumps({"metadata": {"finalizers": r.choice([["example.com/hold", "example.com/more"], ["orphan"], ["example.com/hold"]])}}), merge)
        self.ask("label held", "PATCH", self.where, '{"metadata":{"labels":{"held":"1"}}}', merge)
        self.ask("let go", "PATCH", self.where, '{"metadata":{"finalizers":null}}', merge)
        self.ask("get gone", "GET", self.where)
        raise Apart

    def scale(self):
        r = self.r
        a, b = self.ask("get scale", "GET", self.where + "/scale")
        replicas = r.choice([0, 2, -1, "x", None])
        if r.random() < 0.6 or b.status != 200:
            self.ask("patch scale", "PATCH", self.where + "/scale" + self.options(), json.dumps({"spec": {"replicas": replicas}}), {"Content-Type": PATCH["merge"]})
            return
        o = b.json()
        o["metadata"] = {"name": "@name", "namespace": o["metadata"].get("namespace"), **r.choice([{}, {"resourceVersion": "@rv"}, {"uid": "@uid"}, {"resourceVersion": "1"}, {"uid": "x"}, {"name": "x"}])}
        o["spec"] = r.choice([{"replicas": replicas}, {}, {"replicas": 1, "unknown": 1}])
        self.ask("update scale", "PUT", self.where + "/scale" + self.options(), self.text(o), JSON)

    def settle(self):
        """Until the controllers of both have written to it."""
        before = None
        for _ in range(20):
            answers = [server.ask("GET", self.kind.path(self.run.ns, urllib.parse.quote(words.get("@name", "")))) for server, words in zip((self.run.ours, self.run.theirs), self.fill)]
            if before == [a.body for a in answers]:
                break
            before = [a.body for a in answers]
            time.sleep(0.25)
        self.remember(*answers)
