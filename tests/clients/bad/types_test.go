package bad

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// wrongTypes is what upstream's Go types refuse of a kind's valid object, for each field that it has: values of another type, numbers without range,
// members that nobody knows or that come twice.
func wrongTypes(k *kind) (list []*bad) {
	if k.typ == nil {
		return nil
	}
	add := func(at path, id string, value any, text, whole string) {
		list = append(list, &bad{kind: k, id: "type " + id + " at " + at.String(), at: append(path(nil), at...), create: true, update: !k.review, fixed: value, want: want{text: text, whole: whole}})
	}
	// told is at without the keys of maps, which Go's decoder does not name
	var walk func(typ reflect.Type, tree any, at, told path)
	walk = func(typ reflect.Type, tree any, at, told path) {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if len(at) > 0 {
			for _, wrong := range wrongFor(typ) {
				add(at, fmt.Sprintf("%T", wrong), wrong, wrongText(typ, told), wrongText(typ, at))
			}
		}
		switch v := tree.(type) {
		case map[string]any:
			if typ.Kind() == reflect.Struct && !leaf(typ) {
				odd := append(append(path(nil), at...), "unheardOf")
				list = append(list, &bad{kind: k, id: "type unknown in " + at.String(), at: odd, create: true, update: !k.review, unknown: true, fixed: "x", want: want{text: `unknown field "` + odd.String() + `"`}})
				list = append(list, twice(k, at, v)...)
				for _, name := range slices.Sorted(maps.Keys(v)) {
					member := v[name]
					if f, ok := fieldOf(typ, name); ok && !(len(at) == 0 && (name == "kind" || name == "apiVersion")) {
						walk(f.Type, member, append(at[:len(at):len(at)], name), append(told[:len(told):len(told)], name))
					}
				}
			} else if typ.Kind() == reflect.Map {
				for _, name := range slices.Sorted(maps.Keys(v)) {
					member := v[name]
					walk(typ.Elem(), member, append(at[:len(at):len(at)], name), told)
				}
			}
		case []any:
			if typ.Kind() == reflect.Slice {
				for i, element := range v {
					walk(typ.Elem(), element, append(at[:len(at):len(at)], i), append(told[:len(told):len(told)], i))
				}
			}
		}
	}
	walk(k.typ, k.tree, nil, nil)
	return list
}

var quantity, intOrString, duration = reflect.TypeOf(resource.Quantity{}), reflect.TypeOf(intstr.IntOrString{}), reflect.TypeOf(metav1.Duration{})
var moment, microMoment = reflect.TypeOf(metav1.Time{}), reflect.TypeOf(metav1.MicroTime{})
var decoder = reflect.TypeOf((*json.Unmarshaler)(nil)).Elem()

// leaf says whether a struct reads its own text.
func leaf(typ reflect.Type) bool { return reflect.PointerTo(typ).Implements(decoder) }

// wrongFor is what a type cannot be read from.
func wrongFor(typ reflect.Type) []any {
	object, list := map[string]any{"a": "b"}, []any{"a"}
	switch typ {
	case quantity:
		return []any{object, "1x", list, true, "ten"}
	case intOrString:
		return []any{object, list, true, 1 << 40}
	case moment, microMoment:
		return []any{object, "yesterday", 5}
	}
	switch typ.Kind() {
	case reflect.String:
		return []any{5, true, object, list}
	case reflect.Bool:
		return []any{"true", 1, object, list}
	case reflect.Int32:
		return []any{"5", 1 << 40, 1.5, true, object, list}
	case reflect.Int64:
		return []any{"5", json.Number("100000000000000000000"), 1.5, false, object}
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			return []any{"!!!", 5, object}
		}
		return []any{object, "a", 5}
	case reflect.Map:
		return []any{list, "a", 5}
	case reflect.Struct:
		if !leaf(typ) {
			return []any{list, "a", true}
		}
	}
	return nil
}

// wrongText is what the message shows of a place: Go's decoder names fields without indices, types that read their own text name none.
func wrongText(typ reflect.Type, at path) string {
	if leaf(typ) || typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Uint8 {
		return ""
	}
	return at.dotted()
}

// twice is the object whose text has a member two times.
func twice(k *kind, at path, in map[string]any) []*bad {
	if len(in) == 0 {
		return nil
	}
	name := slices.Min(slices.Collect(maps.Keys(in)))
	quoted, _ := json.Marshal(name)
	return []*bad{{kind: k, id: "type twice " + at.String() + "." + name, at: append(append(path(nil), at...), "@twice"), create: true, fixed: in[name],
		raw:  func(body []byte) []byte { return bytes.Replace(body, []byte(`"@twice"`), quoted, 1) },
		want: want{text: `duplicate field "` + strings.TrimPrefix(at.String()+"."+name, ".") + `"`}}}
}

// fieldOf is a struct's field by its JSON name, embedded ones included.
func fieldOf(typ reflect.Type, name string) (reflect.StructField, bool) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == name {
			return f, true
		}
		if tag == "" && (strings.Contains(rest, "inline") || f.Anonymous) && f.Type.Kind() == reflect.Struct {
			if inner, ok := fieldOf(f.Type, name); ok {
				return inner, true
			}
		}
	}
	return reflect.StructField{}, false
}
