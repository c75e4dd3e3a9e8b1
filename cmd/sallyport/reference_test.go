package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

func TestReferenceIsWhatTheCommandsSay(t *testing.T) {
	const file = "../../docs/cli.md"
	want := reference(rootCommand())
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the commands say: go test ./cmd/sallyport -run Reference -update (-want +got)\n%s", file, diff)
	}
}

func everyCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		everyCommand(sub, visit)
	}
}

func TestEveryCommandSaysWhatItDoesAndShowsIt(t *testing.T) {
	examples := 0
	everyCommand(rootCommand(), func(cmd *cobra.Command) {
		if cmd.Name() == "help" {
			return
		}
		group := cmd.HasSubCommands()
		path := cmd.CommandPath()
		if before, _, _ := strings.Cut(cmd.Long, "Exit codes:"); strings.TrimSpace(before) == "" && !group {
			t.Errorf("%s does not say what it does", path)
		}
		if !strings.Contains(cmd.Long, "Exit codes:") && !group {
			t.Errorf("%s does not say its exit codes", path)
		}
		own := false
		for _, words := range commandLines(cmd.Example) {
			examples++
			found, err := parse(words)
			if err != nil {
				t.Errorf("%s: the example %q: %v", path, strings.Join(words, " "), err)
				continue
			}
			own = own || found == path
		}
		if !own && !group {
			t.Errorf("%s has no example of itself", path)
		}
	})
	if examples < 40 {
		t.Errorf("only %d examples were found", examples)
	}
}

// parse reads a command line as the program would, without running it.
func parse(words []string) (path string, err error) {
	root := rootCommand()
	cmd, rest, err := root.Find(words)
	if err != nil {
		return "", err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return "", err
	}
	for _, check := range []func() error{
		func() error { return cmd.ValidateArgs(cmd.Flags().Args()) }, cmd.ValidateRequiredFlags, cmd.ValidateFlagGroups,
	} {
		if err := check(); err != nil {
			return "", err
		}
	}
	return cmd.CommandPath(), nil
}

// commandLines finds what a shell would run as sallyport in a text, also in pipes and
// in $(...), without that word.
func commandLines(text string) (lines [][]string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		for at := range line {
			if rest, ok := strings.CutPrefix(line[at:], "sallyport"); ok && begins(line[:at]) && (rest[0] == ' ' || rest[0] == '\n') {
				lines = append(lines, shellWords(rest))
			}
		}
	}
	return lines
}

// begins reports whether a command can follow.
func begins(before string) bool {
	before = strings.TrimRight(before, " ")
	if before == "" || strings.HasSuffix(before, "$ ") {
		return true
	}
	last := before[strings.LastIndexByte(before, ' ')+1:]
	name, _, assigns := strings.Cut(last, "=")
	return strings.ContainsRune("|;&(", rune(before[len(before)-1])) || assigns && name == strings.ToUpper(name)
}

// shellWords are the words of a simple command, up to what ends it.
func shellWords(text string) (words []string) {
	var word strings.Builder
	open, quote := false, rune(0)
	end := func() {
		if open {
			words = append(words, word.String())
		}
		word.Reset()
		open = false
	}
	for i, c := range text {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"' && !strings.HasPrefix(text[i:], `")`):
			quote, open = c, true
		case c == ' ' || c == '\n':
			end()
		case strings.ContainsRune("|;&)<>", c) || c == '#' && !open:
			end()
			return words
		default:
			word.WriteRune(c)
			open = true
		}
	}
	end()
	return words
}
