package clients

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/util/csaupgrade"

	. "keelson/tests/testkit"
)

// appliesHere skips where the server does not know server-side apply yet.
func appliesHere(t *testing.T, ns string) {
	t.Helper()
	_, err := Kube(t).CoreV1().ConfigMaps(ns).Apply(Context(t), coreapply.ConfigMap("probe", ns), metav1.ApplyOptions{FieldManager: "probe"})
	if apierrors.IsUnsupportedMediaType(err) {
		t.Skip("the server has no server-side apply yet")
	}
	Must(t, err)
}

func managers(fields []metav1.ManagedFieldsEntry) string {
	var all []string
	for _, f := range fields {
		all = append(all, fmt.Sprintf("%s/%s/%s", f.Manager, f.Operation, f.Subresource))
	}
	return strings.Join(all, " ")
}

// Two appliers of one Deployment: lists by key, conflicts with causes, force, and fields that are given up.
func TestApplyConfigurations(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	appliesHere(t, ns)
	deployments := Kube(t).AppsV1().Deployments(ns)
	labels := map[string]string{"app": "web"}
	base := func() *appsapply.DeploymentApplyConfiguration {
		return appsapply.Deployment("web", ns).WithSpec(appsapply.DeploymentSpec().WithReplicas(1).WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(coreapply.PodTemplateSpec().WithLabels(labels).WithSpec(coreapply.PodSpec().WithContainers(
				coreapply.Container().WithName("web").WithImage("web:1").WithPorts(coreapply.ContainerPort().WithContainerPort(80)).
					WithEnv(coreapply.EnvVar().WithName("A").WithValue("1"), coreapply.EnvVar().WithName("B").WithValue("2"))))))
	}
	made := Get(deployments.Apply(ctx, base(), metav1.ApplyOptions{FieldManager: "one"}))(t)
	Equal(t, "made by apply", *made.Spec.Replicas, int32(1))
	Holds(t, strings.HasPrefix(managers(made.ManagedFields), "one/Apply/"), "managers: %s", managers(made.ManagedFields))
	again := Get(deployments.Apply(ctx, base(), metav1.ApplyOptions{FieldManager: "one"}))(t)
	Equal(t, "generation after the same apply", again.Generation, made.Generation)

	side := appsapply.Deployment("web", ns).WithSpec(appsapply.DeploymentSpec().WithTemplate(coreapply.PodTemplateSpec().WithSpec(coreapply.PodSpec().WithContainers(
		coreapply.Container().WithName("side").WithImage("side:1"),
		coreapply.Container().WithName("web").WithEnv(coreapply.EnvVar().WithName("C").WithValue("3"))))))
	both := Get(deployments.Apply(ctx, side, metav1.ApplyOptions{FieldManager: "two"}))(t)
	Equal(t, "containers", len(both.Spec.Template.Spec.Containers), 2)
	for _, c := range both.Spec.Template.Spec.Containers {
		Holds(t, c.Name != "web" || len(c.Env) == 3, "the first one's environment: %+v", c.Env)
	}

	wish := appsapply.Deployment("web", ns).WithSpec(appsapply.DeploymentSpec().WithReplicas(3))
	_, err := deployments.Apply(ctx, wish, metav1.ApplyOptions{FieldManager: "two"})
	Refused(t, err, metav1.StatusReasonConflict, `Apply failed with 1 conflict: conflict with "one": .spec.replicas`)
	Holds(t, apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict), "no cause: %#v", err)
	forced := Get(deployments.Apply(ctx, wish, metav1.ApplyOptions{FieldManager: "two", Force: true}))(t)
	Equal(t, "forced", *forced.Spec.Replicas, int32(3))
	Equal(t, "the container that two gave up", len(forced.Spec.Template.Spec.Containers), 1)
	Equal(t, "the environment that two gave up", len(forced.Spec.Template.Spec.Containers[0].Env), 2)

	owned := Get(appsapply.ExtractDeployment(forced, "two"))(t)
	Holds(t, owned.Spec != nil && *owned.Spec.Replicas == 3 && owned.Spec.Selector == nil, "extracted: %+v", owned.Spec)
	Eventually(t, "the controller's own status is kept apart", func() string {
		got := Get(deployments.Get(ctx, "web", metav1.GetOptions{}))(t)
		for _, f := range got.ManagedFields {
			if f.Subresource == "status" {
				return ""
			}
		}
		return managers(got.ManagedFields)
	})
	status := appsapply.Deployment("web", ns).WithStatus(appsapply.DeploymentStatus().WithConditions(
		appsapply.DeploymentCondition().WithType("Mine").WithStatus(corev1.ConditionTrue).WithReason("r").WithMessage("m")))
	with := Get(deployments.ApplyStatus(ctx, status, metav1.ApplyOptions{FieldManager: "three"}))(t)
	Holds(t, strings.Contains(managers(with.ManagedFields), "three/Apply/status"), "managers: %s", managers(with.ManagedFields))
}

// Every other write says who wrote what; an object of a client-side apply is taken over.
func TestManagedFields(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	appliesHere(t, ns)
	maps := Kube(t).CoreV1().ConfigMaps(ns)
	made := Get(maps.Create(ctx, configMap("m", map[string]string{"a": "1", "b": "2"}), metav1.CreateOptions{FieldManager: "maker"}))(t)
	Equal(t, "managers", managers(made.ManagedFields), "maker/Update/")
	Equal(t, "fields", string(made.ManagedFields[0].FieldsV1.Raw), `{"f:data":{".":{},"f:a":{},"f:b":{}}}`)
	Equal(t, "fields' type", made.ManagedFields[0].FieldsType, "FieldsV1")
	Holds(t, time.Since(made.ManagedFields[0].Time.Time) < time.Hour, "time: %v", made.ManagedFields[0].Time)
	patched := Get(maps.Patch(ctx, "m", types.MergePatchType, []byte(`{"data":{"b":"3"}}`), metav1.PatchOptions{FieldManager: "patcher"}))(t)
	Equal(t, "managers", managers(patched.ManagedFields), "maker/Update/ patcher/Update/")
	Equal(t, "the maker keeps", string(patched.ManagedFields[0].FieldsV1.Raw), `{"f:data":{".":{},"f:a":{}}}`)
	Equal(t, "the patcher has", string(patched.ManagedFields[1].FieldsV1.Raw), `{"f:data":{"f:b":{}}}`)

	old := Get(maps.Create(ctx, configMap("old", map[string]string{"a": "1", "b": "2"}), metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}))(t)
	patch := Get(csaupgrade.UpgradeManagedFieldsPatch(old, sets.New("kubectl-client-side-apply"), "kubectl"))(t)
	var ops []map[string]any
	Must(t, json.Unmarshal(patch, &ops))
	up := Get(maps.Patch(ctx, "old", types.JSONPatchType, patch, metav1.PatchOptions{}))(t)
	Holds(t, strings.Contains(managers(up.ManagedFields), "kubectl/Apply/"), "managers: %s", managers(up.ManagedFields))
	after := Get(maps.Apply(ctx, coreapply.ConfigMap("old", ns).WithData(map[string]string{"a": "1"}), metav1.ApplyOptions{FieldManager: "kubectl"}))(t)
	Equal(t, "what is not applied any more goes", fmt.Sprint(after.Data), "map[a:1]")
}

// Sets, atomics and keys that are filled in by defaults.
func TestApplyLists(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	appliesHere(t, ns)
	services := Kube(t).CoreV1().Services(ns)
	port := func(n int32, name string) *coreapply.ServicePortApplyConfiguration {
		return coreapply.ServicePort().WithPort(n).WithName(name)
	}
	Get(services.Apply(ctx, coreapply.Service("s", ns).WithFinalizers("example.com/one").WithSpec(coreapply.ServiceSpec().WithPorts(port(80, "a"))),
		metav1.ApplyOptions{FieldManager: "one"}))(t)
	s := Get(services.Apply(ctx, coreapply.Service("s", ns).WithFinalizers("example.com/two").WithSpec(coreapply.ServiceSpec().WithPorts(port(81, "b"))),
		metav1.ApplyOptions{FieldManager: "two"}))(t)
	Equal(t, "ports of both", len(s.Spec.Ports), 2)
	Equal(t, "finalizers of both", len(s.Finalizers), 2)
	s = Get(services.Apply(ctx, coreapply.Service("s", ns), metav1.ApplyOptions{FieldManager: "two"}))(t)
	Equal(t, "ports after one left", len(s.Spec.Ports), 1)
	Equal(t, "finalizers after one left", fmt.Sprint(s.Finalizers), "[example.com/one]")
	Get(services.Apply(ctx, coreapply.Service("s", ns).WithSpec(coreapply.ServiceSpec().WithPorts(port(80, "a"))), metav1.ApplyOptions{FieldManager: "one"}))(t)
}
