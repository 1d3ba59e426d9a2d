package api

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	. "keelson/tests/testkit"
)

func quantity(s string) *apiresource.Quantity {
	q := apiresource.MustParse(s)
	return &q
}

func TestServerService(t *testing.T) {
	t.Parallel()
	s := Get(Kube(t).CoreV1().Services("default").Get(Context(t), "kubernetes", metav1.GetOptions{}))(t)
	Holds(t, slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == 443 && p.Name == "https" && p.Protocol == "TCP" }), "ports: %+v", s.Spec.Ports)
	Holds(t, s.Spec.ClusterIP != "" && s.Spec.ClusterIP != "None", "address: %+v", s.Spec)
}

// The kubernetes Service has Endpoints and slices that say the same.
func TestServerEndpoints(t *testing.T) {
	t.Parallel()
	ctx := Context(t)
	Eventually(t, "endpoints and slices", func() string {
		e, err := Kube(t).CoreV1().Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{})
		if err != nil || len(e.Subsets) != 1 {
			return fmt.Sprint(err, e)
		}
		slices := Get(Kube(t).DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=kubernetes"}))(t)
		addresses := map[string]bool{}
		for _, s := range slices.Items {
			Equal(t, "port", *s.Ports[0].Port, e.Subsets[0].Ports[0].Port)
			for _, a := range s.Endpoints {
				addresses[a.Addresses[0]] = true
			}
		}
		for _, a := range e.Subsets[0].Addresses {
			if !addresses[a.IP] {
				return a.IP + " is in no slice"
			}
		}
		return ""
	})
}

func service(name string, labels map[string]string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
}

func TestServiceFound(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	Get(Kube(t).CoreV1().Services(ns).Create(ctx, service("found", nil), metav1.CreateOptions{}))(t)
	all := Get(Kube(t).CoreV1().Services("").List(ctx, metav1.ListOptions{}))(t)
	Holds(t, slices.ContainsFunc(all.Items, func(s corev1.Service) bool { return s.Name == "found" && s.Namespace == ns }), "not found")
}

func TestServiceCollection(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	services := Kube(t).CoreV1().Services(ns)
	for i := range 3 {
		Get(services.Create(ctx, service(fmt.Sprint("s", i), map[string]string{"go": fmt.Sprint(i > 0)}), metav1.CreateOptions{}))(t)
	}
	Must(t, resource(t, corev1.SchemeGroupVersion.WithResource("services"), ns).deleteAll("go=true"))
	left := Get(services.List(ctx, metav1.ListOptions{}))(t)
	Holds(t, len(left.Items) == 1 && left.Items[0].Name == "s0", "left: %d", len(left.Items))
}

func TestServiceStatus(t *testing.T) {
	t.Parallel()
	ctx, services := Context(t), Kube(t).CoreV1().Services(Namespace(t))
	s := service("s", map[string]string{"a": "b"})
	s.Spec.Type, s.Spec.LoadBalancerClass = corev1.ServiceTypeLoadBalancer, new("example.com/internal-vip")
	made := Get(services.Create(ctx, s, metav1.CreateOptions{}))(t)
	Equal(t, "addresses at first", len(made.Status.LoadBalancer.Ingress), 0)
	patched := Get(services.Patch(ctx, "s", types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"yes"}},"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.1"}]}}}`),
		metav1.PatchOptions{}, "status"))(t)
	Equal(t, "patched", patched.Status.LoadBalancer.Ingress[0].IP, "203.0.113.1")
	patched.Status.Conditions = append(patched.Status.Conditions, metav1.Condition{Type: "StatusUpdate", Status: metav1.ConditionTrue, Reason: "E2E", Message: "Set", LastTransitionTime: metav1.Now()})
	updated := Get(services.UpdateStatus(ctx, patched, metav1.UpdateOptions{}))(t)
	Equal(t, "conditions", len(updated.Status.Conditions), 1)
	after := Get(services.Patch(ctx, "s", types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"patched":"yes"}}}`), metav1.PatchOptions{}))(t)
	Holds(t, after.Labels["patched"] == "yes" && len(after.Status.Conditions) == 1, "patched: %+v", after)
	Must(t, services.Delete(ctx, "s", metav1.DeleteOptions{}))
	Eventually(t, "it goes", func() string {
		if _, err := services.Get(ctx, "s", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Sprint(err)
		}
		return ""
	})
}
