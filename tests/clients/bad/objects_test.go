package bad

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"testing"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	. "keelson/tests/testkit"
)

//go:embed objects.yaml
var objectsText string

const namespace = "bad"

// kind is one kind of objects.yaml.
type kind struct {
	gvk        schema.GroupVersionKind
	id         string       // group/version.Kind
	live       string       // the name of the object that updates are sent to
	tree       any          // the valid object, with $NAME where its name stands
	typ        reflect.Type // nil where client-go has none
	collection string       // its path
	namespaced bool
	review     bool   // never stored
	pod        string // where it holds a pod's specification: "spec." ...; or nothing
}

// named is the valid object under a name of its own.
func (k *kind) named(name string) (string, any) {
	tree := replaced(k.tree, "$NAME", name)
	switch k.gvk.Kind {
	case "CustomResourceDefinition":
		name = "widgets." + name + ".example.com"
	case "APIService":
		name = "v1.of-" + name + ".example.com"
		tree = with(tree, path{"spec", "group"}, strings.TrimPrefix(name, "v1."))
	}
	if k.review {
		return "", tree
	}
	return name, with(tree, path{"metadata", "name"}, name)
}

func replaced(tree any, from, to string) any {
	switch v := tree.(type) {
	case string:
		if from != "" {
			return strings.ReplaceAll(v, from, to)
		}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = replaced(v[i], from, to)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key := range v {
			if v[key] != nil {
				m[key] = replaced(v[key], from, to)
			}
		}
		return m
	}
	return tree
}

func signingRequest() string {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "c"}}, key)
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

var pods = map[string]string{"Pod": "spec.", "PodTemplate": "template.spec.", "CronJob": "spec.jobTemplate.spec.template.spec.", "ReplicationController": "spec.template.spec.",
	"Deployment": "spec.template.spec.", "ReplicaSet": "spec.template.spec.", "DaemonSet": "spec.template.spec.", "StatefulSet": "spec.template.spec.", "Job": "spec.template.spec."}

// kinds reads objects.yaml and asks the server for where each kind is.
func kinds(t testing.TB, kube kubernetes.Interface) (all []*kind) {
	t.Helper()
	_ = apiextensions.AddToScheme(scheme.Scheme)
	groups, err := restmapper.GetAPIGroupResources(kube.Discovery())
	Must(t, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	text := strings.NewReplacer("$NS", namespace, "$CSR", signingRequest()).Replace(objectsText)
	var trees []map[string]any
	Must(t, yaml.Unmarshal([]byte(text), &trees))
	for i, tree := range trees {
		k := &kind{gvk: schema.FromAPIVersionAndKind(tree["apiVersion"].(string), tree["kind"].(string)), tree: replaced(tree, "", "")}
		k.id = tree["apiVersion"].(string) + "." + k.gvk.Kind
		k.live, k.pod = fmt.Sprintf("live%d", i), pods[k.gvk.Kind]
		if o, err := scheme.Scheme.New(k.gvk); err == nil {
			k.typ = reflect.TypeOf(o).Elem()
		}
		m, err := mapper.RESTMapping(k.gvk.GroupKind(), k.gvk.Version)
		Must(t, err)
		k.namespaced = m.Scope.Name() == "namespace"
		k.collection = "/apis/" + k.gvk.GroupVersion().String()
		if k.gvk.Group == "" {
			k.collection = "/api/v1"
		}
		if k.namespaced {
			k.collection += "/namespaces/" + namespace
		}
		k.collection += "/" + m.Resource.Resource
		k.review = strings.HasSuffix(k.gvk.Group, "authentication.k8s.io") || strings.HasSuffix(k.gvk.Group, "authorization.k8s.io") && k.gvk.Group != "rbac.authorization.k8s.io"
		all = append(all, k)
	}
	return all
}
