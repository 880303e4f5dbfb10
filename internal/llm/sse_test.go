package llm

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// collect reads a stream whole and describes it: "event|data" for each event,
// ":" for comments, and the error.
func collect(r io.Reader, max int) (got []string, err error) {
	for event, e := range ReadSSE(r, max) {
		switch {
		case e != nil:
			return got, e
		case event.Comment:
			got = append(got, ":")
		default:
			got = append(got, event.Event+"|"+string(event.Data))
		}
	}
	return got, nil
}

func TestReadSSE(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40<<10) // more than the read buffer
	for _, c := range []struct {
		name, in string
		want     []string
		err      error
	}{
		{"nothing", "", nil, nil},
		{"one", "data: a\n\n", []string{"|a"}, nil},
		{"named", "event: ping\ndata: {}\n\n", []string{"ping|{}"}, nil},
		{"the name is not kept", "event: a\ndata: 1\n\ndata: 2\n\n", []string{"a|1", "|2"}, nil},
		{"CRLF", "event: a\r\ndata: 1\r\n\r\n", []string{"a|1"}, nil},
		{"several lines", "data: a\ndata:b\ndata:  c\n\n", []string{"|a\nb\n c"}, nil},
		{"no space", "data:a\n\n", []string{"|a"}, nil},
		{"empty data", "data\n\ndata:\n\n", []string{"|", "|"}, nil},
		{"comment", ": hello\n\n:\ndata: a\n\n", []string{":", ":", "|a"}, nil},
		{"a name alone is no event", "event: a\n\ndata: b\n\n", []string{"|b"}, nil},
		{"other fields", "id: 7\nretry: 5\nwhat: ever\ndata: a\n\n", []string{"|a"}, nil},
		{"byte order mark", "\xEF\xBB\xBFdata: a\n\n", []string{"|a"}, nil},
		{"blank lines", "\n\n\ndata: a\n\n\n\n", []string{"|a"}, nil},
		{"last without blank line", "data: a\n\ndata: b\n", []string{"|a", "|b"}, nil},
		{"half a line", "data: a\n\ndata: b", []string{"|a"}, io.ErrUnexpectedEOF},
		{"half a field", "data: a\n\nda", []string{"|a"}, io.ErrUnexpectedEOF},
		{"long line", "data: " + long + "\n\n", []string{"|" + long}, nil},
		{"colons in data", "data: a: b: c\n\n", []string{"|a: b: c"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
			} {
				got, err := collect(r, 1<<20)
				if !reflect.DeepEqual(got, c.want) || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Errorf("%s: got %q, %v; want %q, %v", how, got, err, c.want, c.err)
				}
			}
		})
	}
}

func TestReadSSEBounds(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"one line":               "data: " + strings.Repeat("x", 200) + "\n\n",
		"many lines":             strings.Repeat("data: xxxxxxxxxx\n", 20),
		"longer than the buffer": "data: " + strings.Repeat("x", 100<<10),
		"a comment":              ":" + strings.Repeat("x", 200) + "\n",
	} {
		if got, err := collect(strings.NewReader(in), 100); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestReadSSEPassesReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	got, err := collect(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken)), 100)
	if !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("got %q, %v", got, err)
	}
}

// FuzzSSE: no input panics, events stay below the bound, and how the bytes are
// cut into reads changes nothing.
func FuzzSSE(f *testing.F) {
	f.Add("data: a\n\nevent: b\ndata: c\ndata: d\n\n: e\n\n")
	f.Add("data: \r\n\r\n\xEF\xBB\xBF\x00data")
	f.Fuzz(func(t *testing.T, in string) {
		const max = 200
		whole, err := collect(strings.NewReader(in), max)
		bytewise, err2 := collect(iotest.OneByteReader(strings.NewReader(in)), max)
		if !reflect.DeepEqual(whole, bytewise) || (err == nil) != (err2 == nil) {
			t.Fatalf("at once %q, %v; byte by byte %q, %v", whole, err, bytewise, err2)
		}
		for _, event := range whole {
			if len(event) > 2*max {
				t.Fatalf("an event of %d bytes", len(event))
			}
		}
	})
}
