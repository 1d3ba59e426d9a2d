package api

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	. "keelson/tests/testkit"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

func configMap(name, label string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"watch": label}}}
}

func mutate(t *testing.T, b built, name, value string) *corev1.ConfigMap {
	t.Helper()
	m := Get(b.get(name))(t).(*corev1.ConfigMap)
	m.Data = map[string]string{"mutation": value}
	return Get(b.update(m))(t).(*corev1.ConfigMap)
}

// Watches of a, of b, and of both each see what is theirs.
func TestWatchNotifications(t *testing.T) {
	t.Parallel()
	b := resource(t, configMaps, Namespace(t))
	_, rv := b.list(metav1.ListOptions{})
	of := func(selector string) watch.Interface {
		return b.watch(metav1.ListOptions{LabelSelector: selector, ResourceVersion: rv})
	}
	wa, wb, both := of("watch=a"), of("watch=b"), of("watch in (a,b)")
	expectIn := func(kind watch.EventType, name, mutation string, ws ...watch.Interface) {
		for _, w := range ws {
			o := expect(t, b.ctx, w, kind, name)
			Equal(t, "mutation", o.(*corev1.ConfigMap).Data["mutation"], mutation)
		}
	}
	Get(b.create(configMap("a", "a")))(t)
	mutate(t, b, "a", "1")
	mutate(t, b, "a", "2")
	Must(t, b.delete("a"))
	Get(b.create(configMap("b", "b")))(t)
	Must(t, b.delete("b"))
	expectIn(watch.Added, "a", "", wa, both)
	expectIn(watch.Modified, "a", "1", wa, both)
	expectIn(watch.Modified, "a", "2", wa, both)
	expectIn(watch.Deleted, "a", "2", wa, both)
	expectIn(watch.Added, "b", "", wb, both)
	expectIn(watch.Deleted, "b", "", wb, both)
	select {
	case e := <-wa.ResultChan():
		t.Errorf("the watch of a sees %+v", e)
	default:
	}
}

func TestWatchFromRevision(t *testing.T) {
	t.Parallel()
	b := resource(t, configMaps, Namespace(t))
	Get(b.create(configMap("m", "x")))(t)
	first := mutate(t, b, "m", "1")
	mutate(t, b, "m", "2")
	Must(t, b.delete("m"))
	w := b.watch(metav1.ListOptions{FieldSelector: "metadata.name=m", ResourceVersion: first.ResourceVersion})
	Equal(t, "mutation", expect(t, b.ctx, w, watch.Modified, "m").(*corev1.ConfigMap).Data["mutation"], "2")
	expect(t, b.ctx, w, watch.Deleted, "m")
}

func TestWatchRestart(t *testing.T) {
	t.Parallel()
	b := resource(t, configMaps, Namespace(t))
	_, rv := b.list(metav1.ListOptions{})
	w := b.watch(metav1.ListOptions{LabelSelector: "watch=x", ResourceVersion: rv})
	Get(b.create(configMap("m", "x")))(t)
	mutate(t, b, "m", "1")
	expect(t, b.ctx, w, watch.Added, "m")
	last := expect(t, b.ctx, w, watch.Modified, "m")
	w.Stop()
	mutate(t, b, "m", "2")
	w = b.watch(metav1.ListOptions{LabelSelector: "watch=x", ResourceVersion: of(last).GetResourceVersion()})
	Must(t, b.delete("m"))
	Equal(t, "mutation", expect(t, b.ctx, w, watch.Modified, "m").(*corev1.ConfigMap).Data["mutation"], "2")
	expect(t, b.ctx, w, watch.Deleted, "m")
}

// What stops to match is DELETED to a watch, in the state before; what starts again is ADDED.
func TestWatchSelectorTransitions(t *testing.T) {
	t.Parallel()
	b := resource(t, configMaps, Namespace(t))
	_, rv := b.list(metav1.ListOptions{})
	w := b.watch(metav1.ListOptions{LabelSelector: "watch=x", ResourceVersion: rv})
	Get(b.create(configMap("m", "x")))(t)
	mutate(t, b, "m", "1")
	label := func(value string) *corev1.ConfigMap {
		m := Get(b.get("m"))(t).(*corev1.ConfigMap)
		m.Labels["watch"] = value
		return Get(b.update(m))(t).(*corev1.ConfigMap)
	}
	left := label("other")
	mutate(t, b, "m", "2")
	label("x")
	mutate(t, b, "m", "3")
	Must(t, b.delete("m"))
	expect(t, b.ctx, w, watch.Added, "m")
	expect(t, b.ctx, w, watch.Modified, "m")
	gone := expect(t, b.ctx, w, watch.Deleted, "m").(*corev1.ConfigMap)
	Equal(t, "mutation of what left", gone.Data["mutation"], "1")
	Equal(t, "its label as it was", gone.Labels["watch"], "x")
	Equal(t, "its revision is the leaving's", gone.ResourceVersion, left.ResourceVersion)
	Equal(t, "mutation of what came", expect(t, b.ctx, w, watch.Added, "m").(*corev1.ConfigMap).Data["mutation"], "2")
	Equal(t, "then", expect(t, b.ctx, w, watch.Modified, "m").(*corev1.ConfigMap).Data["mutation"], "3")
	expect(t, b.ctx, w, watch.Deleted, "m")
}

// Watches from the revisions of each event so far see the rest in one order.
func TestWatchOrder(t *testing.T) {
	t.Parallel()
	b := resource(t, configMaps, Namespace(t))
	_, rv := b.list(metav1.ListOptions{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			name := fmt.Sprint("m", i%7)
			m := configMap(name, fmt.Sprint(i))
			if _, err := b.create(m); apierrors.IsAlreadyExists(err) {
				if i%3 == 0 {
					_ = b.delete(name)
				} else {
					_, _ = b.update(m)
				}
			}
		}
	}()
	first := b.watch(metav1.ListOptions{ResourceVersion: rv})
	var seen []string
	others := []watch.Interface{}
	starts := []int{}
	for range 60 {
		select {
		case e := <-first.ResultChan():
			Holds(t, e.Type != watch.Error, "%+v", e.Object)
			seen = append(seen, of(e.Object).GetResourceVersion())
		case <-b.ctx.Done():
			t.Fatal("no more events")
		}
		if len(seen)%10 == 0 {
			others = append(others, b.watch(metav1.ListOptions{ResourceVersion: seen[len(seen)-1]}))
			starts = append(starts, len(seen))
		}
	}
	<-done
	for i, w := range others {
		for n := starts[i]; n < len(seen); n++ {
			e := <-w.ResultChan()
			Equal(t, fmt.Sprintf("event %d of the watch from %d", n, starts[i]), of(e.Object).GetResourceVersion(), seen[n])
		}
	}
}

func podTemplates(t *testing.T, n int) built {
	t.Helper()
	b := resource(t, schema.GroupVersionResource{Version: "v1", Resource: "podtemplates"}, Namespace(t))
	for i := range n {
		Get(b.create(&corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("template-%04d", i)},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "busybox"}}}}}))(t)
	}
	return b
}

// pages reads all pages from a first one; every page has the same revision and says how many remain.
func pages(t *testing.T, b built, first *corev1.PodTemplateList, total int) []string {
	t.Helper()
	var names []string
	for page := first; ; {
		for _, p := range page.Items {
			names = append(names, p.Name)
		}
		Equal(t, "the page's revision", page.ResourceVersion, first.ResourceVersion)
		if page.Continue == "" {
			Holds(t, page.RemainingItemCount == nil, "the last page says that %v remain", page.RemainingItemCount)
			return names
		}
		if page.RemainingItemCount == nil || int(*page.RemainingItemCount)+len(names) != total {
			t.Errorf("after %d of %d, %v remain", len(names), total, page.RemainingItemCount)
		}
		page = Get(Kube(t).CoreV1().PodTemplates(b.ns).List(b.ctx, metav1.ListOptions{Limit: 17, Continue: page.Continue}))(t)
		Holds(t, len(page.Items) <= 17, "%d items", len(page.Items))
	}
}

// A list in chunks is the list as it was when it began.
func TestChunks(t *testing.T) {
	t.Parallel()
	b := podTemplates(t, 120)
	first := Get(Kube(t).CoreV1().PodTemplates(b.ns).List(b.ctx, metav1.ListOptions{Limit: 17}))(t)
	Must(t, b.delete("template-0100"))
	late := typed(t, "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: template-0099a}\ntemplate: {spec: {containers: [{name: c, image: b}]}}")
	Get(b.create(late))(t)
	names := pages(t, b, first, 120)
	Equal(t, "chunked", len(names), 120)
	Holds(t, strings.Contains(strings.Join(names, " "), "template-0100") && !strings.Contains(strings.Join(names, " "), "0099a"),
		"what was written after the first chunk is seen")
	all, _ := b.list(metav1.ListOptions{})
	Equal(t, "in one", len(all), 120)
}

// A token whose revision is gone is refused with another one, that goes on from the last name as things are now. Not in parallel: it makes the server forget
// what others still watch from.
func TestChunksAfterCompaction(t *testing.T) {
	b := podTemplates(t, 60)
	templates := Kube(t).CoreV1().PodTemplates(b.ns)
	first := Get(templates.List(b.ctx, metav1.ListOptions{Limit: 17}))(t)
	busy := resource(t, b.gvr, Namespace(t))
	large := typed(t, "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: large}\ntemplate: {spec: {containers: [{name: c, image: b, env: [{name: a}]}]}}").(*corev1.PodTemplate)
	Get(busy.create(large))(t)
	var err error
	for i := 0; i < 400 && err == nil; i++ { // 200 MB: more than is kept for watches
		large.Template.Spec.Containers[0].Env[0].Value = strings.Repeat(fmt.Sprint(i%10), 500_000)
		Get(busy.update(large))(t)
		if i%20 == 19 {
			_, err = templates.List(b.ctx, metav1.ListOptions{Limit: 17, Continue: first.Continue})
		}
	}
	Refused(t, err, metav1.StatusReasonExpired, "The provided continue parameter is too old")
	status, ok := err.(apierrors.APIStatus)
	if !ok || status.Status().ListMeta.Continue == "" {
		t.Fatalf("no token in %#v", err)
	}
	next := Get(templates.List(b.ctx, metav1.ListOptions{Limit: 17, Continue: status.Status().ListMeta.Continue}))(t)
	Holds(t, next.ResourceVersion != first.ResourceVersion, "the revision did not move")
	Equal(t, "goes on at", next.Items[0].Name, "template-0017")
	Equal(t, "the rest", len(pages(t, b, next, 43)), 43)
}
