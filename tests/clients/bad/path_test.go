package bad

import (
	"fmt"
	"strconv"
	"strings"
)

// A path names a place in an object as the API's messages do: spec.containers[0].image, data[a.b]. A step is a member or an index.
type path []any

func parsePath(s string) (p path) {
	for s != "" {
		switch {
		case s[0] == '.':
			s = s[1:]
		case s[0] == '[':
			end := strings.IndexByte(s, ']')
			if n, err := strconv.Atoi(s[1:end]); err == nil {
				p = append(p, n)
			} else {
				p = append(p, s[1:end])
			}
			s = s[end+1:]
		default:
			end := strings.IndexAny(s, ".[")
			if end < 0 {
				end = len(s)
			}
			p = append(p, s[:end])
			s = s[end:]
		}
	}
	return p
}

// String is the path as JSON's decoder shows it, which is how rules are written but for members in brackets.
func (p path) String() string {
	var b strings.Builder
	for i, step := range p {
		if n, ok := step.(int); ok {
			fmt.Fprintf(&b, "[%d]", n)
		} else if i > 0 {
			fmt.Fprintf(&b, ".%s", step)
		} else {
			b.WriteString(step.(string))
		}
	}
	return b.String()
}

// dotted is the path without indices, as Go's decoder names a field.
func (p path) dotted() string {
	var words []string
	for _, step := range p {
		if s, ok := step.(string); ok {
			words = append(words, s)
		}
	}
	return strings.Join(words, ".")
}

// list is the name of the innermost list on the path.
func (b *bad) list() string {
	for i := len(b.at) - 1; i > 0; i-- {
		if _, ok := b.at[i].(int); ok {
			return fmt.Sprint(b.at[i-1])
		}
	}
	return fmt.Sprint(b.at[len(b.at)-1])
}

// pointer is the path as JSON patches write it.
func (p path) pointer() string {
	var b strings.Builder
	for _, step := range p {
		text := fmt.Sprint(step)
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(text))
	}
	return b.String()
}

// get is the value at a place.
func get(tree any, p path) (any, bool) {
	for _, step := range p {
		switch at := step.(type) {
		case int:
			list, ok := tree.([]any)
			if !ok || at >= len(list) {
				return nil, false
			}
			tree = list[at]
		case string:
			m, ok := tree.(map[string]any)
			if !ok {
				return nil, false
			}
			if tree, ok = m[at]; !ok {
				return nil, false
			}
		}
	}
	return tree, true
}

// absent is put where something is taken away.
type absent struct{}

// with is the tree with a value at a place; what lies on the way is copied, all else is shared: trees are never written to. Members on the way are made.
func with(tree any, p path, value any) any {
	if len(p) == 0 {
		return value
	}
	switch at := p[0].(type) {
	case int:
		list := append([]any(nil), tree.([]any)...)
		if at == len(list) {
			return append(list, with(nil, p[1:], value))
		}
		list[at] = with(list[at], p[1:], value)
		return list
	case string:
		m := map[string]any{}
		if old, ok := tree.(map[string]any); ok {
			for k, v := range old {
				m[k] = v
			}
		}
		v := with(m[at], p[1:], value)
		if _, gone := v.(absent); gone {
			delete(m, at)
		} else {
			m[at] = v
		}
		return m
	}
	panic("a path of neither members nor indices")
}

// known is how much of a path there is in a tree: a patch begins at the step behind it.
func known(tree any, p path) int {
	for i := range p {
		if _, ok := get(tree, p[:i+1]); !ok {
			return i
		}
	}
	return len(p)
}
