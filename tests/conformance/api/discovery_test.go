package api

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	discoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	. "keelson/tests/testkit"
)

// resources that every cluster has, "group/version/plural".
var expected = strings.Fields(`admissionregistration.k8s.io/v1/validatingwebhookconfigurations admissionregistration.k8s.io/v1/mutatingwebhookconfigurations
apiextensions.k8s.io/v1/customresourcedefinitions apiregistration.k8s.io/v1/apiservices apps/v1/deployments authentication.k8s.io/v1/tokenreviews
authorization.k8s.io/v1/selfsubjectaccessreviews autoscaling/v1/horizontalpodautoscalers autoscaling/v2/horizontalpodautoscalers batch/v1/jobs
certificates.k8s.io/v1/certificatesigningrequests coordination.k8s.io/v1/leases discovery.k8s.io/v1/endpointslices events.k8s.io/v1/events
networking.k8s.io/v1/ingresses node.k8s.io/v1/runtimeclasses policy/v1/poddisruptionbudgets scheduling.k8s.io/v1/priorityclasses storage.k8s.io/v1/csinodes
/v1/namespaces /v1/pods /v1/services /v1/events /v1/secrets /v1/nodes`)

const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// raw reads an aggregated document and gives what is in it as "group/version/plural".
func raw(t *testing.T, path string) []string {
	t.Helper()
	code, h, body := Raw(t, "GET", path, "", "Accept: "+aggregated)
	Equal(t, path, code, 200)
	Holds(t, strings.HasPrefix(h.Get("Content-Type"), aggregated), "%s answers %q", path, h.Get("Content-Type"))
	var doc discoveryv2.APIGroupDiscoveryList
	Must(t, json.Unmarshal([]byte(body), &doc))
	var all []string
	for _, g := range doc.Items {
		for _, v := range g.Versions {
			for _, r := range v.Resources {
				all = append(all, g.Name+"/"+v.Version+"/"+r.Resource)
			}
		}
	}
	return all
}

func TestAggregatedDiscoveryRaw(t *testing.T) {
	t.Parallel()
	all := append(raw(t, "/apis"), raw(t, "/api")...)
	for _, e := range expected {
		Holds(t, slices.Contains(all, e), "%s is not there", e)
	}
}

func TestAggregatedDiscoveryRawOfDefinition(t *testing.T) {
	t.Parallel()
	d := define(t, definition{})
	Eventually(t, "the definition in /apis", func() string {
		if slices.Contains(raw(t, "/apis"), d.group+"/v1/"+d.plural) {
			return ""
		}
		return "is not there"
	})
}

func grouped(t *testing.T) (*metav1.APIGroupList, []string) {
	t.Helper()
	groups, resources, failed, err := discovery.NewDiscoveryClientForConfigOrDie(Config(t)).GroupsAndMaybeResources()
	Must(t, err)
	Equal(t, "failed groups", len(failed), 0)
	var all []string
	for gv, list := range resources {
		for _, r := range list.APIResources {
			all = append(all, gv.Group+"/"+gv.Version+"/"+r.Name)
		}
	}
	return groups, all
}

func TestAggregatedDiscoveryClient(t *testing.T) {
	t.Parallel()
	groups, all := grouped(t)
	for _, e := range expected {
		Holds(t, slices.Contains(all, e), "%s is not there", e)
	}
	for _, g := range groups.Groups {
		Holds(t, len(g.Versions) > 0, "group %s has no versions", g.Name)
	}
}

func TestAggregatedDiscoveryClientOfDefinition(t *testing.T) {
	t.Parallel()
	d := define(t, definition{})
	Eventually(t, "the definition in the client's groups", func() string {
		if _, all := grouped(t); slices.Contains(all, d.group+"/v1/"+d.plural) {
			return ""
		}
		return "is not there"
	})
}

// Each group's own document has the preferred version that the list of groups has.
func TestPreferredVersions(t *testing.T) {
	t.Parallel()
	var list metav1.APIGroupList
	_, _, body := Raw(t, "GET", "/apis", "", "Accept: application/json")
	Must(t, json.Unmarshal([]byte(body), &list))
	Holds(t, len(list.Groups) > 10, "%d groups", len(list.Groups))
	for _, g := range list.Groups {
		if strings.HasSuffix(g.Name, "example.com") {
			continue // another test's, that may go at any time
		}
		var one metav1.APIGroup
		code, _, body := Raw(t, "GET", "/apis/"+g.Name, "", "Accept: application/json")
		Equal(t, g.Name, code, 200)
		Must(t, json.Unmarshal([]byte(body), &one))
		Equal(t, "preferred version of "+g.Name, one.PreferredVersion.GroupVersion, g.PreferredVersion.GroupVersion)
		Holds(t, slices.ContainsFunc(one.Versions, func(v metav1.GroupVersionForDiscovery) bool { return v == one.PreferredVersion }),
			"%s prefers a version that it has not: %+v", g.Name, one)
	}
}

func TestDiscoveryLocates(t *testing.T) {
	t.Parallel()
	for _, e := range []string{"admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "apiextensions.k8s.io/v1/customresourcedefinitions",
		"apiregistration.k8s.io/v1/apiservices", "apps/v1/deployments", "authentication.k8s.io/v1/tokenreviews", "authorization.k8s.io/v1/selfsubjectaccessreviews",
		"autoscaling/v1/horizontalpodautoscalers", "autoscaling/v2/horizontalpodautoscalers", "batch/v1/jobs", "certificates.k8s.io/v1/certificatesigningrequests",
		"coordination.k8s.io/v1/leases", "discovery.k8s.io/v1/endpointslices", "events.k8s.io/v1/events", "networking.k8s.io/v1/ingresses",
		"node.k8s.io/v1/runtimeclasses", "policy/v1/poddisruptionbudgets", "scheduling.k8s.io/v1/priorityclasses", "storage.k8s.io/v1/csinodes"} {
		at := strings.Split(e, "/")
		gv := schema.GroupVersion{Group: at[0], Version: at[1]}
		list := Get(Kube(t).Discovery().ServerResourcesForGroupVersion(gv.String()))(t)
		Equal(t, "the document's version", list.GroupVersion, gv.String())
		Holds(t, slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == at[2] }), "%s is not there", e)
	}
}

func TestServerVersion(t *testing.T) {
	t.Parallel()
	v := Get(Kube(t).Discovery().ServerVersion())(t)
	for _, n := range []string{v.Major, strings.TrimRight(v.Minor, "+")} {
		_, err := strconv.Atoi(n)
		Must(t, err)
	}
}

// A kind that is only made, never kept, cannot be shown as a table.
func TestTableNotAcceptable(t *testing.T) {
	t.Parallel()
	review := `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"nonResourceAttributes":{"path":"/","verb":"get"}}}`
	code, _, body := Raw(t, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, "Content-Type: application/json",
		"Accept: application/json;as=Table;v=v1;g=meta.k8s.io")
	Equal(t, "status", code, 406)
	var s metav1.Status
	Must(t, json.Unmarshal([]byte(body), &s))
	Equal(t, "reason", s.Reason, metav1.StatusReasonNotAcceptable)
}
