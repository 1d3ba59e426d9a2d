package api

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	. "keelson/tests/testkit"
)

// pod reads a pod: what the case says of its spec, and one container unless it says otherwise.
func pod(t *testing.T, name, spec string) *corev1.Pod {
	t.Helper()
	if !strings.Contains(spec, "containers:") {
		spec += "\n  containers: [{name: c, image: busybox}]"
	}
	return typed(t, fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  terminationGracePeriodSeconds: 1\n  %s", name, spec)).(*corev1.Pod)
}

func TestRuntimeClassMissing(t *testing.T) {
	t.Parallel()
	_, err := Kube(t).CoreV1().Pods(Namespace(t)).Create(Context(t), pod(t, "p", "runtimeClassName: none-of-this-name"), metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonForbidden, `pod rejected: RuntimeClass "none-of-this-name" not found`)
}

func TestRuntimeClassDeleted(t *testing.T) {
	t.Parallel()
	ctx, name, ns := Context(t), Name("rc"), Namespace(t)
	classes := Kube(t).NodeV1().RuntimeClasses()
	Get(classes.Create(ctx, &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: "h",
		Overhead: &nodev1.Overhead{PodFixed: corev1.ResourceList{"cpu": *quantity("10m")}}}, metav1.CreateOptions{}))(t)
	p := Get(Kube(t).CoreV1().Pods(ns).Create(ctx, pod(t, "p", "runtimeClassName: "+name), metav1.CreateOptions{}))(t)
	Equal(t, "overhead", p.Spec.Overhead.Cpu().String(), "10m")
	Must(t, classes.Delete(ctx, name, metav1.DeleteOptions{}))
	Eventually(t, "a pod of the deleted class is refused", func() string {
		_, err := Kube(t).CoreV1().Pods(ns).Create(ctx, pod(t, Name("q"), "runtimeClassName: "+name), metav1.CreateOptions{})
		if err != nil && strings.Contains(err.Error(), "pod rejected: RuntimeClass") {
			return ""
		}
		return fmt.Sprint(err)
	})
}

func TestSysctlsRefused(t *testing.T) {
	t.Parallel()
	_, err := Kube(t).CoreV1().Pods(Namespace(t)).Create(Context(t), pod(t, "p", `securityContext: {sysctls: [{name: foo-, value: bar}, {name: kernel.shmmax, value: "1"}, {name: safe-and-unsafe,
    value: "1"}, {name: bar.., value: "42"}]}`), metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonInvalid, `Invalid value: "foo-"`, `Invalid value: "bar.."`)
	Holds(t, !strings.Contains(err.Error(), "safe-and-unsafe") && !strings.Contains(err.Error(), "kernel.shmmax"), "%v", err)
}

// A generation that a client sets is not its; the deletion of a pod counts as a change.
func TestPodGenerationCustom(t *testing.T) {
	t.Parallel()
	ctx, pods := Context(t), Kube(t).CoreV1().Pods(Namespace(t))
	p := pod(t, "p", "nodeName: none-of-this-name")
	p.Generation = 100
	p = Get(pods.Create(ctx, p, metav1.CreateOptions{}))(t)
	Equal(t, "at first", p.Generation, int64(1))
	p = Get(pods.Patch(ctx, "p", types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"a":"b"},"generation":50}}`), metav1.PatchOptions{}))(t)
	Equal(t, "after a change of metadata", p.Generation, int64(1))
	p = Get(pods.Patch(ctx, "p", types.StrategicMergePatchType, []byte(`{"spec":{"containers":[{"name":"c","image":"other"}]}}`), metav1.PatchOptions{}))(t)
	Equal(t, "after a change of the spec", p.Generation, int64(2))
	p.Status.Phase = corev1.PodRunning
	p = Get(pods.UpdateStatus(ctx, p, metav1.UpdateOptions{}))(t)
	Equal(t, "after a change of the status", p.Generation, int64(2))
	grace := int64(60)
	Must(t, pods.Delete(ctx, "p", metav1.DeleteOptions{GracePeriodSeconds: &grace}))
	p = Get(pods.Get(ctx, "p", metav1.GetOptions{}))(t)
	Equal(t, "after its deletion", p.Generation, int64(3))
}

// What a LimitRange says is filled in and held to.
func TestLimitRangeDefaults(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	Get(Kube(t).CoreV1().LimitRanges(ns).Create(ctx, typed(t, `
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec:
  limits:
  - type: Container
    min: {cpu: 50m, memory: 100Mi}
    max: {cpu: 500m, memory: 500Mi}
    defaultRequest: {cpu: 100m, memory: 200Mi}
    default: {cpu: 300m, memory: 300Mi}
`).(*corev1.LimitRange), metav1.CreateOptions{}))(t)
	pods := Kube(t).CoreV1().Pods(ns)
	Eventually(t, "the defaults", func() string {
		p := Get(pods.Create(ctx, pod(t, Name("p"), ""), metav1.CreateOptions{}))(t)
		r := p.Spec.Containers[0].Resources
		if r.Requests.Cpu().String() == "100m" && r.Requests.Memory().String() == "200Mi" && r.Limits.Cpu().String() == "300m" && r.Limits.Memory().String() == "300Mi" {
			return ""
		}
		return fmt.Sprintf("%+v", r)
	})
	p := Get(pods.Create(ctx, pod(t, "partial", "containers: [{name: c, image: i, resources: {requests: {cpu: 150m}, limits: {memory: 400Mi}}}]"), metav1.CreateOptions{}))(t)
	r := p.Spec.Containers[0].Resources
	// a request that is not said is its limit, before the range is asked
	Equal(t, "what is said and what is filled in", fmt.Sprint(r.Requests.Cpu(), r.Requests.Memory(), r.Limits.Cpu(), r.Limits.Memory()), "150m 400Mi 300m 400Mi")
	_, err := pods.Create(ctx, pod(t, "low", "containers: [{name: c, image: i, resources: {requests: {cpu: 10m}}}]"), metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonForbidden, "minimum cpu usage per Container is 50m, but request is 10m")
	_, err = pods.Create(ctx, pod(t, "high", "containers: [{name: c, image: i, resources: {limits: {cpu: 600m}}}]"), metav1.CreateOptions{})
	Refused(t, err, metav1.StatusReasonForbidden, "maximum cpu usage per Container is 500m, but limit is 600m")
}

func TestInlineVolume(t *testing.T) {
	t.Parallel()
	ctx, ns, driver := Context(t), Namespace(t), Name("d")+".example.com"
	Get(Kube(t).StorageV1().CSIDrivers().Create(ctx, &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: driver}, Spec: storagev1.CSIDriverSpec{AttachRequired: new(false),
		VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecycleEphemeral}}}, metav1.CreateOptions{}))(t)
	p := Get(Kube(t).CoreV1().Pods(ns).Create(ctx, pod(t, "p", "volumes: [{name: v, csi: {driver: "+driver+", volumeAttributes: {a: b}}}]"), metav1.CreateOptions{}))(t)
	Equal(t, "driver", p.Spec.Volumes[0].CSI.Driver, driver)
	Equal(t, "attribute", p.Spec.Volumes[0].CSI.VolumeAttributes["a"], "b")
	Must(t, Kube(t).StorageV1().CSIDrivers().Delete(ctx, driver, metav1.DeleteOptions{}))
}

func TestVolumeAttachmentStatus(t *testing.T) {
	t.Parallel()
	ctx, name, attachments := Context(t), Name("va"), Kube(t).StorageV1().VolumeAttachments()
	made := Get(attachments.Create(ctx, typed(t, "apiVersion: storage.k8s.io/v1\nkind: VolumeAttachment\nmetadata: {name: "+name+"}\nspec: {attacher: d.example.com, nodeName: n1, source: {persistentVolumeName: pv}}").(*storagev1.VolumeAttachment), metav1.CreateOptions{}))(t)
	Equal(t, "attached at first", made.Status.Attached, false)
	patched := Get(attachments.Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"1"}},"status":{"attached":true}}`), metav1.PatchOptions{}, "status"))(t)
	Equal(t, "patched", patched.Status.Attached, true)
	patched.Status.Attached = false
	updated := Get(attachments.UpdateStatus(ctx, patched, metav1.UpdateOptions{}))(t)
	Equal(t, "updated", updated.Status.Attached, false)
	Must(t, attachments.Delete(ctx, name, metav1.DeleteOptions{}))
}
