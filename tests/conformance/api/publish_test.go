package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	. "keelson/tests/testkit"
)

const barSchema = `
type: object
description: Foo CRD for Testing
properties:
  spec:
    type: object
    description: Specification of Foo
    properties:
      bars:
        type: array
        description: List of Bars and their specs.
        items:
          type: object
          required: [name]
          properties:
            name: {type: string, description: Name of Bar.}
            age: {type: string, description: Age of Bar.}
            feeling: {type: string, description: Whether Bar is feeling great., enum: [Great, Down]}
            bazs: {type: array, description: List of Bazs., items: {type: string}}
  status: {type: object, description: Status of Foo, properties: {bars: {type: array, items: {type: object, properties: {age: {type: string}, name: {type: string}}}}}}
`

// published is the schema of a version's kind in the OpenAPI v2 document, nil where there is none.
func (d definition) published(t *testing.T, version string) map[string]any {
	t.Helper()
	code, _, body := Raw(t, "GET", "/openapi/v2", "", "Accept: application/json")
	Equal(t, "/openapi/v2", code, 200)
	var doc struct{ Definitions map[string]map[string]any }
	Must(t, json.Unmarshal([]byte(body), &doc))
	for _, schema := range doc.Definitions {
		for _, gvk := range list(schema["x-kubernetes-group-version-kind"]) {
			m := gvk.(map[string]any)
			if m["group"] == d.group && m["version"] == version && m["kind"] == d.kind {
				return schema
			}
		}
	}
	return nil
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// until waits until each version is published, or is not.
func (d definition) until(t *testing.T, there bool, versions ...string) {
	t.Helper()
	for _, v := range versions {
		Eventually(t, fmt.Sprintf("%s/%s %s published: %v", d.group, v, d.kind, there), func() string {
			if (d.published(t, v) != nil) == there {
				return ""
			}
			return "it is not so"
		})
	}
}

func (d definition) text(version, name, content string) string {
	return fmt.Sprintf("apiVersion: %s/%s\nkind: %s\nmetadata: {name: %s}\n%s", d.group, version, d.kind, name, content)
}

// accepted creates, deletes and applies an object by kubectl, with its validation.
func (d definition) accepted(t *testing.T, ns, content string) {
	t.Helper()
	o := d.text("v1", "o", content)
	does(t, o, "-n "+ns+" create -f -", "created")
	does(t, "", "-n "+ns+" delete "+d.plural+"."+d.group+" o", "deleted")
	does(t, o, "-n "+ns+" apply -f -", "created")
	does(t, "", "-n "+ns+" delete "+d.plural+"."+d.group+" o", "deleted")
}

func TestPublishSchema(t *testing.T) {
	t.Parallel()
	ns, d := Namespace(t), define(t, definition{schema: barSchema})
	d.until(t, true, "v1")
	d.accepted(t, ns, "spec: {bars: [{name: test-bar, feeling: Great}]}")
	for _, how := range []string{"create", "apply"} {
		at := "-n " + ns + " " + how + " -f -"
		refuses(t, d.text("v1", "o", "spec: {bars: [{name: b, feeling: NonExistentValue}]}"), at, `Unsupported value: "NonExistentValue"`)
		refuses(t, d.text("v1", "o", "spec: {foo: true}"), at, `unknown field "foo"`, `unknown field "spec.foo"`)
		refuses(t, d.text("v1", "o", "spec: {bars: [{age: \"10\"}]}"), at, `missing required field "name"`, `spec.bars[0].name: Required value`)
	}
	explains(t, d.plural, `(?s)DESCRIPTION:.*Foo CRD for Testing.*FIELDS:.*apiVersion.*<string>.*spec.*<Object>.*Specification of Foo`)
	explains(t, d.plural, `(?s)FIELDS:.*apiVersion.*<string>.*APIVersion defines.*metadata.*Standard object's metadata`)
	explains(t, d.plural+".metadata", `(?s)DESCRIPTION:.*Standard object's metadata.*FIELDS:.*creationTimestamp.*<string>.*CreationTimestamp is a timestamp`)
	explains(t, d.plural+".spec", `(?s)DESCRIPTION:.*Specification of Foo.*FIELDS:.*bars.*<\[\]Object>.*List of Bars and their specs`)
	explains(t, d.plural+".spec.bars", `(?s)DESCRIPTION:.*List of Bars and their specs.*FIELDS:.*name.*<string>.*-required-.*Name of Bar`)
	explains(t, d.plural, `(?s)bars\s+<\[\]Object>.*bazs\s+<\[\]string>`, "--recursive")
	refuses(t, "", "explain "+d.plural+".spec.bars2", `field "bars2" does not exist`)
}

func TestPublishNoSchema(t *testing.T) {
	t.Parallel()
	ns, d := Namespace(t), define(t, definition{})
	d.until(t, true, "v1")
	schema := d.published(t, "v1")
	delete(schema, "x-kubernetes-group-version-kind")
	Equal(t, "what is published, so that kubectl refuses nothing", fmt.Sprint(schema), "map[type:object]")
	d.accepted(t, ns, "a: {b: [{c: d}]}")
	explains(t, d.plural, `(?s)DESCRIPTION:.*<empty>`)
}

func TestPublishPreservingRoot(t *testing.T) {
	t.Parallel()
	ns, d := Namespace(t), define(t, definition{schema: "{type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: string}}}"})
	d.until(t, true, "v1")
	d.accepted(t, ns, "a: x\nspec: {b: [{c: d}]}")
	explains(t, d.plural, `(?s)KIND:.*`+d.kind)
}

func TestPublishPreservingEmbedded(t *testing.T) {
	t.Parallel()
	ns, d := Namespace(t), define(t, definition{schema: `
type: object
description: preserve-unknown-properties in nested field for Testing
properties:
  spec: {type: object, description: Specification of Waldo, x-kubernetes-preserve-unknown-fields: true, properties: {dummy: {type: string, description: Dummy property.}}}
  status: {type: object, description: Status of Waldo, properties: {bars: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
`})
	d.until(t, true, "v1")
	d.accepted(t, ns, "spec: {dummy: d, b: [{c: d}]}")
	explains(t, d.plural, `(?s)DESCRIPTION:.*preserve-unknown-properties in nested field for Testing`)
}

func TestPublishGroups(t *testing.T) {
	t.Parallel()
	a, b := define(t, definition{schema: barSchema}), define(t, definition{schema: barSchema})
	a.until(t, true, "v1")
	b.until(t, true, "v1")
}

func TestPublishVersions(t *testing.T) {
	t.Parallel()
	define(t, definition{versions: []string{"v2", "v3"}, schema: barSchema}).until(t, true, "v2", "v3")
	group := Name("multi") + ".example.com"
	a, b := define(t, definition{group: group, versions: []string{"v4"}}), define(t, definition{group: group, versions: []string{"v5"}})
	a.until(t, true, "v4")
	b.until(t, true, "v5")
}

func TestPublishKinds(t *testing.T) {
	t.Parallel()
	group := Name("common") + ".example.com"
	a, b := define(t, definition{group: group, versions: []string{"v6"}}), define(t, definition{group: group, versions: []string{"v6"}})
	a.until(t, true, "v6")
	b.until(t, true, "v6")
}

// patched changes the definition by a JSON patch.
func (d definition) patched(t *testing.T, patch string) {
	t.Helper()
	Get(Extensions(t).ApiextensionsV1().CustomResourceDefinitions().Patch(Context(t), d.plural+"."+d.group, types.JSONPatchType, []byte(patch), metav1.PatchOptions{}))(t)
}

func TestPublishRenamed(t *testing.T) {
	t.Parallel()
	d := define(t, definition{versions: []string{"v2", "v3"}, schema: barSchema})
	d.until(t, true, "v2", "v3")
	d.patched(t, `[{"op":"test","path":"/spec/versions/1/name","value":"v3"},{"op":"replace","path":"/spec/versions/1/name","value":"v4"}]`)
	d.until(t, true, "v4", "v2")
	d.until(t, false, "v3")
}

func TestPublishUnserved(t *testing.T) {
	t.Parallel()
	d := define(t, definition{versions: []string{"v5", "v6alpha1"}, schema: barSchema})
	d.until(t, true, "v5", "v6alpha1")
	before := d.published(t, "v5")
	d.patched(t, `[{"op":"replace","path":"/spec/versions/1/served","value":false}]`)
	d.until(t, false, "v6alpha1")
	Equal(t, "the other version's schema", strings.Compare(fmt.Sprint(before), fmt.Sprint(d.published(t, "v5"))), 0)
}
