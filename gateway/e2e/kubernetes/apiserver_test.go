package kubernetes_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// apiServer judges objects as the one of a cluster would that has everything
// installed which our manifests are for.
type apiServer struct {
	builtin *builtin
	custom  map[schema.GroupVersionKind]*customKind
}

var (
	server struct {
		sync.Once
		*apiServer
	}
	scratch string // a folder that lasts as long as the server
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sallyport-kubernetes-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scratch = dir
	return m.Run()
}

// newServer returns the one that all tests share: it is costly to make and never
// changes.
func newServer(t *testing.T) *apiServer {
	t.Helper()
	server.Do(func() { server.apiServer = &apiServer{builtin: newBuiltin(t), custom: customKinds(t)} })
	if server.apiServer == nil {
		t.Fatal("the definitions of Kubernetes could not be read: see the first test that failed")
	}
	return server.apiServer
}

// object is one that was accepted: what was written, and for kinds that we have Go
// types for, the object decoded into that.
type object struct {
	raw   *unstructured.Unstructured
	typed runtime.Object
}

func (o object) String() string {
	return o.raw.GetKind() + " " + o.raw.GetNamespace() + "/" + o.raw.GetName()
}

// admit judges one document: nothing that is unknown, twice there, missing or of the
// wrong form.
func (s *apiServer) admit(doc []byte) (object, error) {
	data, err := yaml.YAMLToJSONStrict(doc)
	if err != nil {
		return object{}, err
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil { // whole numbers as integers, as the API server has them
		return object{}, err
	}
	o := object{raw: &unstructured.Unstructured{Object: fields}}
	kind := o.raw.GroupVersionKind()
	if kind.Kind == "" || o.raw.GetName() == "" {
		return object{}, errors.New("it has no kind or no name")
	}
	if custom, ok := s.custom[kind]; ok {
		return o, custom.admit(fields)
	}
	o.typed, err = s.builtin.admit(doc)
	return o, err
}

// admitted judges all documents of a stream.
func (s *apiServer) admitted(t *testing.T, stream []byte) objects {
	t.Helper()
	var all objects
	seen := map[string]bool{}
	reader := utilyaml.NewYAMLReader(newReader(stream))
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		o, err := s.admit(doc)
		if err != nil {
			t.Errorf("refused: %v\n%s", err, doc)
			continue
		}
		if seen[o.String()] {
			t.Errorf("%s is there twice", o)
		}
		seen[o.String()] = true
		all = append(all, o)
	}
}

func newReader(stream []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(stream)) }

// objects are those of one installation.
type objects []object

// of returns the objects of one Go type.
func of[T runtime.Object](all objects) []T {
	var found []T
	for _, o := range all {
		if typed, ok := o.typed.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

func (all objects) kind(kind string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, o := range all {
		if o.raw.GetKind() == kind {
			found = append(found, o.raw)
		}
	}
	return found
}

// at returns what is at a path of an object that was accepted.
func at[T any](t *testing.T, o *unstructured.Unstructured, path ...string) T {
	t.Helper()
	value, ok, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	typed, is := value.(T)
	if !ok || err != nil || !is {
		t.Fatalf("%s %s: %v is %v (%v)", o.GetKind(), o.GetName(), path, fmt.Sprint(value), err)
	}
	return typed
}
