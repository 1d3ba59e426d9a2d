package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"

	. "keelson/tests/testkit"
)

// runner makes a running pod of the image that POD_IMAGE names; without it there is no node, and the test is skipped.
func runner(t *testing.T) (string, string) {
	t.Helper()
	image := os.Getenv("POD_IMAGE")
	if image == "" {
		t.Skip("no node: POD_IMAGE names no image")
	}
	ctx, ns := Context(t), Namespace(t)
	p := pod("runner")
	p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = image, corev1.PullNever
	p.Spec.Containers[0].Command = []string{"sh", "-c", "mkdir -p /w && echo hello >/w/index.html && echo started && exec busybox httpd -f -p 8080 -h /w"}
	grace := int64(0)
	p.Spec.TerminationGracePeriodSeconds = &grace
	Get(Kube(t).CoreV1().Pods(ns).Create(ctx, p, metav1.CreateOptions{}))(t)
	t.Cleanup(func() {
		_ = Kube(t).CoreV1().Pods(ns).Delete(context.Background(), "runner", metav1.DeleteOptions{GracePeriodSeconds: &grace})
	})
	Eventually(t, "the pod runs", func() string {
		now := Get(Kube(t).CoreV1().Pods(ns).Get(ctx, "runner", metav1.GetOptions{}))(t)
		if now.Status.Phase == corev1.PodRunning {
			return ""
		}
		return fmt.Sprintf("%+v", now.Status)
	})
	return ns, "runner"
}

// Commands by WebSocket and by SPDY: output, errors, input to its end, exit codes.
func TestExec(t *testing.T) {
	t.Parallel()
	ns, name := runner(t)
	for how, open := range map[string]func(string, *rest.Request) (remotecommand.Executor, error){
		"websocket": func(m string, rq *rest.Request) (remotecommand.Executor, error) {
			return remotecommand.NewWebSocketExecutor(Config(t), "GET", rq.URL().String())
		},
		"spdy": func(m string, rq *rest.Request) (remotecommand.Executor, error) {
			return remotecommand.NewSPDYExecutor(Config(t), "POST", rq.URL())
		},
	} {
		run := func(in io.Reader, command ...string) (string, string, error) {
			rq := Kube(t).CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name(name).SubResource("exec").VersionedParams(&corev1.PodExecOptions{
				Container: "c", Command: command, Stdin: in != nil, Stdout: true, Stderr: true}, scheme.ParameterCodec)
			e := Get(open(how, rq))(t)
			var out, err bytes.Buffer
			failed := e.StreamWithContext(Context(t), remotecommand.StreamOptions{Stdin: in, Stdout: &out, Stderr: &err})
			return out.String(), err.String(), failed
		}
		out, said, err := run(nil, "sh", "-c", "echo out; echo err >&2")
		Must(t, err)
		Equal(t, how+": output and errors", out+said, "out\nerr\n")
		_, _, err = run(nil, "sh", "-c", "exit 7")
		var code exec.CodeExitError
		Holds(t, errors.As(err, &code) && code.Code == 7, "%s: exit code: %v", how, err)
		if how == "websocket" { // its fifth version tells the end of the input, as SPDY does by closing the stream
			out, _, err = run(strings.NewReader(strings.Repeat("x", 300_000)), "busybox", "wc", "-c")
			Must(t, err)
			Equal(t, how+": all of the input", strings.TrimSpace(out), "300000")
		}
	}
}

func TestPortForwardAndLogs(t *testing.T) {
	t.Parallel()
	ns, name := runner(t)
	url := Kube(t).CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name(name).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(Config(t))
	Must(t, err)
	bySPDY := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", url)
	byTunnel := Get(portforward.NewSPDYOverWebsocketDialer(url, Config(t)))(t)
	for how, dialer := range map[string]httpstream.Dialer{"spdy": bySPDY, "tunnel": byTunnel} {
		stop, ready := make(chan struct{}), make(chan struct{})
		f := Get(portforward.New(dialer, []string{"0:8080"}, stop, ready, io.Discard, io.Discard))(t)
		ended := make(chan error, 1)
		go func() { ended <- f.ForwardPorts() }()
		select {
		case <-ready:
		case err := <-ended:
			t.Fatalf("%s: %v", how, err)
		}
		port := Get(f.GetPorts())(t)[0].Local
		for range 3 {
			a := Get(http.Get("http://" + net.JoinHostPort("127.0.0.1", fmt.Sprint(port)) + "/index.html"))(t)
			Equal(t, how, string(Get(io.ReadAll(a.Body))(t)), "hello\n")
			a.Body.Close()
		}
		close(stop)
		<-ended
	}
	logs := Get(Kube(t).CoreV1().Pods(ns).GetLogs(name, &corev1.PodLogOptions{}).DoRaw(Context(t)))(t)
	Equal(t, "logs", string(logs), "started\n")
	through := Get(Kube(t).CoreV1().Pods(ns).ProxyGet("http", name, "8080", "index.html", nil).DoRaw(Context(t)))(t)
	Equal(t, "by the proxy", string(through), "hello\n")
}
