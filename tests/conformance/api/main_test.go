// What upstream's conformance suite demands of the API alone, as cases of our own, run against the server that KUBECONFIG names. table.tsv says which case
// stands for which of upstream's specs; the script tests/e2e/conformance-api.sh holds it to that.
package api

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	. "keelson/tests/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBECONFIG") == "" {
		println("KUBECONFIG names no server")
		os.Exit(2)
	}
	klog.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// built is a client of one built-in resource, speaking protobuf as upstream's typed clients do.
type built struct {
	t   *testing.T
	ctx context.Context
	c   rest.Interface
	gvr schema.GroupVersionResource
	ns  string
}

func resource(t *testing.T, gvr schema.GroupVersionResource, ns string) built {
	t.Helper()
	c := Config(t)
	gv := gvr.GroupVersion()
	c.GroupVersion, c.APIPath = &gv, "/apis"
	if gv.Group == "" {
		c.APIPath = "/api"
	}
	c.ContentType, c.AcceptContentTypes = Protobuf, Protobuf
	c.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return built{t, Context(t), Get(rest.RESTClientFor(c))(t), gvr, ns}
}

func (b built) at(rq *rest.Request) *rest.Request {
	return rq.NamespaceIfScoped(b.ns, b.ns != "").Resource(b.gvr.Resource)
}

func (b built) create(o runtime.Object) (runtime.Object, error) {
	return b.at(b.c.Post()).Body(o).Do(b.ctx).Get()
}

func (b built) get(name string, sub ...string) (runtime.Object, error) {
	return b.at(b.c.Get()).Name(name).SubResource(sub...).Do(b.ctx).Get()
}

func (b built) update(o runtime.Object, sub ...string) (runtime.Object, error) {
	return b.at(b.c.Put()).Name(of(o).GetName()).SubResource(sub...).Body(o).Do(b.ctx).Get()
}

func (b built) patch(name string, kind types.PatchType, body string, sub ...string) (runtime.Object, error) {
	return b.at(b.c.Patch(kind)).Name(name).SubResource(sub...).Body([]byte(body)).Do(b.ctx).Get()
}

func (b built) delete(name string) error {
	return b.at(b.c.Delete()).Name(name).Do(b.ctx).Error()
}

func (b built) deleteAll(selector string) error {
	return b.at(b.c.Delete()).VersionedParams(&metav1.ListOptions{LabelSelector: selector}, scheme.ParameterCodec).Do(b.ctx).Error()
}

// list gives the objects and the list's revision.
func (b built) list(o metav1.ListOptions) ([]runtime.Object, string) {
	b.t.Helper()
	l := Get(b.at(b.c.Get()).VersionedParams(&o, scheme.ParameterCodec).Do(b.ctx).Get())(b.t)
	return Get(meta.ExtractList(l))(b.t), l.(metav1.ListInterface).GetResourceVersion()
}

func (b built) watch(o metav1.ListOptions) watch.Interface {
	b.t.Helper()
	o.Watch = true
	w := Get(b.at(b.c.Get()).VersionedParams(&o, scheme.ParameterCodec).Watch(b.ctx))(b.t)
	b.t.Cleanup(w.Stop)
	return w
}

// of is an object's metadata.
func of(o runtime.Object) metav1.Object { return o.(metav1.Object) }

// typed reads a built-in object from YAML.
func typed(t testing.TB, text string) runtime.Object {
	t.Helper()
	o, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(text), nil, nil)
	Must(t, err)
	return o
}

// untyped reads an object from YAML or JSON; whole numbers stay whole.
func untyped(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	Must(t, o.UnmarshalJSON(Get(yaml.YAMLToJSON([]byte(text)))(t)))
	return o
}

// expect reads the next event about the object, which must be of that kind.
func expect(t *testing.T, ctx context.Context, w watch.Interface, kind watch.EventType, name string) runtime.Object {
	t.Helper()
	for {
		select {
		case e, open := <-w.ResultChan():
			if !open {
				t.Fatalf("the watch ended before %s %s", kind, name)
			}
			if e.Type == watch.Error {
				t.Fatalf("%+v instead of %s %s", e.Object, kind, name)
			}
			if of(e.Object).GetName() != name {
				continue
			}
			if e.Type != kind {
				t.Fatalf("%s instead of %s of %s", e.Type, kind, name)
			}
			return e.Object
		case <-ctx.Done():
			t.Fatalf("no %s of %s", kind, name)
		}
	}
}

// tree is an object as a tree, to look at any field of it.
func tree(t testing.TB, o runtime.Object) map[string]any {
	t.Helper()
	return Get(runtime.DefaultUnstructuredConverter.ToUnstructured(o))(t)
}

// field is one value of an object by its dotted path, nil where there is none.
func field(t testing.TB, o runtime.Object, path string) any {
	t.Helper()
	var v any = tree(t, o)
	for _, step := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[step]
	}
	return v
}
