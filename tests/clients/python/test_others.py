"""kr8s and lightkube against the server that KUBECONFIG names: clients that speak through httpx, with requests of their own kind; results asserted."""

import time
import unittest
import uuid
import warnings

LIMIT = 90

try:
    import kr8s
    from kr8s.objects import ConfigMap, Deployment, Namespace, Node, new_class
except ImportError:
    kr8s = None
try:
    import lightkube
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources import apps_v1, core_v1
    from lightkube.types import CascadeType, PatchType
except ImportError:
    lightkube = None


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@unittest.skipUnless(kr8s, "the kr8s package is not there")
class Kr8s(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("ignore")
        self.ns = name("kr8s")
        self.space = Namespace({"metadata": {"name": self.ns}})
        self.space.create()
        self.addCleanup(self.space.delete)

    def made(self, kind, name, **more):
        o = kind({"metadata": {"name": name, "namespace": self.ns}, **more})
        o.create()
        return o

    def test_who_and_what(self):
        api = kr8s.api()
        self.assertTrue(api.version()["gitVersion"].startswith("v1.36."))
        self.assertEqual(api.whoami(), "kubernetes-admin")
        kinds = {(r["kind"], r["version"]) for r in api.api_resources()}
        self.assertLessEqual({("Pod", "v1"), ("Deployment", "apps/v1"), ("HorizontalPodAutoscaler", "autoscaling/v2")}, kinds)

    def test_changes(self):
        cm = self.made(ConfigMap, "c", data={"a": "1"})
        cm.patch({"data": {"b": "2"}})
        cm.label({"x": "y"})
        cm.annotate({"example.com/z": "w"})
        cm.refresh()
        self.assertEqual((cm.data, cm.labels["x"], cm.annotations["example.com/z"]), ({"a": "1", "b": "2"}, "y", "w"))
        self.assertEqual([c.name for c in kr8s.get("configmaps", namespace=self.ns, label_selector={"x": "y"})], ["c"])
        self.assertEqual([c.name for c in kr8s.get("cm", "c", namespace=self.ns)], ["c"])
        cm.delete()
        self.assertFalse(cm.exists())

    def test_workload(self):
        labels = {"app": "d"}
        d = self.made(Deployment, "d", spec={"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "example/c"}]}}})
        d.scale(3)
        end = time.monotonic() + LIMIT
        while len(pods := d.pods()) != 3 and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(len(pods), 3)
        self.assertFalse(any(p.ready() for p in pods))
        seen = set()
        for kind, pod in kr8s.api().watch("pods", namespace=self.ns):
            self.assertEqual(kind, "ADDED" if pod.name not in seen else kind)
            seen.add(pod.name)
            if len(seen) == 3:
                break
        d.delete(propagation_policy="Foreground")
        d.wait("delete", timeout=LIMIT)
        self.assertEqual(list(kr8s.get("pods", namespace=self.ns)), [])

    def test_node(self):
        node = Node({"metadata": {"name": name("n")}})
        node.create()
        self.addCleanup(node.delete)
        node.cordon()
        node.taint("a", "b", effect="NoSchedule")
        node.refresh()
        self.assertTrue(node.unschedulable)
        self.assertIn({"key": "a", "value": "b", "effect": "NoSchedule"}, node.raw["spec"]["taints"])

    def test_kind_that_is_not_served(self):
        thing = new_class(kind="Nothing", version="nowhere.example/v1", namespaced=True)
        with self.assertRaises(kr8s.ServerError) as e:
            thing({"metadata": {"name": "x", "namespace": self.ns}}).create()
        self.assertEqual(e.exception.response.status_code, 404)


@unittest.skipUnless(lightkube, "the lightkube package is not there")
class Lightkube(unittest.TestCase):
    def setUp(self):
        self.c = lightkube.Client(field_manager="first")
        self.ns = name("lightkube")
        self.c.create(core_v1.Namespace(metadata=ObjectMeta(name=self.ns)))
        self.addCleanup(self.c.delete, core_v1.Namespace, self.ns, cascade=CascadeType.FOREGROUND)

    def map(self, name, **data):
        return core_v1.ConfigMap(metadata=ObjectMeta(name=name, namespace=self.ns), data=data)

    def test_apply(self):
        self.c.apply(self.map("a", x="1"))
        with self.assertRaises(lightkube.ApiError) as e:
            self.c.apply(self.map("a", x="2"), field_manager="second")
        status = e.exception.status
        self.assertEqual((status.code, status.message), (409, 'Apply failed with 1 conflict: conflict with "first": .data.x'))
        self.assertEqual([(x.reason, x.field) for x in status.details.causes], [("FieldManagerConflict", ".data.x")])
        self.c.apply(self.map("a", x="2"), field_manager="second", force=True)
        self.c.apply(self.map("a"))                     # what the first one no longer says was the second one's by then
        self.assertEqual(self.c.get(core_v1.ConfigMap, "a", namespace=self.ns).data, {"x": "2"})

    def test_patches(self):
        self.c.create(self.map("p"))
        for how, body in ((PatchType.MERGE, {"data": {"m": "1"}}), (PatchType.STRATEGIC, {"data": {"s": "1"}}), (PatchType.JSON, [{"op": "add", "path": "/data/j", "value": "1"}])):
            self.c.patch(core_v1.ConfigMap, "p", body, namespace=self.ns, patch_type=how)
        self.assertEqual(self.c.get(core_v1.ConfigMap, "p", namespace=self.ns).data, {"m": "1", "s": "1", "j": "1"})

    def test_lists_and_watches(self):
        for i in range(30):
            self.c.create(self.map(f"m{i:02}", n=str(i)))
        got = self.c.list(core_v1.ConfigMap, namespace=self.ns, chunk_size=7, fields={"metadata.name": self.c.get(core_v1.ConfigMap, "m07", namespace=self.ns).metadata.name})
        self.assertEqual([m.data["n"] for m in got], ["7"])
        whole = self.c.list(core_v1.ConfigMap, namespace=self.ns, chunk_size=7)
        names = [m.metadata.name for m in whole if m.metadata.name.startswith("m")]
        self.assertEqual(names, [f"m{i:02}" for i in range(30)])
        self.c.delete(core_v1.ConfigMap, "m29", namespace=self.ns)
        for kind, m in self.c.watch(core_v1.ConfigMap, namespace=self.ns, resource_version=whole.resourceVersion):
            self.assertEqual((kind, m.metadata.name), ("DELETED", "m29"))
            break
        self.c.deletecollection(core_v1.ConfigMap, namespace=self.ns)
        self.assertFalse([m for m in self.c.list(core_v1.ConfigMap, namespace=self.ns) if m.metadata.name.startswith("m")])

    def test_scale(self):
        labels = {"app": "s"}
        self.c.create(apps_v1.Deployment.from_dict({"metadata": {"name": "s", "namespace": self.ns}, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "example/c"}]}}}}))
        for left in reversed(range(20)):  # its controller writes too
            scale = self.c.get(apps_v1.Deployment.Scale, "s", namespace=self.ns)
            scale.spec.replicas = 2
            try:
                self.assertEqual(self.c.replace(scale, "s", namespace=self.ns).spec.replicas, 2)
                break
            except lightkube.ApiError as e:
                if e.status.code != 409 or not left:
                    raise
        self.assertEqual(self.c.get(apps_v1.Deployment, "s", namespace=self.ns).spec.replicas, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
