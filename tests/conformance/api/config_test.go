package api

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	. "keelson/tests/testkit"
)

func TestConfigMapEmptyKey(t *testing.T) {
	t.Parallel()
	m := configMap("m", "x")
	m.Data = map[string]string{"": "value"}
	_, err := Kube(t).CoreV1().ConfigMaps(Namespace(t)).Create(Context(t), m, metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonInvalid, `data[]: Invalid value: "": a valid config key must consist of`)
}

func TestSecretEmptyKey(t *testing.T) {
	t.Parallel()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"": []byte("value")}}
	_, err := Kube(t).CoreV1().Secrets(Namespace(t)).Create(Context(t), s, metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonInvalid, `data[]: Invalid value: "": a valid config key must consist of`)
}

// Once immutable, neither the data nor that can be changed; metadata can, and it can be deleted.
func TestConfigMapImmutable(t *testing.T) {
	t.Parallel()
	ctx, maps := Context(t), Kube(t).CoreV1().ConfigMaps(Namespace(t))
	m := configMap("m", "x")
	m.Data = map[string]string{"a": "1"}
	m = Get(maps.Create(ctx, m, metav1.CreateOptions{}))(t)
	m.Data["a"] = "2"
	m = Get(maps.Update(ctx, m, metav1.UpdateOptions{}))(t)
	m.Immutable = new(true)
	m = Get(maps.Update(ctx, m, metav1.UpdateOptions{}))(t)
	for what, edit := range map[string]func(*corev1.ConfigMap){
		"immutable: Forbidden: field is immutable when `immutable` is set": func(m *corev1.ConfigMap) { m.Immutable = new(false) },
		"data: Forbidden: field is immutable when `immutable` is set":      func(m *corev1.ConfigMap) { m.Data["a"] = "3" },
	} {
		c := m.DeepCopy()
		edit(c)
		_, err := maps.Update(ctx, c, metav1.UpdateOptions{})
		Refused(t, err, metav1.StatusReasonInvalid, what)
	}
	m.Labels["other"] = "yes"
	Get(maps.Update(ctx, m, metav1.UpdateOptions{}))(t)
	Must(t, maps.Delete(ctx, "m", metav1.DeleteOptions{}))
}

func TestSecretImmutable(t *testing.T) {
	t.Parallel()
	ctx, secrets := Context(t), Kube(t).CoreV1().Secrets(Namespace(t))
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"a": []byte("1")}, Immutable: new(true)}
	s = Get(secrets.Create(ctx, s, metav1.CreateOptions{}))(t)
	for what, edit := range map[string]func(*corev1.Secret){
		"immutable: Forbidden: field is immutable when `immutable` is set": func(s *corev1.Secret) { s.Immutable = new(false) },
		"data: Forbidden: field is immutable when `immutable` is set":      func(s *corev1.Secret) { s.Data["a"] = []byte("3") },
	} {
		c := s.DeepCopy()
		edit(c)
		_, err := secrets.Update(ctx, c, metav1.UpdateOptions{})
		Refused(t, err, metav1.StatusReasonInvalid, what)
	}
	s.Labels = map[string]string{"other": "yes"}
	Get(secrets.Update(ctx, s, metav1.UpdateOptions{}))(t)
	Must(t, secrets.Delete(ctx, "s", metav1.DeleteOptions{}))
}

// An event of the core group, patched as strategic merge, and what the other group shows of it.
func TestCoreEventLifecycle(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	events := Kube(t).CoreV1().Events(ns)
	at := metav1.NewTime(time.Unix(1500000000, 0))
	Get(events.Create(ctx, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Message: "This is a test event", Reason: "Test", Type: "Normal", Count: 1,
		FirstTimestamp: at, LastTimestamp: at, InvolvedObject: corev1.ObjectReference{Namespace: ns}, Source: corev1.EventSource{Component: "c"}}, metav1.CreateOptions{}))(t)
	Equal(t, "everywhere", len(Get(Kube(t).CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "metadata.namespace=" + ns}))(t).Items), 1)
	Get(events.Patch(ctx, "e", types.StrategicMergePatchType, []byte(`{"message":"This is a test event - patched"}`), metav1.PatchOptions{}))(t)
	e := Get(events.Get(ctx, "e", metav1.GetOptions{}))(t)
	Equal(t, "message", e.Message, "This is a test event - patched")
	e.Series = &corev1.EventSeries{Count: 2, LastObservedTime: metav1.NewMicroTime(time.Unix(1505828956, 123456000))}
	Get(events.Update(ctx, e, metav1.UpdateOptions{}))(t)
	other := Get(Kube(t).EventsV1().Events(ns).Get(ctx, "e", metav1.GetOptions{}))(t)
	Equal(t, "note", other.Note, e.Message)
	Equal(t, "deprecated source", other.DeprecatedSource.Component, "c")
	Equal(t, "series", other.Series.LastObservedTime.UnixMicro(), e.Series.LastObservedTime.UnixMicro())
	Must(t, events.Delete(ctx, "e", metav1.DeleteOptions{}))
	_, err := Kube(t).EventsV1().Events(ns).Get(ctx, "e", metav1.GetOptions{})
	Holds(t, apierrors.IsNotFound(err), "%v", err)
}

func TestEventsLifecycle(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	events := Kube(t).EventsV1().Events(ns)
	made := Get(events.Create(ctx, &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Regarding: corev1.ObjectReference{Namespace: ns, Kind: "Pod"}, Note: "n",
		EventTime: metav1.NewMicroTime(time.Unix(1505828956, 123456000)), ReportingController: "test-controller", ReportingInstance: "i", Action: "Do", Reason: "Test", Type: "Normal"}, metav1.CreateOptions{}))(t)
	list := Get(events.List(ctx, metav1.ListOptions{FieldSelector: "reportingController=test-controller"}))(t)
	Equal(t, "by field", len(list.Items), 1)
	list = Get(events.List(ctx, metav1.ListOptions{FieldSelector: "reportingController=other"}))(t)
	Equal(t, "by another field", len(list.Items), 0)
	made.Series = &eventsv1.EventSeries{Count: 2, LastObservedTime: metav1.NewMicroTime(time.Unix(1505828951, 0))}
	old := fmt.Sprintf(`{"series":{"count":%d,"lastObservedTime":"2017-09-19T13:49:11.000000Z"}}`, made.Series.Count)
	patched := Get(events.Patch(ctx, "e", types.StrategicMergePatchType, []byte(old), metav1.PatchOptions{}))(t)
	Equal(t, "series", patched.Series.Count, int32(2))
	patched.Series.Count = 100
	updated := Get(events.Update(ctx, patched, metav1.UpdateOptions{}))(t)
	Equal(t, "updated", updated.Series.Count, int32(100))
	core := Get(Kube(t).CoreV1().Events(ns).Get(ctx, "e", metav1.GetOptions{}))(t)
	Equal(t, "time in the core group", core.EventTime.UnixMicro(), made.EventTime.UnixMicro())
	Must(t, events.Delete(ctx, "e", metav1.DeleteOptions{}))
}

func TestPodTemplateLifecycle(t *testing.T) {
	t.Parallel()
	b := podTemplates(t, 1)
	patched := Get(b.patch("template-0000", types.StrategicMergePatchType, `{"template":{"spec":{"containers":[{"name":"c","image":"other"}]}}}`))(t).(*corev1.PodTemplate)
	Equal(t, "containers", len(patched.Template.Spec.Containers), 1)
	Equal(t, "image", patched.Template.Spec.Containers[0].Image, "other")
	Must(t, b.delete("template-0000"))
	all, _ := b.list(metav1.ListOptions{})
	Equal(t, "left", len(all), 0)
}

func TestPodTemplateReplace(t *testing.T) {
	t.Parallel()
	b := podTemplates(t, 1)
	Must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		p := Get(b.get("template-0000"))(t).(*corev1.PodTemplate)
		p.Annotations = map[string]string{"updated": "true"}
		after, err := b.update(p)
		if err == nil {
			Equal(t, "updated", of(after).GetAnnotations()["updated"], "true")
		}
		return err
	}))
}
