"""Other servers that an API server calls on for a request: conversion webhooks, aggregated servers, nodes."""
import os
import tempfile
import time

from . import listener, sides
from .hooks import APPLY, JSON_PATCH, MERGE, NS

GROUP = "conv.example.com"
THINGS = f"/apis/{GROUP}/%s/namespaces/observed/convs"


def definition(word):
    any = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "convs." + GROUP}, "spec": {
        "group": GROUP, "scope": "Namespaced", "names": {"plural": "convs", "singular": "conv", "kind": "Conv", "listKind": "ConvList"},
        "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v9", "v1", "v1beta1"], "clientConfig": {"url": "{{hook}}/" + word + "/c", "caBundle": "{{ca}}"}}},
        "versions": [{"name": v, "served": True, "storage": v == "v1", "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                      "additionalPrinterColumns": [{"name": "In", "type": "string", "jsonPath": ".apiVersion"}],
                      "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": any, "status": any}}}} for v in ("v1", "v2", "v3")]}}


def conversions(pair):
    pair.both("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition("convert"))
    pair.until("the definition is not served", lambda s: s.ask("GET", THINGS % "v3").status == 200)
    step = lambda label, *a, **k: pair.step("conversion", label, *a, rename=("gen-",), **k)
    o = lambda v, name, **spec: {"apiVersion": f"{GROUP}/{v}", "kind": "Conv", "metadata": {"name": name}, "spec": {"text": name, **spec}}
    step("stored version", "POST", THINGS % "v1", o("v1", "a"))
    step("another version", "POST", THINGS % "v2", o("v2", "b"))
    step("another, dry", "POST", THINGS % "v2?dryRun=All", o("v2", "dry"))
    step("generated", "POST", THINGS % "v2", {**o("v2", "x"), "metadata": {"generateName": "gen-"}})
    for v in ("v1", "v2", "v3"):
        things = THINGS % v
        step("get", "GET", things + "/a")
        step("get as table", "GET", things + "/a", None, {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
        step("get as partial", "GET", things + "/b", None, {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"})
        step("list", "GET", things)
        step("list page", "GET", things + "?limit=1")
        step("list by name", "GET", things + "?fieldSelector=metadata.name%3Da")
        step("list none", "GET", things + "?labelSelector=none")
        step("list as table", "GET", things, None, {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
        step("watch", "GET", things + "?watch=1&timeoutSeconds=1")
        step("watch from the list", "GET", things + "?watch=1&timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name%3Db")
        step("patch", "PATCH", things + "/a", {"spec": {"patched": v}}, MERGE)
        step("no-op patch", "PATCH", things + "/a", {"spec": {"patched": v}}, MERGE)
        step("json patch", "PATCH", things + "/b", [{"op": "add", "path": "/spec/j", "value": v}], JSON_PATCH)
        step("apply", "PATCH", things + f"/b?fieldManager=m-{v}", {"apiVersion": f"{GROUP}/{v}", "kind": "Conv", "metadata": {"name": "b"}, "spec": {"applied-" + v: 1}}, APPLY)
        step("apply again", "PATCH", things + f"/b?fieldManager=m-{v}", {"apiVersion": f"{GROUP}/{v}", "kind": "Conv", "metadata": {"name": "b"}, "spec": {"applied-" + v: 1}}, APPLY)
        step("status", "PATCH", things + "/a/status", {"status": {"v": v}}, MERGE)
        step("scale", "GET", things + "/a/scale")
        step("scale patch", "PATCH", things + "/a/scale", {"spec": {"replicas": 3}}, MERGE)
        step("delete", "DELETE", things + "/b?dryRun=All")
        step("collection", "DELETE", things + "?dryRun=All")
    step("delete", "DELETE", THINGS % "v2" + "/b")
    for i in range(5):
        pair.both("POST", THINGS % ("v2" if i % 2 else "v1"), o("v2" if i % 2 else "v1", f"n{i}"))
    step("longer list", "GET", THINGS % "v2")
    step("longer page", "GET", THINGS % "v2?limit=3")
    step("longer watch", "GET", THINGS % "v3?watch=1&timeoutSeconds=1")
    for word in ("conv-failure", "conv-failure-plain", "conv-no-response", "conv-uid", "conv-count", "conv-version", "conv-kind", "conv-name", "conv-labels", "conv-meta", "conv-null", "conv-result", "500", "404", "garbage", "none", "empty-object", "other-kind", "conv-empty"):
        for s in pair.sides:
            a = s.ask("PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/convs." + GROUP, {"spec": {"conversion": {"webhook": {"clientConfig": {"url": "{{hook}}/" + word + "/c"}}}}}, MERGE)
        pair.until("the new webhook is not asked", lambda s: (s.listener.take(), s.ask("GET", THINGS % "v3" + "/n0"), any("/" + word in c["path"] for c in s.listener.take()))[2])
        step(word, "GET", THINGS % "v2" + "/a")
        step(word, "GET", THINGS % "v2")
        step(word, "POST", THINGS % "v2", o("v2", "z"))
        step(word, "PATCH", THINGS % "v2" + "/a", {"spec": {"q": 1}}, MERGE)
        step(word, "GET", THINGS % "v2?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Da")
        pair.both("DELETE", THINGS % "v1" + "/z")
    step("delete in another", "DELETE", THINGS % "v2" + "/a")
    pair.both("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/convs." + GROUP)


def reached(pair):
    """A service whose endpoint is the listener."""
    pair.both("POST", NS + "/services", {"metadata": {"name": "observer"}, "spec": {"ports": [{"name": "a", "port": 443}]}})
    for s in pair.sides:
        s.ask("POST", "/apis/discovery.k8s.io/v1/namespaces/observed/endpointslices", {"metadata": {"name": "observer", "labels": {"kubernetes.io/service-name": "observer"}}, "addressType": "IPv4",
              "endpoints": [{"addresses": ["198.51.100.1"], "conditions": {"ready": True}}], "ports": [{"name": "a", "port": s.listener.port, "protocol": "TCP"}]})
        s.ask("POST", NS + "/endpoints", {"metadata": {"name": "observer"}, "subsets": [{"addresses": [{"ip": "198.51.100.1"}], "ports": [{"name": "a", "port": s.listener.port}]}]})


def aggregation(pair):
    reached(pair)
    pair.both("POST", "/apis/apiregistration.k8s.io/v1/apiservices", {"metadata": {"name": "v1.agg.example.com"}, "spec": {"group": "agg.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10, "caBundle": "{{ca}}", "service": {"name": "observer", "namespace": "observed", "port": 443}}})
    at = "/apis/agg.example.com/v1"
    pair.until("the aggregated group is not served", lambda s: s.ask("GET", at + "/agg-200").status == 200)
    time.sleep(2)
    only = lambda calls: [c for c in calls if "agg-" in c["path"]]
    for s in pair.sides:
        take = s.listener.take
        s.listener.take = lambda take=take: only(take())
    step = lambda label, *a, **k: pair.step("aggregation", label, *a, **k)
    for path in ("/agg-200", "/agg-200/", "/agg-200?x=y&watch=1", "/agg-200/a%20b%2Fc//d", "/namespaces/observed/things/agg-200", "/agg-404", "/agg-500", "/agg-302", "/agg-json", "/agg-warning", "/agg-headers", "/agg-204", "/agg-text"):
        for method, body in (("GET", None), ("POST", {"a": 1}), ("PUT", {"a": 1}), ("PATCH", {"a": 1}), ("DELETE", None), ("HEAD", None), ("OPTIONS", None)):
            step(path, method, at + path, body, MERGE if method == "PATCH" else {}, loosely=method == "HEAD")
    users = ({"Impersonate-User": "ann", "Impersonate-Group": "system:masters", "Impersonate-Uid": "u7", "Impersonate-Extra-Scopes%2Fa": "one", "Impersonate-Extra-B": "two"}, {"X-Remote-User": "evil", "X-Remote-Group": "evil", "X-Remote-Extra-Evil": "1", "X-Remote-Uid": "1"},
             {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "h", "X-Forwarded-Uri": "/u", "X-Real-Ip": "192.0.2.2", "Forwarded": "for=x"}, {"Accept-Encoding": "gzip", "Cookie": "a=b", "Te": "trailers", "Custom": "x", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
             {"User-Agent": ""}, {"Accept": "", "Content-Type": "odd/type"}, {"Upgrade": "websocket", "Connection": "Upgrade"}, {"Connection": "close, Custom", "Custom": "hop"}, {"Origin": "https://x"}, {"Expect": "100-continue"}, {"If-None-Match": "\"x\"", "Range": "bytes=0-1"})
    for head in users:
        step(str(head)[:60], "GET", at + "/agg-200", None, head)
        step(str(head)[:60], "POST", at + "/agg-200", {"a": 1}, head)
    for method, path in (("GET", "/apis"), ("GET", "/apis/agg.example.com"), ("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.agg.example.com"), ("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.agg.example.com/status")):
        step("documents", method, path, calls=False)
    bare = [sides.Server(s.kubeconfig, credentials=False) for s in pair.sides]
    step("stranger", "GET", at + "/agg-200", servers=bare)
    pair.both("DELETE", NS + "/endpoints/observer")
    pair.both("DELETE", "/apis/discovery.k8s.io/v1/namespaces/observed/endpointslices/observer")
    time.sleep(1.5)
    step("no endpoints", "GET", at + "/agg-200")
    pair.both("DELETE", NS + "/services/observer")
    time.sleep(1.5)
    step("no service", "GET", at + "/agg-200")
    pair.both("DELETE", "/apis/apiregistration.k8s.io/v1/apiservices/v1.agg.example.com")
    for s in pair.sides:
        del s.listener.take


def nodes(pair):
    """A node whose kubelet is the listener: what of a request gets through to it."""
    pki = os.path.join(os.path.dirname(os.path.abspath(pair.sides[0].kubeconfig)), "ours", "pki", "ca")
    with tempfile.TemporaryDirectory() as folder:
        listener.certificates(folder, ["DNS:heard", "IP:198.51.100.1"], pki)
        for s in pair.sides:
            s.listener.shows(folder)
    for s in pair.sides:
        s.ask("POST", "/api/v1/nodes", {"metadata": {"name": "heard"}})
        s.ask("PATCH", "/api/v1/nodes/heard/status", {"status": {"addresses": [{"type": "InternalIP", "address": "198.51.100.1"}], "daemonEndpoints": {"kubeletEndpoint": {"Port": s.listener.port}}, "conditions": [{"type": "Ready", "status": "True"}]}}, MERGE)
        s.ask("POST", NS + "/pods", {"metadata": {"name": "on"}, "spec": {"nodeName": "heard", "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}, {"name": "d", "image": "i"}]}})
        s.ask("PATCH", NS + "/pods/on/status", {"status": {"phase": "Running", "podIP": "198.51.100.1", "podIPs": [{"ip": "198.51.100.1"}]}}, {"Content-Type": "application/strategic-merge-patch+json"})
    step = lambda label, *a, **k: pair.step("nodes", label, *a, **k)
    for q in ("", "?container=c", "?container=c&follow=true&tailLines=3&limitBytes=9&sinceSeconds=5&previous=true&timestamps=true&pretty=1", "?container=d&sinceTime=2024-01-02T03:04:05Z", "?container=c&insecureSkipTLSVerifyBackend=true", "?container=c&stream=Stdout", "?container=no", "?container=c&tailLines=-1", "?container=c&x=y"):
        step("log", "GET", NS + "/pods/on/log" + q)
    for sub in ("exec?container=c&command=a+b&command=c%26d&stdout=true&stderr=true", "attach?container=c&stdin=true&tty=true&stdout=true", "portforward?ports=80"):
        for head in ({}, {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}):
            for method in ("GET", "POST"):
                step("stream", method, NS + "/pods/on/" + sub, None, head)
    for path in ("/proxy/agg-200", "/proxy/agg-200/a%20b?x=y", "/proxy/", "/proxy", "/proxy/agg-500", "/proxy/agg-302", "/proxy/agg-html"):
        for method in ("GET", "POST", "DELETE", "HEAD"):
            body = {"a": 1} if method == "POST" else None
            step("node proxy", method, "/api/v1/nodes/heard" + path, body, loosely=method == "HEAD")
    for s in pair.sides:
        s.words["{{pod}}"] = f"https:on:{s.listener.port}"
    for path in ("/proxy/agg-200", "/proxy/agg-html/x?a=b", "/proxy/agg-302"):
        for method in ("GET", "POST"):
            for head in ({}, {"X-Forwarded-For": "192.0.2.1", "Custom": "x", "Authorization2": "y"}):
                step("pod proxy", method, NS + "/pods/{{pod}}" + path, {"a": 1} if method == "POST" else None, head)
    pair.both("DELETE", NS + "/pods/on?gracePeriodSeconds=0")
    pair.both("DELETE", "/api/v1/nodes/heard")


def run(pair):
    pair.both("POST", "/api/v1/namespaces", {"metadata": {"name": "observed"}})
    pair.both("POST", NS + "/serviceaccounts", {"metadata": {"name": "default"}})
    time.sleep(0.5)
    conversions(pair)
    aggregation(pair)
    nodes(pair)
