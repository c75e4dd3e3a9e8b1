// Package kubernetes tests deploy/kubernetes and deploy/helm as they stand: what they
// render to is judged as the API server would judge it, and then as an operator
// would. It is a module of its own, so that the libraries of Kubernetes are not among
// the gateway's.
package kubernetes_test
