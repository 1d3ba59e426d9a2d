package api

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	. "keelson/tests/testkit"
)

func TestNamespacePatch(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	got := Get(Kube(t).CoreV1().Namespaces().Patch(Context(t), ns, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"testLabel":"testValue"}}}`), metav1.PatchOptions{}))(t)
	Equal(t, "label", got.Labels["testLabel"], "testValue")
	Equal(t, "the label of its name", got.Labels["kubernetes.io/metadata.name"], ns)
}

// change updates a namespace until there is no conflict.
func change(t *testing.T, ns string, by func(*corev1.Namespace), write func(context.Context, *corev1.Namespace, metav1.UpdateOptions) (*corev1.Namespace, error)) (after *corev1.Namespace) {
	t.Helper()
	Must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		o := Get(Kube(t).CoreV1().Namespaces().Get(Context(t), ns, metav1.GetOptions{}))(t)
		by(o)
		after, err = write(Context(t), o, metav1.UpdateOptions{})
		return err
	}))
	return after
}

func TestNamespaceUpdate(t *testing.T) {
	t.Parallel()
	after := change(t, Namespace(t), func(o *corev1.Namespace) { o.Labels["updated"] = "yes" }, Kube(t).CoreV1().Namespaces().Update)
	Equal(t, "label", after.Labels["updated"], "yes")
}

func TestNamespaceStatus(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	status := resource(t, corev1.SchemeGroupVersion.WithResource("namespaces"), "")
	Equal(t, "phase", Get(status.get(ns, "status"))(t).(*corev1.Namespace).Status.Phase, corev1.NamespaceActive)
	patched := Get(Kube(t).CoreV1().Namespaces().Patch(Context(t), ns, types.MergePatchType, []byte(`{"metadata":{"annotations":{"e":"1"}},
		"status":{"conditions":[{"type":"StatusPatch","status":"True","reason":"E2E","message":"m"}]}}`), metav1.PatchOptions{}, "status"))(t)
	has := func(o *corev1.Namespace, kind corev1.NamespaceConditionType) bool {
		return slices.ContainsFunc(o.Status.Conditions, func(c corev1.NamespaceCondition) bool { return c.Type == kind })
	}
	Holds(t, has(patched, "StatusPatch"), "not patched: %+v", patched.Status)
	after := change(t, ns, func(o *corev1.Namespace) {
		o.Status.Conditions = append(o.Status.Conditions, corev1.NamespaceCondition{Type: "StatusUpdate", Status: "True", Reason: "E2E", Message: "m"})
	}, Kube(t).CoreV1().Namespaces().UpdateStatus)
	Holds(t, has(after, "StatusUpdate") && has(after, "StatusPatch"), "not updated: %+v", after.Status)
}

// A finalizer of the spec keeps a namespace until the finalize subresource takes it away.
func TestNamespaceFinalizer(t *testing.T) {
	t.Parallel()
	ctx, ns, namespaces := Context(t), Namespace(t), Kube(t).CoreV1().Namespaces()
	const mine = corev1.FinalizerName("e2e.example.com/fakeFinalizer")
	with := change(t, ns, func(o *corev1.Namespace) { o.Spec.Finalizers = append(o.Spec.Finalizers, mine) }, namespaces.Finalize)
	Holds(t, slices.Contains(with.Spec.Finalizers, mine) && slices.Contains(with.Spec.Finalizers, corev1.FinalizerKubernetes), "finalizers: %v", with.Spec.Finalizers)
	Must(t, namespaces.Delete(ctx, ns, metav1.DeleteOptions{}))
	Eventually(t, "only the finalizer is left", func() string {
		o := Get(namespaces.Get(ctx, ns, metav1.GetOptions{}))(t)
		if o.Status.Phase == corev1.NamespaceTerminating && len(o.Spec.Finalizers) == 1 {
			return ""
		}
		return string(o.Status.Phase)
	})
	_, err := Kube(t).CoreV1().ConfigMaps(ns).Create(ctx, configMap("late", "x"), metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonForbidden, "because it is being terminated")
	Holds(t, apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), "no cause: %#v", err)
	change(t, ns, func(o *corev1.Namespace) { o.Spec.Finalizers = nil }, namespaces.Finalize)
	Eventually(t, "it goes", func() string {
		if _, err := namespaces.Get(ctx, ns, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return "it is there"
		}
		return ""
	})
}
