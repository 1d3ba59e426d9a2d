package api

import (
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	. "keelson/tests/testkit"
)

// policyFor gives a validating or mutating policy and its binding, for Deployments of the test's namespace alone.
func policyFor(t *testing.T, kind, ns, spec string) {
	t.Helper()
	ctx, name, reg := Context(t), Name("p"), Kube(t).AdmissionregistrationV1()
	match := "  matchConstraints:\n    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]\n"
	policy := typed(t, fmt.Sprintf("apiVersion: admissionregistration.k8s.io/v1\nkind: %s\nmetadata: {name: %s}\nspec:\n%s%s", kind, name, match, spec))
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}}
	switch p := policy.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		Get(reg.ValidatingAdmissionPolicies().Create(ctx, p, metav1.CreateOptions{}))(t)
		t.Cleanup(func() { _ = reg.ValidatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{}) })
		Eventually(t, "the policy's types are checked", func() string {
			got := Get(reg.ValidatingAdmissionPolicies().Get(ctx, name, metav1.GetOptions{}))(t)
			if got.Status.TypeChecking == nil || got.Status.ObservedGeneration != got.Generation {
				return fmt.Sprintf("%+v", got.Status)
			}
			Holds(t, len(got.Status.TypeChecking.ExpressionWarnings) == 0, "warnings: %+v", got.Status.TypeChecking.ExpressionWarnings)
			return ""
		})
		Get(reg.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
				MatchResources: &admissionv1.MatchResources{NamespaceSelector: selector}}}, metav1.CreateOptions{}))(t)
		t.Cleanup(func() { _ = reg.ValidatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}) })
	case *admissionv1.MutatingAdmissionPolicy:
		Get(reg.MutatingAdmissionPolicies().Create(ctx, p, metav1.CreateOptions{}))(t)
		t.Cleanup(func() { _ = reg.MutatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{}) })
		Get(reg.MutatingAdmissionPolicyBindings().Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name, MatchResources: &admissionv1.MatchResources{NamespaceSelector: selector}}}, metav1.CreateOptions{}))(t)
		t.Cleanup(func() { _ = reg.MutatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}) })
	}
}

// try makes a Deployment of so many replicas and gives what came of it; it stays only when it is wanted.
func try(t *testing.T, ns string, replicas int) (*appsv1.Deployment, error) {
	d := typed(t, strings.Replace(web, "IMAGE", "i", 1)).(*appsv1.Deployment)
	n := int32(replicas)
	d.Name, d.Spec.Replicas = Name("d"), &n
	return Kube(t).AppsV1().Deployments(ns).Create(Context(t), d, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

func denied(t *testing.T, ns string, replicas int, text string) {
	t.Helper()
	Eventually(t, fmt.Sprint(replicas, " replicas are denied"), func() string {
		if _, err := try(t, ns, replicas); err == nil || !strings.Contains(err.Error(), text) {
			return fmt.Sprint(err)
		}
		return ""
	})
}

func TestValidatingPolicy(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	policyFor(t, "ValidatingAdmissionPolicy", ns, "  validations:\n  - {expression: object.spec.replicas > 1, messageExpression: \"'wants replicas > 1, got ' + string(object.spec.replicas)\"}\n"+
		"  - {expression: 'namespaceObject.metadata.name == \""+ns+"\"', message: Internal error! Other namespace provided.}\n")
	denied(t, ns, 1, "wants replicas > 1, got 1")
	Get(try(t, ns, 2))(t)
}

func TestValidatingPolicyVariables(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	policyFor(t, "ValidatingAdmissionPolicy", ns, "  variables:\n  - {name: replicas, expression: object.spec.replicas}\n  - {name: oddReplicas, expression: 'variables.replicas % 2 == 1'}\n"+
		"  validations:\n  - {expression: variables.replicas > 1}\n  - {expression: variables.oddReplicas}\n")
	denied(t, ns, 1, "denied")
	denied(t, ns, 4, "denied")
	Get(try(t, ns, 3))(t)
}

func mutated(t *testing.T, ns string, as func(*appsv1.Deployment) bool) {
	t.Helper()
	Eventually(t, "mutated", func() string {
		d, err := try(t, ns, 1)
		if err != nil || !as(d) {
			return fmt.Sprint(err, d)
		}
		return ""
	})
}

func TestMutatingPolicy(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	policyFor(t, "MutatingAdmissionPolicy", ns, "  reinvocationPolicy: Never\n  mutations:\n  - patchType: ApplyConfiguration\n    applyConfiguration: {expression: 'Object{spec: Object.spec{replicas: object.spec.replicas + 100}}'}\n")
	mutated(t, ns, func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 101 })
}

func TestMutatingPolicyAnnotations(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	policyFor(t, "MutatingAdmissionPolicy", ns, "  reinvocationPolicy: Never\n  mutations:\n  - patchType: JSONPatch\n    jsonPatch: {expression: '[JSONPatch{op: \"add\", path: \"/metadata/annotations\", value: {\"my-foo-annotation\": \"bar\"}}]'}\n")
	mutated(t, ns, func(d *appsv1.Deployment) bool { return d.Annotations["my-foo-annotation"] == "bar" })
}
