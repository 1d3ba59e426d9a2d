package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	. "keelson/tests/testkit"
)

// event is one line of a watch in JSON.
type event struct {
	Type   string
	Object json.RawMessage
}

// follow opens a watch by hand and gives a function that reads its next event.
func follow(t *testing.T, path string, headers ...string) func() event {
	t.Helper()
	c := Config(t)
	c.Timeout = 0
	client := Get(rest.HTTPClientFor(c))(t)
	rq := Get(http.NewRequestWithContext(Context(t), "GET", strings.TrimSuffix(c.Host, "/")+path, nil))(t)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		rq.Header.Set(name, value)
	}
	a := Get(client.Do(rq))(t)
	t.Cleanup(func() { a.Body.Close() })
	Equal(t, path, a.StatusCode, 200)
	lines := bufio.NewReader(a.Body)
	return func() event {
		t.Helper()
		line := Get(lines.ReadBytes('\n'))(t)
		var e event
		Must(t, json.Unmarshal(line, &e))
		return e
	}
}

// 1: a list by watch ends in a bookmark that says so, of an empty collection too; and it is asked for in one way only.
func TestDetailInitialEventsEnd(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	at := "/api/v1/namespaces/" + ns + "/secrets?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
	for n := range 3 {
		next := follow(t, at)
		for range n {
			Equal(t, "initial event", next().Type, "ADDED")
		}
		end := next()
		Equal(t, "then", end.Type, "BOOKMARK")
		var o corev1.Secret
		Must(t, json.Unmarshal(end.Object, &o))
		Equal(t, "its annotation", o.Annotations[metav1.InitialEventsAnnotationKey], "true")
		Holds(t, o.ResourceVersion != "" && o.ResourceVersion != "0" && o.Kind == "Secret" && o.Name == "", "bookmark: %s", end.Object)
		name := fmt.Sprint("s", n)
		Get(Kube(t).CoreV1().Secrets(ns).Create(Context(t), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}))(t)
		e := next()
		Holds(t, e.Type == "ADDED" && strings.Contains(string(e.Object), `"name":"`+name+`"`), "after the list: %s %s", e.Type, e.Object)
	}
	for _, wrong := range []string{"?watch=1&sendInitialEvents=true", "?sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
		"?watch=1&sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1&allowWatchBookmarks=true"} {
		code, _, body := Raw(t, "GET", "/api/v1/namespaces/"+ns+"/secrets"+wrong, "")
		Holds(t, code == 422, "%s: %d %s", wrong, code, body)
	}
}

// 3: a write that changes nothing keeps the revision and tells nobody.
func TestDetailNoOpWrites(t *testing.T) {
	t.Parallel()
	b := resource(t, configMaps, Namespace(t))
	m := Get(b.create(configMap("m", "x")))(t).(*corev1.ConfigMap)
	w := b.watch(metav1.ListOptions{ResourceVersion: m.ResourceVersion, FieldSelector: "metadata.name=m"})
	Equal(t, "after an update", of(Get(b.update(m))(t)).GetResourceVersion(), m.ResourceVersion)
	for _, kind := range []types.PatchType{types.MergePatchType, types.StrategicMergePatchType} {
		Equal(t, "after a patch", of(Get(b.patch("m", kind, `{"metadata":{"labels":{"watch":"x"}}}`))(t)).GetResourceVersion(), m.ResourceVersion)
	}
	Equal(t, "after a JSON patch", of(Get(b.patch("m", types.JSONPatchType, `[]`))(t)).GetResourceVersion(), m.ResourceVersion)
	changed := mutate(t, b, "m", "1")
	Equal(t, "the first event", of(expect(t, b.ctx, w, watch.Modified, "m")).GetResourceVersion(), changed.ResourceVersion)
}

// 4: revisions are numbers of one rising sequence over all kinds; a deletion has one of its own, and an empty list one that is not zero.
func TestDetailRevisions(t *testing.T) {
	t.Parallel()
	b := resource(t, configMaps, Namespace(t))
	number := func(s string) uint64 {
		t.Helper()
		return Get(strconv.ParseUint(s, 10, 64))(t)
	}
	secrets := resource(t, corev1.SchemeGroupVersion.WithResource("secrets"), b.ns)
	none, listed := secrets.list(metav1.ListOptions{})
	Holds(t, len(none) == 0 && number(listed) > 0, "an empty list of revision %s", listed)
	m := of(Get(b.create(configMap("m", "x")))(t)).GetResourceVersion()
	s := of(Get(secrets.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}))(t)).GetResourceVersion()
	Holds(t, number(listed) < number(m) && number(m) < number(s), "not rising: %s %s %s", listed, m, s)
	w := b.watch(metav1.ListOptions{ResourceVersion: m, FieldSelector: "metadata.name=m"})
	Must(t, b.delete("m"))
	gone := of(expect(t, b.ctx, w, watch.Deleted, "m")).GetResourceVersion()
	Holds(t, number(gone) > number(s), "deleted at %s, made before %s", gone, s)
	_, after := b.list(metav1.ListOptions{})
	Holds(t, number(after) >= number(gone), "listed at %s, deleted at %s", after, gone)
}

// 5: a watch from what is forgotten gets one ERROR event, and nothing before it. Not in parallel: others would lose their place.
func TestDetailExpiredWatch(t *testing.T) {
	b := resource(t, configMaps, Namespace(t))
	_, rv := b.list(metav1.ListOptions{})
	large := configMap("large", "x")
	Get(b.create(large))(t)
	for i := range 200 {
		large.Data = map[string]string{"text": strings.Repeat(fmt.Sprint(i%10), 500_000)}
		Get(b.update(large))(t)
	}
	w, err := Kube(t).CoreV1().ConfigMaps(b.ns).Watch(b.ctx, metav1.ListOptions{ResourceVersion: rv})
	if err != nil {
		Holds(t, apierrors.IsResourceExpired(err) || apierrors.IsGone(err), "%v", err)
		return
	}
	defer w.Stop()
	e := <-w.ResultChan()
	Equal(t, "the first event", string(e.Type), "ERROR")
	Holds(t, apierrors.IsResourceExpired(apierrors.FromObject(e.Object)), "%+v", e.Object)
	_, more := <-w.ResultChan()
	Equal(t, "more events", more, false)
}

// 7: what aggregated discovery answers has the parameters of its type and an ETag that stands for it.
func TestDetailDiscoveryETag(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api", "/apis"} {
		Eventually(t, "304 of "+path, func() string { // other tests' definitions come and go
			_, h, _ := Raw(t, "GET", path, "", "Accept: "+aggregated)
			tag := h.Get("ETag")
			Holds(t, strings.HasPrefix(tag, `"`) && strings.Contains(h.Get("Vary"), "Accept"), "ETag %q, Vary %q", tag, h.Get("Vary"))
			code, _, body := Raw(t, "GET", path, "", "Accept: "+aggregated, "If-None-Match: "+tag)
			if code == 304 && body == "" {
				return ""
			}
			return fmt.Sprint(code)
		})
		code, h, _ := Raw(t, "GET", path, "", "Accept: application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json")
		Holds(t, code == 200 && h.Get("Content-Type") == "application/json", "an unknown version: %d %s", code, h.Get("Content-Type"))
	}
}

// 11: tables in watches name their columns once; custom resources have tables and metadata too.
func TestDetailTables(t *testing.T) {
	t.Parallel()
	ctx, d, ns := Context(t), define(t, definition{}), Namespace(t)
	c := d.client(t, "v1", ns)
	Get(c.Create(ctx, d.instance(t, "v1", "a", "x: 1"), metav1.CreateOptions{}))(t)
	path := fmt.Sprintf("/apis/%s/v1/namespaces/%s/%s", d.group, ns, d.plural)
	next := follow(t, path+"?watch=1", "Accept: application/json;as=Table;v=v1;g=meta.k8s.io")
	Get(c.Create(ctx, d.instance(t, "v1", "b", "x: 1"), metav1.CreateOptions{}))(t)
	for i, name := range []string{"a", "b"} {
		var table metav1.Table
		Must(t, json.Unmarshal(next().Object, &table))
		Equal(t, "columns", len(table.ColumnDefinitions) > 0, i == 0)
		Equal(t, "cell", fmt.Sprint(table.Rows[0].Cells[0]), name)
	}
	partial := follow(t, path+"?watch=1", "Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
	text := string(partial().Object)
	Holds(t, strings.Contains(text, `"kind":"PartialObjectMetadata"`) && !strings.Contains(text, `"x":1`), "%s", text)
	code, _, _ := Raw(t, "GET", path, "", "Accept: "+Protobuf)
	Equal(t, "a custom resource in protobuf", code, 406)
	code, _, _ = Raw(t, "GET", "/api/v1/namespaces/"+ns+"/configmaps", "", "Accept: application/json;as=Soup;v=v1;g=meta.k8s.io")
	Equal(t, "an unknown form", code, 406)
}

// 12: the shape of JSON: empty lists, quantities, large numbers, numbers or texts, templates.
func TestDetailShapes(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	_, _, body := Raw(t, "GET", "/api/v1/namespaces/"+ns+"/pods", "")
	Holds(t, strings.Contains(body, `"items":[]`), "an empty list: %s", body)
	code, _, body := Raw(t, "POST", "/apis/apps/v1/namespaces/"+ns+"/deployments", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":0,
		"strategy":{"rollingUpdate":{"maxSurge":"50%","maxUnavailable":1}},"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i",
		"resources":{"requests":{"cpu":"1000m","memory":"1024Mi","ephemeral-storage":"1e3"},"limits":{"cpu":1.5,"memory":"1500Mi","ephemeral-storage":"0.5Gi"}}}]}}}}`, "Content-Type: application/json")
	Equal(t, "status", code, 201)
	for _, part := range []string{`"cpu":"1"`, `"ephemeral-storage":"1e3"`, `"memory":"1Gi"`, `"cpu":"1500m"`, `"ephemeral-storage":"512Mi"`, `"memory":"1500Mi"`,
		`"maxSurge":"50%"`, `"maxUnavailable":1`} {
		Holds(t, strings.Contains(body, part), "no %s in %s", part, body)
	}
	_, _, body = Raw(t, "POST", "/api/v1/namespaces/"+ns+"/secrets", `{"metadata":{"name":"s"},"data":{"a":"YQ=="},"stringData":{"b":"c"}}`, "Content-Type: application/json")
	Holds(t, strings.Contains(body, `"data":{"a":"YQ==","b":"Yw=="}`) && !strings.Contains(body, `"stringData"`), "a secret: %s", body)
}

// 14: directives of strategic merge patches.
func TestDetailStrategicDirectives(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	d := typed(t, strings.Replace(web, "IMAGE", "i", 1)).(*appsv1.Deployment)
	pod := &d.Spec.Template.Spec
	pod.Containers = append(pod.Containers, corev1.Container{Name: "side", Image: "s"})
	pod.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	d.Finalizers = []string{"example.com/a", "example.com/b"}
	b := resource(t, appsv1.SchemeGroupVersion.WithResource("deployments"), ns)
	Get(b.create(d))(t)
	t.Cleanup(func() { _, _ = b.patch("web", types.MergePatchType, `{"metadata":{"finalizers":null}}`) })
	patch := func(text string) *appsv1.Deployment {
		t.Helper()
		return Get(b.patch("web", types.StrategicMergePatchType, text))(t).(*appsv1.Deployment)
	}
	names := func(d *appsv1.Deployment) string {
		var all []string
		for _, c := range d.Spec.Template.Spec.Containers {
			all = append(all, c.Name)
		}
		return strings.Join(all, " ")
	}
	Equal(t, "added and ordered", names(patch(`{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"new"},{"name":"side"},{"name":"c"}],"containers":[{"name":"new","image":"n"}]}}}}`)), "new side c")
	Equal(t, "deleted by key", names(patch(`{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}`)), "new c")
	kept := patch(`{"spec":{"template":{"spec":{"volumes":[{"name":"v","$retainKeys":["name","configMap"],"configMap":{"name":"m"}}]}}}}`).Spec.Template.Spec.Volumes[0]
	Holds(t, kept.EmptyDir == nil && kept.ConfigMap.Name == "m", "retained keys: %+v", kept)
	Equal(t, "from a primitive list", fmt.Sprint(patch(`{"metadata":{"$deleteFromPrimitiveList/finalizers":["example.com/a"]}}`).Finalizers), "[example.com/b]")
	Equal(t, "replaced as a whole", names(patch(`{"spec":{"template":{"spec":{"containers":[{"$patch":"replace"},{"name":"only","image":"o"}]}}}}`)), "only")
	Equal(t, "a struct replaced", string(patch(`{"spec":{"strategy":{"$patch":"replace","type":"Recreate"}}}`).Spec.Strategy.Type), "Recreate")
}

// 17: pods of a Job stay when it is deleted and nothing is said; those of a ReplicaSet go.
func TestDetailDefaultPropagation(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	job := typed(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}").(*batchv1.Job)
	Get(Kube(t).BatchV1().Jobs(ns).Create(ctx, job, metav1.CreateOptions{}))(t)
	set := typed(t, "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: r}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}").(*appsv1.ReplicaSet)
	Get(Kube(t).AppsV1().ReplicaSets(ns).Create(ctx, set, metav1.CreateOptions{}))(t)
	pods := func(want int, selector string) {
		t.Helper()
		Eventually(t, selector, func() string {
			if n := len(Get(Kube(t).CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: selector}))(t).Items); n != want {
				return fmt.Sprint(n, " pods")
			}
			return ""
		})
	}
	pods(1, "job-name=j")
	pods(1, "a=b")
	_, h, _ := Raw(t, "DELETE", "/apis/batch/v1/namespaces/"+ns+"/jobs/j", "")
	Holds(t, strings.Contains(h.Get("Warning"), "child pods are preserved by default when jobs are deleted"), "warning: %q", h.Get("Warning"))
	_, _, _ = Raw(t, "DELETE", "/apis/apps/v1/namespaces/"+ns+"/replicasets/r", "")
	pods(0, "a=b")
	pods(1, "job-name=j")
	Eventually(t, "the pod is let go", func() string {
		p := Get(Kube(t).CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "job-name=j"}))(t).Items[0]
		return strings.Trim(fmt.Sprint(len(p.OwnerReferences)), "0")
	})
}

// 18: what an error says: reason, code, details with causes, kind and name.
func TestDetailStatusObjects(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	_, err := Kube(t).CoreV1().Services(ns).Create(Context(t), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 0}, {Port: 80}}}}, metav1.CreateOptions{})
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		t.Fatalf("%v", err)
	}
	s := status.Status()
	Equal(t, "code", s.Code, int32(422))
	Equal(t, "reason", s.Reason, metav1.StatusReasonInvalid)
	Equal(t, "kind and name", s.Details.Kind+" "+s.Details.Name, "Service s")
	var fields []string
	for _, c := range s.Details.Causes {
		fields = append(fields, string(c.Type)+" "+c.Field)
	}
	Equal(t, "causes", strings.Join(fields, ", "), "FieldValueRequired spec.ports[0].name, FieldValueInvalid spec.ports[0].port, FieldValueInvalid spec.ports[0].targetPort, FieldValueRequired spec.ports[1].name")
	code, h, _ := Raw(t, "POST", "/api/v1/namespaces/"+ns+"/pods", "{}", "Content-Type: text/soup")
	Holds(t, code == 415 && h.Get("Content-Type") == "application/json", "%d %s", code, h.Get("Content-Type"))
}

// 24: headers that clients look at.
func TestDetailHeaders(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	_, h, _ := Raw(t, "POST", "/api/v1/namespaces/"+ns+"/configmaps?fieldValidation=Warn", `{"metadata":{"name":"m"},"soup":1}`, "Content-Type: application/json", "Audit-Id: my-id")
	Equal(t, "warning", h.Get("Warning"), `299 - "unknown field \"soup\""`)
	Equal(t, "audit id", h.Get("Audit-Id"), "my-id")
	_, h, _ = Raw(t, "GET", "/api/v1/endpoints", "")
	Holds(t, strings.Contains(h.Get("Warning"), "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"), "warning: %q", h.Get("Warning"))
	Holds(t, h.Get("Audit-Id") != "" && strings.Contains(h.Get("Cache-Control"), "no-cache"), "%v", h)
	code, _, body := Raw(t, "GET", "/api/v1/namespaces/"+ns+"/pods", "", "Impersonate-User: ada", "Impersonate-Group: g")
	Holds(t, code == 403 && strings.Contains(body, `User \"ada\" cannot list resource \"pods\"`), "%d %s", code, body)
}

// 25: hundreds of watches on one connection, most of them not read: others go on, and each sees its event in the end.
func TestDetailManyWatches(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	c := Config(t)
	c.Timeout = 0
	maps := kubernetes.NewForConfigOrDie(c).CoreV1().ConfigMaps(ns)
	rv := Get(maps.List(ctx, metav1.ListOptions{}))(t).ResourceVersion
	var all []watch.Interface
	for range 240 {
		w := Get(maps.Watch(ctx, metav1.ListOptions{ResourceVersion: rv, FieldSelector: "metadata.name!=kube-root-ca.crt"}))(t)
		defer w.Stop()
		all = append(all, w)
	}
	for i := range 20 {
		m := configMap(fmt.Sprint("m", i), "x")
		m.Data = map[string]string{"text": strings.Repeat("x", 20_000)}
		Get(maps.Create(ctx, m, metav1.CreateOptions{}))(t) // by the same connection
	}
	for n, w := range all {
		for i := range 20 {
			select {
			case e := <-w.ResultChan():
				Equal(t, fmt.Sprint("watch ", n), of(e.Object).GetName(), fmt.Sprint("m", i))
			case <-time.After(Limit):
				t.Fatalf("watch %d: no event %d", n, i)
			}
		}
	}
}
