package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	. "keelson/tests/testkit"
)

// kubectl runs the real one; what it gets on its standard input may be empty.
func kubectl(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(Context(t), "kubectl", args...)
	c.Stdin = strings.NewReader(input)
	out, err := c.CombinedOutput()
	return string(out), err
}

// does is kubectl that succeeds, and its output holds all texts.
func does(t *testing.T, input, args string, texts ...string) string {
	t.Helper()
	out, err := kubectl(t, input, strings.Fields(args)...)
	if err != nil {
		t.Errorf("kubectl %s: %v: %s", args, err, out)
	}
	for _, text := range texts {
		Holds(t, strings.Contains(out, text), "kubectl %s: no %q in %s", args, text, out)
	}
	return out
}

// refuses is kubectl that fails, and says one of the texts.
func refuses(t *testing.T, input, args string, texts ...string) {
	t.Helper()
	out, err := kubectl(t, input, strings.Fields(args)...)
	said := false
	for _, text := range texts {
		said = said || strings.Contains(out, text)
	}
	Holds(t, err != nil && said, "kubectl %s: %v: no %q in %s", args, err, texts, out)
}

func TestKubectlAPIVersions(t *testing.T) {
	t.Parallel()
	out := does(t, "", "api-versions")
	Holds(t, regexp.MustCompile(`(?m)^v1$`).MatchString(out), "no v1 in %s", out)
}

func TestKubectlClusterInfo(t *testing.T) {
	t.Parallel()
	out := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(does(t, "", "cluster-info"), "")
	Holds(t, strings.Contains(out, "Kubernetes control plane is running at https://"), "%s", out)
}

func TestKubectlVersion(t *testing.T) {
	t.Parallel()
	does(t, "", "version", "Client Version:", "Server Version: v1.36")
	var v struct{ ServerVersion map[string]string }
	out := does(t, "", "version -o json")
	Must(t, json.NewDecoder(strings.NewReader(out[strings.Index(out, "{"):])).Decode(&v)) // without its warning of a version skew
	for _, name := range []string{"major", "minor", "gitVersion", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"} {
		Holds(t, v.ServerVersion[name] != "", "no %s in %v", name, v.ServerVersion)
	}
}

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: "IMAGE"}]}}
`

func TestKubectlDiff(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	does(t, strings.Replace(web, "IMAGE", "web:1", 1), "-n "+ns+" apply -f -")
	out, err := kubectl(t, strings.Replace(web, "IMAGE", "web:2", 1), "-n", ns, "diff", "-f", "-")
	exit, ok := err.(*exec.ExitError)
	Holds(t, ok && exit.ExitCode() == 1, "diff ends with %v: %s", err, out)
	for _, line := range []string{`(?m)^-.*image: web:1$`, `(?m)^\+.*image: web:2$`} {
		Holds(t, regexp.MustCompile(line).MatchString(out), "no %s in %s", line, out)
	}
}

func TestKubectlRun(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	does(t, "", "-n "+ns+" run p --restart=Never --image=busybox:1", "pod/p created")
	pod := Get(Kube(t).CoreV1().Pods(ns).Get(Context(t), "p", metav1.GetOptions{}))(t)
	Equal(t, "image", pod.Spec.Containers[0].Image, "busybox:1")
	Equal(t, "restart policy", string(pod.Spec.RestartPolicy), "Never")
}

func TestKubectlDryRun(t *testing.T) {
	t.Parallel()
	ns := Namespace(t)
	does(t, "", "-n "+ns+" run p --image=busybox:1 --labels=run=p")
	does(t, "", "-n "+ns+` patch pod p --dry-run=server -p {"spec":{"containers":[{"name":"p","image":"busybox:2"}]}}`, "pod/p patched")
	after := Get(Kube(t).CoreV1().Pods(ns).Get(Context(t), "p", metav1.GetOptions{}))(t)
	Equal(t, "image", after.Spec.Containers[0].Image, "busybox:1")
	Equal(t, "generation", after.Generation, int64(1))
}

// proxied starts kubectl proxy, waits for its first line, and asks for /api/ through it.
func proxied(t *testing.T, client func(line string) (*http.Client, string), args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(Context(t))
	defer stop()
	c := exec.CommandContext(ctx, "kubectl", append([]string{"proxy"}, args...)...)
	out := Get(c.StdoutPipe())(t)
	Must(t, c.Start())
	defer func() { stop(); _ = c.Wait() }()
	line := Get(bufio.NewReader(out).ReadString('\n'))(t)
	h, url := client(line)
	a := Get(h.Get(url + "/api/"))(t)
	defer a.Body.Close()
	body := string(Get(io.ReadAll(a.Body))(t))
	Holds(t, strings.Contains(body, `"versions"`), "%s", body)
}

func TestKubectlProxyPort(t *testing.T) {
	t.Parallel()
	proxied(t, func(line string) (*http.Client, string) {
		at := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
		return http.DefaultClient, "http://" + at
	}, "-p", "0", "--disable-filter")
}

func TestKubectlProxySocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	proxied(t, func(string) (*http.Client, string) {
		return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}, "http://localhost"
	}, "--unix-socket="+socket)
}

// explains waits until kubectl explain says what matches: an answer of the API may be one publication old.
func explains(t *testing.T, name, pattern string, options ...string) {
	t.Helper()
	Eventually(t, "explain "+name, func() string {
		out, err := kubectl(t, "", append([]string{"explain", name}, options...)...)
		if err == nil && regexp.MustCompile(pattern).MatchString(out) {
			return ""
		}
		return fmt.Sprintf("%v: no %s in %s", err, pattern, out)
	})
}
