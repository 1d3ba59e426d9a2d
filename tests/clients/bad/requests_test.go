package bad

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	. "keelson/tests/testkit"
)

// request is one bad object on its way, and what must be answered.
type request struct {
	bad              *bad
	way              string
	verb, path, form string
	body             []byte
	want             want
}

// ways are how an object reaches the API. Each makes a request's body, or none where the way cannot carry this badness.
var ways = []struct {
	name   string
	update bool
	verb   string
	form   string
	body   func(c *change) []byte
}{
	{"create", false, "POST", "application/json", func(c *change) []byte { return text(c, c.tree) }},
	{"create-protobuf", false, "POST", Protobuf, binary},
	{"create-apply", false, "PATCH", "application/apply-patch+yaml", func(c *change) []byte { return text(c, c.tree) }},
	{"put", true, "PUT", "application/json", func(c *change) []byte { return text(c, c.tree) }},
	{"json-patch", true, "PATCH", "application/json-patch+json", jsonPatch},
	{"merge-patch", true, "PATCH", "application/merge-patch+json", func(c *change) []byte { return text(c, c.patch(false)) }},
	{"strategic-patch", true, "PATCH", "application/strategic-merge-patch+json", func(c *change) []byte { return text(c, c.patch(true)) }},
	{"apply", true, "PATCH", "application/apply-patch+yaml", func(c *change) []byte { return text(c, c.tree) }},
}

// change is a valid object and what is made of it.
type change struct {
	bad   *bad
	valid any
	tree  any // bad
	at    path
	value any
}

// make is a way's request for a bad object; false where there is none.
func (b *bad) request(way int, n int, r *rand.Rand) (rq request, ok bool) {
	w := &ways[way]
	if w.update && !b.update || !w.update && !b.create || b.kind.review && w.name == "create-apply" {
		return rq, false
	}
	name := b.kind.live
	if !w.update {
		name = fmt.Sprintf("n%d", n)
	}
	name, valid := b.kind.named(name)
	c := &change{bad: b, valid: valid}
	c.at, c.value, rq.want = b.change(r, valid)
	if c.at.String() == "metadata.name" && w.verb == "PATCH" { // the name is the URL's
		return rq, false
	}
	c.tree = with(valid, c.at, c.value)
	body := w.body(c)
	if body == nil {
		return rq, false
	}
	rq.bad, rq.way, rq.verb, rq.form, rq.body, rq.path = b, w.name, w.verb, w.form, body, b.kind.collection
	if w.verb != "POST" {
		rq.path += "/" + name
	}
	rq.path += "?fieldValidation=Strict&fieldManager=bad"
	if b.unknown && strings.HasSuffix(w.name, "apply") {
		rq.want.text = b.at.dotted() + ": field not declared in schema"
	}
	if b.raw != nil && strings.HasSuffix(w.name, "apply") { // read as YAML, which knows no two members of a name
		rq.want.text = "already set in map"
	}
	if strings.HasSuffix(w.name, "apply") {
		rq.path += "&force=true"
	}
	return rq, true
}

func text(c *change, tree any) []byte {
	if tree == nil {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(tree)
	if c.bad.raw != nil {
		return c.bad.raw(b.Bytes())
	}
	return b.Bytes()
}

// binary is the object as typed clients send it, if it can be said in that form.
func binary(c *change) []byte {
	if c.bad.kind.typ == nil || c.bad.want.cause == "" || strings.HasPrefix(c.bad.kind.gvk.Group, "apiextensions") {
		return nil
	}
	if v := reflect.ValueOf(c.value); (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0 { // the same as none, in protobuf
		return nil
	}
	o := reflect.New(c.bad.kind.typ).Interface().(runtime.Object)
	if json.Unmarshal(text(c, c.tree), o) != nil {
		return nil
	}
	var b bytes.Buffer
	if protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(o, &b) != nil {
		return nil
	}
	return b.Bytes()
}

func jsonPatch(c *change) []byte {
	n := known(c.valid, c.at)
	op := map[string]any{"op": "remove", "path": c.at.pointer()}
	if _, gone := c.value.(absent); !gone {
		at := c.at[:min(n+1, len(c.at))]
		value, _ := get(c.tree, at)
		op = map[string]any{"op": "add", "path": at.pointer(), "value": value}
	}
	return text(c, []any{op})
}

// patch is the change as a merge patch: lists as a whole. For a strategic one a list that is merged by its elements' keys is told to be replaced.
func (c *change) patch(strategic bool) any {
	typ := c.bad.kind.typ
	if strategic && typ == nil {
		return nil
	}
	return below(typ, c.tree, c.valid, c.at, strategic)
}

func below(typ reflect.Type, tree, valid any, at path, strategic bool) any {
	name := at[0].(string)
	strategy := ""
	var next reflect.Type
	if strategic && typ != nil {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() == reflect.Map {
			next = typ.Elem()
		} else if typ.Kind() == reflect.Struct {
			if f, ok := fieldOf(typ, name); ok {
				next, strategy = f.Type, f.Tag.Get("patchStrategy")
			}
		}
	}
	m, _ := tree.(map[string]any)
	value, there := m[name]
	old, had := get(valid, at[:1])
	list, isList := value.([]any)
	switch _, hadList := old.([]any); {
	case !there:
		return map[string]any{name: nil}
	case isList && strings.Contains(strategy, "merge"):
		for _, v := range list {
			if _, ok := v.(map[string]any); !ok && hadList { // such lists cannot be told to be replaced
				return nil
			}
		}
		return map[string]any{name: append([]any{map[string]any{"$patch": "replace"}}, list...)}
	case len(at) == 1 || !had || isList:
		return map[string]any{name: value}
	}
	inner := below(next, value, old, at[1:], strategic)
	if inner == nil {
		return nil
	}
	return map[string]any{name: inner}
}
