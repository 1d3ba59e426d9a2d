package informers

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	. "keelson/tests/testkit"
)

// proxy passes connections on to the server, until it cuts them.
type proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	conns    map[net.Conn]bool
	shut     bool // nobody gets through
	cuts     atomic.Int64
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, err)
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.pass(c)
		}
	}()
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) pass(c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	shut := p.shut
	p.mu.Unlock()
	if shut {
		return
	}
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer s.Close()
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(s, c)
		s.Close()
	}()
	_, _ = io.Copy(c, s)
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// cut ends some connections, at random; all of them if n is less than zero.
func (p *proxy) cut(n int, _ *rand.Rand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns { // Go's maps begin anywhere
		if n == 0 {
			return
		}
		n--
		c.Close()
		delete(p.conns, c)
		p.cuts.Add(1)
	}
}

func (p *proxy) set(shut bool) {
	p.mu.Lock()
	p.shut = shut
	p.mu.Unlock()
}

func (p *proxy) quiet() { p.set(false) }

// outdate keeps everybody away while more is written than the history holds, so that whoever comes back is too late (410).
func (w *world) outdate(r *rand.Rand) {
	w.proxy.set(true)
	w.proxy.cut(-1, r)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	revisions := w.direct.AppsV1().ControllerRevisions(space(0))
	o := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("big-", r.IntN(1<<30))}, Revision: 1,
		Data: runtime.RawExtension{Raw: []byte(`{"fill":"` + strings.Repeat("x", 900<<10) + `"}`)}}
	var group sync.WaitGroup
	_, err := revisions.Create(ctx, o, metav1.CreateOptions{})
	for k := range 4 {
		group.Go(func() {
			for i := range 25 {
				patch := fmt.Sprintf(`[{"op":"replace","path":"/revision","value":%d}]`, 2+i*4+k)
				if _, err := revisions.Patch(ctx, o.Name, "application/json-patch+json", []byte(patch), metav1.PatchOptions{}); err != nil && !apierrors.IsConflict(err) {
					w.t.Logf("outdating: %v", err)
				}
			}
		})
	}
	group.Wait()
	if err != nil {
		w.t.Errorf("outdating: %v", err)
	}
	_ = revisions.Delete(ctx, o.Name, metav1.DeleteOptions{})
	w.proxy.set(false)
}
