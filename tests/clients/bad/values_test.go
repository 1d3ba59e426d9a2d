package bad

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// values make up what a rule names by @: another one at each call, always bad.
var values = map[string]func(*rand.Rand) any{
	"name":     func(r *rand.Rand) any { return pick(r, badNames) + tail(r) + pick(r, badEnds) },
	"longname": func(r *rand.Rand) any { return strings.Repeat("a", 254+r.IntN(300)) },
	"name53":   func(r *rand.Rand) any { return strings.Repeat("a", 53+r.IntN(10)) },
	"label": func(r *rand.Rand) any {
		return pick(r, []string{"Bad", "a.b", "a_b", "-a", "a b", "ä", "a/b"}) + tail(r) + pick(r, badEnds)
	},
	"labelvalue": func(r *rand.Rand) any { return pick(r, badLabelValues)(r) },
	"key":        func(r *rand.Rand) any { return badKey(r) },
	"badkeys":    func(r *rand.Rand) any { return map[string]any{badKey(r): "v"} },
	"badlabels":  func(r *rand.Rand) any { return map[string]any{"app": pick(r, badLabelValues)(r)} },
	"huge":       func(r *rand.Rand) any { return map[string]any{"big": strings.Repeat("x", 1<<20+r.IntN(1000))} },
	"word": func(r *rand.Rand) any {
		return pick(r, []string{"Odd", "always", "none", "TCP ", "0", "Ünit", "x/y"}) + tail(r)
	},
	"neg": func(r *rand.Rand) any { return -1 - int64(r.IntN(1<<20)) },
	"negq": func(r *rand.Rand) any {
		return fmt.Sprintf("-%d%s", 1+r.IntN(900), pick(r, []string{"", "m", "Mi", "k", "Gi"}))
	},
	"port": func(r *rand.Rand) any {
		return pick(r, []int64{-1 - int64(r.IntN(1000)), 65536 + int64(r.IntN(1<<20))})
	},
	"port0":   func(r *rand.Rand) any { return 65536 + int64(r.IntN(1<<20)) },
	"weight":  func(r *rand.Rand) any { return pick(r, []int64{0, -int64(r.IntN(100)), 101 + int64(r.IntN(1000))}) },
	"mode":    func(r *rand.Rand) any { return pick(r, []int64{-1 - int64(r.IntN(100)), 512 + int64(r.IntN(1000))}) },
	"percent": func(r *rand.Rand) any { return pick(r, []any{-1 - r.IntN(9), "x%", "5", "-5%", "%"}) },
	"portname": func(r *rand.Rand) any {
		return pick(r, []string{"UPPER", "a--b", "-a", "123", "much-too-long-a-name", "a_b", "a-"})
	},
	"envname":  func(r *rand.Rand) any { return "A=" + tail(r) },
	"ip":       func(r *rand.Rand) any { return badIP(r) },
	"ips":      func(r *rand.Rand) any { return []any{badIP(r)} },
	"cidr":     func(r *rand.Rand) any { return badCIDR(r) },
	"cidrs":    func(r *rand.Rand) any { return []any{badCIDR(r)} },
	"selector": func(r *rand.Rand) any { return pick(r, selectors).value },
}

var badNames = []string{"Upper", "under_score", "-dash", ".dot", "sp ace", "ümlaut", "a..b", "tab\t", "a/b", "a\x00", "a:b", "\xff\xfe"}
var badEnds = []string{"", "", "-", ".", "_"}

var badLabelValues = []func(*rand.Rand) string{
	func(r *rand.Rand) string { return "bad value" + tail(r) },
	func(r *rand.Rand) string { return "-a" + tail(r) },
	func(r *rand.Rand) string { return tail(r) + "/" + tail(r) },
	func(r *rand.Rand) string { return strings.Repeat("l", 64+r.IntN(100)) },
	func(r *rand.Rand) string { return "ä" + tail(r) },
}

// selectors are bad label selectors with what is said of them, and where below the selector.
var selectors = []struct {
	value        any
	cause, field string
}{
	{map[string]any{"matchLabels": map[string]any{"bad key!": "v"}}, "Invalid", ".matchLabels"},
	{map[string]any{"matchLabels": map[string]any{"k": "bad value"}}, "Invalid", ".matchLabels"},
	{map[string]any{"matchExpressions": []any{map[string]any{"key": "k", "operator": "Near", "values": []any{"v"}}}}, "Invalid", ".matchExpressions[0].operator"},
	{map[string]any{"matchExpressions": []any{map[string]any{"key": "k", "operator": "In"}}}, "Required", ".matchExpressions[0].values"},
	{map[string]any{"matchExpressions": []any{map[string]any{"key": "k", "operator": "Exists", "values": []any{"v"}}}}, "Forbidden", ".matchExpressions[0].values"},
	{map[string]any{"matchExpressions": []any{map[string]any{"key": "bad key!", "operator": "Exists"}}}, "Invalid", ".matchExpressions[0].key"},
}

func badKey(r *rand.Rand) string {
	return pick(r, []string{"bad key", "-", "a/b/", "UP.com/", "_under", "/a", "Bad_Prefix/", "ä"}) + tail(r) + pick(r, []string{"!", "-", "."})
}

func badIP(r *rand.Rand) string {
	return pick(r, []string{"10.0.0.256", "10.0.0", "fe80::g", "1.2.3.4/8", "host", "::1::2", " 1.2.3.4"}) + pick(r, []string{"", "x", "."})
}

func badCIDR(r *rand.Rand) string {
	return pick(r, []string{"10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "a/b", "10.0.0.0/-1"}) + pick(r, []string{"", "x"})
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func tail(r *rand.Rand) string { return fmt.Sprintf("%x", r.Uint32()) }
