// Package testkit is what the programs of tests/clients and tests/conformance share: the clients of one server, a namespace per test, waiting.
// The server is named by KUBECONFIG; tests run in parallel on it, each in namespaces of its own.
package testkit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiext "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Limit is how long a condition may take on a slow, busy machine.
const Limit = 90 * time.Second

// Protobuf is what typed clients of built-in kinds send and ask for.
const Protobuf = "application/vnd.kubernetes.protobuf"

// Config is a fresh configuration as the administrator, without a limit of its own on requests.
func Config(t testing.TB) *rest.Config {
	t.Helper()
	c, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatalf("KUBECONFIG: %v", err)
	}
	c.QPS = -1
	c.Timeout = 5 * time.Minute
	c.WarningHandler = rest.NoWarnings{}
	return c
}

var shared struct {
	once sync.Once
	kube kubernetes.Interface
	dyn  dynamic.Interface
	meta metadata.Interface
	ext  apiext.Interface
}

func open(t testing.TB) {
	t.Helper()
	shared.once.Do(func() {
		pb := Config(t)
		pb.ContentType = Protobuf
		pb.AcceptContentTypes = Protobuf + ",application/json"
		shared.kube = kubernetes.NewForConfigOrDie(pb)
		shared.dyn = dynamic.NewForConfigOrDie(Config(t))
		shared.meta = metadata.NewForConfigOrDie(Config(t))
		shared.ext = apiext.NewForConfigOrDie(Config(t))
	})
}

// Kube is the typed client, speaking protobuf.
func Kube(t testing.TB) kubernetes.Interface { open(t); return shared.kube }

// Dynamic is the client of objects without types.
func Dynamic(t testing.TB) dynamic.Interface { open(t); return shared.dyn }

// Metadata is the client that sees metadata only.
func Metadata(t testing.TB) metadata.Interface { open(t); return shared.meta }

// Extensions is the client of CustomResourceDefinitions.
func Extensions(t testing.TB) apiext.Interface { open(t); return shared.ext }

// Context ends with the test, after a generous time.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

var serial atomic.Uint64
var run = fmt.Sprintf("%x", time.Now().UnixNano()&0xffffff)

// Name makes a name that no other test of any run on this server uses.
func Name(prefix string) string { return fmt.Sprintf("%s-%s-%d", prefix, run, serial.Add(1)) }

// Namespace makes a namespace for the test and deletes it in the end.
func Namespace(t testing.TB) string {
	t.Helper()
	return NamespaceWith(t, nil)
}

// NamespaceWith is Namespace with labels.
func NamespaceWith(t testing.TB, labels map[string]string) string {
	t.Helper()
	kube := Kube(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Name("t"), Labels: labels}}
	if _, err := kube.CoreV1().Namespaces().Create(context.Background(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatalf("namespace: %v", err)
	}
	t.Cleanup(func() { _ = kube.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}) })
	return ns.Name
}

// Must ends the test on an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Get takes a call's two results and gives the value, or ends the test: v := Get(client.Get(...))(t).
func Get[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Eventually waits until what holds; a text that is not empty says why it does not yet.
func Eventually(t testing.TB, what string, holds func() string) {
	t.Helper()
	end := time.Now().Add(Limit)
	pause := 10 * time.Millisecond
	for {
		why := holds()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s", what, why)
		}
		time.Sleep(pause)
		pause = min(pause*2, 200*time.Millisecond)
	}
}

// Equal compares what can be compared.
func Equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// Holds asserts.
func Holds(t testing.TB, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Errorf(format, args...)
	}
}

// Refused asserts an error of a reason whose message holds all texts.
func Refused(t testing.TB, err error, reason metav1.StatusReason, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("was accepted, wanted %s", reason)
		return
	}
	if got := apierrors.ReasonForError(err); got != reason {
		t.Errorf("reason %q, wanted %q: %v", got, reason, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("wanted %q in: %v", text, err)
		}
	}
}

// Spy sees the requests and answers of one client. Safe for parallel use.
type Spy struct {
	mu   sync.Mutex
	Seen []Exchange
}

// Exchange is what a Spy keeps.
type Exchange struct {
	Method, URL, Accept, Sent string
	Status                    int
	Got                       string // the answer's content type
	Warnings                  []string
}

// Watch makes the configuration's clients pass by the spy.
func (s *Spy) Watch(c *rest.Config) {
	c.Wrap(func(next http.RoundTripper) http.RoundTripper { return spied{s, next} })
}

type spied struct {
	spy  *Spy
	next http.RoundTripper
}

func (s spied) RoundTrip(rq *http.Request) (*http.Response, error) {
	a, err := s.next.RoundTrip(rq)
	if err == nil {
		s.spy.mu.Lock()
		s.spy.Seen = append(s.spy.Seen, Exchange{rq.Method, rq.URL.String(), rq.Header.Get("Accept"), rq.Header.Get("Content-Type"), a.StatusCode,
			a.Header.Get("Content-Type"), a.Header.Values("Warning")})
		s.spy.mu.Unlock()
	}
	return a, err
}

// All is what was seen so far.
func (s *Spy) All() []Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Exchange(nil), s.Seen...)
}

// Raw asks for a path with headers ("Name: value") and gives status, headers and body.
func Raw(t testing.TB, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	c := Config(t)
	client, err := rest.HTTPClientFor(c)
	Must(t, err)
	rq, err := http.NewRequestWithContext(Context(t), method, strings.TrimSuffix(c.Host, "/")+path, strings.NewReader(body))
	Must(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		rq.Header.Add(name, value)
	}
	a, err := client.Do(rq)
	Must(t, err)
	defer a.Body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, a.Body); err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, a.Header, b.String()
}
