package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// terminal is a pseudo-terminal with a program in it, and what its screen shows. It
// knows what the program may say to one, and tells everything else.
type terminal struct {
	t         *testing.T
	user, tty *os.File
	cmd       *exec.Cmd
	ended     chan error
	before    *term.State

	mu            sync.Mutex
	width, height int
	cells         [][]rune
	row, column   int
	other         bool // the second screen is shown, so that the first stays as it was
	noCursor      bool
	faults        []string
}

// inTerminal runs the program in a terminal of this size.
func inTerminal(t *testing.T, width, height int, args ...string) *terminal {
	t.Helper()
	user, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &terminal{t: t, user: user, tty: tty, ended: make(chan error, 1)}
	s.resize(width, height)
	if s.before, err = term.GetState(int(tty.Fd())); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.CommandContext(t.Context(), "sallyport", args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	var reading sync.WaitGroup
	reading.Go(func() {
		var rest []byte
		buffer := make([]byte, 4096)
		for {
			n, err := user.Read(buffer)
			if rest = s.show(append(rest, buffer[:n]...)); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = tty.Close() // nobody writes any more, which ends the reading
		reading.Wait()
		_ = user.Close()
		if t.Failed() {
			t.Logf("the screen:\n%s", s.text())
		}
	})
	return s
}

func (s *terminal) resize(width, height int) {
	s.t.Helper()
	if err := pty.Setsize(s.user, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.width, s.height, s.row, s.column = width, height, 0, 0
	s.cells = make([][]rune, height)
	for i := range s.cells {
		s.cells[i] = []rune(strings.Repeat(" ", width))
	}
}

// show takes in what the program writes, and returns what is not whole yet.
func (s *terminal) show(text []byte) (rest []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(text) > 0 {
		if text[0] == 0x1b {
			end := bytes.IndexFunc(text[1:], func(r rune) bool { return r >= '@' && r != '[' })
			if end < 0 {
				return text
			}
			s.obey(string(text[1 : end+2]))
			text = text[end+2:]
			continue
		}
		if !utf8.FullRune(text) {
			return text
		}
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		s.put(r)
	}
	return nil
}

func (s *terminal) put(r rune) {
	if r >= ' ' && s.column >= s.width && !s.other { // what is not drawn may go on in the next line
		s.row, s.column = min(s.row+1, s.height-1), 0
	}
	switch {
	case r == '\r':
		s.column = 0
	case r == '\n' && s.row == s.height-1 && s.other:
		s.faults = append(s.faults, "the screen scrolls")
	case r == '\n':
		s.row = min(s.row+1, s.height-1)
	case s.column >= s.width:
		s.faults = append(s.faults, "a line is longer than the screen: "+string(s.cells[s.row]))
	default:
		s.cells[s.row][s.column] = r
		s.column++
	}
}

func (s *terminal) obey(command string) {
	clearTo := func(row []rune, from int) {
		for i := from; i < len(row); i++ {
			row[i] = ' '
		}
	}
	at := min(s.column, s.width-1) // behind a full line, on its last character
	switch command {
	case "[?1049h", "[?1049l":
		s.other = command == "[?1049h"
	case "[?25l", "[?25h":
		s.noCursor = command == "[?25l"
	case "[H":
		s.row, s.column = 0, 0
	case "[K":
		clearTo(s.cells[s.row], at)
	case "[J":
		clearTo(s.cells[s.row], at)
		for _, row := range s.cells[s.row+1:] {
			clearTo(row, 0)
		}
	default:
		s.faults = append(s.faults, "the terminal is told "+strconv.Quote(command))
	}
}

func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, row := range s.cells {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return b.String()
}

// await waits until the screen shows something.
func (s *terminal) await(what string, done func(screen string) bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !done(s.text()) {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func (s *terminal) shows(words ...string) {
	s.t.Helper()
	s.await(strings.Join(words, ", "), func(screen string) bool {
		for _, one := range words {
			if !strings.Contains(screen, one) {
				return false
			}
		}
		return true
	})
}

// press is what the user types.
func (s *terminal) press(keys string) {
	s.t.Helper()
	if _, err := s.user.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the program, asserts that the terminal is as it was, and returns the
// exit code.
func (s *terminal) ends() int {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
			s.t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		s.t.Fatal("the program goes on")
	}
	after, err := term.GetState(int(s.tty.Fd()))
	if err != nil || !reflect.DeepEqual(s.before, after) {
		s.t.Errorf("the terminal is not as it was: %+v, before %+v, %v", after, s.before, err)
	}
	// What it wrote last may still be on the way.
	s.await("the first screen, with its cursor", func(string) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.other && !s.noCursor
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range s.faults {
		s.t.Error(fault)
	}
	return s.cmd.ProcessState.ExitCode()
}

// TestTopOnATerminal: it draws, also where there is little room, tells when the gateway
// goes away, and leaves the terminal as it was, however it ends.
func TestTopOnATerminal(t *testing.T) {
	t.Parallel()
	r := newReplica(t, "{delay: 0s, timeout: 1s}")
	token := filepath.Join(t.TempDir(), "token")
	if err := writeFile(token, "an admin token that nobody guesses"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(r.file, strings.Replace(string(text), "admin: {", "admin: {token_file: "+token+", ", 1)); err != nil {
		t.Fatal(err)
	}
	r.start()
	top := func(width, height int) *terminal {
		s := inTerminal(t, width, height, "top", "--admin", "http://127.0.0.1:"+r.admin, "--token-file", token)
		s.shows("sallyport at http://127", "requests")
		return s
	}

	for name, end := range map[string]func(s *terminal){
		"q":          func(s *terminal) { s.press("q") },
		"ctrl-C":     func(s *terminal) { s.press("\x03") },
		"terminated": func(s *terminal) { _ = s.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		s := top(80, 24)
		if raw, err := term.GetState(int(s.tty.Fd())); err != nil || reflect.DeepEqual(raw, s.before) {
			t.Errorf("%s: keys wait for the end of their line: %v", name, err)
		}
		s.press("x") // is no key of it
		end(s)
		if code := s.ends(); code != 0 {
			t.Errorf("%s: exit code %d", name, code)
		}
	}

	s := top(40, 10)
	full := func(width int) func(string) bool {
		return func(screen string) bool {
			for line := range strings.Lines(screen) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n == width && strings.HasSuffix(line, "…\n") {
					return true
				}
			}
			return false
		}
	}
	s.await("a line that was cut, to its last column", full(40))
	s.resize(120, 30)
	s.shows("decisions", "p99", "credentials", "sessions")
	s.press("q")
	if code := s.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	small := top(24, 5)
	small.await("a line that was cut", full(24))
	s = top(60, 20)
	r.signal()
	s.shows("! no news: the gateway's admin listener does not answer", "requests")
	_ = r.cmd.Wait()
	r.start()
	s.await("news again", func(screen string) bool {
		return strings.Contains(screen, "requests") && !strings.Contains(screen, "no news")
	})
	for _, one := range []*terminal{s, small} {
		one.press("q")
		if code := one.ends(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}

	// Without a gateway nothing is drawn.
	r.signal()
	_ = r.cmd.Wait()
	s = inTerminal(t, 80, 24, "top", "--admin", "http://127.0.0.1:"+r.admin, "--token-file", token)
	if code := s.ends(); code != 1 {
		t.Errorf("without a gateway: exit code %d", code)
	}
	s.shows("does not answer")
}
