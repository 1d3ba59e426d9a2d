package clients

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	. "keelson/tests/testkit"
)

// anything is a kind whose objects hold what they like.
func anything() apiextv1.JSONSchemaProps {
	return apiextv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
}

// JSON patches as the library in Kubernetes reads them, which is more than RFC 6902: terraform's provider replaces members that are not there.
func TestJSONPatchesBeyondTheirRFC(t *testing.T) {
	t.Parallel()
	ctx, ns, group := Context(t), Namespace(t), Name("g")+".example.com"
	gvr := define(t, group, "Raft", anything(), nil)
	rafts := Dynamic(t).Resource(gvr).Namespace(ns)
	for _, c := range []struct{ patch, spec string }{
		{`[{"op":"replace","path":"/spec/new","value":{"x":1}}]`, `{"a":1,"l":[1,2,3],"new":{"x":1}}`},
		{`[{"op":"replace","path":"/spec/l/-1","value":9}]`, `{"a":1,"l":[1,2,9]}`},
		{`[{"op":"remove","path":"/spec/l/-3"}]`, `{"a":1,"l":[2,3]}`},
		{`[{"op":"add","path":"/spec/l/-4","value":0}]`, `{"a":1,"l":[0,1,2,3]}`},
		{`[{"op":"test","path":"/spec/gone","value":null},{"op":"add","path":"/spec/b","value":2}]`, `{"a":1,"b":2,"l":[1,2,3]}`},
		{`[{"op":"copy","from":"/spec/l/-1","path":"/spec/l/-"}]`, `{"a":1,"l":[1,2,3,3]}`},
		{`null`, `{"a":1,"l":[1,2,3]}`},
		{`[{"op":"replace","path":"/spec/gone/x","value":1}]`, ""},
		{`[{"op":"replace","path":"/spec/l/3","value":1}]`, ""},
		{`[{"op":"test","path":"/spec/gone","value":1}]`, ""},
		{`[{"op":"remove","path":"/spec/gone"}]`, ""},
		{`[{"op":"copy","from":"/spec/l/9","path":"/spec/m"}]`, ""},
	} {
		name := Name("raft")
		Get(rafts.Create(ctx, thing(group+"/v1", "Raft", name, map[string]any{"spec": map[string]any{"a": int64(1), "l": []any{int64(1), int64(2), int64(3)}}}), metav1.CreateOptions{}))(t)
		got, err := rafts.Patch(ctx, name, types.JSONPatchType, []byte(c.patch), metav1.PatchOptions{})
		if c.spec == "" {
			Refused(t, err, metav1.StatusReasonInvalid, "the server rejected our request due to an error in our request")
			continue
		}
		Must(t, err)
		text := Get(json.Marshal(got.Object["spec"]))(t)
		Equal(t, c.patch, string(text), c.spec)
	}
}

// What a patch leaves must still say what it is.
func TestPatchesThatTakeTheNameAway(t *testing.T) {
	t.Parallel()
	ctx, ns, group := Context(t), Namespace(t), Name("g")+".example.com"
	maps := Kube(t).CoreV1().ConfigMaps(ns)
	made := Get(maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m"}}, metav1.CreateOptions{}))(t)
	_, err := maps.Patch(ctx, "m", types.MergePatchType, []byte(`{"metadata":{"name":null}}`), metav1.PatchOptions{})
	Refused(t, err, metav1.StatusReasonBadRequest, "the name of the object (m based on URL) was undeterminable: name must be provided")
	_, err = maps.Patch(ctx, "m", types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata"}]`), metav1.PatchOptions{})
	Refused(t, err, metav1.StatusReasonBadRequest, "name must be provided")
	same := Get(maps.Patch(ctx, "m", types.MergePatchType, []byte(`{"kind":null,"metadata":{"resourceVersion":null}}`), metav1.PatchOptions{}))(t)
	Equal(t, "revision", same.ResourceVersion, made.ResourceVersion)

	gvr := define(t, group, "Raft", anything(), nil)
	rafts := Dynamic(t).Resource(gvr).Namespace(ns)
	Get(rafts.Create(ctx, thing(group+"/v1", "Raft", "r", map[string]any{"spec": map[string]any{"a": int64(1)}}), metav1.CreateOptions{}))(t)
	for _, c := range []struct {
		patch, text string
		reason      metav1.StatusReason
	}{
		{`{"kind":null}`, "Object 'Kind' is missing in '{", metav1.StatusReasonInvalid},
		{`{"kind":"Ship"}`, `Ship.` + group + ` "r" is invalid: kind: Invalid value: "Ship": must be Raft`, metav1.StatusReasonInvalid},
		{`{"apiVersion":"` + group + `/v2"}`, `must be ` + group + `/v1`, metav1.StatusReasonInvalid},
		{`{"apiVersion":null}`, "Object 'apiVersion' is missing in 'object has no apiVersion field'", metav1.StatusReasonInternalError},
		{`{"metadata":{"name":null}}`, "name must be provided", metav1.StatusReasonBadRequest},
		{`{"metadata":{"resourceVersion":null}}`, "metadata.resourceVersion: Invalid value: 0: must be specified for an update", metav1.StatusReasonInvalid},
	} {
		_, err := rafts.Patch(ctx, "r", types.MergePatchType, []byte(c.patch), metav1.PatchOptions{})
		Refused(t, err, c.reason, c.text)
	}
}

// Fields that the schema does not name have owners as well, from the first write on.
func TestOwnersOfUnknownFields(t *testing.T) {
	t.Parallel()
	ctx, ns, group := Context(t), Namespace(t), Name("g")+".example.com"
	rafts := Dynamic(t).Resource(define(t, group, "Raft", anything(), nil)).Namespace(ns)
	raft := thing(group+"/v1", "Raft", "r", map[string]any{"spec": map[string]any{"a": int64(1), "l": []any{int64(1)}}})
	raft.SetLabels(map[string]string{"x": "y"})
	made := Get(rafts.Create(ctx, raft, metav1.CreateOptions{FieldManager: "one"}))(t)
	entries := made.GetManagedFields()
	Equal(t, "managers", managers(entries), "one/Update/")
	Equal(t, "fields", string(entries[0].FieldsV1.Raw), `{"f:metadata":{"f:labels":{".":{},"f:x":{}}},"f:spec":{".":{},"f:a":{},"f:l":{}}}`)
	_, err := rafts.Apply(ctx, "r", thing(group+"/v1", "Raft", "r", map[string]any{"spec": map[string]any{"a": int64(2)}}), metav1.ApplyOptions{FieldManager: "two"})
	Refused(t, err, metav1.StatusReasonConflict, `conflict with "one" using `+group+`/v1: .spec.a`)
}

// Terraform's provider takes clusterIP away, and nothing else, when a Service becomes an ExternalName.
func TestClusterIPsGoTogether(t *testing.T) {
	t.Parallel()
	ctx, services := Context(t), Kube(t).CoreV1().Services(Namespace(t))
	made := Get(services.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{}))(t)
	kept := Get(services.Patch(ctx, "s", types.MergePatchType, []byte(`{"spec":{"clusterIP":null}}`), metav1.PatchOptions{}))(t)
	Equal(t, "cleared, but wanted by the type", kept.Spec.ClusterIP, made.Spec.ClusterIP)
	patch := `[{"op":"remove","path":"/spec/clusterIP"},{"op":"replace","path":"/spec/type","value":"ExternalName"},{"op":"replace","path":"/spec/externalName","value":"a.b"}]`
	named := Get(services.Patch(ctx, "s", types.JSONPatchType, []byte(patch), metav1.PatchOptions{}))(t)
	Holds(t, named.Spec.ClusterIP == "" && len(named.Spec.ClusterIPs) == 0 && named.Spec.InternalTrafficPolicy == nil, "%+v", named.Spec)
}
