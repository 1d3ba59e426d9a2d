// Package bad sends objects that are wrong in one known way, to every kind and by every way in, and holds the answers to what upstream says: refused, for the
// right reason, at the right place. With a second server named as a reference the answers of both are compared to the letter.
package bad

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	. "keelson/tests/testkit"
)

var (
	count     = flag.Int("bad.count", 100000, "how many objects are sent")
	seed      = flag.Uint64("bad.seed", 1, "which ones")
	only      = flag.String("bad.only", "", "only kinds or rules that hold this text")
	reference = flag.String("bad.reference", "", "kubeconfig of a server to compare the answers with")
	stricter  = flag.Bool("bad.stricter", false, "also show what the reference accepts")
	most      = flag.Int("bad.most", 40, "how many wrong answers are shown")
)

// server is one API server with a live object of each kind.
type server struct {
	base     string
	client   *http.Client
	mu       sync.Mutex
	versions map[*kind]string // resource versions of the live objects
}

// answer is what is looked at of a response.
type answer struct {
	Code    int    `json:"-"`
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Status  any    `json:"status"`
	Said    int    `json:"code"`
	Details struct {
		Causes []struct{ Reason, Message, Field string } `json:"causes"`
	} `json:"details"`
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
}

func open(t testing.TB, kubeconfig string) (*server, kubernetes.Interface) {
	t.Helper()
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	Must(t, err)
	c.QPS, c.WarningHandler = -1, rest.NoWarnings{}
	client, err := rest.HTTPClientFor(c)
	Must(t, err)
	return &server{base: strings.TrimSuffix(c.Host, "/"), client: client, versions: map[*kind]string{}}, kubernetes.NewForConfigOrDie(c)
}

func (s *server) do(verb, path, form string, body []byte) (a answer, err error) {
	rq, err := http.NewRequest(verb, s.base+path, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	rq.Header.Set("Content-Type", form)
	rq.Header.Set("Accept", "application/json")
	rs, err := s.client.Do(rq)
	if err != nil {
		return a, err
	}
	defer rs.Body.Close()
	b, err := io.ReadAll(rs.Body)
	a.Code = rs.StatusCode
	if err == nil && a.Code >= 400 {
		err = json.Unmarshal(b, &a)
	} else if err == nil {
		_ = json.Unmarshal(b, &a)
	}
	return a, err
}

// prepare makes the namespace and a live object of each kind, by apply, so that a later apply may take away.
func (s *server) prepare(t testing.TB, all []*kind) {
	t.Helper()
	_, err := s.do("POST", "/api/v1/namespaces", "application/json", []byte(`{"metadata":{"name":"bad"}}`))
	Must(t, err)
	Eventually(t, "the namespace's service account", func() string {
		if a, err := s.do("GET", "/api/v1/namespaces/bad/serviceaccounts/default", "", nil); err != nil || a.Code != 200 && *reference == "" {
			return fmt.Sprint(a.Code, err)
		}
		return ""
	})
	for _, k := range all {
		name, tree := k.named(k.live)
		body, _ := json.Marshal(tree)
		verb, path, form := "PATCH", k.collection+"/"+name+"?fieldManager=bad&fieldValidation=Strict", "application/apply-patch+yaml"
		if k.review {
			verb, path, form = "POST", k.collection, "application/json"
		}
		a, err := s.do(verb, path, form, body)
		Must(t, err)
		if a.Code != 200 && a.Code != 201 {
			t.Errorf("the valid %s is refused: %d %s", k.id, a.Code, a.Message)
		}
		s.versions[k] = a.Metadata.ResourceVersion
	}
	if t.Failed() {
		t.FailNow()
	}
}

// send gives the answer to a request; a PUT is of the live object as it is now.
func (s *server) send(rq *request) (a answer, err error) {
	for range 20 {
		body := rq.body
		s.mu.Lock()
		version := s.versions[rq.bad.kind]
		s.mu.Unlock()
		if rq.verb == "PUT" {
			body = bytes.Replace(body, []byte(`"metadata":{`), []byte(`"metadata":{"resourceVersion":"`+version+`",`), 1)
		}
		a, err = s.do(rq.verb, rq.path, rq.form, body)
		if err != nil || a.Code != 409 || a.Reason != "Conflict" {
			return a, err
		}
		path, _, _ := strings.Cut(rq.path, "?")
		now, err := s.do("GET", path, "", nil)
		if err != nil {
			return a, err
		}
		s.mu.Lock()
		s.versions[rq.bad.kind] = now.Metadata.ResourceVersion
		s.mu.Unlock()
	}
	return a, err
}

// What messages have behind the name of a list: an index, or an element's keys.
var brackets = regexp.MustCompile(`\[(?:[^][]|\[[^][]*\])*\]`)

// What is said of a value of another type in a strategic patch: the patch as Go prints it, and no field.
var converter = regexp.MustCompile(`patch: Invalid value: "map\[.*": (unrecognized type: |cannot convert |cannot restore |json: cannot unmarshal |parsing time |quantities must match |error decoding )`)

// Structs that Go embeds: they are no members.
var embedded = regexp.MustCompile(`\.[A-Z]\w*`)

func says(message, text string) bool {
	if strings.Contains(message, "into Go struct field ") {
		message = embedded.ReplaceAllString(message, "")
	}
	return strings.Contains(message, text) || strings.Contains(brackets.ReplaceAllString(message, ""), text)
}

// wrong says what is wrong with an answer; "" if it is as upstream's.
func wrong(rq *request, a answer) string {
	number := strings.HasPrefix(rq.bad.id, "type int at ") || strings.HasPrefix(rq.bad.id, "type json.Number at ")
	switch {
	case number && rq.way == "strategic-patch" && (a.Code == 200 || a.Code == 422):
		return "" // the converter cuts what is too large down and takes 2.0 for 2: what comes out may be good or not
	case rq.way == "strategic-patch" && a.Code == 500 && strings.Contains(a.Message, " does not contain declared merge key: "):
		return "" // upstream's own fault, as it has it: items that cannot be told apart
	case a.Code < 400 || a.Code > 499:
		return fmt.Sprintf("answered %d", a.Code)
	case a.Kind != "Status" || a.Status != "Failure" || a.Said != a.Code:
		return fmt.Sprintf("is no Status of %d", a.Code)
	case rq.want.cause == "" && a.Reason != "BadRequest" && a.Reason != "Invalid":
		return "has another reason"
	case rq.want.cause == "" && rq.way == "strategic-patch" && converter.MatchString(a.Message):
		return ""
	case rq.want.cause == "" && !says(a.Message, rq.want.text) && (rq.want.whole == "" || !says(a.Message, rq.want.whole)):
		return fmt.Sprintf("does not say %q", rq.want.text)
	case rq.want.cause == "":
		return ""
	case a.Code == 400 && strings.HasSuffix(rq.way, "apply") && strings.HasPrefix(a.Message, "failed to create typed patch object") &&
		strings.Contains(a.Message, "duplicate entries for key") && strings.Contains(a.Message, rq.bad.list()):
		return "" // a configuration that names an element twice is refused before anybody looks at the object
	}
	for _, c := range a.Details.Causes {
		if c.Reason == rq.want.cause && c.Field == rq.want.field && strings.Contains(c.Message, rq.want.text) {
			return ""
		}
		// what may not be changed as a whole is said of the whole
		if rq.verb != "POST" && (c.Reason == "FieldValueForbidden" || c.Reason == "FieldValueInvalid") && strings.HasPrefix(rq.want.field, c.Field+".") &&
			(strings.Contains(c.Message, "immutable") || strings.Contains(c.Message, "may not") || strings.Contains(c.Message, "updates to")) {
			return ""
		}
	}
	return fmt.Sprintf("has no %s of %s %s", rq.want.cause, rq.want.field, rq.want.text)
}

// TestBadObjects is the program.
func TestBadObjects(t *testing.T) {
	began := time.Now()
	s, kube := open(t, os.Getenv("KUBECONFIG"))
	all := kinds(t, kube)
	s.prepare(t, all)
	var other *server
	if *reference != "" {
		other, _ = open(t, *reference)
		other.prepare(t, all)
	}
	list := rules(t, all)
	for _, k := range all {
		list = append(list, wrongTypes(k)...)
	}
	if *only != "" {
		kept := list[:0]
		for _, b := range list {
			if strings.Contains(b.kind.id+" "+b.id, strings.TrimPrefix(*only, "!")) != strings.HasPrefix(*only, "!") {
				kept = append(kept, b)
			}
		}
		list = kept
	}
	r := rand.New(rand.NewPCG(*seed, 0))
	jobs := make([]int, 0, len(list)*len(ways)) // each badness by each way
	for i := range len(list) * len(ways) {
		jobs = append(jobs, i)
	}
	r.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	found := findings{at: map[string][]string{}}
	var next, sent atomic.Int64
	var group sync.WaitGroup
	for range 8 * runtime.NumCPU() {
		group.Go(func() {
			for {
				n := int(next.Add(1) - 1)
				if n >= *count {
					return
				}
				// a way that cannot carry a badness leaves its turn to the next, until one can
				for try := range len(jobs) {
					job := jobs[(n+try*7919)%len(jobs)]
					rq, ok := list[job/len(ways)].request(job%len(ways), n, rand.New(rand.NewPCG(*seed, uint64(n))))
					if ok {
						found.judge(t, &rq, s, other)
						sent.Add(1)
						break
					}
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d objects of %d kinds, %d ways to be wrong, in %.1f s", sent.Load(), len(all), len(list), time.Since(began).Seconds())
	found.show(t)
	if sent.Load() == 0 {
		t.Error("nothing was sent")
	}
}

// findings are wrong answers by what they have in common.
type findings struct {
	mu sync.Mutex
	at map[string][]string
}

func (f *findings) judge(t testing.TB, rq *request, s, other *server) {
	a, err := s.send(rq)
	said := ""
	if err != nil {
		said = err.Error()
	} else {
		said = wrong(rq, a)
	}
	if other != nil {
		b, err := other.send(rq)
		if err != nil {
			t.Errorf("reference: %v", err)
			return
		}
		if why := wrong(rq, b); why != "" && b.Code != 500 {
			f.note("RULE "+why+" "+rq.bad.id, rq, b)
		}
		said = differs(a, b)
		if said != "" && (*stricter || a.Code < 400 || a.Code > 499 || b.Code > 399) {
			said = plain(rq, said)
		} else {
			said = ""
		}
	}
	if said != "" {
		f.note(said+": "+rq.bad.id, rq, a)
	}
}

func (f *findings) note(what string, rq *request, a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body := rq.body
	if len(body) > 600 {
		body = body[:600]
	}
	causes, _ := json.Marshal(a.Details.Causes)
	if len(a.Message) > 1500 {
		a.Message = a.Message[:1500]
	}
	if len(causes) > 3000 {
		causes = causes[:3000]
	}
	f.at[what] = append(f.at[what], fmt.Sprintf("%s %s (%s)\n  %d %s: %s\n  %s", rq.bad.kind.id, rq.way, rq.path, a.Code, a.Reason, a.Message, causes))
}

func (f *findings) show(t testing.TB) {
	var what []string
	for w := range f.at {
		what = append(what, w)
	}
	sort.Strings(what)
	for i, w := range what {
		if i == *most {
			t.Errorf("and %d more", len(what)-i)
			break
		}
		t.Errorf("%s\n%d times, as by %s", w, len(f.at[w]), f.at[w][0])
	}
}

var names = regexp.MustCompile(`\bn\d+\b`)

// plain is a difference without what tells one object and kind from others.
func plain(rq *request, said string) string {
	if p := rq.bad.kind.pod; p != "" {
		said = strings.ReplaceAll(said, p, "POD.")
	}
	said = strings.ReplaceAll(said, rq.bad.kind.gvk.Kind, "KIND")
	said = regexp.MustCompile(`KIND[.a-z0-9]*`).ReplaceAllString(said, "KIND")
	return names.ReplaceAllString(said, "NAME")
}

// differs compares two servers' answers.
func differs(a, b answer) string {
	if b.Code == 500 && a.Code == 400 && a.Message == b.Message { // upstream blames itself for configurations that do not fit
		return ""
	}
	if a.Code != b.Code {
		return fmt.Sprintf("%d, reference %d %s", a.Code, b.Code, b.Message)
	}
	if a.Reason != b.Reason {
		return fmt.Sprintf("%s, reference %s", a.Reason, b.Reason)
	}
	x, y := map[string]int{}, map[string]int{}
	for _, c := range a.Details.Causes {
		x[c.Reason+" "+c.Field+": "+c.Message]++
	}
	for _, c := range b.Details.Causes {
		y[c.Reason+" "+c.Field+": "+c.Message]++
	}
	var out []string
	for c := range x {
		if x[c] != y[c] {
			out = append(out, "\n  + "+c)
		}
	}
	for c := range y {
		if x[c] != y[c] {
			out = append(out, "\n  - "+c)
		}
	}
	if len(out) > 0 {
		sort.Strings(out)
		return "causes" + strings.Join(out, "")
	}
	if a.Message != b.Message {
		return "message, reference: " + b.Message
	}
	return ""
}
