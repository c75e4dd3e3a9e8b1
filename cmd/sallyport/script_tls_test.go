package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// authority NAME makes an authority, whose certificate is then in $NAME, with a
// certificate for 127.0.0.1 in $NAME_SERVER and $NAME_SERVER_KEY and one of a client in
// $NAME_CLIENT and $NAME_CLIENT_KEY.
func authority(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: authority NAME")
	}
	ca := tlstest.New(t)
	server, client := ca.Server("127.0.0.1"), ca.Client("ops")
	for name, file := range map[string]string{
		"": ca.CertFile, "_SERVER": server.CertFile, "_SERVER_KEY": server.KeyFile, "_CLIENT": client.CertFile, "_CLIENT_KEY": client.KeyFile,
	} {
		ts.Setenv(args[0]+name, file)
	}
}
