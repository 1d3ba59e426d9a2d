// Package informers keeps hundreds of informers of every sort on a server whose objects change all the time, whose connections are cut, whose
// history is compacted and which is killed and started again; in the end each cache holds what the store holds.
package informers

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	. "keelson/tests/testkit"
)

var (
	seconds = flag.Int("informers.seconds", 30, "how long the load lasts")
	many    = flag.Int("informers.count", 500, "how many informers")
	objects = flag.Int("informers.objects", 10000, "how many objects")
	seed    = flag.Uint64("informers.seed", 1, "of the load")
)

const spaces = 20 // namespaces

// world is the server under test, and what the script can do to it: it reads words from a pipe ("kill") and answers "up".
type world struct {
	t       *testing.T
	control *os.File
	answers *bufio.Reader
	direct  *kubernetes.Clientset // past the proxy
	proxy   *proxy
	config  *rest.Config // through the proxy
	stop    chan struct{}
}

func open(t *testing.T) *world {
	w := &world{t: t, stop: make(chan struct{})}
	if name := os.Getenv("CONTROL"); name != "" {
		var err error
		w.control, err = os.OpenFile(name, os.O_WRONLY, 0)
		Must(t, err)
		in, err := os.OpenFile(os.Getenv("ANSWERS"), os.O_RDONLY, 0)
		Must(t, err)
		w.answers = bufio.NewReader(in)
	}
	c, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	Must(t, err)
	c.QPS, c.ContentType, c.AcceptContentTypes = -1, Protobuf, Protobuf+",application/json"
	w.direct = kubernetes.NewForConfigOrDie(c)
	w.proxy = newProxy(t, strings.TrimPrefix(c.Host, "https://"))
	w.config = rest.CopyConfig(c)
	w.config.Host = "https://" + w.proxy.address()
	w.config.Timeout = 0
	return w
}

// restart kills the server as a power cut would ("kill"), or lets a new process go on without a gap ("handover"), and waits until it is there.
func (w *world) restart(how string) {
	if w.control == nil {
		return
	}
	fmt.Fprintln(w.control, how)
	if line, err := w.answers.ReadString('\n'); err != nil || strings.TrimSpace(line) != "up" {
		w.t.Errorf("the server did not come back: %q %v", line, err)
	}
}

func space(i int) string { return fmt.Sprintf("soak-%d", i%spaces) }

// labelled is the n-th object: half of them ConfigMaps, some Secrets and Pods, with labels and fields that selectors ask for.
func labelled(n int, r *rand.Rand) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: fmt.Sprintf("o-%d", n), Namespace: space(n), Labels: map[string]string{"color": colors[r.IntN(len(colors))], "n": fmt.Sprint(n % 10)}}
}

var colors = []string{"red", "green", "blue"}

// put makes or changes the n-th object, or takes it away.
func (w *world) put(ctx context.Context, n int, r *rand.Rand) error {
	m := labelled(n, r)
	core := w.direct.CoreV1()
	gone := r.IntN(4) == 0
	var err error
	switch n % 4 {
	case 0, 1:
		o := &corev1.ConfigMap{ObjectMeta: m, Data: map[string]string{"r": fmt.Sprint(r.Uint64()), "fill": strings.Repeat("x", r.IntN(300))}}
		if gone {
			err = core.ConfigMaps(m.Namespace).Delete(ctx, m.Name, metav1.DeleteOptions{})
		} else if _, err = core.ConfigMaps(m.Namespace).Update(ctx, o, metav1.UpdateOptions{}); apierrors.IsNotFound(err) {
			_, err = core.ConfigMaps(m.Namespace).Create(ctx, o, metav1.CreateOptions{})
		}
	case 2:
		o := &corev1.Secret{ObjectMeta: m, Type: corev1.SecretType([]string{"Opaque", "example.com/x"}[n/4%2]), Data: map[string][]byte{"r": fmt.Append(nil, r.Uint64())}}
		if gone {
			err = core.Secrets(m.Namespace).Delete(ctx, m.Name, metav1.DeleteOptions{})
		} else if _, err = core.Secrets(m.Namespace).Update(ctx, o, metav1.UpdateOptions{}); apierrors.IsNotFound(err) {
			_, err = core.Secrets(m.Namespace).Create(ctx, o, metav1.CreateOptions{})
		}
	case 3:
		var grace int64
		o := &corev1.Pod{ObjectMeta: m, Spec: corev1.PodSpec{SchedulerName: []string{"none", "other"}[n/4%2], Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
		patch := fmt.Sprintf(`{"metadata":{"labels":{"color":%q},"annotations":{"r":"%d"}}}`, m.Labels["color"], r.Uint64())
		if gone {
			err = core.Pods(m.Namespace).Delete(ctx, m.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace})
		} else if _, err = core.Pods(m.Namespace).Patch(ctx, m.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); apierrors.IsNotFound(err) {
			_, err = core.Pods(m.Namespace).Create(ctx, o, metav1.CreateOptions{})
		}
	}
	if apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// load writes without pause until it is told to stop; what a killed server does not answer is not counted. Each worker has objects of its own.
func (w *world) load(group *sync.WaitGroup, writes *atomic.Int64, pause time.Duration) {
	const workers = 8
	for k := range workers {
		group.Go(func() {
			r := rand.New(rand.NewPCG(*seed, uint64(k)))
			for {
				select {
				case <-w.stop:
					return
				case <-time.After(pause):
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if w.put(ctx, r.IntN(*objects/workers)*workers+k, r) == nil {
					writes.Add(1)
				}
				cancel()
			}
		})
	}
}

// fill makes all objects.
func (w *world) fill() {
	ctx := Context(w.t)
	for i := range spaces {
		_, err := w.direct.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space(i)}}, metav1.CreateOptions{})
		Must(w.t, err)
	}
	for i := range spaces { // pods need it
		Eventually(w.t, "service accounts", func() string {
			if _, err := w.direct.CoreV1().ServiceAccounts(space(i)).Get(ctx, "default", metav1.GetOptions{}); err != nil {
				return err.Error()
			}
			return ""
		})
	}
	var group sync.WaitGroup
	for k := range 16 {
		group.Go(func() {
			r := rand.New(rand.NewPCG(*seed, uint64(1000+k)))
			for n := k; n < *objects; n += 16 {
				for tries := 0; ; tries++ { // a quarter of what put does is a deletion
					err := w.put(ctx, n, r)
					if err != nil {
						w.t.Errorf("object %d: %v", n, err)
						return
					}
					if tries == 1 {
						break
					}
				}
			}
		})
	}
	group.Wait()
}

func TestSoak(t *testing.T) {
	w := open(t)
	began := time.Now()
	w.fill()
	t.Logf("objects made in %.1f s", time.Since(began).Seconds())
	var all []*watched
	done := make(chan struct{})
	began = time.Now()
	for i := range *many {
		all = append(all, w.informer(i, done))
	}
	for _, x := range all {
		if !cache.WaitForCacheSync(waiting(2*time.Minute), x.informer.HasSynced) {
			t.Fatalf("%s: not synced after two minutes", x.name)
		}
	}
	t.Logf("%d informers synced in %.1f s", len(all), time.Since(began).Seconds())
	before := lists.Load()
	var group sync.WaitGroup
	var writes atomic.Int64
	w.load(&group, &writes, 2*time.Millisecond)
	w.trouble(time.Duration(*seconds) * time.Second)
	close(w.stop)
	group.Wait()
	w.proxy.quiet()
	t.Logf("%d writes, %d connections cut, %d restarts, %d of them without a gap, %d compactions", writes.Load(), w.proxy.cuts.Load(), restarts+handovers, handovers,
		compactions)
	began = time.Now()
	w.compare(all)
	if again := lists.Load() - before; compactions > 0 && again < int64(len(all)) {
		t.Errorf("only %d lists were asked for: nobody was too late for the history", again)
	}
	t.Logf("caches equal the store after %.1f s; %d events seen", time.Since(began).Seconds(), events(all))
	close(done)
}

var restarts, handovers, compactions int

// trouble cuts connections, at random; at a third of the time the server is killed, at two thirds again with its history compacted; at each ninth of it
// another process goes on with what the server does.
func (w *world) trouble(lasts time.Duration) {
	r := rand.New(rand.NewPCG(*seed, 7))
	end := time.Now().Add(lasts)
	kills := []time.Time{end.Add(-lasts * 2 / 3), end.Add(-lasts / 3)}
	nextCompaction := time.Now().Add(lasts / 5)
	nextHandover := time.Now().Add(lasts / 9)
	for time.Now().Before(end) {
		time.Sleep(time.Duration(100+r.IntN(400)) * time.Millisecond)
		w.proxy.cut(1+r.IntN(3), r)
		if len(kills) > 0 && time.Now().After(kills[0]) {
			kills = kills[1:]
			w.restart("kill")
			restarts++
		}
		if time.Now().After(nextHandover) {
			nextHandover = time.Now().Add(lasts / 9)
			w.restart("handover")
			handovers++
		}
		if time.Now().After(nextCompaction) {
			nextCompaction = time.Now().Add(lasts / 5)
			w.outdate(r)
			compactions++
		}
	}
}

func waiting(limit time.Duration) <-chan struct{} {
	ch := make(chan struct{})
	time.AfterFunc(limit, func() { close(ch) })
	return ch
}
