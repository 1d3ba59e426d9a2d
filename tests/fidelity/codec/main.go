// Turns objects into what clients send in protobuf or CBOR, and back: a request a line on its input ({"to": FORM, "object": {...}} or {"from": FORM, "body": BASE64}), an answer
// a line on its output ({"body": BASE64}, {"object": {...}} or {"error": TEXT}).
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

type request struct {
	To, From string
	Object   json.RawMessage
	Body     []byte
}

type answer struct {
	Body   []byte          `json:"body,omitempty"`
	Object json.RawMessage `json:"object,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func main() {
	s := scheme.Scheme
	_ = v1.AddToScheme(s)
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	text := kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, s, s, kjson.SerializerOptions{Strict: true})
	forms := map[string]runtime.Serializer{"protobuf": protobuf.NewSerializer(s, s), "cbor": cbor.NewSerializer(s, s)}

	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var q request
		var a answer
		if err = json.Unmarshal(line, &q); err == nil {
			a, err = turn(q, text, forms)
		}
		if err != nil {
			a.Error = err.Error()
		}
		_ = out.Encode(a)
	}
}

func turn(q request, text runtime.Serializer, forms map[string]runtime.Serializer) (a answer, err error) {
	if q.To != "" {
		o, _, err := text.Decode(q.Object, nil, nil)
		if err == nil {
			a.Body, err = runtime.Encode(forms[q.To], o)
		}
		return a, err
	}
	o, kind, err := forms[q.From].Decode(q.Body, nil, nil)
	if err != nil {
		return a, err
	}
	o.GetObjectKind().SetGroupVersionKind(*kind)
	a.Object, err = runtime.Encode(text, o)
	return a, err
}
