package bad

import (
	"embed"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "keelson/tests/testkit"
)

// The rules are tables: columns two or more spaces apart.
//
//	scope  kinds, comma separated; * all; pod: each kind with a pod's specification, the path begins there; template: its template;
//	       job: Job and CronJob. -KIND: but for this one; /c only when created, /u only when changed
//	path   [n] an element, [key] a member whose name is no word
//	value  JSON; - takes it away; copy puts the element there once more at the end; @x makes one up (values_test.go)
//	want   TYPE [field, if it is not the path] [: part of the text]: a cause of the answer, as upstream has it
//
//go:embed rules/*.txt
var rulesFiles embed.FS

// bad is one way to make a kind's valid object bad.
type bad struct {
	kind     *kind
	id       string
	at       path
	create   bool
	update   bool
	fixed    any // the value, where none is made up
	made     func(*rand.Rand) any
	copied   bool
	selector bool
	unknown  bool                     // a member that nobody knows
	raw      func(body []byte) []byte // what is done to the text of a request, instead of a value
	want     want
}

// want is what the answer to it must say.
type want struct {
	cause string // the reason of a cause; "" for what no object can be made of, which has none
	field string // of the cause
	text  string // part of its message, or of the answer's
	whole string // instead of text: who reads configurations names the keys of maps too
}

var reasons = map[string]string{"Invalid": "FieldValueInvalid", "Required": "FieldValueRequired", "NotSupported": "FieldValueNotSupported", "Duplicate": "FieldValueDuplicate",
	"Forbidden": "FieldValueForbidden", "TooLong": "FieldValueTooLong", "TooMany": "FieldValueTooMany", "NotFound": "FieldValueNotFound"}

var columns = regexp.MustCompile(`\s{2,}`)

// rules reads them.
func rules(t testing.TB, all []*kind) (list []*bad) {
	t.Helper()
	files, err := rulesFiles.ReadDir("rules")
	Must(t, err)
	for _, file := range files {
		text, err := rulesFiles.ReadFile("rules/" + file.Name())
		Must(t, err)
		list = append(list, rulesOf(t, file.Name(), string(text), all)...)
	}
	return list
}

func rulesOf(t testing.TB, file, text string, all []*kind) (list []*bad) {
	t.Helper()
	for n, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		cols := columns.Split(strings.TrimSpace(line), -1)
		if len(cols) != 4 {
			t.Fatalf("%s:%d: %d columns", file, n+1, len(cols))
		}
		scope, onlyCreate := strings.CutSuffix(cols[0], "/c")
		scope, onlyUpdate := strings.CutSuffix(scope, "/u")
		matched := 0
		for _, k := range all {
			prefix, ok := k.in(scope)
			if !ok {
				continue
			}
			matched++
			b := &bad{kind: k, id: strings.Join(cols, " "), at: parsePath(prefix + cols[1]), create: !onlyUpdate, update: !onlyCreate && !k.review, want: wanted(t, cols[3], prefix, cols[1])}
			b.value(t, cols[2])
			list = append(list, b)
		}
		if matched == 0 {
			t.Fatalf("%s:%d: no such kind", file, n+1)
		}
	}
	return list
}

// in says whether the kind is of a scope, and what the rule's paths begin with.
func (k *kind) in(scope string) (prefix string, ok bool) {
	scope, without, _ := strings.Cut(scope, "-")
	if list := strings.Split(without, "-"); slices.Contains(list, k.gvk.Kind) || slices.Contains(list, k.id) {
		return "", false
	}
	switch scope {
	case "*":
		return "", !k.review
	case "pod":
		return k.pod, k.pod != ""
	case "template":
		return strings.TrimSuffix(k.pod, "spec."), k.pod != "" && k.gvk.Kind != "Pod"
	case "job":
		return map[string]string{"Job": "spec.", "CronJob": "spec.jobTemplate.spec."}[k.gvk.Kind], k.gvk.Kind == "Job" || k.gvk.Kind == "CronJob"
	}
	list := strings.Split(scope, ",")
	return "", slices.Contains(list, k.gvk.Kind) || slices.Contains(list, k.id)
}

func wanted(t testing.TB, text, prefix, at string) want {
	head, part, _ := strings.Cut(text, " : ")
	cause, field, given := strings.Cut(strings.TrimSpace(head), " ")
	if reasons[cause] == "" {
		t.Fatalf("no type of a cause: %s", text)
	}
	switch {
	case !given:
		field = prefix + at
	case field == `""`:
		field = ""
	case field == "@selector":
		field = prefix + at
	case !strings.HasPrefix(field, "metadata.") || strings.HasSuffix(prefix, "spec."):
		field = prefix + field
	}
	return want{cause: reasons[cause], field: field, text: strings.TrimSpace(part)}
}

func (b *bad) value(t testing.TB, text string) {
	switch {
	case text == "-":
		b.fixed = absent{}
	case text == "copy":
		b.copied = true
	case text == "@selector":
		b.selector = true
	case text[0] == '@':
		if b.made = values[text[1:]]; b.made == nil {
			t.Fatalf("no such values: %s", text)
		}
	default:
		if err := json.Unmarshal([]byte(text), &b.fixed); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// change is what a bad object has where: a place below the rule's, if that is needed, and what is wanted then.
func (b *bad) change(r *rand.Rand, tree any) (at path, value any, w want) {
	at, value, w = b.at, b.fixed, b.want
	switch {
	case b.copied:
		list := at[:len(at)-1]
		all, _ := get(tree, list)
		value, _ = get(tree, at)
		at = append(slices.Clone(list), len(all.([]any)))
	case b.selector:
		s := pick(r, selectors)
		value = s.value
		w.cause, w.field = reasons[s.cause], w.field+s.field
	case b.made != nil:
		value = b.made(r)
	}
	return at, value, w
}
