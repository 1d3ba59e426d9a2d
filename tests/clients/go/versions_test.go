package clients

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	. "keelson/tests/testkit"
)

// v1 has spec.host and spec.port, v2 has spec.address.
func convert(o map[string]any, to string) {
	spec, _ := o["spec"].(map[string]any)
	o["apiVersion"] = to
	if spec == nil {
		return
	}
	if strings.HasSuffix(to, "/v2") {
		if host, has := spec["host"]; has {
			spec["address"] = fmt.Sprint(host, ":", spec["port"])
		}
		delete(spec, "host")
		delete(spec, "port")
	} else if address, has := spec["address"].(string); has {
		spec["host"], spec["port"], _ = strings.Cut(address, ":")
		delete(spec, "address")
	}
}

// converter is the webhook, and how often it was asked.
func converter(t *testing.T) (*apiextv1.CustomResourceConversion, *atomic.Int64) {
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review apiextv1.ConversionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		asked.Add(1)
		answer := &apiextv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
		for _, raw := range review.Request.Objects {
			o := map[string]any{}
			_ = json.Unmarshal(raw.Raw, &o)
			convert(o, review.Request.DesiredAPIVersion)
			text, _ := json.Marshal(o)
			answer.ConvertedObjects = append(answer.ConvertedObjects, runtime.RawExtension{Raw: text})
		}
		review.Request, review.Response = nil, answer
		_ = json.NewEncoder(w).Encode(&review)
	}))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return &apiextv1.CustomResourceConversion{Strategy: apiextv1.WebhookConverter, Webhook: &apiextv1.WebhookConversion{ConversionReviewVersions: []string{"v1"},
		ClientConfig: &apiextv1.WebhookClientConfig{URL: new(server.URL), CABundle: ca}}}, &asked
}

func version(name string, stored bool) apiextv1.CustomResourceDefinitionVersion {
	return apiextv1.CustomResourceDefinitionVersion{Name: name, Served: true, Storage: stored, Schema: &apiextv1.CustomResourceValidation{
		OpenAPIV3Schema: &apiextv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextv1.JSONSchemaProps{
			"spec": {Type: "object", XPreserveUnknownFields: new(true)}}}}}
}

// What an informer holds is what a list in its version shows.
func agrees(t *testing.T, ctx context.Context, i cache.SharedIndexInformer, r dynamic.ResourceInterface, n int) {
	t.Helper()
	Eventually(t, "the cache is what is listed", func() string {
		list := Get(r.List(ctx, metav1.ListOptions{}))(t)
		held := i.GetStore().List()
		if len(list.Items) != n || len(held) != n {
			return fmt.Sprint(len(list.Items), " are listed, ", len(held), " in the cache, wanted ", n)
		}
		for k := range list.Items {
			o, has, _ := i.GetStore().GetByKey(list.Items[k].GetNamespace() + "/" + list.Items[k].GetName())
			want, _ := list.Items[k].MarshalJSON()
			if !has {
				return list.Items[k].GetName() + " is not in the cache"
			}
			if got, _ := o.(*unstructured.Unstructured).MarshalJSON(); string(got) != string(want) {
				return fmt.Sprintf("%s\n  in the cache, listed is\n%s", got, want)
			}
		}
		return ""
	})
}

// Informers of both versions of one kind, without conversion and through a webhook, over connections that are cut.
func TestInformersOfTwoVersions(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"None", "Webhook"} {
		t.Run(strategy, func(t *testing.T) {
			ctx, ns, group := Context(t), Namespace(t), Name("v")+".example.com"
			how, asked := &apiextv1.CustomResourceConversion{Strategy: apiextv1.NoneConverter}, &atomic.Int64{}
			if strategy == "Webhook" {
				how, asked = converter(t)
			}
			crds := Extensions(t).ApiextensionsV1().CustomResourceDefinitions()
			Get(crds.Create(ctx, &apiextv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "hosts." + group}, Spec: apiextv1.CustomResourceDefinitionSpec{
				Group: group, Scope: apiextv1.NamespaceScoped, Names: apiextv1.CustomResourceDefinitionNames{Plural: "hosts", Kind: "Host"}, Conversion: how,
				Versions: []apiextv1.CustomResourceDefinitionVersion{version("v1", true), version("v2", false)}}}, metav1.CreateOptions{}))(t)
			t.Cleanup(func() { _ = crds.Delete(context.Background(), "hosts."+group, metav1.DeleteOptions{}) })

			var connections cut
			config := Config(t)
			connections.into(config)
			client := Get(dynamic.NewForConfig(config))(t)
			var rs [2]dynamic.ResourceInterface
			var is [2]cache.SharedIndexInformer
			f := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, ns, nil)
			for k, v := range []string{"v1", "v2"} {
				gvr := schema.GroupVersionResource{Group: group, Version: v, Resource: "hosts"}
				rs[k] = Dynamic(t).Resource(gvr).Namespace(ns)
				is[k] = f.ForResource(gvr).Informer()
				Eventually(t, v+" is served", func() string {
					if _, err := rs[k].List(ctx, metav1.ListOptions{}); err != nil {
						return err.Error()
					}
					return ""
				})
			}
			f.Start(ctx.Done())
			Holds(t, cache.WaitForCacheSync(ctx.Done(), is[0].HasSynced, is[1].HasSynced), "a cache did not fill")
			for k := range 40 {
				o := thing(group+"/v1", "Host", fmt.Sprint("h", k), map[string]any{"spec": map[string]any{"host": fmt.Sprint("a", k), "port": "80"}})
				if k%2 == 1 {
					convert(o.Object, group+"/v2")
				}
				Get(rs[k%2].Create(ctx, o, metav1.CreateOptions{}))(t)
				if k%10 == 9 {
					connections.all()
				}
			}
			agrees(t, ctx, is[0], rs[0], 40)
			agrees(t, ctx, is[1], rs[1], 40)
			for k := range 40 {
				_, err := rs[(k+1)%2].Patch(ctx, fmt.Sprint("h", k), types.MergePatchType, []byte(`{"metadata":{"labels":{"seen":"yes"}}}`), metav1.PatchOptions{})
				Must(t, err)
			}
			connections.all()
			for k := range 10 {
				Must(t, rs[k%2].Delete(ctx, fmt.Sprint("h", 4*k), metav1.DeleteOptions{}))
			}
			agrees(t, ctx, is[0], rs[0], 30)
			agrees(t, ctx, is[1], rs[1], 30)
			o, _, _ := is[1].GetStore().GetByKey(ns + "/h1")
			Equal(t, "the version of what the second holds", o.(*unstructured.Unstructured).GetAPIVersion(), group+"/v2")
			o, _, _ = is[0].GetStore().GetByKey(ns + "/h1")
			host, _, _ := unstructured.NestedString(o.(*unstructured.Unstructured).Object, "spec", "host")
			if strategy == "Webhook" {
				Equal(t, "what was written in v2, seen in v1", host, "a1")
				Holds(t, asked.Load() > 0, "the webhook was not asked")
			} else {
				Equal(t, "nothing is converted", host, "")
			}
			_, err := rs[1].Get(ctx, "h0", metav1.GetOptions{})
			Holds(t, apierrors.IsNotFound(err), "h0 is still there")
		})
	}
}
