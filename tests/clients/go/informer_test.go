package clients

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"

	. "keelson/tests/testkit"
)

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

// cut is a dialer whose connections can be cut, as a network does.
type cut struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func (c *cut) into(config *rest.Config) {
	c.conns = map[net.Conn]bool{}
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			c.mu.Lock()
			c.conns[conn] = true
			c.mu.Unlock()
		}
		return conn, err
	}
}

func (c *cut) all() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

// A factory of many kinds, by WatchList: it syncs, follows writes, survives cut connections, and misses nothing.
func TestInformersByWatchList(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	maps := Kube(t).CoreV1().ConfigMaps(ns)
	for i := range 50 {
		Get(maps.Create(ctx, configMap(fmt.Sprint("before-", i), nil), metav1.CreateOptions{}))(t)
	}
	spy, wire := &Spy{}, &cut{}
	c := Config(t)
	c.ContentType, c.AcceptContentTypes = Protobuf, Protobuf
	c.Timeout = 0
	spy.Watch(c)
	wire.into(c)
	f := informers.NewSharedInformerFactoryWithOptions(kubernetes.NewForConfigOrDie(c), 0, informers.WithNamespace(ns))
	var added, updated, deleted atomic.Int64
	maps0 := f.Core().V1().ConfigMaps()
	Get(maps0.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { added.Add(1) },
		UpdateFunc: func(any, any) { updated.Add(1) },
		DeleteFunc: func(any) { deleted.Add(1) },
	}))(t)
	all := []cache.SharedIndexInformer{maps0.Informer(), f.Core().V1().Pods().Informer(), f.Core().V1().Secrets().Informer(), f.Core().V1().Services().Informer(),
		f.Core().V1().ServiceAccounts().Informer(), f.Core().V1().Events().Informer(), f.Core().V1().ReplicationControllers().Informer(),
		f.Apps().V1().Deployments().Informer(), f.Apps().V1().ReplicaSets().Informer(), f.Apps().V1().StatefulSets().Informer(), f.Apps().V1().DaemonSets().Informer(),
		f.Batch().V1().Jobs().Informer(), f.Batch().V1().CronJobs().Informer(), f.Networking().V1().Ingresses().Informer(), f.Networking().V1().NetworkPolicies().Informer(),
		f.Discovery().V1().EndpointSlices().Informer(), f.Policy().V1().PodDisruptionBudgets().Informer(), f.Rbac().V1().Roles().Informer(),
		f.Coordination().V1().Leases().Informer(), f.Autoscaling().V2().HorizontalPodAutoscalers().Informer(), f.Resource().V1().ResourceClaims().Informer()}
	f.StartWithContext(ctx)
	for _, i := range all {
		Holds(t, cache.WaitForCacheSync(ctx.Done(), i.HasSynced), "a cache did not fill")
	}
	lists := 0
	for _, x := range spy.All() {
		if strings.Contains(x.URL, "sendInitialEvents=true") {
			lists++
			Holds(t, strings.Contains(x.URL, "resourceVersionMatch=NotOlderThan") && strings.Contains(x.URL, "allowWatchBookmarks=true"), "watch list: %s", x.URL)
		} else if x.Method == "GET" && !strings.Contains(x.URL, "watch=true") {
			t.Errorf("an informer fell back to a list: %s", x.URL)
		}
	}
	Holds(t, lists >= len(all), "%d lists by watch", lists)
	Holds(t, added.Load() >= 50, "%d added", added.Load())

	for round := range 5 {
		for i := range 20 {
			Get(maps.Create(ctx, configMap(fmt.Sprintf("r%d-%d", round, i), nil), metav1.CreateOptions{}))(t)
		}
		wire.all()
		for i := range 10 {
			Must(t, maps.Delete(ctx, fmt.Sprintf("r%d-%d", round, i), metav1.DeleteOptions{}))
			Get(maps.Update(ctx, configMap(fmt.Sprint("before-", i), map[string]string{"round": fmt.Sprint(round)}), metav1.UpdateOptions{}))(t)
		}
	}
	same(t, ctx, maps0.Informer().GetStore(), ns)
	Equal(t, "listed by the lister", len(Get(maps0.Lister().ConfigMaps(ns).List(labels.Everything()))(t)), maps0Count(t, ctx, ns))
	Holds(t, deleted.Load() >= 50 && updated.Load() >= 10, "%d deleted, %d updated", deleted.Load(), updated.Load())
}

func maps0Count(t *testing.T, ctx context.Context, ns string) int {
	return len(Get(Kube(t).CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{}))(t).Items)
}

// same waits until a cache of ConfigMaps is what the server has.
func same(t *testing.T, ctx context.Context, store cache.Store, ns string) {
	t.Helper()
	Eventually(t, "cache and server agree", func() string {
		want := map[string]string{}
		for _, m := range Get(Kube(t).CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{}))(t).Items {
			want[m.Name] = m.ResourceVersion
		}
		items := store.List()
		for _, o := range items {
			m := o.(metav1.Object)
			if want[m.GetName()] != m.GetResourceVersion() {
				return fmt.Sprintf("%s: %s in the cache, %s in the store", m.GetName(), m.GetResourceVersion(), want[m.GetName()])
			}
		}
		if len(items) != len(want) {
			return fmt.Sprintf("%d in the cache, %d in the store", len(items), len(want))
		}
		return ""
	})
}

// Informers of objects without types, and of metadata alone.
func TestDynamicAndMetadataInformers(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	maps := Kube(t).CoreV1().ConfigMaps(ns)
	dyn := dynamicinformer.NewFilteredDynamicSharedInformerFactory(Dynamic(t), 0, ns, nil)
	meta := metadatainformer.NewFilteredSharedInformerFactory(Metadata(t), 0, ns, nil)
	a, b := dyn.ForResource(mapsGVR), meta.ForResource(mapsGVR)
	a.Informer()
	b.Informer()
	dyn.Start(ctx.Done())
	meta.Start(ctx.Done())
	Holds(t, cache.WaitForCacheSync(ctx.Done(), a.Informer().HasSynced, b.Informer().HasSynced), "a cache did not fill")
	for i := range 20 {
		Get(maps.Create(ctx, configMap(fmt.Sprint("m", i), map[string]string{"a": "b"}), metav1.CreateOptions{}))(t)
	}
	Must(t, maps.Delete(ctx, "m3", metav1.DeleteOptions{}))
	same(t, ctx, a.Informer().GetStore(), ns)
	same(t, ctx, b.Informer().GetStore(), ns)
}

// An informer of a part: what stops matching leaves it, what starts matching comes.
func TestInformerOfSelection(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	maps := Kube(t).CoreV1().ConfigMaps(ns)
	f := informers.NewSharedInformerFactoryWithOptions(Kube(t), 0, informers.WithNamespace(ns),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "pick=yes" }))
	i := f.Core().V1().ConfigMaps().Informer()
	f.StartWithContext(ctx)
	Holds(t, cache.WaitForCacheSync(ctx.Done(), i.HasSynced), "the cache did not fill")
	m := configMap("m", nil)
	m.Labels = map[string]string{"pick": "no"}
	Get(maps.Create(ctx, m, metav1.CreateOptions{}))(t)
	for _, want := range []struct {
		label string
		n     int
	}{{"yes", 1}, {"no", 0}, {"yes", 1}} {
		m.Labels["pick"] = want.label
		Get(maps.Update(ctx, m, metav1.UpdateOptions{}))(t)
		Eventually(t, "with the label "+want.label, func() string {
			if n := len(i.GetStore().List()); n != want.n {
				return fmt.Sprint(n, " in the cache")
			}
			return ""
		})
	}
}

// Lists in pages, by the pager and by hand; a stale token is told so.
func TestPaging(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	maps := Kube(t).CoreV1().ConfigMaps(ns)
	for i := range 60 {
		Get(maps.Create(ctx, configMap(fmt.Sprintf("p%02d", i), nil), metav1.CreateOptions{}))(t)
	}
	first := Get(maps.List(ctx, metav1.ListOptions{Limit: 7, FieldSelector: "metadata.name!=kube-root-ca.crt"}))(t)
	Equal(t, "page", len(first.Items), 7)
	Holds(t, first.Continue != "" && (first.RemainingItemCount == nil || *first.RemainingItemCount == 53), "continue %q, remaining %v", first.Continue, first.RemainingItemCount)
	var names []string
	page := first
	for {
		for _, m := range page.Items {
			names = append(names, m.Name)
		}
		Equal(t, "one revision through all pages", page.ResourceVersion, first.ResourceVersion)
		if page.Continue == "" {
			break
		}
		page = Get(maps.List(ctx, metav1.ListOptions{Limit: 7, Continue: page.Continue, FieldSelector: "metadata.name!=kube-root-ca.crt"}))(t)
	}
	Equal(t, "names", len(names), 60)
	Holds(t, slices.IsSorted(names), "not in order: %v", names)

	n := 0
	p := pager.New(pager.SimplePageFunc(func(o metav1.ListOptions) (runtime.Object, error) { return maps.List(ctx, o) }))
	p.PageSize = 10
	Must(t, p.EachListItem(ctx, metav1.ListOptions{}, func(runtime.Object) error { n++; return nil }))
	Holds(t, n >= 60, "the pager saw %d", n)
	_, err := maps.List(ctx, metav1.ListOptions{Limit: 7, Continue: "not a token"})
	Refused(t, err, metav1.StatusReasonBadRequest, "continue key is not valid")
}

// Watch helpers: until a condition, and a watch that resumes by itself.
func TestWatchTools(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	maps := Kube(t).CoreV1().ConfigMaps(ns)
	lw := cache.NewListWatchFromClient(Kube(t).CoreV1().RESTClient(), "configmaps", ns, fields.Everything())
	go func() {
		for i := range 10 {
			_, _ = maps.Create(ctx, configMap(fmt.Sprint("w", i), nil), metav1.CreateOptions{})
			time.Sleep(5 * time.Millisecond)
		}
	}()
	e := Get(watchtools.UntilWithSync(ctx, lw, &corev1.ConfigMap{}, nil, func(e watch.Event) (bool, error) {
		return e.Object.(*corev1.ConfigMap).Name == "w9", nil
	}))(t)
	Equal(t, "saw", e.Object.(*corev1.ConfigMap).Name, "w9")
	rv := Get(maps.List(ctx, metav1.ListOptions{}))(t).ResourceVersion
	wire := &cut{}
	c := Config(t)
	c.Timeout = 0
	wire.into(c)
	mine := cache.NewListWatchFromClient(kubernetes.NewForConfigOrDie(c).CoreV1().RESTClient(), "configmaps", ns, fields.Everything())
	w := Get(watchtools.NewRetryWatcherWithContext(ctx, rv, mine))(t)
	defer w.Stop()
	for i := range 6 {
		name := fmt.Sprint("x", i)
		Get(maps.Create(ctx, configMap(name, nil), metav1.CreateOptions{}))(t)
		select {
		case e := <-w.ResultChan():
			Equal(t, "next", string(e.Type)+" "+e.Object.(*corev1.ConfigMap).Name, "ADDED "+name)
		case <-time.After(Limit):
			t.Fatal("no event for " + name)
		}
		wire.all()
	}
	_, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: "soon"})
	Refused(t, err, metav1.StatusReasonUnknown, `Invalid value: "soon"`) // upstream takes it for a failure of its own
}
