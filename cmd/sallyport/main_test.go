package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/gateway/porttest"
)

// A program that is built with the race detector waits for a second before it ends.
// The tests end some hundreds.
const raceOptions = "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	if err := os.Setenv("GORACE", raceOptions); err != nil { // for programs that are not of a script
		panic(err)
	}
	testscript.Main(m, map[string]func(){"sallyport": main})
}

func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", raceOptions)
			for _, name := range []string{"PORT", "ADMIN_PORT"} {
				env.Setenv(name, strconv.Itoa(porttest.Free(t)))
			}
			committed, err := os.ReadFile("../../config.yaml")
			if err != nil {
				return err
			}
			return os.WriteFile(env.WorkDir+"/committed.yaml", committed, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"waitfor":   waitFor,
			"waituntil": waitUntil,
			"waitout":   waitOut,
			"fetch":     fetch,
			"terminate": terminate,
			"exitcode":  exitCode,
			"sign":      sign,
			"authority": func(ts *testscript.TestScript, neg bool, args []string) { authority(t, ts, neg, args) },
			"capture":   capture,
			"signin":    signInAs,
			"untilfile": untilFile,
		},
	})
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
