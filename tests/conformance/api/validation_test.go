package api

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	. "keelson/tests/testkit"
)

const cronSchema = `
type: object
properties:
  spec:
    type: object
    properties:
      foo: {type: string}
      cronSpec: {type: string, pattern: '^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$'}
      ports:
        type: array
        x-kubernetes-list-map-keys: [containerPort, protocol]
        x-kubernetes-list-type: map
        items:
          type: object
          required: [containerPort, protocol]
          properties: {containerPort: {format: int32, type: integer}, name: {type: string}, protocol: {type: string}}
`

// strict sends a body and gives status code and body of the answer.
func strict(t *testing.T, method, path, contentType, body string) (int, string) {
	t.Helper()
	code, _, answer := Raw(t, method, path+"?fieldManager=m&fieldValidation=Strict", body, "Content-Type: "+contentType)
	return code, answer
}

// applied applies YAML strictly to one object of the kind.
func (d definition) applied(t *testing.T, name, yaml string) (int, string) {
	t.Helper()
	head := fmt.Sprintf("apiVersion: %s/v1\nkind: %s\nmetadata:\n  name: %s\n", d.group, d.kind, name)
	return strict(t, "PATCH", fmt.Sprintf("/apis/%s/v1/%s/%s", d.group, d.plural, name), "application/apply-patch+yaml", head+yaml)
}

func TestStrictTyped(t *testing.T) {
	t.Parallel()
	path := "/apis/apps/v1/namespaces/" + Namespace(t) + "/deployments"
	code, body := strict(t, "POST", path, "application/json", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"unknownField":"x","replicas":1,"replicas":2,
		"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`)
	Equal(t, "status", code, 400)
	Holds(t, strings.Contains(body, `strict decoding error: unknown field \"spec.unknownField\", duplicate field \"spec.replicas\"`), "%s", body)
	// warned about, not refused, unless it is asked for
	_, h, _ := Raw(t, "POST", path+"?fieldValidation=Warn", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"unknownField":"x",
		"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`, "Content-Type: application/json")
	Equal(t, "warning", h.Get("Warning"), `299 - "unknown field \"spec.unknownField\""`)
}

func TestStrictTypedMetadata(t *testing.T) {
	t.Parallel()
	code, body := strict(t, "POST", "/apis/apps/v1/namespaces/"+Namespace(t)+"/deployments", "application/json", `{"apiVersion":"apps/v1","kind":"Deployment",
		"metadata":{"name":"d","unknownMeta":"foo"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`)
	Equal(t, "status", code, 400)
	Holds(t, strings.Contains(body, `strict decoding error: unknown field \"metadata.unknownMeta\"`), "%s", body)
}

func TestStrictCustomValid(t *testing.T) {
	t.Parallel()
	d := define(t, definition{cluster: true, schema: cronSchema})
	spec := "spec:\n  foo: foo1\n  cronSpec: \"* * * * */5\"\n  ports:\n  - {name: x, containerPort: 80, protocol: TCP}\n"
	Get(d.client(t, "v1", "").Create(Context(t), d.instance(t, "v1", "made", spec), metav1.CreateOptions{FieldValidation: "Strict"}))(t)
	code, body := d.applied(t, "mytest", spec)
	Holds(t, code == 201, "applied: %d %s", code, body)
}

func TestStrictCustomUnknownWithoutSchema(t *testing.T) {
	t.Parallel()
	d := define(t, definition{cluster: true})
	spec := "spec:\n  unknown: uk1\n  ports:\n  - {name: x, containerPort: 80, protocol: TCP}\n"
	Get(d.client(t, "v1", "").Create(Context(t), d.instance(t, "v1", "made", spec), metav1.CreateOptions{FieldValidation: "Strict"}))(t)
	code, body := d.applied(t, "mytest", spec)
	Holds(t, code == 201, "applied: %d %s", code, body)
}

func TestStrictCustomUnknown(t *testing.T) {
	t.Parallel()
	d := define(t, definition{cluster: true, schema: cronSchema})
	spec := "spec:\n  foo: foo1\n  unknownField: unknown\n"
	_, err := d.client(t, "v1", "").Create(Context(t), d.instance(t, "v1", "made", spec), metav1.CreateOptions{FieldValidation: "Strict"})
	Refused(t, err, metav1.StatusReasonBadRequest, `strict decoding error: unknown field "spec.unknownField"`)
	_, body := d.applied(t, "mytest", spec)
	Holds(t, strings.Contains(body, `.unknownField: field not declared in schema`), "applied: %s", body)
}

func TestStrictCustomMetadata(t *testing.T) {
	t.Parallel()
	embedded := `
type: object
properties:
  spec:
    type: object
    properties:
      template: {type: object, x-kubernetes-embedded-resource: true, properties: {metadata: {type: object, properties: {name: {type: string}}}, spec: {type: object}}}
`
	d := define(t, definition{cluster: true, schema: embedded})
	inner := "spec:\n  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: unknown\n      name: subobject\n"
	_, err := d.client(t, "v1", "").Create(Context(t), d.instance(t, "v1", "made", "metadata: {unknownMeta: x}\n"+inner), metav1.CreateOptions{FieldValidation: "Strict"})
	Refused(t, err, metav1.StatusReasonBadRequest, `unknown field "metadata.unknownMeta"`, `unknown field "spec.template.metadata.unknownSubMeta"`)
	known := strings.Replace(inner, "unknownSubMeta: unknown", "namespace: elsewhere\n      labels: {a: b}\n      ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u}]", 1)
	made := Get(d.client(t, "v1", "").Create(Context(t), d.instance(t, "v1", "known", known), metav1.CreateOptions{FieldValidation: "Strict"}))(t)
	kept, _, _ := unstructured.NestedString(made.Object, "spec", "template", "metadata", "namespace")
	Equal(t, "what an embedded object says of itself, named by its schema or not", kept, "elsewhere")
	code, body := d.applied(t, "known-too", known)
	Holds(t, code == 201, "applied: %d %s", code, body)
	_, body = d.applied(t, "mytest", inner)
	Holds(t, strings.Contains(body, `.spec.template.metadata.unknownSubMeta: field not declared in schema`), "applied: %s", body)
}

func TestStrictCustomDuplicates(t *testing.T) {
	t.Parallel()
	d := define(t, definition{cluster: true})
	code, body := strict(t, "POST", fmt.Sprintf("/apis/%s/v1/%s", d.group, d.plural), "application/json",
		fmt.Sprintf(`{"apiVersion":"%s/v1","kind":"%s","metadata":{"name":"made"},"spec":{"unknown":"u","foo":"a","foo":"b"}}`, d.group, d.kind))
	Holds(t, code == 400 && strings.Contains(body, `duplicate field \"spec.foo\"`), "made: %d %s", code, body)
	code, body = d.applied(t, "mytest", "spec:\n  unknown: uk1\n  foo: foo1\n  foo: foo2\n")
	Holds(t, code == 400 && strings.Contains(body, `key \"foo\" already set in map`), "applied: %d %s", code, body)
}
