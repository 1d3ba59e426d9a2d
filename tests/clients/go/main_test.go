// Programs of Kubernetes' own Go libraries against a server that KUBECONFIG names: what each of their clients needs, asserted.
package clients

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBECONFIG") == "" {
		println("KUBECONFIG names no server")
		os.Exit(2)
	}
	klog.SetLogger(logr.Discard()) // what its libraries say about cut connections is no finding
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}
