"""Who may do what, twice: by the server's answers, and by this file's own reading of the same roles and bindings. It shares no code with the
server. usage: authz_oracle.py objects SEED | ask PORT CA CERT KEY POLICY.json SEED"""
import http.client, itertools, json, random, ssl, sys

VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "use"]
RESOURCES = [("", "pods"), ("", "pods/log"), ("", "pods/exec"), ("", "secrets"), ("", "configmaps"), ("", "nodes"), ("", "nodes/status"),
             ("", "serviceaccounts"), ("", "serviceaccounts/token"), ("apps", "deployments"), ("apps", "deployments/scale"), ("batch", "jobs"),
             ("rbac.authorization.k8s.io", "roles"), ("rbac.authorization.k8s.io", "clusterrolebindings"), ("authorization.k8s.io", "selfsubjectaccessreviews"),
             ("coordination.k8s.io", "leases"), ("example.com", "widgets"), ("example.com", "widgets/scale")]
NAMESPACES = ["", "m1", "m2", "kube-system"]
NAMES = ["", "one", "two"]
URLS = ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/healthz", "/healthz/ping", "/livez", "/metrics", "/metrics/slis", "/openapi/v3", "/logs", "/version",
        "/custom", "/custom/x", "/customary", "/.well-known/openid-configuration", "/openid/v1/jwks"]
URL_VERBS = ["get", "post", "put", "delete"]
SA = "system:serviceaccount:"


def accounts(ns, name):
    return [f"{SA}{ns}:{name}", ["system:serviceaccounts", f"system:serviceaccounts:{ns}", "system:authenticated"]]


USERS = [["u%d" % i, ["g%d" % (i % 5), "g%d" % (i % 7 + 5), "system:authenticated"]] for i in range(14)] + [
    accounts("m1", "robot"), accounts("m2", "robot"), accounts("kube-system", "namespace-controller"), accounts("kube-system", "node-controller"),
    ["system:kube-scheduler", ["system:authenticated"]], ["system:kube-controller-manager", ["system:authenticated"]], ["system:kube-proxy", ["system:authenticated"]],
    ["system:anonymous", ["system:unauthenticated"]], ["monitor", ["system:monitoring", "system:authenticated"]], ["root", ["system:masters", "system:authenticated"]],
    ["nobody", []]]


def objects(seed):
    """Roles and bindings at random: every form that a rule or a subject can have."""
    r = random.Random(seed)
    some = lambda xs, n: r.sample(xs, r.randint(1, n))
    out = []

    def rule(cluster):
        if cluster and r.random() < 0.3:
            return {"verbs": some(URL_VERBS + ["*"], 2), "nonResourceURLs": some(["/custom", "/custom/*", "/logs", "*", "/api*", "/healthz/*"], 2)}
        groups, names = zip(*some(RESOURCES, 4))
        rule = {"verbs": some(VERBS + ["*"], 4), "apiGroups": list(groups) if r.random() < 0.8 else ["*"], "resources": list(names)}
        if r.random() < 0.15:
            rule["resources"] += [r.choice(["*", "*/scale", "*/status", "pods/*"])]
        if r.random() < 0.25:
            rule["resourceNames"] = some(["one", "two", "three", "*"], 2)
        return rule

    def subject():
        kind = r.choice(["User", "Group", "Group", "ServiceAccount"])
        if kind == "ServiceAccount":
            return {"kind": kind, "name": "robot", "namespace": r.choice(["m1", "m2"])}
        name = r.choice(["u%d" % r.randint(0, 13), SA + "m1:robot"]) if kind == "User" else \
            r.choice(["g%d" % r.randint(0, 11), "system:serviceaccounts:m2", "system:serviceaccounts", "system:unauthenticated"])
        return {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}

    def add(kind, name, ns=None, **more):
        meta = {"name": name, "labels": more.pop("labels", {})}
        if ns:
            meta["namespace"] = ns
        out.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta, **more})

    ref = lambda kind, name: {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    for i in range(24):
        labels = {"team": r.choice("ab"), "tier": r.choice("xy")} if i % 2 else {}
        add("ClusterRole", "c%d" % i, labels=labels, rules=[rule(True) for _ in range(r.randint(1, 3))])
    add("ClusterRole", "sum-a", aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"team": "a", "tier": "x"}}]}, rules=[])
    add("ClusterRole", "sum-b", aggregationRule={"clusterRoleSelectors": [
        {"matchExpressions": [{"key": "team", "operator": "In", "values": ["b"]}, {"key": "tier", "operator": "NotIn", "values": ["x"]}]}]}, rules=[])
    for ns in ["m1", "m2"]:
        for i in range(8):
            add("Role", "r%d" % i, ns, rules=[rule(False) for _ in range(r.randint(1, 3))])
    roles = ["c%d" % i for i in range(24)] + ["sum-a", "sum-b", "view", "edit", "admin", "not-there"]
    for i in range(8):
        add("ClusterRoleBinding", "m%d" % i, roleRef=ref("ClusterRole", r.choice(roles[:20] + ["sum-b"])), subjects=[subject() for _ in range(r.randint(0, 2))])
    for ns in ["m1", "m2"]:
        for i in range(16):
            role = ref("Role", "r%d" % r.randint(0, 8)) if i % 2 else ref("ClusterRole", r.choice(roles))
            add("RoleBinding", "m%d" % i, ns, roleRef=role, subjects=[subject() for _ in range(r.randint(1, 2))])
    return {"apiVersion": "v1", "kind": "List", "items": out}


class Oracle:
    def __init__(self, items):
        self.roles, self.bindings, self.memo = {}, [], {}
        for o in items:
            key = (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"])
            if o["kind"].endswith("Binding"):
                self.bindings.append(o)
            else:
                self.roles[key] = o

    def chosen(self, selector, labels):
        if any(labels.get(k) != v for k, v in selector.get("matchLabels", {}).items()):
            return False
        for e in selector.get("matchExpressions", []):
            has, among = e["key"] in labels, labels.get(e["key"]) in e.get("values", [])
            if not {"In": has and among, "NotIn": not (has and among), "Exists": has, "DoesNotExist": not has}[e["operator"]]:
                return False
        return True

    def rules(self, key, seen=()):
        """What an aggregated role holds is worked out here, not read from the server."""
        role = self.roles.get(key)
        if not role or key in seen:
            return []
        if "aggregationRule" not in role:
            return role.get("rules") or []
        out = []
        for s in role["aggregationRule"]["clusterRoleSelectors"]:
            for other, o in self.roles.items():
                if other[0] == "ClusterRole" and other != key and self.chosen(s, o["metadata"].get("labels", {})):
                    out += self.rules(other, seen + (key,))
        return out

    def held(self, user, groups, ns):
        at = (user, ns)
        if at in self.memo:
            return self.memo[at]
        out = []
        for b in self.bindings:
            where = b["metadata"].get("namespace", "")
            if where and where != ns:
                continue
            for s in b.get("subjects") or []:
                name = s["name"]
                if s["kind"] == "ServiceAccount":
                    mine = user == f"{SA}{s.get('namespace') or where}:{name}"
                else:
                    mine = user == name if s["kind"] == "User" else name in groups
                if mine:
                    ref = b["roleRef"]
                    out += self.rules((ref["kind"], where if ref["kind"] == "Role" else "", ref["name"]))
                    break
        self.memo[at] = out
        return out

    def resource(self, user, groups, verb, group, resource, ns, name):
        if "system:masters" in groups:
            return True
        sub = resource.partition("/")[2]
        for r in self.held(user, groups, ns):
            if not ({verb, "*"} & set(r["verbs"]) and {group, "*"} & set(r.get("apiGroups", []))):
                continue
            wanted = {resource, "*"} | ({"*/" + sub} if sub else set())
            if wanted & set(r.get("resources", [])) and (not r.get("resourceNames") or name in r["resourceNames"]):
                return True
        return False

    def url(self, user, groups, verb, path):
        if "system:masters" in groups:
            return True
        for r in self.held(user, groups, ""):
            if {verb, "*"} & set(r["verbs"]):
                for u in r.get("nonResourceURLs", []):
                    if u == "*" or u == path or (u.endswith("*") and path.startswith(u[:-1])):
                        return True
        return False


def cells(oracle):
    for user, groups in USERS:
        for verb, (group, resource), ns, name in itertools.product(VERBS, RESOURCES, NAMESPACES, NAMES):
            res, _, sub = resource.partition("/")
            at = {"verb": verb, "group": group, "resource": res, "subresource": sub, "namespace": ns, "name": name}
            spec = {"user": user, "groups": groups, "resourceAttributes": {k: v for k, v in at.items() if v}}
            yield spec, oracle.resource(user, groups, verb, group, resource, ns, name)
        for verb, path in itertools.product(URL_VERBS, URLS):
            yield {"user": user, "groups": groups, "nonResourceAttributes": {"verb": verb, "path": path}}, oracle.url(user, groups, verb, path)


def ask(port, ca, cert, key, policy, seed):
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(cert, key)
    conn = http.client.HTTPSConnection("127.0.0.1", int(port), context=context)
    oracle = Oracle(json.load(open(policy))["items"])
    n = yes = wrong = 0
    headers = {"content-type": "application/json"}

    def answer(method, path, body=None, more={}):
        conn.request(method, path, body, {**headers, **more})
        r = conn.getresponse()
        return r.status, r.read()

    for spec, want in cells(oracle):
        body = json.dumps({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
        status, text = answer("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        got = status == 201 and json.loads(text)["status"]["allowed"]
        # What the server gives everybody without a role: health and version to all, discovery and oneself to who is known.
        n += 1
        yes += want
        if got != want:
            wrong += 1
            if wrong < 20:
                print("differs:", json.dumps(spec), "wanted", want, "got", status, text[:200])
    # The same decisions on requests themselves: a random few of the cells that are reads.
    r = random.Random(seed)
    reads = 0
    for _ in range(1500):
        (user, groups), (group, resource) = r.choice(USERS), r.choice([x for x in RESOURCES if "/" not in x[1] and x[0] != "example.com" and "reviews" not in x[1]])
        ns = r.choice(NAMESPACES[1:]) if resource not in ("nodes", "clusterrolebindings") else ""
        name = r.choice(["", "one", "two"])
        path = (f"/apis/{group}/v1" if group else "/api/v1") + (f"/namespaces/{ns}" if ns else "") + f"/{resource}" + (f"/{name}" if name else "")
        conn.putrequest("GET", path)
        conn.putheader("Impersonate-User", user)
        for g in groups:
            conn.putheader("Impersonate-Group", g)
        conn.endheaders()
        got = conn.getresponse()
        got.read()
        own = groups + ["system:unauthenticated" if user == "system:anonymous" else "system:authenticated"]
        if not groups and user.startswith(SA):
            own += accounts(*user[len(SA):].split(":"))[1]
        want = Oracle.resource(oracle, user, own, "get" if name else "list", group, resource, ns, name) if groups else None
        if want is None:
            continue
        reads += 1
        if (got.status != 403) != want or got.status == 401:
            wrong += 1
            print("differs:", user, "GET", path, "wanted", want, "got", got.status)
    print(f"{n} cells ({yes} allowed), {reads} requests, {wrong} differ from the oracle")
    return 1 if wrong or n < 50000 or not 0.02 < yes / n < 0.9 or reads < 1000 else 0


if sys.argv[1] == "objects":
    json.dump(objects(int(sys.argv[2])), sys.stdout)
else:
    sys.exit(ask(*sys.argv[2:7], int(sys.argv[7])))
