package clients

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/restmapper"

	. "keelson/tests/testkit"
)

var mapsGVR = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
var deploymentsGVR = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

func thing(apiVersion, kind, name string, rest map[string]any) *unstructured.Unstructured {
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}
	for k, v := range rest {
		o[k] = v
	}
	return &unstructured.Unstructured{Object: o}
}

// The dynamic client: verbs, watch, subresources.
func TestDynamic(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	maps := Dynamic(t).Resource(mapsGVR).Namespace(ns)
	made := Get(maps.Create(ctx, thing("v1", "ConfigMap", "m", map[string]any{"data": map[string]any{"a": "1"}}), metav1.CreateOptions{}))(t)
	Equal(t, "kind", made.GetKind(), "ConfigMap")
	w := Get(maps.Watch(ctx, metav1.ListOptions{ResourceVersion: made.GetResourceVersion()}))(t)
	defer w.Stop()
	Must(t, unstructured.SetNestedField(made.Object, "2", "data", "a"))
	Get(maps.Update(ctx, made, metav1.UpdateOptions{}))(t)
	e := <-w.ResultChan()
	data, _, _ := unstructured.NestedString(e.Object.(*unstructured.Unstructured).Object, "data", "a")
	Equal(t, "watched", data, "2")
	Must(t, maps.Delete(ctx, "m", metav1.DeleteOptions{}))
	Equal(t, "event", string((<-w.ResultChan()).Type), "DELETED")

	deployments := Dynamic(t).Resource(deploymentsGVR).Namespace(ns)
	o := Get(runtime.DefaultUnstructuredConverter.ToUnstructured(deployment("d", 1)))(t)
	o["apiVersion"], o["kind"] = "apps/v1", "Deployment"
	Get(deployments.Create(ctx, &unstructured.Unstructured{Object: o}, metav1.CreateOptions{}))(t)
	after := Get(deployments.Patch(ctx, "d", types.MergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{}, "scale"))(t)
	Equal(t, "a scale's kind", after.GetKind(), "Scale")
	n, _, _ := unstructured.NestedInt64(after.Object, "spec", "replicas")
	Equal(t, "replicas", n, int64(4))
	list := Get(deployments.List(ctx, metav1.ListOptions{}))(t)
	Equal(t, "list kind", list.GetKind(), "DeploymentList")
	Equal(t, "listed", len(list.Items), 1)
}

// Metadata only, in protobuf, of built-in kinds and in lists, watches, patches.
func TestMetadata(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	maps := Metadata(t).Resource(mapsGVR).Namespace(ns)
	made := Get(Kube(t).CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m", Labels: map[string]string{"a": "b"}},
		Data: map[string]string{"big": strings.Repeat("x", 1000)}}, metav1.CreateOptions{}))(t)
	got := Get(maps.Get(ctx, "m", metav1.GetOptions{}))(t)
	Equal(t, "label", got.Labels["a"], "b")
	Equal(t, "uid", got.UID, made.UID)
	w := Get(maps.Watch(ctx, metav1.ListOptions{ResourceVersion: got.ResourceVersion, FieldSelector: "metadata.name=m"}))(t)
	defer w.Stop()
	patched := Get(maps.Patch(ctx, "m", types.MergePatchType, []byte(`{"metadata":{"annotations":{"x":"y"}}}`), metav1.PatchOptions{}))(t)
	Equal(t, "patched", patched.Annotations["x"], "y")
	e := <-w.ResultChan()
	Equal(t, "watched", e.Object.(*metav1.PartialObjectMetadata).Annotations["x"], "y")
	list := Get(maps.List(ctx, metav1.ListOptions{}))(t)
	Holds(t, len(list.Items) > 0 && list.ResourceVersion != "", "list: %+v", list)
	Must(t, maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "a=b"}))
	_, err := maps.Get(ctx, "m", metav1.GetOptions{})
	Refused(t, err, metav1.StatusReasonNotFound)
}

// Discovery as aggregated documents and as single ones says the same; mapper and OpenAPI work from it.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	spy := &Spy{}
	c := Config(t)
	spy.Watch(c)
	d := discovery.NewDiscoveryClientForConfigOrDie(c)
	groups, resources, err := d.ServerGroupsAndResources()
	Must(t, err)
	Equal(t, "requests for everything", len(spy.All()), 2)
	for _, x := range spy.All() {
		Holds(t, strings.Contains(x.Got, "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"), "%s answered %q", x.URL, x.Got)
	}
	Holds(t, len(groups) > 15 && groups[0].Name == "", "groups: %d, first %q", len(groups), groups[0].Name)
	legacy := discovery.NewDiscoveryClientForConfigOrDie(Config(t))
	legacy.UseLegacyDiscovery = true
	_, single, err := legacy.ServerGroupsAndResources()
	Must(t, err)
	one, both := strings.Split(flat(single), "\n"), strings.Split(flat(resources), "\n")
	for _, r := range one {
		Holds(t, slices.Contains(both, r), "not in the aggregated documents: %s", r)
	}
	Equal(t, "resources by both ways", len(one), len(both))
	preferred := Get(d.ServerPreferredNamespacedResources())(t)
	Holds(t, strings.Contains(flat(preferred), "apps/v1 deployments") && !strings.Contains(flat(preferred), "v1 nodes "), "preferred: %s", flat(preferred))
	v := Get(d.ServerVersion())(t)
	Equal(t, "version", v.Major+"."+v.Minor, "1.36")

	m := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))
	mapping := Get(m.RESTMapping(schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}))(t)
	Equal(t, "preferred version", mapping.Resource.Version, "v2")
	Equal(t, "scope", string(mapping.Scope.Name()), "namespace")
	short := restmapper.NewShortcutExpander(m, d, nil)
	full := Get(short.ResourceFor(schema.GroupVersionResource{Resource: "deploy"}))(t)
	Equal(t, "short name", full.Resource, "deployments")

	doc := Get(d.OpenAPISchema())(t)
	Holds(t, len(doc.GetDefinitions().GetAdditionalProperties()) > 300, "openapi v2: %d definitions", len(doc.GetDefinitions().GetAdditionalProperties()))
	paths := Get(d.OpenAPIV3().Paths())(t)
	Holds(t, paths["apis/apps/v1"] != nil && paths["api/v1"] != nil, "openapi v3 paths: %v", paths)
	var v3 struct {
		Components struct{ Schemas map[string]any }
		Paths      map[string]map[string]json.RawMessage
	}
	Must(t, json.Unmarshal(Get(paths["apis/apps/v1"].Schema("application/json"))(t), &v3))
	Holds(t, v3.Components.Schemas["io.k8s.api.apps.v1.Deployment"] != nil, "no schema of Deployment")
	patch := string(v3.Paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"])
	Holds(t, strings.Contains(patch, `"dryRun"`) && strings.Contains(patch, `"fieldValidation"`), "patch does not say dryRun and fieldValidation")
}

func flat(lists []*metav1.APIResourceList) string {
	var all []string
	for _, l := range lists {
		if strings.Contains(l.GroupVersion, "example.com") {
			continue // another test's, that comes or goes meanwhile
		}
		for _, r := range l.APIResources {
			if strings.Contains(r.Name, "/") {
				r.SingularName = "" // the aggregated document's reader gives them their parent's
			}
			verbs, short := slices.Sorted(slices.Values(r.Verbs)), slices.Sorted(slices.Values(r.ShortNames))
			all = append(all, fmt.Sprintf("%s %s %s %s %v %v %v", l.GroupVersion, r.Name, r.Kind, r.SingularName, r.Namespaced, verbs, short))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// Every listable built-in resource lists in protobuf, JSON and as metadata, and is the same in both.
func TestEveryKindLists(t *testing.T) {
	t.Parallel()
	ctx := Context(t)
	d := discovery.NewDiscoveryClientForConfigOrDie(Config(t))
	_, lists, err := d.ServerGroupsAndResources()
	Must(t, err)
	kinds := 0
	for _, l := range lists {
		gv := Get(schema.ParseGroupVersion(l.GroupVersion))(t)
		for _, r := range l.APIResources {
			if !slices.Contains(r.Verbs, "list") || !scheme.Scheme.Recognizes(gv.WithKind(r.Kind)) {
				continue
			}
			kinds++
			gvr := gv.WithResource(r.Name)
			u := Get(Dynamic(t).Resource(gvr).List(ctx, metav1.ListOptions{}))(t)
			Equal(t, "list of "+r.Name, u.GetKind(), r.Kind+"List")
			Holds(t, u.Object["items"] == nil || u.Items != nil, "%s: items", r.Name)
			Get(Metadata(t).Resource(gvr).List(ctx, metav1.ListOptions{}))(t)
			path := "/apis/" + l.GroupVersion + "/" + r.Name
			if gv.Group == "" {
				path = "/api/v1/" + r.Name
			}
			code, h, body := Raw(t, "GET", path, "", "Accept: "+Protobuf)
			Holds(t, code == 200 && h.Get("Content-Type") == Protobuf, "%s in protobuf: %d %s", path, code, h.Get("Content-Type"))
			list, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(body), nil, nil)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			_ = list
		}
	}
	Holds(t, kinds > 45, "only %d kinds", kinds)
}

// Objects with many fields read the same by both encodings.
func TestBothEncodingsAgree(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	full := deployment("full", 0)
	p := &full.Spec.Template.Spec
	seconds := int64(7)
	p.ActiveDeadlineSeconds = nil
	p.TerminationGracePeriodSeconds = &seconds
	p.Tolerations = []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists, TolerationSeconds: &seconds, Effect: corev1.TaintEffectNoExecute}}
	p.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: full.Spec.Selector}}
	p.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "t", Audience: "a"}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "p", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}}}}}}}
	Get(Kube(t).AppsV1().Deployments(ns).Create(ctx, full, metav1.CreateOptions{}))(t)
	read := func(accept string) runtime.Object {
		code, _, body := Raw(t, "GET", "/apis/apps/v1/namespaces/"+ns+"/deployments/full", "", "Accept: "+accept)
		Equal(t, accept, code, 200)
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(body), nil, nil)
		Must(t, err)
		u := Get(runtime.DefaultUnstructuredConverter.ToUnstructured(o))(t)
		delete(u, "status")
		return &unstructured.Unstructured{Object: u}
	}
	a, b := read("application/json"), read(Protobuf)
	unstructured.RemoveNestedField(a.(*unstructured.Unstructured).Object, "metadata")
	unstructured.RemoveNestedField(b.(*unstructured.Unstructured).Object, "metadata")
	Holds(t, equality.Semantic.DeepEqual(a, b), "JSON:     %v\nprotobuf: %v", a, b)
}
