package informers

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBECONFIG") == "" {
		println("KUBECONFIG names no server")
		os.Exit(2)
	}
	klog.SetLogger(logr.Discard()) // what reflectors say about cut connections is no finding
	os.Exit(m.Run())
}
