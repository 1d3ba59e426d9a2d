"""The official Python client against the server that KUBECONFIG names: strict models, HTTP/1.1, JSON; results asserted."""

import inspect
import json
import threading
import time
import unittest
import uuid

import yaml
from kubernetes import client, config, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic import exceptions as dynamic_exceptions

LIMIT = 90

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "busybox:1", ports: [{containerPort: 80}], resources: {requests: {cpu: 0.5, memory: 1024Mi}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        config.load_kube_config()
        cls.core, cls.apps = client.CoreV1Api(), client.AppsV1Api()

    def setUp(self):
        self.ns = name("py")
        self.core.create_namespace({"metadata": {"name": self.ns}})
        self.addCleanup(self.core.delete_namespace, self.ns)

    def eventually(self, what, holds):
        end = time.monotonic() + LIMIT
        while not (got := holds()):
            if time.monotonic() > end:
                self.fail(f"{what}: {got}")
            time.sleep(0.05)
        return got

    def refused(self, code, reason, text, call, *args, **kwargs):
        with self.assertRaises(ApiException) as e:
            call(*args, **kwargs)
        self.assertEqual(e.exception.status, code)
        status = json.loads(e.exception.body)
        self.assertEqual((status["kind"], status["status"], status["code"], status.get("reason")), ("Status", "Failure", code, reason))
        self.assertIn(text, status["message"])


class Typed(Case):
    def test_verbs(self):
        core, ns = self.core, self.ns
        made = core.create_namespaced_config_map(ns, client.V1ConfigMap(metadata=client.V1ObjectMeta(generate_name="a-", labels={"k": "v"}), data={"a": "ö"}))
        self.assertRegex(made.metadata.name, "^a-.{5}$")
        self.assertIsNotNone(made.metadata.creation_timestamp.tzinfo)
        n = made.metadata.name
        made.data["b"] = "2"
        changed = core.replace_namespaced_config_map(n, ns, made)
        self.assertGreater(int(changed.metadata.resource_version), int(made.metadata.resource_version))
        self.refused(409, "Conflict", "the object has been modified", core.replace_namespaced_config_map, n, ns, made)
        self.refused(409, "AlreadyExists", f'configmaps "{n}" already exists', core.create_namespaced_config_map, ns, {"metadata": {"name": n}})
        # a dict is a strategic merge patch to this client, a list a JSON patch
        self.assertEqual(core.patch_namespaced_config_map(n, ns, {"data": {"c": "3", "b": None}}).data, {"a": "ö", "c": "3"})
        self.assertEqual(core.patch_namespaced_config_map(n, ns, [{"op": "remove", "path": "/data/c"}]).data, {"a": "ö"})
        self.assertEqual(len(core.list_namespaced_config_map(ns, label_selector="k=v").items), 1)
        self.assertEqual(core.delete_namespaced_config_map(n, ns).status, "Success")
        self.refused(404, "NotFound", f'configmaps "{n}" not found', core.read_namespaced_config_map, n, ns)
        self.refused(422, "Invalid", "metadata.name: Invalid value", core.create_namespaced_config_map, ns, {"metadata": {"name": "No!"}})

    def test_every_list_is_readable_by_strict_models(self):
        utils.create_from_yaml(client.ApiClient(), yaml_objects=list(yaml.safe_load_all(DEPLOYMENT)), namespace=self.ns)
        self.eventually("pods", lambda: len(self.core.list_namespaced_pod(self.ns).items) == 2)
        served = {g.preferred_version.group_version for g in client.ApisApi().get_api_versions().groups} | {"v1", "autoscaling/v1"}
        calls = 0
        for kind, api in inspect.getmembers(client, inspect.isclass):
            if not kind.endswith("Api") or not hasattr(api, "get_api_resources") or "alpha" in kind or "beta" in kind or kind == "CustomObjectsApi":
                continue
            if kind == "EventsV1Api":
                continue  # its model wants an eventTime, which events of the core group lack, upstream too
            instance = api()
            if instance.get_api_resources().group_version not in served:
                continue
            for call, method in inspect.getmembers(instance, inspect.ismethod):
                if not call.startswith("list_") or call.endswith("_with_http_info") or call == "list_component_status":
                    continue
                if "namespace" in inspect.signature(method).parameters:
                    continue
                self.assertIsInstance(method().items, list, call)
                calls += 1
        self.assertGreater(calls, 40)

    def test_deployment(self):
        utils.create_from_yaml(client.ApiClient(), yaml_objects=list(yaml.safe_load_all(DEPLOYMENT)), namespace=self.ns)
        d = self.apps.read_namespaced_deployment("web", self.ns)
        requests = d.spec.template.spec.containers[0].resources.requests
        self.assertEqual(requests, {"cpu": "500m", "memory": "1Gi"})
        self.assertEqual(d.spec.template.spec.containers[0].ports[0].protocol, "TCP")
        self.assertEqual(self.core.read_namespaced_service("web", self.ns).spec.ports[0].target_port, 8080)
        self.apps.patch_namespaced_deployment_scale("web", self.ns, {"spec": {"replicas": 3}})
        self.eventually("three replicas", lambda: self.apps.read_namespaced_deployment_status("web", self.ns).status.replicas == 3)
        pod = self.core.list_namespaced_pod(self.ns, label_selector="app=web").items[0]
        self.assertEqual(pod.metadata.owner_references[0].kind, "ReplicaSet")
        self.core.create_namespaced_pod_eviction(pod.metadata.name, self.ns, client.V1Eviction(metadata=client.V1ObjectMeta(name=pod.metadata.name)))
        self.apps.delete_namespaced_deployment("web", self.ns, propagation_policy="Foreground")
        self.eventually("it goes", lambda: not self.apps.list_namespaced_deployment(self.ns).items and not self.core.list_namespaced_pod(self.ns).items)

    def test_pages(self):
        for i in range(25):
            self.core.create_namespaced_config_map(self.ns, {"metadata": {"name": f"p{i:02}", "labels": {"page": "yes"}}})
        names, token = [], None
        while True:
            page = self.core.list_namespaced_config_map(self.ns, limit=10, _continue=token, label_selector="page=yes")
            self.assertLessEqual(len(page.items), 10)
            names += [m.metadata.name for m in page.items]
            token = page.metadata._continue
            if not token:
                break
        self.assertEqual(names, [f"p{i:02}" for i in range(25)])

    def test_watch(self):
        start = self.core.list_namespaced_config_map(self.ns).metadata.resource_version

        def write():
            for i in range(10):
                self.core.create_namespaced_config_map(self.ns, {"metadata": {"name": f"w{i}"}})
            self.core.patch_namespaced_config_map("w3", self.ns, {"data": {"a": "b"}})
            self.core.delete_namespaced_config_map("w4", self.ns)

        writer = threading.Thread(target=write)
        writer.start()
        seen = []
        w = watch.Watch()
        for e in w.stream(self.core.list_namespaced_config_map, self.ns, resource_version=start, timeout_seconds=LIMIT):
            if e["object"].metadata.name.startswith("w"):
                self.assertIsInstance(e["object"], client.V1ConfigMap)
                seen.append((e["type"], e["object"].metadata.name))
            if len(seen) == 12:
                w.stop()
        writer.join()
        self.assertEqual(seen, [("ADDED", f"w{i}") for i in range(10)] + [("MODIFIED", "w3"), ("DELETED", "w4")])

    def test_reviews(self):
        self.core.create_namespaced_service_account(self.ns, {"metadata": {"name": "robot"}})
        token = self.core.create_namespaced_service_account_token("robot", self.ns, client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=3600))).status.token
        review = client.AuthenticationV1Api().create_token_review(client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token)))
        self.assertEqual(review.status.user.username, f"system:serviceaccount:{self.ns}:robot")
        can = client.AuthorizationV1Api().create_subject_access_review(client.V1SubjectAccessReview(spec=client.V1SubjectAccessReviewSpec(
            user=review.status.user.username, resource_attributes=client.V1ResourceAttributes(namespace=self.ns, verb="get", resource="pods"))))
        self.assertFalse(can.status.allowed)
        self.assertEqual(client.VersionApi().get_code().major, "1")

    def test_apply(self):
        body = yaml.safe_load("{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}, data: {a: '1'}}")
        try:
            made = self.core.patch_namespaced_config_map("applied", self.ns, body, field_manager="py", force=True, _content_type="application/apply-patch+yaml")
        except ApiException as e:
            if e.status == 415:
                self.skipTest("the server has no server-side apply yet")
            raise
        self.assertEqual((made.data, made.metadata.managed_fields[0].manager, made.metadata.managed_fields[0].operation), ({"a": "1"}, "py", "Apply"))


class Untyped(Case):
    def test_dynamic(self):
        d = DynamicClient(client.ApiClient())
        deployments = d.resources.get(api_version="apps/v1", kind="Deployment")
        body = list(yaml.safe_load_all(DEPLOYMENT))[0]
        made = deployments.create(body=body, namespace=self.ns)
        self.assertEqual(made.spec.replicas, 2)
        patched = deployments.patch(body={"spec": {"replicas": 1}}, name="web", namespace=self.ns, content_type="application/merge-patch+json")
        self.assertEqual(patched.spec.replicas, 1)
        self.assertEqual([x.metadata.name for x in deployments.get(namespace=self.ns, label_selector="app=web").items], ["web"])
        deployments.delete(name="web", namespace=self.ns)
        with self.assertRaises(dynamic_exceptions.NotFoundError):
            deployments.get(name="web", namespace=self.ns)

    def test_custom_objects(self):
        group = name("g") + ".example.com"
        crds, objects = client.ApiextensionsV1Api(), client.CustomObjectsApi()
        schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
                                                   "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
        crds.create_custom_resource_definition({"metadata": {"name": f"boats.{group}"}, "spec": {
            "group": group, "scope": "Namespaced", "names": {"plural": "boats", "singular": "boat", "kind": "Boat"},
            "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}}]}})
        self.addCleanup(crds.delete_custom_resource_definition, f"boats.{group}")

        def established():
            conditions = crds.read_custom_resource_definition(f"boats.{group}").status.conditions or []
            return any(c.type == "Established" and c.status == "True" for c in conditions)

        self.eventually("established", established)
        at = {"group": group, "version": "v1", "namespace": self.ns, "plural": "boats"}
        made = objects.create_namespaced_custom_object(**at, body={"apiVersion": f"{group}/v1", "kind": "Boat", "metadata": {"name": "b"}, "spec": {}})
        self.assertEqual(made["spec"], {"size": 3})
        objects.patch_namespaced_custom_object_status(**at, name="b", body={"status": {"afloat": True}})
        got = objects.get_namespaced_custom_object(**at, name="b")
        self.assertEqual((got["status"], got["metadata"]["generation"]), ({"afloat": True}, 1))
        self.assertEqual(len(objects.list_namespaced_custom_object(**at)["items"]), 1)
        objects.delete_namespaced_custom_object(**at, name="b")


if __name__ == "__main__":
    unittest.main(verbosity=2)
