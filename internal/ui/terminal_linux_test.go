package ui

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mgx"

	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a real pseudo-terminal, 100 columns wide.
func openTerminal(t *testing.T) (screen, tty *os.File) {
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("this machine gives no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine gives no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { tty.Close() })
	return screen, tty
}

func TestWhatATerminalGets(t *testing.T) {
	tests := []struct {
		name, noColor, term string
		color, live         bool
	}{
		{"terminal", "", "xterm-256color", true, true},
		{"NO_COLOR", "1", "xterm-256color", false, true},
		{"dumb", "", "dumb", false, false},
		{"no TERM", "", "", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", tt.noColor)
			t.Setenv("TERM", tt.term)
			screen, tty := openTerminal(t)
			if s := styleOf(tty, Auto, 0); s.color != tt.color || s.width != 100 {
				t.Errorf("style %+v, want colour %v, width 100", s, tt.color)
			}
			p := New(tty, Options{})
			p.Event(event(mgx.ToolCalled, mgx.ToolCallData{CallID: "a", Name: "read", Summary: "a.go"}))
			p.Event(event(mgx.ToolReturned, mgx.ToolResultData{CallID: "a", Name: "read", Status: "success"}))
			p.Close()
			fmt.Fprint(tty, "END")
			out := readUntil(t, screen, "END")
			if got := strings.Contains(out, "\x1b[32m"); got != tt.color {
				t.Errorf("colour %v, want %v: %q", got, tt.color, out)
			}
			if got := strings.Contains(out, "\r\x1b[K"); got != tt.live {
				t.Errorf("live line %v, want %v: %q", got, tt.live, out)
			}
			term := newVT(100)
			term.Write([]byte(out))
			if got := term.screen(); got != "  ✓ read   a.go  0 ms\nEND" || term.fault != "" {
				t.Errorf("screen %q %s", got, term.fault)
			}
		})
	}
}

func readUntil(t *testing.T, f *os.File, end string) string {
	t.Helper()
	f.SetReadDeadline(time.Now().Add(10 * time.Second))
	var out []byte
	buf := make([]byte, 4096)
	for !strings.HasSuffix(string(out), end) {
		n, err := f.Read(buf)
		if err != nil {
			t.Fatalf("read %q, then %v", out, err)
		}
		out = append(out, buf[:n]...)
	}
	return string(out)
}
