package clients

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	. "keelson/tests/testkit"
)

// Three candidates on one lease: one leads at a time, and when it steps down another one follows.
func TestLeaderElection(t *testing.T) {
	t.Parallel()
	ctx, ns := Context(t), Namespace(t)
	var mu sync.Mutex
	leading, led := map[string]bool{}, map[string]bool{}
	var wg sync.WaitGroup
	stop := map[string]context.CancelFunc{}
	for i := range 3 {
		id := fmt.Sprint("candidate-", i)
		mine, cancel := context.WithCancel(ctx)
		stop[id] = cancel
		e := Get(leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Namespace: ns, Name: "lock"}, Client: Kube(t).CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: id}},
			LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 100 * time.Millisecond, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) {
					mu.Lock()
					defer mu.Unlock()
					if len(leading) > 0 {
						t.Errorf("%s leads beside %v", id, leading)
					}
					leading[id], led[id] = true, true
				},
				OnStoppedLeading: func() {
					mu.Lock()
					defer mu.Unlock()
					delete(leading, id)
				},
			}}))(t)
		wg.Go(func() { e.Run(mine) })
	}
	for turn := range 3 {
		var now string
		Eventually(t, "a leader", func() string {
			mu.Lock()
			defer mu.Unlock()
			for id := range leading {
				now = id
			}
			if now == "" {
				return fmt.Sprint("nobody in turn ", turn)
			}
			return ""
		})
		if turn == 2 {
			lease := Get(Kube(t).CoordinationV1().Leases(ns).Get(ctx, "lock", metav1.GetOptions{}))(t)
			Equal(t, "the lease's holder", *lease.Spec.HolderIdentity, now)
			Equal(t, "transitions", *lease.Spec.LeaseTransitions, 2)
		}
		stop[now]()
		Eventually(t, "it stops", func() string {
			mu.Lock()
			defer mu.Unlock()
			if leading[now] {
				return now + " still leads"
			}
			return ""
		})
	}
	wg.Wait()
	Equal(t, "who led", len(led), 3)
}
