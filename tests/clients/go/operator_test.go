package clients

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	. "keelson/tests/testkit"
)

// Fleet is the operator's kind: so many boats are a Deployment of as many replicas.
type Fleet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Boats int32 `json:"boats"`
	} `json:"spec"`
	Status struct {
		Replicas int32 `json:"replicas,omitempty"`
	} `json:"status,omitempty"`
}

// FleetList is its list.
type FleetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Fleet `json:"items"`
}

func (f *Fleet) copyOf() Fleet {
	c := *f
	f.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	return c
}

// DeepCopyObject makes a Fleet an object.
func (f *Fleet) DeepCopyObject() runtime.Object { c := f.copyOf(); return &c }

// DeepCopyObject makes a FleetList an object.
func (l *FleetList) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = nil
	for i := range l.Items {
		c.Items = append(c.Items, l.Items[i].copyOf())
	}
	return &c
}

const fleetFinalizer = "example.com/harbour"

// reconcileFleet is a small operator as people write them: finalizer, owned Deployment, status.
type reconcileFleet struct {
	client.Client
	gone chan string
}

func (r *reconcileFleet) Reconcile(ctx context.Context, rq ctrl.Request) (ctrl.Result, error) {
	var f Fleet
	if err := r.Get(ctx, rq.NamespacedName, &f); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !f.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(&f, fleetFinalizer) {
			r.gone <- f.Name
			return ctrl.Result{}, r.Update(ctx, &f)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(&f, fleetFinalizer) {
		return ctrl.Result{}, r.Update(ctx, &f)
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, Name: f.Name}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, d, func() error {
		want := deployment(f.Name, f.Spec.Boats)
		d.Labels, d.Spec.Replicas = want.Labels, want.Spec.Replicas
		if d.CreationTimestamp.IsZero() {
			d.Spec = want.Spec
		}
		return controllerutil.SetControllerReference(&f, d, r.Scheme())
	}); err != nil {
		return ctrl.Result{}, err
	}
	if f.Status.Replicas != d.Status.Replicas {
		base := f.DeepCopyObject().(*Fleet)
		f.Status.Replicas = d.Status.Replicas
		return ctrl.Result{}, r.Status().Patch(ctx, &f, client.MergeFrom(base))
	}
	return ctrl.Result{}, nil
}

// An operator of controller-runtime: manager, cache, owned objects, status, finalizer, leader election.
func TestOperator(t *testing.T) {
	t.Parallel()
	ctx, ns, group := Context(t), Namespace(t), Name("op")+".example.com"
	definition(t, group, "Fleet", map[string]apiextv1.JSONSchemaProps{"boats": {Type: "integer"}}, true)
	gv := schema.GroupVersion{Group: group, Version: "v1"}
	scheme := runtime.NewScheme()
	Must(t, clientscheme.AddToScheme(scheme))
	scheme.AddKnownTypes(gv, &Fleet{}, &FleetList{})
	metav1.AddToGroupVersion(scheme, gv)

	m := Get(ctrl.NewManager(Config(t), ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		LeaderElection: true, LeaderElectionID: "fleets." + group, LeaderElectionNamespace: ns,
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{ns: {}}}}))(t)
	r := &reconcileFleet{m.GetClient(), make(chan string, 10)}
	Must(t, ctrl.NewControllerManagedBy(m).Named(Name("fleet")).For(&Fleet{}).Owns(&appsv1.Deployment{}).Complete(r))
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- m.Start(running) }()

	direct := Get(client.New(Config(t), client.Options{Scheme: scheme}))(t)
	f := &Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "north"}}
	f.Spec.Boats = 2
	Must(t, direct.Create(ctx, f))
	wait := func(boats int32) {
		Eventually(t, fmt.Sprint(boats, " boats"), func() string {
			var now Fleet
			Must(t, direct.Get(ctx, client.ObjectKeyFromObject(f), &now))
			pods := Get(Kube(t).CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=north"}))(t)
			if now.Status.Replicas == boats && len(pods.Items) == int(boats) {
				return ""
			}
			return fmt.Sprintf("status %+v, %d pods", now.Status, len(pods.Items))
		})
	}
	wait(2)
	Must(t, Kube(t).AppsV1().Deployments(ns).Delete(ctx, "north", metav1.DeleteOptions{}))
	wait(2)
	// The operator may still be writing the status of before: who holds the lock reads again, as clients do.
	Must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		base := &Fleet{}
		Must(t, direct.Get(ctx, client.ObjectKeyFromObject(f), base))
		Holds(t, controllerutil.ContainsFinalizer(base, fleetFinalizer), "no finalizer: %+v", base.ObjectMeta)
		next := base.DeepCopyObject().(*Fleet)
		next.Spec.Boats = 5
		return direct.Patch(ctx, next, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
	}))
	wait(5)
	Must(t, direct.Delete(ctx, f))
	Equal(t, "the finalizer ran for", <-r.gone, "north")
	Eventually(t, "fleet, deployment and pods go", func() string {
		err := direct.Get(ctx, client.ObjectKeyFromObject(f), &Fleet{})
		var d appsv1.DeploymentList
		var p corev1.PodList
		Must(t, direct.List(ctx, &d, client.InNamespace(ns)))
		Must(t, direct.List(ctx, &p, client.InNamespace(ns)))
		if apierrors.IsNotFound(err) && len(d.Items)+len(p.Items) == 0 {
			return ""
		}
		return fmt.Sprint(err, len(d.Items), len(p.Items))
	})
	stop()
	Must(t, <-ended)
}
