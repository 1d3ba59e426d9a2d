package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authnv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	. "keelson/tests/testkit"
)

// Every verb of a typed client, in protobuf both ways.
func TestTypedVerbsInProtobuf(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	spy := &Spy{}
	c := Config(t)
	c.ContentType, c.AcceptContentTypes = Protobuf, Protobuf
	spy.Watch(c)
	maps := kubernetes.NewForConfigOrDie(c).CoreV1().ConfigMaps(ns)

	made := Get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "a-", Labels: map[string]string{"k": "v"}},
		Data: map[string]string{"a": "ö"}, BinaryData: map[string][]byte{"b": {0, 255, 1}}}, metav1.CreateOptions{}))(t)
	Holds(t, strings.HasPrefix(made.Name, "a-") && len(made.Name) == 7, "generated name %q", made.Name)
	Holds(t, made.UID != "" && made.ResourceVersion != "" && !made.CreationTimestamp.IsZero(), "system fields: %+v", made.ObjectMeta)

	w := Get(maps.Watch(ctx, metav1.ListOptions{ResourceVersion: made.ResourceVersion, LabelSelector: "k=v"}))(t)
	defer w.Stop()
	made.Data["new"] = "x"
	changed := Get(maps.Update(ctx, made, metav1.UpdateOptions{}))(t)
	Holds(t, changed.ResourceVersion != made.ResourceVersion, "an update keeps the revision")
	e := <-w.ResultChan()
	Equal(t, "event", string(e.Type), "MODIFIED")
	Equal(t, "the event's data", e.Object.(*corev1.ConfigMap).Data["new"], "x")

	got := Get(maps.Get(ctx, made.Name, metav1.GetOptions{}))(t)
	Holds(t, bytes.Equal(got.BinaryData["b"], []byte{0, 255, 1}) && got.Data["a"] == "ö", "data: %+v", got)
	list := Get(maps.List(ctx, metav1.ListOptions{LabelSelector: "k in (v)"}))(t)
	Equal(t, "listed", len(list.Items), 1)
	Equal(t, "items carry no kind in a typed list", list.Items[0].Kind, "")

	for kind, patch := range map[types.PatchType]string{
		types.MergePatchType:          `{"data":{"merge":"1","new":null}}`,
		types.StrategicMergePatchType: `{"data":{"strategic":"1"}}`,
		types.JSONPatchType:           `[{"op":"add","path":"/data/json","value":"1"}]`,
	} {
		_, err := maps.Patch(ctx, made.Name, kind, []byte(patch), metav1.PatchOptions{})
		Must(t, err)
	}
	got = Get(maps.Get(ctx, made.Name, metav1.GetOptions{}))(t)
	Equal(t, "patched", fmt.Sprint(got.Data), "map[a:ö json:1 merge:1 strategic:1]")

	_, err := maps.Update(ctx, made, metav1.UpdateOptions{})
	Refused(t, err, metav1.StatusReasonConflict, "the object has been modified; please apply your changes to the latest version and try again")
	_, err = maps.Create(ctx, got, metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonUnknown, "resourceVersion should not be set on objects to be created")
	again := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: made.Name}}
	_, err = maps.Create(ctx, again, metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonAlreadyExists, fmt.Sprintf("configmaps %q already exists", made.Name))
	uid := types.UID("11111111-2222-3333-4444-555555555555")
	err = maps.Delete(ctx, made.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	Refused(t, err, metav1.StatusReasonConflict, fmt.Sprintf("the UID in the precondition (%s) does not match the UID in record (%s)", uid, made.UID))
	Must(t, maps.Delete(ctx, made.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &made.UID}}))
	_, err = maps.Get(ctx, made.Name, metav1.GetOptions{})
	Refused(t, err, metav1.StatusReasonNotFound, fmt.Sprintf("configmaps %q not found", made.Name))
	for i := range 5 {
		_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i), Labels: map[string]string{"odd": fmt.Sprint(i % 2)}}},
			metav1.CreateOptions{DryRun: dryRun(i == 4)})
		Must(t, err)
	}
	Must(t, maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "odd=1"}))
	list = Get(maps.List(ctx, metav1.ListOptions{LabelSelector: "odd"}))(t)
	Equal(t, "after delete collection and a dry run", len(list.Items), 2)

	for _, x := range spy.All() {
		Holds(t, strings.HasPrefix(x.Got, Protobuf), "%s %s answered in %q", x.Method, x.URL, x.Got)
		Holds(t, x.Sent == "" || x.Method == "PATCH" || x.Sent == Protobuf, "%s %s sent %q", x.Method, x.URL, x.Sent)
	}
}

func dryRun(yes bool) []string {
	if yes {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// Fifty writers of one object; each retries on conflict; nothing is lost.
func TestRetryOnConflict(t *testing.T) {
	t.Parallel()
	ctx, maps := Context(t), Kube(t).CoreV1().ConfigMaps(Namespace(t))
	Get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "shared"}}, metav1.CreateOptions{}))(t)
	var wg sync.WaitGroup
	many := wait.Backoff{Steps: 200, Duration: 10 * time.Millisecond, Factor: 1, Jitter: 1}
	for i := range 50 {
		wg.Go(func() {
			err := retry.RetryOnConflict(many, func() error {
				m, err := maps.Get(ctx, "shared", metav1.GetOptions{})
				if err != nil {
					return err
				}
				if m.Data == nil {
					m.Data = map[string]string{}
				}
				m.Data[fmt.Sprint(i)] = "x"
				_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	Equal(t, "writes that stayed", len(Get(maps.Get(ctx, "shared", metav1.GetOptions{}))(t).Data), 50)
}

func deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: appsv1.DeploymentSpec{Replicas: &replicas,
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "busybox", Command: []string{"sleep", "1000"}}}}}}}
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "busybox", Command: []string{"sleep", "1000"}}}}}
}

// The scale subresource, status apart from spec, generation, and the controllers' work seen by the client.
func TestDeploymentScaleAndStatus(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	apps := Kube(t).AppsV1()
	made := Get(apps.Deployments(ns).Create(ctx, deployment("web", 2), metav1.CreateOptions{}))(t)
	Equal(t, "generation", made.Generation, int64(1))
	Equal(t, "defaulted strategy", made.Spec.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	Eventually(t, "two pods", func() string {
		pods := Get(Kube(t).CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=web"}))(t)
		if len(pods.Items) == 2 {
			return ""
		}
		return fmt.Sprint(len(pods.Items), " pods")
	})
	scale := Get(apps.Deployments(ns).GetScale(ctx, "web", metav1.GetOptions{}))(t)
	Equal(t, "scale", scale.Spec.Replicas, int32(2))
	Equal(t, "the scale's selector", scale.Status.Selector, "app=web")
	Must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		scale = Get(apps.Deployments(ns).GetScale(ctx, "web", metav1.GetOptions{}))(t)
		scale.Spec.Replicas = 3
		_, err := apps.Deployments(ns).UpdateScale(ctx, "web", &autoscalingv1.Scale{ObjectMeta: scale.ObjectMeta, Spec: scale.Spec}, metav1.UpdateOptions{})
		return err
	}))
	Eventually(t, "three replicas, observed", func() string {
		d := Get(apps.Deployments(ns).Get(ctx, "web", metav1.GetOptions{}))(t)
		if d.Status.Replicas == 3 && d.Status.ObservedGeneration == d.Generation && d.Generation == 2 {
			return ""
		}
		return fmt.Sprintf("generation %d, status %+v", d.Generation, d.Status)
	})
	Must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		d := Get(apps.Deployments(ns).Get(ctx, "web", metav1.GetOptions{}))(t)
		d.Spec.Paused = true
		d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{Type: "Mine", Status: "True"})
		after, err := apps.Deployments(ns).UpdateStatus(ctx, d, metav1.UpdateOptions{})
		if err == nil && (after.Spec.Paused || after.Generation != d.Generation) {
			return errors.New("a status update wrote the spec")
		}
		return err
	}))
	foreground := metav1.DeletePropagationForeground
	Must(t, apps.Deployments(ns).Delete(ctx, "web", metav1.DeleteOptions{PropagationPolicy: &foreground}))
	Eventually(t, "everything of it goes", func() string {
		_, err := apps.Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
		sets := Get(apps.ReplicaSets(ns).List(ctx, metav1.ListOptions{}))(t)
		if apierrors.IsNotFound(err) && len(sets.Items) == 0 {
			return ""
		}
		return fmt.Sprint(err, len(sets.Items))
	})
}

// Pods: binding, status, graceful deletion, ephemeral containers, evictions against a budget.
func TestPodSubresources(t *testing.T) {
	t.Parallel()
	ctx, ns, kube := Context(t), Namespace(t), Kube(t)
	pods := kube.CoreV1().Pods(ns)
	waiting := pod("p")
	waiting.Spec.SchedulerName = "nobody"
	made := Get(pods.Create(ctx, waiting, metav1.CreateOptions{}))(t)
	Equal(t, "phase", made.Status.Phase, corev1.PodPending)
	Equal(t, "service account", made.Spec.ServiceAccountName, "default")
	Must(t, pods.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n1"}}, metav1.CreateOptions{}))
	err := pods.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n2"}}, metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonConflict, `pod p is already assigned to node "n1"`)

	bound := Get(pods.Get(ctx, "p", metav1.GetOptions{}))(t)
	Equal(t, "bound to", bound.Spec.NodeName, "n1")
	bound.Status.Phase = corev1.PodRunning
	bound.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	running := Get(pods.UpdateStatus(ctx, bound, metav1.UpdateOptions{}))(t)

	running.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox"}}}
	with := Get(pods.UpdateEphemeralContainers(ctx, "p", running, metav1.UpdateOptions{}))(t)
	Equal(t, "ephemeral containers", len(with.Spec.EphemeralContainers), 1)
	list := Get(pods.List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=n1,status.phase=Running"}))(t)
	Equal(t, "by field", len(list.Items), 1)

	one := intstr.FromInt32(1)
	Get(kube.PolicyV1().PodDisruptionBudgets(ns).Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "b"},
		Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "p"}}}}, metav1.CreateOptions{}))(t)
	Eventually(t, "the budget counts", func() string {
		b := Get(kube.PolicyV1().PodDisruptionBudgets(ns).Get(ctx, "b", metav1.GetOptions{}))(t)
		if b.Status.ObservedGeneration == b.Generation && b.Status.CurrentHealthy == 1 {
			return ""
		}
		return fmt.Sprintf("%+v", b.Status)
	})
	evict := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: ns}}
	err = pods.EvictV1(ctx, evict)
	Refused(t, err, metav1.StatusReasonTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.")
	Holds(t, apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause), "no cause DisruptionBudget in %#v", err)
	Must(t, kube.PolicyV1().PodDisruptionBudgets(ns).Delete(ctx, "b", metav1.DeleteOptions{}))
	Eventually(t, "eviction without a budget", func() string {
		if err := pods.EvictV1(ctx, evict); err != nil {
			return err.Error()
		}
		return ""
	})
	going := Get(pods.Get(ctx, "p", metav1.GetOptions{}))(t)
	Holds(t, going.DeletionTimestamp != nil && *going.DeletionGracePeriodSeconds == 30, "not going: %+v", going.ObjectMeta)
	five, none := int64(5), int64(0)
	Must(t, pods.Delete(ctx, "p", metav1.DeleteOptions{GracePeriodSeconds: &five}))
	going = Get(pods.Get(ctx, "p", metav1.GetOptions{}))(t)
	Equal(t, "a shorter grace", *going.DeletionGracePeriodSeconds, 5)
	Must(t, pods.Delete(ctx, "p", metav1.DeleteOptions{GracePeriodSeconds: &none}))
	_, err = pods.Get(ctx, "p", metav1.GetOptions{})
	Refused(t, err, metav1.StatusReasonNotFound)
}

// Tokens of service accounts, and what a bearer of one may do.
func TestTokensAndReviews(t *testing.T) {
	t.Parallel()
	ctx, ns, kube := Context(t), Namespace(t), Kube(t)
	Get(kube.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}))(t)
	hour := int64(3600)
	token := Get(kube.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "robot",
		&authnv1.TokenRequest{Spec: authnv1.TokenRequestSpec{ExpirationSeconds: &hour}}, metav1.CreateOptions{}))(t)
	Equal(t, "a JWT", strings.Count(token.Status.Token, "."), 2)
	user := fmt.Sprintf("system:serviceaccount:%s:robot", ns)
	review := Get(kube.AuthenticationV1().TokenReviews().Create(ctx, &authnv1.TokenReview{Spec: authnv1.TokenReviewSpec{Token: token.Status.Token}}, metav1.CreateOptions{}))(t)
	Holds(t, review.Status.Authenticated && review.Status.User.Username == user, "review: %+v", review.Status)

	c := rest.AnonymousClientConfig(Config(t))
	c.BearerToken = token.Status.Token
	robot := kubernetes.NewForConfigOrDie(c)
	self := Get(robot.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authnv1.SelfSubjectReview{}, metav1.CreateOptions{}))(t)
	Equal(t, "who am I", self.Status.UserInfo.Username, user)
	_, err := robot.CoreV1().Secrets(ns).List(ctx, metav1.ListOptions{})
	Refused(t, err, metav1.StatusReasonForbidden, fmt.Sprintf(`User %q cannot list resource "secrets" in API group "" in the namespace %q`, user, ns))
	can := Get(robot.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authzv1.SelfSubjectAccessReview{Spec: authzv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authzv1.ResourceAttributes{Namespace: ns, Verb: "list", Resource: "secrets"}}}, metav1.CreateOptions{}))(t)
	Equal(t, "allowed", can.Status.Allowed, false)

	c = Config(t)
	c.Impersonate = rest.ImpersonationConfig{UserName: "ada", Groups: []string{"engineers"}, Extra: map[string][]string{"dept": {"x"}}}
	self = Get(kubernetes.NewForConfigOrDie(c).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authnv1.SelfSubjectReview{}, metav1.CreateOptions{}))(t)
	Equal(t, "impersonated", self.Status.UserInfo.Username, "ada")
	Equal(t, "extra", fmt.Sprint(self.Status.UserInfo.Extra["dept"]), "[x]")
	Must(t, kube.CoreV1().ServiceAccounts(ns).Delete(ctx, "robot", metav1.DeleteOptions{}))
	Eventually(t, "a deleted account's token dies", func() string {
		_, err := robot.AuthenticationV1().SelfSubjectReviews().Create(context.Background(), &authnv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if apierrors.IsUnauthorized(err) {
			return ""
		}
		return fmt.Sprint(err)
	})
}
