"""What is asked of both servers: every way to read that clients have, and many that they should not."""
import itertools
import json
import urllib.parse

import states

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIALS = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MAPS = "/api/v1/namespaces/r1/configmaps"
THINGS = "/apis/reads.example.com/v1/namespaces/r1/things"
WATCHED = "/api/v1/namespaces/watched/configmaps"


class Question:
    def __init__(self, area, path, accept=None, method="GET", body=None, who="admin", loosely=False, **headers):
        self.area, self.path, self.method, self.body, self.who, self.loosely = area, path, method, body, who, loosely
        self.headers = {k.replace("_", "-"): v for k, v in headers.items()}
        if accept is not None:
            self.headers["Accept"] = accept


def query(**q):
    q = {k: v for k, v in q.items() if v is not None}
    return "?" + urllib.parse.urlencode(q, safe="@") if q else ""


def lists():
    for p in (MAPS, "/api/v1/configmaps", THINGS, "/apis/apps/v1/namespaces/empty/deployments", "/api/v1/namespaces/none/pods", "/apis/reads.example.com/v2/orbs"):
        for rv, match, limit in itertools.product((None, "0", "@after", "@before", "1", "999999999", "x", "-1", "18446744073709551615", "99999999999999999999"), (None, "Exact", "NotOlderThan", "Other"), (None, "2")):
            if (rv in (None, "0", "@after") or p in (MAPS, THINGS)) and not (rv == "999999999" and match != "Exact" and p != MAPS):
                yield Question("list versions", p + query(resourceVersion=rv, resourceVersionMatch=match, limit=limit))
    for token, where in (("@token", MAPS), ("@alltoken", "/api/v1/configmaps"), ("@selecttoken", MAPS), ("@thingtoken", "/apis/reads.example.com/v1/things"), ("@roletoken", "/apis/rbac.authorization.k8s.io/v1/clusterroles"), ("bad", MAPS),
                         ("e30", MAPS), ("eyJ2IjoieCIsInJ2IjoxLCJzdGFydCI6ImEifQ", MAPS), ("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MCwic3RhcnQiOiJhL2IifQ", MAPS), ("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0", MAPS),
                         ("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi94In0", MAPS), ("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoicjEvb25lIn0", MAPS), ("=", MAPS), ("%20", MAPS)):
        for more in ({}, {"limit": 3}, {"resourceVersion": "0"}, {"resourceVersion": "5"}, {"resourceVersionMatch": "Exact", "resourceVersion": "@after"}, {"labelSelector": "page", "limit": 3}):
            yield Question("list continue", where + "?continue=" + token + query(**more).replace("?", "&"))
    for limit in ("0", "1", "2", "500", "-1", "x", "", "1.5", "99999999999999999999"):
        for p in (MAPS, "/api/v1/secrets", THINGS):
            yield Question("list limit", p + "?limit=" + limit)
            yield Question("list limit", p + "?limit=" + limit + "&labelSelector=team")
    for q in ("?timeoutSeconds=x", "?watch=x", "?watch=0", "?watch=false", "?watch=", "?pretty=true", "?pretty=1", "?pretty=false", "?pretty=x", "?pretty", "?allowWatchBookmarks=x", "?sendInitialEvents=true", "?sendInitialEvents=x", "?sendInitialEvents=false",
              "?foo=bar", "?fieldManager=x", "?dryRun=All", "?%zz", "?limit=1&limit=2", "?labelSelector=a%00", "?a;b", "?timeoutSeconds=-1", "?timeoutSeconds=1", "?gracePeriodSeconds=x", "?includeObject=x", "?resourceVersion=", "?resourceVersion=1&resourceVersion=0"):
        for p in (MAPS, MAPS + "/one", THINGS, THINGS + "/t0"):
            if not q.startswith("?watch") or p.endswith("s"):
                yield Question("bad query", p + q + ("&timeoutSeconds=1" if q.startswith("?watch") else ""))


def selectors(kinds):
    labels = ("team=x", "team==x", "team!=x", "team in (x,y)", "team notin (x)", "team", "!team", "team in (x),n=0", "n>0", "n<1", "n>x", "a=", "a", "=a", "a==b==c", "team in x", "team in ()", "team in (", "(team=x)", "te am=x", "a/b/c=x", "-a=x",
              "a=-", "a=" + "x" * 64, "x" * 64 + "=a", "team=x,", ",team=x", "team=x,,n=0", "!team=x", "!!team", "team notin(x,y)", " team = x ", "Team=x", "a.b/c=d", "a=b/c", "team in (x, y, )", "team exists", "n>1,n<3", "$", "a in (b", "a in (b c)",
              "kubernetes.io/metadata.name=r1", "team=é", "team!=", "a>", "a<b", ">a")
    for s in labels:
        for p in ("/api/v1/configmaps", "/apis/reads.example.com/v1/things"):
            yield Question("labels", p + query(labelSelector=s))
    fields = ("metadata.name=one", "metadata.name!=one", "metadata.namespace=r1", "metadata.namespace!=r1", "metadata.name=one,metadata.namespace=r2", "metadata.name", "=", "metadata.name=", "metadata.name==one", "a=b", "metadata.labels=x", "metadata.name in (one)",
              "metadata.name=a\\,b", "metadata.name=a\\", "metadata.name=a\\x", "metadata.name=..", "metadata.name=a/b", "metadata.name>a", ",", "metadata.name=one,", "spec.words=a", "spec.number=3", "spec.text=abc", "metadata.uid=x", "status.phase=Running")
    for s in fields:
        for p in ("/api/v1/configmaps", "/api/v1/namespaces/r1/pods", "/apis/reads.example.com/v1/things", "/apis/reads.example.com/v1beta1/things", "/api/v1/nodes"):
            yield Question("fields", p + query(fieldSelector=s))
    every = ("metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName", "spec.unschedulable", "type",
             "status.replicas", "status.successful", "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "source",
             "reportingComponent", "regarding.kind", "spec.signerName", "spec.clusterIP", "spec.type", "spec.driver", "spec.nodeName", "spec.podName", "spec.attacher", "status.conditions", "name", "spec.providerID", "involvedObject", "spec.replicas")
    done = set()
    for k in kinds:
        if not k.review and (k.group, k.name) not in done:
            done.add((k.group, k.name))
            for f in every:
                yield Question("fields of kinds", k.path("r1") + query(fieldSelector=f + "=one"), accept=PARTIALS)


def forms(kinds):
    done = set()
    for k in kinds:
        if k.review or (k.group, k.name) in done:
            continue
        done.add((k.group, k.name))
        name = {"CustomResourceDefinition": "widgets.one.example.com", "APIService": "v1.one.example.org"}.get(k.name, "one")
        one, all = k.path("r1", name), k.path("r1")
        own = all + "?labelSelector=team"
        for accept in ("application/json", "application/yaml", TABLE, PARTIAL, PROTOBUF, PROTOBUF + ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io"):
            yield Question("get", one, accept)
        for accept in ("application/json", "application/yaml", TABLE, PARTIALS, PROTOBUF, PROTOBUF + ";as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", TABLE.replace("v=v1", "v=v1beta1"), PARTIALS.replace("v=v1", "v=v1beta1")):
            yield Question("list forms", own, accept)
        for include in ("None", "Metadata", "Object"):
            yield Question("table include", own + "&includeObject=" + include, TABLE)
        yield Question("list forms", k.path("empty") + "?labelSelector=nothing", TABLE)
        yield Question("list forms", k.path("empty") + "?labelSelector=nothing", PROTOBUF)
        for sub in sorted(k.subresources - {"proxy", "exec", "attach", "log", "portforward", "eviction", "binding", "token", "finalize", "approval", "ephemeralcontainers", "resize"}):
            for accept in ("application/json", "application/yaml", PROTOBUF, TABLE):
                yield Question("subresources", k.path("r1", name, sub), accept)
        for sub in ("nothing", "status", "scale", "binding", "eviction", "token", "approval", "finalize", "ephemeralcontainers", "resize"):
            yield Question("subresources", k.path("r1", name, sub))
        yield Question("not found", k.path("r1", "absent"))
        yield Question("not found", k.path("r1", "absent"), PROTOBUF)
        yield Question("not found", k.path("r1", "absent", "status"))
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            yield Question("405", k.path("r1", name, "nothing"), method=method, body="{}", Content_Type="application/json")
        yield Question("405", k.path("r1", name), method="POST", body="{}", Content_Type="application/json")
        yield Question("405", all, method="PUT", body="{}", Content_Type="application/json")
        yield Question("405", all, method="PATCH", body="{}", Content_Type="application/merge-patch+json")
        for accept in ("application/json", TABLE, PARTIAL, PROTOBUF + ";stream=watch"):  # nothing but the bookmark
            yield Question("bookmarks", all + "?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&includeObject=None&labelSelector=nothing", accept)
        if k.resource["namespaced"]:
            for accept in ("application/json", TABLE, PARTIALS):
                yield Question("list forms", k.group + "/" + k.resource["name"] + "?labelSelector=team", accept)
            yield Question("not found", k.group + "/" + k.resource["name"] + "/one")
            yield Question("405", k.group + "/" + k.resource["name"], method="POST", body="{}", Content_Type="application/json")
            yield Question("405", k.group + "/" + k.resource["name"], method="DELETE")
    for accept in (TABLE, PARTIAL, PARTIALS, PROTOBUF, "application/yaml"):
        for p in ("/apis/reads.example.com/v1/things", THINGS + "/t0", "/apis/reads.example.com/v1beta1/namespaces/r1/things/t0", "/apis/reads.example.com/v1alpha1/namespaces/r1/things", "/apis/reads.example.com/v2/orbs", "/apis/reads.example.com/v2/orbs/o", THINGS + "/t0/status",
                  THINGS + "/t0/scale", THINGS + "/absent", "/apis/reads.example.com/v3/orbs", "/apis/reads.example.com/v1/orbs", "/apis/reads.example.com/v2/things", THINGS + "/t0/nothing", "/apis/reads.example.com/v2/orbs/o/scale"):
            yield Question("custom", p, accept)
            yield Question("custom", p)
    for include in ("None", "Metadata", "Object", "x", ""):
        for p in (MAPS, MAPS + "/one", THINGS, THINGS + "/t0"):
            yield Question("table include", p + "?includeObject=" + include, TABLE)


def watches():
    """Each ends by itself after a second or two."""
    def ask(p, accept=None, **q):
        return Question("watch", p + query(watch="true", timeoutSeconds="1", **q), accept)
    accepts = (None, TABLE, PARTIAL, "application/yaml", PROTOBUF + ";stream=watch", PROTOBUF, PROTOBUF + ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io;stream=watch", "application/json;stream=watch", "text/plain", "*/*", PARTIALS,
               TABLE + "," + PARTIAL, "application/json;as=Table;v=v1beta1;g=meta.k8s.io", "application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io")
    pods, things = "/api/v1/namespaces/watched/pods", "/apis/reads.example.com/v1/namespaces/watched/things"
    for a in accepts:
        for p in (WATCHED, things, pods):
            yield ask(p, a, resourceVersion="@before")
            yield ask(p, a, resourceVersion="@after")
        yield ask(MAPS, a, resourceVersion="0")
        yield ask(MAPS, a)
        yield ask(THINGS, a)
        yield ask(MAPS, a, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true")
        yield ask(MAPS, a, resourceVersion="1")
        yield ask(THINGS, a, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true")
        yield ask(MAPS, a, fieldSelector="metadata.name=one")
        yield ask(WATCHED, a, labelSelector="in=yes", resourceVersion="@before")
        yield ask(things, a, fieldSelector="spec.words=a", resourceVersion="@before")
    for s in ("in=yes", "in=no", "in!=yes", "in", "!in", "other"):
        for rv in ("@before", "@made", "@after", "0", None):
            yield ask(WATCHED, labelSelector=s, resourceVersion=rv)
    for s in ("status.phase=Running", "status.phase!=Running", "spec.nodeName=one", "spec.nodeName=", "metadata.name=p", "metadata.name=q", "bad=x"):
        for a in (None, TABLE, PARTIAL, PROTOBUF + ";stream=watch"):
            yield ask(pods, a, fieldSelector=s, resourceVersion="@before")
    for send, match, rv, marks in itertools.product((None, "true", "false"), (None, "NotOlderThan", "Exact", "x"), (None, "0", "@after", "1", "999999999", "x"), (None, "true")):
        if not (rv == "999999999" and send == "true" and marks is None):
            yield ask(WATCHED, sendInitialEvents=send, resourceVersionMatch=match, resourceVersion=rv, allowWatchBookmarks=marks)
    for p in ("/api/v1/watch/configmaps", "/api/v1/watch/namespaces/watched/configmaps", "/api/v1/watch/namespaces/watched/configmaps/w0", "/api/v1/watch/namespaces/r1", "/api/v1/watch/namespaces", "/api/v1/watch/nodes/one", "/apis/apps/v1/watch/deployments",
              "/apis/reads.example.com/v1/watch/things", "/apis/reads.example.com/v1/watch/namespaces/watched/things", "/api/v1/watch/nothing", "/api/v1/watch", "/api/v1/watch/namespaces/watched/pods/p/log", "/api/v1/watch/componentstatuses"):
        yield Question("watch paths", p + "?timeoutSeconds=1&resourceVersion=@before&labelSelector=space!=q")
        yield Question("watch paths", p + "?timeoutSeconds=1&resourceVersion=@before&watch=false&limit=1")
        yield Question("watch paths", p, method="POST", body="{}", Content_Type="application/json")
    for p in (MAPS + "/one", "/api/v1/namespaces/watched/configmaps/w0", "/api/v1/namespaces/r1", "/api/v1/nodes/one", THINGS + "/t0", "/apis/reads.example.com/v2/orbs", "/api/v1/namespaces/r1/configmaps/absent", "/api/v1/componentstatuses", "/api/v1/namespaces/none/pods",
              "/apis/authentication.k8s.io/v1/tokenreviews", "/api/v1/namespaces/r1/pods/one/log", "/api/v1/namespaces/r1/pods/one/status", "/api/v1"):
        yield ask(p)
    for q in ("timeoutSeconds=x", "timeoutSeconds=-1", "limit=1", "continue=x", "pretty=true", "labelSelector==a", "resourceVersion=-1"):
        yield Question("watch", WATCHED + "?watch=1&resourceVersion=@before&" + q + ("" if "timeout" in q else "&timeoutSeconds=1"))


def negotiation():
    accepts = ("", "*/*", "application/*", "text/plain", "text/html", "image/png", "application/json", "application/yaml", "application/xml", "application/json;q=0.1,application/yaml;q=0.9", "application/yaml;q=0.1,application/json", "application/cbor",
               "application/vnd.kubernetes.protobuf;q=0.1, */*;q=0.9", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json;q=0", "application/json;q=x", "a", ",", ";", "application/json;as=Table", "application/json;as=Table;v=v2;g=meta.k8s.io",
               "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "application/json;as=Other;v=v1;g=meta.k8s.io", "application/yaml;as=Table;v=v1;g=meta.k8s.io", PROTOBUF + ";as=Table;v=v1;g=meta.k8s.io", "application/json;pretty=1", "application/json;pretty=0",
               "application/json;charset=utf-8", "application/json; charset=UTF-8", "APPLICATION/JSON", "application/json;stream=watch", "application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
               "application/json;profile=nested", "application/*;q=0.5,application/yaml;q=0.6", "application/json;as=Table;v=v1;g=meta.k8s.io;q=0.1,application/yaml", "application/apply-patch+yaml", "text/yaml", "*/json", "*", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
               "application/json;export=1", "application/json,application/yaml", "application/yaml,application/json", "*/*,application/yaml", "text/*")
    for a in accepts:
        for p in (MAPS, MAPS + "/one", MAPS + "/absent", THINGS, THINGS + "/t0", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/healthz", "/", "/openapi/v2", "/openapi/v3", "/apis/nothing", "/nothing", "/apis/apps/v1/nothing", "/metrics", "/openid/v1/jwks"):
            yield Question("accept", p, a, loosely=p in ("/openapi/v2", "/openapi/v3", "/metrics", "/version", "/", "/openid/v1/jwks"))
        yield Question("accept", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", a, "POST", '{"spec":{"nonResourceAttributes":{"path":"/","verb":"get"}}}', Content_Type="application/json")
    for t in ("", "application/json", "application/yaml", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "application/vnd.kubernetes.protobuf", "application/cbor", "APPLICATION/JSON", "application/*", "*/*", "x", ";", "application/merge-patch+json", "text/yaml", "application/xml"):
        for p, b in (("/api/v1/namespaces/r1/configmaps?dryRun=All", '{"metadata":{"name":"new"}}'), ("/apis/reads.example.com/v1/namespaces/r1/things?dryRun=All", '{"kind":"Thing","apiVersion":"reads.example.com/v1","metadata":{"name":"new"},"spec":{}}')):
            yield Question("content type", p, method="POST", body=b, Content_Type=t)
            yield Question("content type", p.replace("?", "/one?"), method="PATCH", body='{"metadata":{"labels":{"a":"b"}}}', Content_Type=t)
            yield Question("content type", p.replace("?", "/one?"), method="PUT", body=b, Content_Type=t)
            yield Question("content type", p.replace("?", "/absent?"), method="DELETE", body='{}', Content_Type=t)
    for t in ("application/json-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/apply-patch+cbor", "application/strategic-merge-patch+yaml"):
        for p in (MAPS + "/one?dryRun=All", THINGS + "/t0?dryRun=All"):
            yield Question("content type", p, method="PATCH", body="[]", Content_Type=t)
    for e in ("gzip", "gzip;q=0", "deflate", "br", "identity", "*", "gzip, deflate", "GZIP", "deflate, gzip;q=0.5", "x"):
        for p in (MAPS, MAPS + "/one", "/api/v1/secrets", "/api/v1/namespaces/r2/secrets/big", "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/api", "/apis", "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1", "/metrics", "/version", "/api/v1/namespaces/r1/configmaps/absent",
                  "/api/v1/configmaps?watch=1&timeoutSeconds=1"):
            yield Question("encoding", p, Accept_Encoding=e, loosely=p in ("/metrics", "/version") or p.startswith("/openapi") or p.endswith("clusterroles"))
    for m in ("HEAD", "OPTIONS", "TRACE", "CONNECT", "FOO", "get"):
        for p in (MAPS, MAPS + "/one", MAPS + "/absent", THINGS, THINGS + "/t0", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/healthz", "/livez", "/readyz/ping", "/", "/openapi/v2", "/openapi/v3", "/nothing", "/metrics", "/.well-known/openid-configuration",
                  "/apis/reads.example.com", "/apis/reads.example.com/v1", "/openapi/v3/api/v1", "/apis/nothing"):
            if m != "CONNECT":
                yield Question("methods", p, method=m, loosely=p.startswith("/openapi") or p in ("/metrics", "/version", "/"))
    for m in ("POST", "PUT", "DELETE", "PATCH"):
        for p in ("/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/healthz", "/livez/ping", "/", "/openapi/v2", "/openapi/v3", "/nothing", "/metrics", "/openid/v1/jwks", "/apis/reads.example.com/v1", "/logs", "/debug/pprof/", "/apis/nothing/v1", "/openapi/v3/api/v1"):
            yield Question("methods", p, method=m, body="{}", Content_Type="application/json", loosely=p.startswith("/openapi") or p in ("/version", "/metrics", "/"))
    for agent in ("curl/8.0", "Wget/1.0", "Mozilla/5.0 (X11)", "kubectl/v1.36"):
        for p in (MAPS, MAPS + "/one", "/api/v1", MAPS + "/absent", THINGS):
            yield Question("pretty", p, User_Agent=agent)
            yield Question("pretty", p, TABLE, User_Agent=agent)
            yield Question("pretty", p + "?pretty=false", User_Agent=agent)
    for p in (MAPS, MAPS + "/one", "/api/v1", "/apis", MAPS + "/absent", THINGS, WATCHED + "?watch=1&timeoutSeconds=1"):
        for a in (None, TABLE, PARTIAL, PROTOBUF, "application/yaml"):
            yield Question("pretty", p + ("&" if "?" in p else "?") + "pretty=true", a)


def documents():
    groups = ["/apis/" + g for g in ("apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "admissionregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io",
                                     "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io", "node.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "reads.example.com")]
    versions = ["/api/v1"] + [g + "/v1" for g in groups] + ["/apis/autoscaling/v2", "/apis/reads.example.com/v2", "/apis/reads.example.com/v1beta1", "/apis/reads.example.com/v1alpha1"]
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    for p in ["/api", "/apis"] + groups + versions + ["/api/", "/apis/", "/api/v1/", "/apis/apps/", "/apis/apps/v1/", "/api/v2", "/apis/apps/v2", "/apis/nothing", "/apis/nothing/v1", "/api/v1//", "//api", "/apis//apps"]:
        for a in ("application/json", PROTOBUF, "application/yaml"):
            yield Question("discovery", p, a)
    for p in ("/api", "/apis"):
        for a in (aggregated, aggregated.replace("v=v2", "v=v2beta1"), aggregated.replace("json", "yaml"), aggregated.replace("application/json", PROTOBUF), aggregated + ",application/json", aggregated.replace("v=v2", "v=v3") + ",application/json", aggregated + ";profile=nopeer", aggregated.replace(";v=v2", ""),
                  aggregated + "," + aggregated.replace("v=v2", "v=v2beta1") + ",application/json"):
            yield Question("discovery", p, a)
    for p in versions + ["/version", "/apis/nothing/v1", "/api/v2", "/apis/reads.example.com/v9"]:
        yield Question("openapi", "/openapi/v3" + (p if p != "/version" else "/version"))
    for p in ("/openapi/v3", "/openapi/v3/", "/openapi/v3/apis", "/openapi/v3/apis/apps", "/openapi/v3/.well-known/openid-configuration", "/openapi/v3/openid/v1/jwks", "/openapi/v3/api", "/openapi/v3/logs", "/openapi/v3/nothing", "/openapi/v2/", "/openapi", "/openapi/v3/healthz"):
        yield Question("openapi", p)
    for a in ("application/json", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", "*/*", "text/plain",
              "application/yaml", "application/json;q=0.5", "application/*"):
        yield Question("openapi headers", "/openapi/v2", a, loosely=True)
        yield Question("openapi headers", "/openapi/v3/api/v1", a, loosely=True)
        yield Question("openapi headers", "/openapi/v3", a, loosely=True)
    yield Question("openapi v2", "/openapi/v2", "application/json")
    for h in ("*", '"x"', "x"):
        yield Question("openapi headers", "/openapi/v3/apis/apps/v1", If_None_Match=h, loosely=True)
        yield Question("openapi headers", "/openapi/v2", If_None_Match=h, loosely=True)
        yield Question("openapi headers", "/apis", aggregated, If_None_Match=h, loosely=True)
    yield Question("openapi headers", "/openapi/v3/apis/apps/v1?hash=x")
    for p in ("/version", "/version/", "/version/x", "/.well-known/openid-configuration", "/openid/v1/jwks", "/openid/v1", "/.well-known", "/", "/index.html", "/logs", "/logs/", "/debug", "/debug/", "/debug/pprof", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/flags/v", "/debug/api_priority_and_fairness",
              "/debug/api_priority_and_fairness/dump_priority_levels", "/debug/api_priority_and_fairness/dump_queues", "/debug/api_priority_and_fairness/dump_requests", "/metrics", "/metrics/slis", "/metrics/x", "/healthz", "/livez", "/readyz", "/healthz/", "/livez/", "/healthz/ping", "/healthz/log",
              "/healthz/etcd", "/livez/etcd", "/readyz/etcd", "/readyz/informer-sync", "/readyz/shutdown", "/readyz/etcd-readiness", "/healthz/poststarthook/start-apiextensions-controllers", "/healthz/poststarthook", "/livez/poststarthook/rbac/bootstrap-roles", "/healthz/autoregister-completion",
              "/healthz/nothing", "/livez/nothing", "/healthz?verbose", "/livez?verbose", "/readyz?verbose", "/healthz?verbose=1", "/healthz?verbose&exclude=etcd", "/livez?exclude=etcd", "/livez?exclude=nothing", "/readyz?exclude=nothing&verbose", "/livez?exclude=ping&exclude=etcd&verbose", "/livez/etcd?verbose",
              "/livez?allow=x", "/readyz?exclude=a&exclude=b", "/statusz", "/flagz", "/configz", "/controllers/", "/ui", "/swagger.json", "/swaggerapi", "/swagger-2.0.0.json", "/favicon.ico", "/a/b/c", "/api/v1x", "/apix", "/API", "/..", "/./api", "/api/../version", "/%2e%2e/api", "/api%2Fv1", "/healthz%00",
              "/validate", "/exec", "/pods", "/proxy", "/openid", "/openid/v1/jwks/", "/.well-known/openid-configuration/", "/.well-known/oauth-authorization-server", "/static", "/robots.txt"):
        loosely = p.startswith(("/metrics", "/debug/api_priority", "/debug/flags", "/debug/pprof", "/openid/v1/jwks", "/version", "/statusz", "/flagz")) or p in ("/logs", "/logs/")
        for who in ("admin", "anonymous"):
            yield Question("paths", p, who=who, loosely=loosely)
        yield Question("paths", p, Impersonate_User="jane", loosely=loosely)
    for a in (None, "text/plain", "application/openmetrics-text", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", "*/*", "application/json", "text/plain;version=0.0.4", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"):
        yield Question("metrics", "/metrics", a, loosely=True)
        yield Question("metrics", "/metrics/slis", a, loosely=True)
    for p in ("/statusz", "/flagz"):
        for a in (None, "text/plain", "application/json", "*/*", "application/json;as=Statusz;v=v1alpha1;g=config.k8s.io"):
            yield Question("paths", p, a, loosely=True)


def errors():
    json_type = {"Content_Type": "application/json"}
    for who in ({}, {"Impersonate_User": "jane"}, {"Impersonate_User": "system:serviceaccount:r1:default"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}, {"Impersonate_Group": "x"}, {"Impersonate_Uid": "x"}, {"Impersonate_User": "jane", "Impersonate_Group": "system:masters"}):
        for as_who in ("admin", "anonymous"):
            for method, p in (("GET", MAPS), ("GET", MAPS + "/one"), ("GET", "/api/v1/nodes"), ("GET", "/api/v1/nodes/one"), ("GET", "/api/v1/namespaces/r1"), ("GET", THINGS), ("GET", "/apis/apps/v1/deployments"), ("GET", "/apis/apps/v1/namespaces/r1/deployments/one/scale"), ("GET", "/api/v1/namespaces/r1/pods/one/log"),
                              ("GET", MAPS + "?watch=1&timeoutSeconds=1"), ("DELETE", MAPS), ("POST", MAPS), ("PUT", MAPS + "/one"), ("PATCH", MAPS + "/one"), ("DELETE", MAPS + "/absent"), ("GET", "/apis/nothing/v1/x"), ("GET", "/api/v1/namespaces/r1/nothing"), ("GET", "/nothing"), ("GET", "/apis"), ("GET", "/api/v1"), ("GET", "/healthz"),
                              ("GET", "/metrics"), ("GET", "/"), ("OPTIONS", MAPS), ("GET", "/api/v1/namespaces/r1/pods/one/exec?command=x"), ("GET", MAPS + "?fieldSelector=metadata.name=one"), ("GET", "/version"), ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")):
                if who or as_who == "anonymous":
                    if method in ("DELETE", "POST", "PUT", "PATCH") and as_who == "admin" and (who.get("Impersonate_User") not in ("jane", "system:serviceaccount:r1:default") or "Impersonate_Group" in who):
                        continue  # who may write
                    yield Question("who", p, method=method, who=as_who, body="{}" if method in ("POST", "PUT", "PATCH") else None, loosely=p in ("/metrics", "/version", "/"), **who, **(json_type if method != "GET" else {}))
    for a in (None, "application/yaml", PROTOBUF, TABLE, PARTIAL, "text/plain", PROTOBUF + ";stream=watch", "*/*"):
        yield Question("error forms", MAPS + "/absent", a)
        yield Question("error forms", MAPS + "?limit=x", a)
        yield Question("error forms", MAPS + "?watch=1&labelSelector==", a)
        yield Question("error forms", MAPS + "?fieldSelector=a=b", a)
        yield Question("error forms", MAPS, a, Impersonate_User="jane")
        yield Question("error forms", MAPS, a, who="anonymous", Authorization="Bearer x")
        yield Question("error forms", "/api/v1/nothing", a)
        yield Question("error forms", "/apis/nothing/v1/x", a)
        yield Question("error forms", MAPS, a, "PUT", "{}", **json_type)
        yield Question("error forms", MAPS, a, "POST", '{"metadata":{"name":"one"}}', **json_type)
        yield Question("error forms", MAPS, a, "POST", '{"metadata":{"name":"_"}}', **json_type)
        yield Question("error forms", MAPS, a, "POST", '{"kind":"Pod","apiVersion":"v1"}', **json_type)
        yield Question("error forms", MAPS, a, "POST", "{", **json_type)
        yield Question("error forms", MAPS, a, "POST", "", **json_type)
        yield Question("error forms", MAPS, a, "POST", "x" * 3200000, **json_type)
        yield Question("error forms", MAPS + "/one", a, "PUT", '{"metadata":{"name":"one","resourceVersion":"1"}}', **json_type)
        yield Question("error forms", MAPS + "/one", a, "PUT", '{"metadata":{"name":"two"}}', **json_type)
        yield Question("error forms", MAPS + "/one", a, "PATCH", "[1]", Content_Type="application/json-patch+json")
        yield Question("error forms", MAPS + "/one", a, "PATCH", "{}", Content_Type="text/plain")
        yield Question("error forms", MAPS, a, "POST", "{}", Content_Type="text/plain")
        yield Question("error forms", WATCHED + "?watch=1&timeoutSeconds=1&resourceVersion=1", a)
        yield Question("error forms", MAPS + "?continue=x", a)
        yield Question("error forms", THINGS, a, "POST", '{"kind":"Thing","apiVersion":"reads.example.com/v1","metadata":{"name":"x"},"spec":{"number":"x"}}', **json_type)
        yield Question("error forms", THINGS + "/absent", a)
        yield Question("error forms", "/apis/reads.example.com/v1/nothing", a)
        yield Question("error forms", MAPS + "/absent", a, "DELETE")
        yield Question("error forms", MAPS + "/absent?dryRun=x", a, "DELETE")
        yield Question("error forms", "/api/v1/namespaces/r1/pods/absent/log", a)
        yield Question("error forms", "/api/v1/namespaces/r1/pods/one/log?container=x", a)
        yield Question("error forms", MAPS + "?resourceVersion=999999999", a)
    for p in ("/api/v1/nothing", "/api/v1/namespaces/r1/nothing", "/api/v1/namespaces/r1/nothing/x", "/api/v2/pods", "/apis/apps/v2/deployments", "/apis/nothing/v1/x", "/apis/apps/v1/pods", "/api/v1/namespaces/r1/nodes", "/api/v1/namespaces/r1/nodes/one", "/api/v1/namespaces/r1/namespaces", "/api/v1/namespaces//pods",
              "/api/v1//pods", "/api/v1/namespaces/r1/pods/", "/api/v1/pods/one", "/api/v1/namespaces/r1/pods/one/a/b", "/api/v1/namespaces/r1/pods/one/status/x", "/api/v1/namespaces/none", "/api/v1/namespaces/r1/pods/UPPER", "/api/v1/namespaces/r1/pods/" + "x" * 300, "/api/v1/namespaces/r1/pods/%2e%2e", "/api/v1/namespaces/r1/pods/a%2Fb",
              "/api/v1/namespaces/r1/pods/..", "/api/v1/namespaces/../pods", "/api/v1/namespaces/r1/pods/a b".replace(" ", "%20"), "/apis/apps/v1/namespaces/r1/deployments/one/scale/x", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/apis/authorization.k8s.io/v1/localsubjectaccessreviews",
              "/apis/authorization.k8s.io/v1/namespaces/r1/localsubjectaccessreviews", "/apis/authentication.k8s.io/v1/tokenreviews/x", "/api/v1/bindings", "/api/v1/namespaces/r1/bindings", "/api/v1/namespaces/r1/bindings/x", "/api/v1/componentstatuses", "/api/v1/componentstatuses/etcd-0", "/api/v1/componentstatuses/scheduler",
              "/api/v1/componentstatuses/controller-manager", "/api/v1/componentstatuses/nothing", "/api/v1/componentstatuses?labelSelector=a", "/api/v1/componentstatuses?fieldSelector=metadata.name=etcd-0", "/api/v1/componentstatuses?limit=1"):
        for a in (None, TABLE, PROTOBUF):
            yield Question("odd paths", p, a)
    nodes = ("one", "one:10250", "https:one:10250", "http:one:10250", "https:one:", "absent", "one:x", "ftp:one:1", "http:one:", "a:b:c:d", ":", "one:", "https:absent:1")
    for n in nodes:
        for p in (f"/api/v1/nodes/{n}/proxy", f"/api/v1/nodes/{n}/proxy/", f"/api/v1/nodes/{n}/proxy/healthz", f"/api/v1/namespaces/r1/pods/{n}/proxy", f"/api/v1/namespaces/r1/pods/{n}/proxy/x", f"/api/v1/namespaces/r1/services/{n}/proxy", f"/api/v1/namespaces/r1/services/{n}/proxy/x?y=z"):
            yield Question("proxy", p)


def protobufs():
    """Bodies in protobuf: ConfigMap, Namespace, DeleteOptions, a patch of metadata."""
    def field(n, b):
        return varint(n << 3 | 2) + varint(len(b)) + b

    def varint(n):
        out = b""
        while n > 0x7F:
            out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
        return out + bytes([n])

    def envelope(version, kind, raw):
        return b"k8s\0" + field(1, field(1, version.encode()) + field(2, kind.encode())) + field(2, raw) + field(3, b"") + field(4, b"")
    meta = field(1, b"new") + field(11, field(1, b"l") + field(2, b"v"))
    body = field(1, meta) + field(2, field(1, b"k") + field(2, b"v"))
    cases = {"good": envelope("v1", "ConfigMap", body), "no type": envelope("", "", body), "other kind": envelope("v1", "Pod", body), "other version": envelope("v2", "ConfigMap", body), "unknown field": envelope("v1", "ConfigMap", body + field(77, b"x")), "cut": envelope("v1", "ConfigMap", body)[:-9],
             "no envelope": body, "empty": b"", "only magic": b"k8s\0", "bad wire": envelope("v1", "ConfigMap", b"\x0f\x01"), "bad text": envelope("v1", "ConfigMap", field(1, field(1, b"\xff"))), "json": b'{"metadata":{"name":"new"}}', "no name": envelope("v1", "ConfigMap", field(1, b""))}
    for b in cases.values():
        for a in (None, PROTOBUF):
            yield Question("protobuf bodies", MAPS + "?dryRun=All", a, "POST", b, Content_Type=PROTOBUF)
            yield Question("protobuf bodies", MAPS + "/one?dryRun=All", a, "PUT", b.replace(b"new", b"one"), Content_Type=PROTOBUF)
        yield Question("protobuf bodies", "/api/v1/namespaces/r1/pods?dryRun=All", None, "POST", b, Content_Type=PROTOBUF)
        yield Question("protobuf bodies", THINGS + "?dryRun=All", None, "POST", b, Content_Type=PROTOBUF)
        yield Question("protobuf bodies", MAPS + "/absent", None, "DELETE", b, Content_Type=PROTOBUF)
    options = field(1, b"\x08\x05")
    for kind in ("DeleteOptions", "Other"):
        for raw in (b"\x08\x00", b"\x22\x0aBackground", b"\x22\x01x", options, field(2, field(1, b"x")), field(5, b"All")):
            yield Question("protobuf bodies", MAPS + "/absent", PROTOBUF, "DELETE", envelope("v1", kind, raw), Content_Type=PROTOBUF)


def tables():
    """What is told of objects in every state."""
    for p in states.PATHS:
        yield Question("table states", p + "?includeObject=None", TABLE)
        yield Question("table states", p + "?includeObject=None&watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", TABLE)
        for f in ("status.phase=Running", "status.phase!=Running", "spec.nodeName=", "spec.nodeName=state-ready", "type=NodePort", "spec.type=ExternalName", "status.successful=1", "involvedObject.kind=Pod", "reason=R", "type=Warning", "spec.unschedulable=true"):
            yield Question("table states", p + query(fieldSelector=f, includeObject="None"), TABLE)


def all(kinds):
    yield from tables()
    yield from lists()
    yield from selectors(kinds)
    yield from forms(kinds)
    yield from watches()
    yield from negotiation()
    yield from documents()
    yield from errors()
    yield from protobufs()
