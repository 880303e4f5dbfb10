package egress

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// head is a request's line and headers.
type head struct {
	method string
	target string
	minor  int // of HTTP/1
	header http.Header

	host    string // where it goes, in the normal form
	port    int
	path    string // with the query; empty for CONNECT
	chunked bool
}

func (h *head) connects() bool { return h.method == http.MethodConnect }

// refusal is why a request cannot be taken.
type refusal struct {
	reason string
	asked  string // the host as it was asked for, where it is no host
	text   string // for the program
}

func (r *refusal) Error() string { return r.reason }

func malformed(text string) error { return &refusal{reason: BadRequest, text: text} }

var errTooLong = malformed("The request's line and headers are longer than 64 KB.")

// readHead reads up to the empty line that ends a head.
func readHead(r *bufio.Reader) (text []byte, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if len(text)+len(line) > maxHead {
			return nil, errTooLong
		}
		text = append(text, line...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if err == io.EOF && len(text) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if err == nil && string(line) == "\r\n" && bytes.HasSuffix(text, []byte("\r\n\r\n")) {
			return text, nil
		}
		if bytes.Equal(text, []byte("\r\n")) {
			return nil, malformed("The request is empty.")
		}
	}
}

// parseHead reads a head strictly. Servers differ in how they read what is not
// quite HTTP, and whatever has two readings could have one here and another
// there: it is refused instead of mended.
func parseHead(text []byte) (*head, error) {
	lines := strings.Split(strings.TrimSuffix(string(text), "\r\n\r\n"), "\r\n")
	if len(lines) > maxHeaders+1 {
		return nil, malformed("The request has more than 200 headers.")
	}
	h := &head{header: http.Header{}}
	if err := h.parseLine(lines[0]); err != nil {
		return nil, err
	}
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !found || !token(name) || !printable(value) {
			return nil, malformed("A header of the request is malformed.")
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		h.header[key] = append(h.header[key], value)
	}
	if err := h.frame(); err != nil {
		return nil, err
	}
	return h, h.locate()
}

func (h *head) parseLine(line string) error {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || !token(parts[0]) || !visible(parts[1]) {
		return malformed("This is a proxy for HTTP, and what it got is not a request.")
	}
	h.method, h.target = parts[0], parts[1]
	switch parts[2] {
	case "HTTP/1.1":
		h.minor = 1
	case "HTTP/1.0":
	default:
		return malformed("This proxy speaks HTTP/1.1 and HTTP/1.0.")
	}
	return nil
}

// frame settles where the body ends.
func (h *head) frame() error {
	lengths, encodings := h.header["Content-Length"], h.header["Transfer-Encoding"]
	switch {
	case len(lengths)+len(encodings) > 1:
		return malformed("The request says more than once how long its body is.")
	case len(lengths) == 1 && (len(lengths[0]) > 18 || lengths[0] == "" || strings.Trim(lengths[0], "0123456789") != ""):
		return malformed("The Content-Length of the request is no number.")
	case len(encodings) == 1 && (encodings[0] != "chunked" || h.minor == 0):
		return malformed("The only Transfer-Encoding that this proxy takes is chunked, of HTTP/1.1.")
	case h.connects() && len(lengths)+len(encodings) > 0:
		return malformed("A CONNECT has no body.")
	}
	h.chunked = len(encodings) == 1
	return nil
}

// locate settles where the request goes.
func (h *head) locate() error {
	authority := h.target
	if !h.connects() {
		const scheme = "http://"
		if len(h.target) < len(scheme) || !strings.EqualFold(h.target[:len(scheme)], scheme) {
			return malformed("This is a proxy: ask it with CONNECT for https, or with the whole address for http.")
		}
		authority = h.target[len(scheme):]
		if i := strings.IndexAny(authority, "/?"); i >= 0 {
			authority, h.path = authority[:i], authority[i:]
		}
		if strings.Contains(h.path, "#") {
			return malformed("The address of the request has a fragment.")
		}
		if !strings.HasPrefix(h.path, "/") {
			h.path = "/" + h.path
		}
	}
	host, port, ok := split(authority)
	if ok && port == 0 && !h.connects() {
		port = 80
	}
	if !ok || port == 0 {
		return &refusal{reason: BadHost, asked: authority, text: "This is not the name of a host and its port. Addresses, in whatever notation, can be used only where they are allowed as such, and nothing may stand before the name."}
	}
	h.host, h.port = host, port
	return h.sameHost()
}

// sameHost compares the Host header, by which the server will go.
func (h *head) sameHost() error {
	hosts := h.header["Host"]
	if len(hosts) == 0 && h.minor == 0 {
		return nil
	}
	if len(hosts) != 1 {
		return malformed("The request must have one Host header.")
	}
	host, port, ok := split(hosts[0])
	if port == 0 && (h.connects() || h.port == 80) {
		port = h.port
	}
	if !ok || host != h.host || port != h.port {
		return &refusal{reason: OtherHost, text: "The Host header of the request differs from the host of its address."}
	}
	return nil
}

// token is the name of a method or header: RFC 9110, 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// printable is the value of a header: RFC 9110, 5.5.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
