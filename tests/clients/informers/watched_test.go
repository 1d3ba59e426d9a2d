package informers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	corev1 "k8s.io/api/core/v1"

	. "keelson/tests/testkit"
)

// watched is one informer and what it was told.
type watched struct {
	name     string
	resource string
	ns       string
	options  metav1.ListOptions
	informer cache.SharedIndexInformer

	mu     sync.Mutex
	at     map[string]uint64 // the newest resource version seen of each object, also of those that are gone
	here   map[string]bool
	wrong  []string
	events atomic.Int64
}

// clients are the ones of one connection, for some informers.
type clients struct {
	kube *kubernetes.Clientset
	dyn  dynamic.Interface
	meta metadata.Interface
}

const perConnection = 20

var connections = map[int]*clients{}
var lists atomic.Int64 // lists and lists by watches that were asked for

func (w *world) clients(i int) *clients {
	if c := connections[i/perConnection]; c != nil {
		return c
	}
	config := rest.CopyConfig(w.config)
	dialer := &net.Dialer{}
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next} })
	plain := rest.CopyConfig(config)
	plain.ContentType, plain.AcceptContentTypes = "", ""
	c := &clients{kubernetes.NewForConfigOrDie(config), dynamic.NewForConfigOrDie(plain), metadata.NewForConfigOrDie(plain)}
	connections[i/perConnection] = c
	return c
}

type counting struct{ next http.RoundTripper }

func (c counting) RoundTrip(rq *http.Request) (*http.Response, error) {
	q := rq.URL.Query()
	if !q.Has("watch") || q.Get("sendInitialEvents") == "true" {
		lists.Add(1)
	}
	return c.next.RoundTrip(rq)
}

// noWatchList makes an informer list first, as those of before did.
type noWatchList struct{}

func (noWatchList) IsWatchListSemanticsUnSupported() bool { return true }

type lister interface {
	List(context.Context, metav1.ListOptions) (runtime.Object, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

type from[T runtime.Object] struct {
	list  func(context.Context, metav1.ListOptions) (T, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func (f from[T]) List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	return f.list(ctx, o)
}
func (f from[T]) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return f.watch(ctx, o)
}

var resources = []string{"configmaps", "secrets", "pods"}

// source is where informer i lists and watches: every third typed, dynamic, metadata only.
func (c *clients) source(sort int, resource, ns string) (lister, runtime.Object) {
	gvr := schema.GroupVersionResource{Version: "v1", Resource: resource}
	switch {
	case sort == 1:
		r := c.dyn.Resource(gvr).Namespace(ns)
		return from[runtime.Object]{func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return r.List(ctx, o) }, r.Watch}, nil
	case sort == 2:
		r := c.meta.Resource(gvr).Namespace(ns)
		return from[runtime.Object]{func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return r.List(ctx, o) }, r.Watch},
			&metav1.PartialObjectMetadata{}
	case resource == "configmaps":
		r := c.kube.CoreV1().ConfigMaps(ns)
		return from[*corev1.ConfigMapList]{r.List, r.Watch}, &corev1.ConfigMap{}
	case resource == "secrets":
		r := c.kube.CoreV1().Secrets(ns)
		return from[*corev1.SecretList]{r.List, r.Watch}, &corev1.Secret{}
	}
	r := c.kube.CoreV1().Pods(ns)
	return from[*corev1.PodList]{r.List, r.Watch}, &corev1.Pod{}
}

// informer starts the i-th one. One in twenty sees all namespaces; others one, all of it or what a selector lets through.
func (w *world) informer(i int, done <-chan struct{}) *watched {
	x := &watched{resource: resources[i%3], at: map[string]uint64{}, here: map[string]bool{}}
	if i%20 != 0 {
		x.ns = space(i / 3)
	}
	switch i / 9 % 3 {
	case 1:
		x.options.LabelSelector = []string{"color=red", "color in (red,green),n!=3", "!missing,n in (1,2,4)"}[i/27%3]
	case 2:
		x.options.FieldSelector = map[string]string{"configmaps": fmt.Sprintf("metadata.name=o-%d", i%spaces), "secrets": "type=Opaque", "pods": "spec.schedulerName=other"}[x.resource]
	}
	sort := i / 3 % 3
	source, example := w.clients(i).source(sort, x.resource, x.ns)
	x.name = fmt.Sprintf("informer %d (%s in %q, %s%s, sort %d)", i, x.resource, x.ns, x.options.LabelSelector, x.options.FieldSelector, sort)
	with := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector, o.FieldSelector = x.options.LabelSelector, x.options.FieldSelector
		return o
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return source.List(ctx, with(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return source.Watch(ctx, with(o))
		},
	}
	var how any = w.direct
	if i%2 == 1 {
		how = noWatchList{}
	}
	x.informer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(lw, how), example, 0, cache.Indexers{})
	_, err := x.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { x.told("added", o) },
		UpdateFunc: func(_, o any) { x.told("updated", o) },
		DeleteFunc: func(o any) { x.told("deleted", o) },
	})
	Must(w.t, err)
	go x.informer.Run(done)
	return x
}

// told checks one event against those of before: an object comes, changes and goes, and its version only rises.
func (x *watched) told(what string, o any) {
	x.events.Add(1)
	x.mu.Lock()
	defer x.mu.Unlock()
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok { // what a list no longer held
		if !x.here[gone.Key] {
			x.wrong = append(x.wrong, "deleted while it was not there: "+gone.Key)
		}
		delete(x.here, gone.Key)
		return
	}
	m, err := meta.Accessor(o)
	if err != nil {
		x.wrong = append(x.wrong, err.Error())
		return
	}
	key := m.GetNamespace() + "/" + m.GetName()
	version, _ := strconv.ParseUint(m.GetResourceVersion(), 10, 64)
	switch {
	case version < x.at[key]:
		x.wrong = append(x.wrong, fmt.Sprintf("%s %s at %d after %d", key, what, version, x.at[key]))
	case what == "added" && x.here[key]:
		x.wrong = append(x.wrong, fmt.Sprintf("%s added twice, at %d", key, version))
	case what != "added" && !x.here[key]:
		x.wrong = append(x.wrong, fmt.Sprintf("%s %s while it was not there, at %d", key, what, version))
	}
	x.at[key] = version
	x.here[key] = what != "deleted"
	if what == "deleted" {
		delete(x.here, key)
	}
}

// compare waits until every cache holds what the store's list holds, and the events told of just that.
func (w *world) compare(all []*watched) {
	stored := map[string]map[string]string{}
	bad := 0
	for _, x := range all {
		id := strings.Join([]string{x.resource, x.ns, x.options.LabelSelector, x.options.FieldSelector}, "|")
		Eventually(w.t, x.name, func() string {
			if stored[id] == nil || bad > 0 {
				stored[id] = w.list(x)
			}
			why := differ(x.cached(), stored[id])
			if why != "" {
				stored[id] = nil
			} else {
				why = x.lags() // handlers are told behind the cache, some of them much later on a busy machine
			}
			return why
		})
		x.mu.Lock()
		for i, why := range x.wrong {
			if i < 3 {
				w.t.Errorf("%s: %s", x.name, why)
			}
		}
		bad += len(x.wrong)
		x.mu.Unlock()
	}
}

func (x *watched) lags() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := len(x.informer.GetStore().ListKeys()); len(x.here) != n {
		return fmt.Sprintf("events told of %d objects, the cache holds %d", len(x.here), n)
	}
	return ""
}

func (x *watched) cached() map[string]string {
	all := map[string]string{}
	for _, o := range x.informer.GetStore().List() {
		if m, err := meta.Accessor(o); err == nil {
			all[m.GetNamespace()+"/"+m.GetName()] = m.GetResourceVersion()
		}
	}
	return all
}

// list asks the server itself, past the proxy.
func (w *world) list(x *watched) map[string]string {
	all := map[string]string{}
	source, _ := (&clients{kube: w.direct}).source(0, x.resource, x.ns)
	o, err := source.List(context.Background(), x.options)
	Must(w.t, err)
	Must(w.t, meta.EachListItem(o, func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		if err == nil {
			all[m.GetNamespace()+"/"+m.GetName()] = m.GetResourceVersion()
		}
		return err
	}))
	return all
}

func differ(got, want map[string]string) string {
	var only, missing, other int
	example := ""
	for key, version := range want {
		if got[key] == "" {
			missing++
			example = key
		} else if got[key] != version {
			other++
			example = fmt.Sprintf("%s at %s, not %s", key, got[key], version)
		}
	}
	for key := range got {
		if want[key] == "" {
			only++
			example = key
		}
	}
	if only+missing+other == 0 {
		return ""
	}
	return fmt.Sprintf("of %d objects %d are missing, %d are of another version, %d more are there (%s)", len(want), missing, other, only, example)
}

func events(all []*watched) (n int64) {
	for _, x := range all {
		n += x.events.Load()
	}
	return n
}
