package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	. "keelson/tests/testkit"
)

// definition is a kind that a case wants; what it does not say is as simple as can be.
type definition struct {
	group, plural, kind string
	versions            []string // the first one is stored
	schema              string   // YAML; "" keeps everything
	status, cluster     bool
	labels              map[string]string
}

const anything = "{type: object, x-kubernetes-preserve-unknown-fields: true}"

func props(t testing.TB, text string) *apiextv1.JSONSchemaProps {
	t.Helper()
	var p apiextv1.JSONSchemaProps
	Must(t, yaml.Unmarshal([]byte(text), &p))
	return &p
}

func (d definition) object(t testing.TB) *apiextv1.CustomResourceDefinition {
	t.Helper()
	o := &apiextv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: d.plural + "." + d.group, Labels: d.labels},
		Spec: apiextv1.CustomResourceDefinitionSpec{Group: d.group, Scope: apiextv1.NamespaceScoped,
			Names: apiextv1.CustomResourceDefinitionNames{Plural: d.plural, Singular: strings.ToLower(d.kind), Kind: d.kind, ListKind: d.kind + "List"}}}
	if d.cluster {
		o.Spec.Scope = apiextv1.ClusterScoped
	}
	for i, v := range d.versions {
		version := apiextv1.CustomResourceDefinitionVersion{Name: v, Served: true, Storage: i == 0,
			Schema: &apiextv1.CustomResourceValidation{OpenAPIV3Schema: props(t, d.schema)}}
		if d.status {
			version.Subresources = &apiextv1.CustomResourceSubresources{Status: &apiextv1.CustomResourceSubresourceStatus{}}
		}
		o.Spec.Versions = append(o.Spec.Versions, version)
	}
	return o
}

// defined fills in what the case leaves open.
func defined(d definition) definition {
	if d.group == "" {
		d.group = Name("group") + ".example.com"
	}
	if d.kind == "" {
		d.kind = "Boat" + strings.ReplaceAll(Name(""), "-", "")
	}
	if d.plural == "" {
		d.plural = strings.ToLower(d.kind) + "s"
	}
	if d.versions == nil {
		d.versions = []string{"v1"}
	}
	if d.schema == "" {
		d.schema = anything
	}
	return d
}

func isEstablished(c *apiextv1.CustomResourceDefinition) bool {
	return slices.ContainsFunc(c.Status.Conditions, func(c apiextv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextv1.Established && c.Status == apiextv1.ConditionTrue
	})
}

// define makes the kind, waits until it is established, and takes it away in the end.
func define(t *testing.T, d definition) definition {
	t.Helper()
	ctx, crds := Context(t), Extensions(t).ApiextensionsV1().CustomResourceDefinitions()
	d = defined(d)
	made := Get(crds.Create(ctx, d.object(t), metav1.CreateOptions{}))(t)
	t.Cleanup(func() { _ = crds.Delete(context.Background(), made.Name, metav1.DeleteOptions{}) })
	Eventually(t, "established", func() string {
		if got := Get(crds.Get(ctx, made.Name, metav1.GetOptions{}))(t); !isEstablished(got) {
			return fmt.Sprintf("%+v", got.Status.Conditions)
		}
		return ""
	})
	return d
}

// of gives the client of a version's objects.
func (d definition) client(t testing.TB, version, ns string) dynamic.ResourceInterface {
	r := Dynamic(t).Resource(schema.GroupVersionResource{Group: d.group, Version: version, Resource: d.plural})
	if d.cluster {
		return r
	}
	return r.Namespace(ns)
}

// instance is an object of the kind, its content as lines of YAML.
func (d definition) instance(t testing.TB, version, name, content string) *unstructured.Unstructured {
	t.Helper()
	o := untyped(t, fmt.Sprintf("apiVersion: %s/%s\nkind: %s\n%s", d.group, version, d.kind, content))
	o.SetName(name)
	return o
}

func TestDefinitionLifecycle(t *testing.T) {
	t.Parallel()
	ctx, crds := Context(t), Extensions(t).ApiextensionsV1().CustomResourceDefinitions()
	d := define(t, definition{})
	name := d.plural + "." + d.group
	Must(t, crds.Delete(ctx, name, metav1.DeleteOptions{}))
	Eventually(t, "deleted", func() string {
		if _, err := crds.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Sprint(err)
		}
		return ""
	})
}

func TestDefinitionList(t *testing.T) {
	t.Parallel()
	ctx, crds, label := Context(t), Extensions(t).ApiextensionsV1().CustomResourceDefinitions(), Name("l")
	for range 5 {
		define(t, definition{labels: map[string]string{"list": label}})
	}
	list := Get(crds.List(ctx, metav1.ListOptions{LabelSelector: "list=" + label}))(t)
	Equal(t, "listed", len(list.Items), 5)
	Must(t, crds.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "list=" + label}))
	Eventually(t, "the collection goes", func() string {
		if left := Get(crds.List(ctx, metav1.ListOptions{LabelSelector: "list=" + label}))(t); len(left.Items) > 0 {
			return fmt.Sprint(len(left.Items), " are left")
		}
		return ""
	})
}

func TestDefinitionStatus(t *testing.T) {
	t.Parallel()
	ctx, crds := Context(t), Extensions(t).ApiextensionsV1().CustomResourceDefinitions()
	d := define(t, definition{})
	name := d.plural + "." + d.group
	got := Get(Dynamic(t).Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).
		Get(ctx, name, metav1.GetOptions{}, "status"))(t)
	Holds(t, got.Object["status"] != nil, "no status")
	condition := apiextv1.CustomResourceDefinitionCondition{Type: "Shown", Status: apiextv1.ConditionTrue, Reason: "E2E", Message: "set"}
	Eventually(t, "an update of the status", func() string {
		c := Get(crds.Get(ctx, name, metav1.GetOptions{}))(t)
		c.Status.Conditions = append(c.Status.Conditions, condition)
		after, err := crds.UpdateStatus(ctx, c, metav1.UpdateOptions{})
		if err != nil {
			return err.Error()
		}
		Holds(t, slices.ContainsFunc(after.Status.Conditions, func(c apiextv1.CustomResourceDefinitionCondition) bool { return c.Type == "Shown" }), "not there: %+v", after.Status)
		return ""
	})
	patched := Get(crds.Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"yes"}},"status":{"conditions":[]}}`), metav1.PatchOptions{}, "status"))(t)
	Holds(t, !slices.ContainsFunc(patched.Status.Conditions, func(c apiextv1.CustomResourceDefinitionCondition) bool { return c.Type == "Shown" }), "still there: %+v", patched.Status)
}

func TestDefinitionDiscovery(t *testing.T) {
	t.Parallel()
	var group metav1.APIGroup
	_, _, body := Raw(t, "GET", "/apis/apiextensions.k8s.io", "", "Accept: application/json")
	Must(t, json.Unmarshal([]byte(body), &group))
	Equal(t, "preferred", group.PreferredVersion.GroupVersion, "apiextensions.k8s.io/v1")
	list := Get(Kube(t).Discovery().ServerResourcesForGroupVersion("apiextensions.k8s.io/v1"))(t)
	for _, want := range []string{"customresourcedefinitions", "customresourcedefinitions/status"} {
		Holds(t, slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == want && !r.Namespaced }), "%s is not there", want)
	}
}

// A default that is added later shows in requests and in what was stored before it.
func TestDefinitionDefaults(t *testing.T) {
	t.Parallel()
	ctx, crds, ns := Context(t), Extensions(t).ApiextensionsV1().CustomResourceDefinitions(), Namespace(t)
	d := define(t, definition{schema: "{type: object, properties: {a: {type: string}, b: {type: string}}}"})
	c := d.client(t, "v1", ns)
	Get(c.Create(ctx, d.instance(t, "v1", "foo", ""), metav1.CreateOptions{}))(t)
	schemaText := `[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/a/default","value":"A"}]`
	Get(crds.Patch(ctx, d.plural+"."+d.group, types.JSONPatchType, []byte(schemaText), metav1.PatchOptions{}))(t)
	Eventually(t, "defaulted from storage", func() string {
		got := Get(c.Get(ctx, "foo", metav1.GetOptions{}))(t)
		if got.Object["a"] == "A" {
			return ""
		}
		return fmt.Sprint(got.Object)
	})
	made := Get(c.Create(ctx, d.instance(t, "v1", "bar", ""), metav1.CreateOptions{}))(t)
	Holds(t, made.Object["a"] == "A" && made.Object["b"] == nil, "defaulted on request: %v", made.Object)
	Get(crds.Patch(ctx, d.plural+"."+d.group, types.JSONPatchType, []byte(`[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/a/default"},
		{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/b/default","value":"B"}]`), metav1.PatchOptions{}))(t)
	Eventually(t, "the other default", func() string {
		if got := Get(c.Get(ctx, "bar", metav1.GetOptions{}))(t); got.Object["b"] == "B" {
			return ""
		}
		return "is not there"
	})
	bar := Get(c.Get(ctx, "bar", metav1.GetOptions{}))(t)
	Equal(t, "what was stored with its default stays", fmt.Sprint(bar.Object["a"]), "A")
}

func TestDefinitionWatch(t *testing.T) {
	t.Parallel()
	ctx := Context(t)
	d := define(t, definition{cluster: true})
	c := d.client(t, "v1", "")
	w := Get(c.Watch(ctx, metav1.ListOptions{}))(t)
	defer w.Stop()
	for _, name := range []string{"a", "b"} {
		Get(c.Create(ctx, d.instance(t, "v1", name, "content: {key: value}\nnum: {num1: 9223372036854775807, num2: 1000000}"), metav1.CreateOptions{}))(t)
		made := expect(t, ctx, w, watch.Added, name).(*unstructured.Unstructured)
		n, _, _ := unstructured.NestedInt64(made.Object, "num", "num1")
		Equal(t, "a large number", n, int64(9223372036854775807))
	}
	Get(c.Patch(ctx, "a", types.MergePatchType, []byte(`{"dummy":"test"}`), metav1.PatchOptions{}))(t)
	expect(t, ctx, w, watch.Modified, "a")
	Must(t, c.Delete(ctx, "a", metav1.DeleteOptions{}))
	expect(t, ctx, w, watch.Deleted, "a")
	Must(t, c.Delete(ctx, "b", metav1.DeleteOptions{}))
	expect(t, ctx, w, watch.Deleted, "b")
}
