package api

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/retry"

	. "keelson/tests/testkit"
)

// operation is a row: a resource whose API operations a spec walks through. NAME and NS stand for the object's name and namespace, N for its number.
type operation struct {
	name, resource string
	namespaced     bool
	object         string // YAML
	status         string // a merge patch of the status, "" where there is none
	shown          string // path of what that patch sets
	finalized      bool   // something else takes part in its deletion
}

// TestAPIOperations walks through every verb of a resource: discovery, create, get, list here and everywhere, watch, patch, update, status, delete and
// delete of a collection, and the events that a watch sees meanwhile.
func TestAPIOperations(t *testing.T) {
	for _, row := range operations {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			walk(t, row)
		})
	}
}

// object is the row's object of a number.
func object(t *testing.T, row operation, label, ns string, n int) runtime.Object {
	t.Helper()
	name := fmt.Sprintf("%s-%d", label, n)
	return typed(t, strings.NewReplacer("NAME", name, "NS", ns, "<N>", fmt.Sprint(n)).Replace(row.object))
}

func walk(t *testing.T, row operation) {
	ns := ""
	if row.namespaced {
		ns = Namespace(t)
	}
	label := Name(strings.ToLower(row.name))
	o := object(t, row, label, ns, 1)
	first := of(o).GetName()
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	Must(t, err)
	gvr := kinds[0].GroupVersion().WithResource(row.resource)
	b := resource(t, gvr, ns)
	discovered(t, gvr, kinds[0].Kind, row)
	labelled := func(n int) string {
		o := object(t, row, label, ns, n)
		name := of(o).GetName()
		of(o).SetLabels(map[string]string{"conformance": label})
		made := Get(b.create(o))(t)
		Holds(t, of(made).GetUID() != "" && of(made).GetResourceVersion() != "", "system fields of %s: %+v", name, of(made))
		return name
	}
	_, rv := b.list(metav1.ListOptions{LabelSelector: "conformance=" + label})
	w := b.watch(metav1.ListOptions{LabelSelector: "conformance=" + label, ResourceVersion: rv})
	labelled(1)
	expect(t, b.ctx, w, watch.Added, first)
	names := []string{labelled(2), labelled(3)}
	got := Get(b.get(first))(t)
	Equal(t, "got", of(got).GetName(), first)
	here, _ := b.list(metav1.ListOptions{LabelSelector: "conformance=" + label})
	Equal(t, "listed here", len(here), 3)
	everywhere := b
	everywhere.ns = ""
	all, _ := everywhere.list(metav1.ListOptions{LabelSelector: "conformance=" + label})
	Equal(t, "listed everywhere", len(all), 3)

	patched := Get(b.patch(first, types.MergePatchType, `{"metadata":{"annotations":{"patched":"yes"}}}`))(t)
	Equal(t, "patched", of(patched).GetAnnotations()["patched"], "yes")
	until(t, b, w, first, func(o metav1.Object) bool { return o.GetAnnotations()["patched"] == "yes" })
	Must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		o := Get(b.get(first))(t)
		a := of(o).GetAnnotations()
		a["updated"] = "yes"
		of(o).SetAnnotations(a)
		after, err := b.update(o)
		if err == nil {
			Equal(t, "updated", of(after).GetAnnotations()["updated"], "yes")
		}
		return err
	}))
	until(t, b, w, first, func(o metav1.Object) bool { return o.GetAnnotations()["updated"] == "yes" })
	if row.status != "" {
		statusOf(t, b, first, row)
	}
	Must(t, b.delete(first))
	if row.finalized {
		return
	}
	until(t, b, w, first, nil)
	_, err = b.get(first)
	Holds(t, apierrors.IsNotFound(err), "after its deletion: %v", err)
	Must(t, b.deleteAll("conformance="+label))
	Eventually(t, "the collection goes", func() string {
		left, _ := b.list(metav1.ListOptions{LabelSelector: "conformance=" + label})
		if len(left) == 0 {
			return ""
		}
		return fmt.Sprint(len(left), " of ", names, " are left")
	})
}

// until reads events of an object until one shows what is asked; nil asks for its deletion.
func until(t *testing.T, b built, w watch.Interface, name string, shows func(metav1.Object) bool) {
	t.Helper()
	for {
		select {
		case e, open := <-w.ResultChan():
			if !open || e.Type == watch.Error {
				t.Fatalf("the watch ended: %+v", e)
			}
			o := of(e.Object)
			if o.GetName() == name && (shows == nil && e.Type == watch.Deleted || shows != nil && e.Type == watch.Modified && shows(o)) {
				return
			}
		case <-b.ctx.Done():
			t.Fatalf("the watch does not show it: %s", name)
		}
	}
}

func statusOf(t *testing.T, b built, name string, row operation) {
	t.Helper()
	before := of(Get(b.get(name))(t)).GetGeneration()
	patched := Get(b.patch(name, types.MergePatchType, row.status, "status"))(t)
	Holds(t, field(t, patched, row.shown) != nil, "%s is not in the patched status: %v", row.shown, field(t, patched, "status"))
	Equal(t, "generation after a status patch", of(patched).GetGeneration(), before)
	Must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		o := Get(b.get(name, "status"))(t)
		of(o).SetAnnotations(map[string]string{"status-updated": "yes"})
		_, err := b.update(o, "status")
		return err
	}))
	Get(b.get(name, "status"))(t)
}

// discovered asserts the group, the version, and the resource with its kind and scope.
func discovered(t *testing.T, gvr schema.GroupVersionResource, kind string, row operation) {
	t.Helper()
	list := Get(Kube(t).Discovery().ServerResourcesForGroupVersion(gvr.GroupVersion().String()))(t)
	for _, r := range list.APIResources {
		if r.Name == gvr.Resource {
			Equal(t, "kind", r.Kind, kind)
			Equal(t, "namespaced", r.Namespaced, row.namespaced)
			return
		}
	}
	t.Errorf("%s is not discovered", gvr)
}
