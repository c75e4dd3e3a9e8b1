// Package carry shows with real clients and real applications that the gateway
// carries what passes between them: gRPC, WebSockets, event streams, uploads,
// and plain HTTP as curl and nginx speak it. Its tests have the build tag e2e and
// need what `make test` installs.
package carry
