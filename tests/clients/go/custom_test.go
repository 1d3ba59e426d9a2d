package clients

import (
	"context"
	"fmt"
	"strings"
	"testing"

	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"

	. "keelson/tests/testkit"
)

// definition makes a kind for the test, waits until it is established, and takes it away in the end.
func definition(t *testing.T, group, kind string, spec map[string]apiextv1.JSONSchemaProps, status bool) schema.GroupVersionResource {
	t.Helper()
	top := map[string]apiextv1.JSONSchemaProps{"spec": {Type: "object", Properties: spec}}
	sub := &apiextv1.CustomResourceSubresources{}
	if status {
		sub.Status = &apiextv1.CustomResourceSubresourceStatus{}
		top["status"] = apiextv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
		if _, has := spec["replicas"]; has {
			sub.Scale = &apiextv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas"}
		}
	}
	return define(t, group, kind, apiextv1.JSONSchemaProps{Type: "object", Properties: top}, sub)
}

func define(t *testing.T, group, kind string, top apiextv1.JSONSchemaProps, sub *apiextv1.CustomResourceSubresources) schema.GroupVersionResource {
	t.Helper()
	ctx := Context(t)
	singular := strings.ToLower(kind)
	crd := &apiextv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: singular + "s." + group}, Spec: apiextv1.CustomResourceDefinitionSpec{
		Group: group, Scope: apiextv1.NamespaceScoped, Names: apiextv1.CustomResourceDefinitionNames{Plural: singular + "s", Singular: singular, Kind: kind, ListKind: kind + "List",
			ShortNames: []string{singular[:2] + "x"}, Categories: []string{"all"}},
		Versions: []apiextv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Subresources: sub,
			Schema:                   &apiextv1.CustomResourceValidation{OpenAPIV3Schema: &top},
			AdditionalPrinterColumns: []apiextv1.CustomResourceColumnDefinition{{Name: "Size", Type: "integer", JSONPath: ".spec.replicas"}}}}}}
	crds := Extensions(t).ApiextensionsV1().CustomResourceDefinitions()
	Get(crds.Create(ctx, crd, metav1.CreateOptions{}))(t)
	t.Cleanup(func() { _ = crds.Delete(context.Background(), crd.Name, metav1.DeleteOptions{}) })
	Eventually(t, "established", func() string {
		got := Get(crds.Get(ctx, crd.Name, metav1.GetOptions{}))(t)
		for _, c := range got.Status.Conditions {
			if c.Type == apiextv1.Established && c.Status == apiextv1.ConditionTrue {
				return ""
			}
		}
		return fmt.Sprintf("%+v", got.Status.Conditions)
	})
	return schema.GroupVersionResource{Group: group, Version: "v1", Resource: crd.Spec.Names.Plural}
}

func TestCustomResources(t *testing.T) {
	t.Parallel()
	ctx, ns, group := Context(t), Namespace(t), Name("g")+".example.com"
	gvr := definition(t, group, "Boat", map[string]apiextv1.JSONSchemaProps{
		"replicas": {Type: "integer", Minimum: new(0.0), Default: &apiextv1.JSON{Raw: []byte("2")}},
		"sail":     {Type: "string", Enum: []apiextv1.JSON{{Raw: []byte(`"lug"`)}, {Raw: []byte(`"lateen"`)}}}}, true)
	boats := Dynamic(t).Resource(gvr).Namespace(ns)
	f := dynamicinformer.NewFilteredDynamicSharedInformerFactory(Dynamic(t), 0, ns, nil)
	i := f.ForResource(gvr).Informer()
	f.Start(ctx.Done())
	Holds(t, cache.WaitForCacheSync(ctx.Done(), i.HasSynced), "the cache did not fill")

	made := Get(boats.Create(ctx, thing(group+"/v1", "Boat", "b", map[string]any{"spec": map[string]any{"sail": "lug", "unknown": "x"}}), metav1.CreateOptions{}))(t)
	n, _, _ := unstructured.NestedInt64(made.Object, "spec", "replicas")
	Equal(t, "default", n, int64(2))
	_, has, _ := unstructured.NestedString(made.Object, "spec", "unknown")
	Holds(t, !has, "an unknown field was kept")
	_, err := boats.Create(ctx, thing(group+"/v1", "Boat", "c", map[string]any{"spec": map[string]any{"sail": "square", "replicas": int64(-1)}}), metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonInvalid, `spec.sail: Unsupported value: "square": supported values: "lug", "lateen"`,
		"spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0")
	_, err = boats.Create(ctx, thing(group+"/v1", "Boat", "c", map[string]any{"spec": map[string]any{"unknown": "x"}}), metav1.CreateOptions{FieldValidation: "Strict"})
	Refused(t, err, metav1.StatusReasonBadRequest, `unknown field "spec.unknown"`)

	Must(t, unstructured.SetNestedField(made.Object, "here", "status", "place"))
	Must(t, unstructured.SetNestedField(made.Object, "lateen", "spec", "sail"))
	after := Get(boats.UpdateStatus(ctx, made, metav1.UpdateOptions{}))(t)
	sail, _, _ := unstructured.NestedString(after.Object, "spec", "sail")
	Equal(t, "a status update leaves the spec", sail, "lug")
	Equal(t, "generation", after.GetGeneration(), int64(1))
	after = Get(boats.Patch(ctx, "b", types.MergePatchType, []byte(`{"spec":{"sail":"lateen"},"status":{"place":"there"}}`), metav1.PatchOptions{}))(t)
	place, _, _ := unstructured.NestedString(after.Object, "status", "place")
	Equal(t, "a patch leaves the status", place, "here")
	Equal(t, "generation", after.GetGeneration(), int64(2))
	_, err = boats.Patch(ctx, "b", types.StrategicMergePatchType, []byte(`{}`), metav1.PatchOptions{})
	Refused(t, err, metav1.StatusReasonUnsupportedMediaType)

	disco := memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(Config(t)))
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(disco)
	scales := Get(scale.NewForConfig(Config(t), mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(disco)))(t)
	s := Get(scales.Scales(ns).Get(ctx, gvr.GroupResource(), "b", metav1.GetOptions{}))(t)
	s.Spec.Replicas = 5
	s = Get(scales.Scales(ns).Update(ctx, gvr.GroupResource(), s, metav1.UpdateOptions{}))(t)
	Equal(t, "scaled", s.Spec.Replicas, int32(5))
	m := Get(Metadata(t).Resource(gvr).Namespace(ns).Get(ctx, "b", metav1.GetOptions{}))(t)
	Equal(t, "generation by metadata", m.Generation, int64(3))
	Eventually(t, "the informer sees it", func() string {
		o, has, _ := i.GetStore().GetByKey(ns + "/b")
		if has && o.(*unstructured.Unstructured).GetGeneration() == 3 {
			return ""
		}
		return fmt.Sprint(o)
	})
	Must(t, boats.Delete(ctx, "b", metav1.DeleteOptions{}))

	crds := Extensions(t).ApiextensionsV1().CustomResourceDefinitions()
	Get(boats.Create(ctx, thing(group+"/v1", "Boat", "last", nil), metav1.CreateOptions{}))(t)
	Must(t, crds.Delete(ctx, gvr.Resource+"."+group, metav1.DeleteOptions{}))
	Eventually(t, "definition, group and objects go", func() string {
		_, err := crds.Get(ctx, gvr.Resource+"."+group, metav1.GetOptions{})
		disco.Invalidate()
		_, gone := disco.ServerResourcesForGroupVersion(group + "/v1")
		_, none := boats.Get(ctx, "last", metav1.GetOptions{})
		if apierrors.IsNotFound(err) && gone != nil && apierrors.IsNotFound(none) {
			return ""
		}
		return fmt.Sprint(err, gone, none)
	})
}

// Crossplane deletes all objects of a kind without asking for its scope, and goes on when there is no such path.
func TestCustomResourcesOfNoNamespace(t *testing.T) {
	t.Parallel()
	ctx, group := Context(t), Name("g")+".example.com"
	rafts := Dynamic(t).Resource(definition(t, group, "Raft", map[string]apiextv1.JSONSchemaProps{"a": {Type: "integer"}}, false))
	Get(rafts.List(ctx, metav1.ListOptions{}))(t)
	Refused(t, rafts.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}), metav1.StatusReasonNotFound, "the server could not find the requested resource")
	_, err := rafts.Create(ctx, thing(group+"/v1", "Raft", "r", nil), metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonNotFound)
	Refused(t, Kube(t).CoreV1().RESTClient().Delete().AbsPath("/api/v1/configmaps").Do(ctx).Error(), metav1.StatusReasonMethodNotAllowed)
}
