package llm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mgx"
)

// PriceSource is where an operator publishes a list of prices, and the file that
// keeps what was fetched from there.
type PriceSource struct {
	URL    string // https, or http on this machine
	File   string
	Client *http.Client // default: one with a time-out
}

// Bounds of a fetch.
const (
	maxPrices    = 8 << 20 // bytes of a list
	pricesWithin = 30 * time.Second
)

// keptPrices is the file's form.
type keptPrices struct {
	From      string          `json:"from"` // SHA-256 of the address, which may hold a credential
	ETag      string          `json:"etag,omitempty"`
	FetchedAt time.Time       `json:"fetched_at"` // when the source last said that this is its list
	SHA256    string          `json:"sha256"`     // of the list
	List      json.RawMessage `json:"list"`
}

// CheckPriceURL refuses an address from which nobody should take prices.
func CheckPriceURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !allowedPrices(u) {
		return errors.New("it must be an address that begins with https://, or with http:// on this machine")
	}
	return nil
}

func allowedPrices(u *url.URL) bool {
	host := u.Hostname()
	local := host == "localhost" || net.ParseIP(host).IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && local
}

// Apply returns base with what was fetched last on top of it, or base as it is
// when nothing was. With an error, which says why the file cannot be used, it
// returns base too.
func (s PriceSource) Apply(base *Prices) (*Prices, error) {
	_, l, err := s.load()
	if err != nil || l == nil {
		return base, err
	}
	return base.over(l, refreshVersion(l)), nil
}

func refreshVersion(l *priceList) string {
	return strings.TrimPrefix(l.Version+"-"+l.SHA256[:12], "-")
}

// FetchedAt is when the list in use was last fetched or confirmed.
func (s PriceSource) FetchedAt() time.Time {
	kept, _, _ := s.load()
	return kept.FetchedAt
}

// load reads what was fetched from this address; nil when there is none.
func (s PriceSource) load() (kept keptPrices, l *priceList, err error) {
	data, err := readAtMost(s.File, 2*maxPrices)
	if errors.Is(err, fs.ErrNotExist) {
		return kept, nil, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err == nil && kept.From != digest([]byte(s.URL)) {
		return keptPrices{}, nil, nil // of another address
	}
	if err == nil && kept.SHA256 != digest(kept.List) {
		err = errors.New("its list is not the one that was fetched")
	}
	if err == nil {
		l, err = parseList(kept.List)
	}
	if err != nil {
		return keptPrices{}, nil, mgx.Errorf(mgx.KindConfig, "bad_prices_cache",
			"the prices kept in %s cannot be used (%w), so those that mgx came with are; fetch them again with: mgx models prices --refresh", s.File, err)
	}
	l.Name = LayerRefresh
	return kept, l, nil
}

func readAtMost(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it has more than %d MB", most>>20)
	}
	return data, err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Refresh fetches the list anew, unless the source says that it is still the one
// that is kept, and keeps it when it is plausible against base and what was kept.
// It reports whether there is another list now.
func (s PriceSource) Refresh(ctx context.Context, base *Prices) (changed bool, err error) {
	old, _, _ := s.load() // one that cannot be used is fetched anew
	data, etag, err := s.fetch(ctx, old.ETag)
	if err != nil {
		return false, err
	}
	next := keptPrices{From: digest([]byte(s.URL)), ETag: etag, FetchedAt: time.Now().UTC(), SHA256: digest(data), List: data}
	if data == nil {
		next = old
		next.FetchedAt = time.Now().UTC()
	} else {
		l, err := parseList(data)
		if err != nil {
			return false, mgx.Errorf(mgx.KindConfig, "prices_refused", "the prices from %s are refused, and nothing is changed: %w", s.host(), err)
		}
		now, _ := s.Apply(base)
		if err := plausible(now, l); err != nil {
			return false, mgx.Errorf(mgx.KindConfig, "prices_refused",
				"the prices from %s are refused, and nothing is changed: %w. If that is right, say so in a file of your own and name it with the setting prices", s.host(), err)
		}
	}
	if err := s.keep(next); err != nil {
		return false, mgx.Errorf(mgx.KindConfig, "prices_unwritable", "the fetched prices cannot be kept in %s: %w", s.File, err)
	}
	return next.SHA256 != old.SHA256, nil
}

func (s PriceSource) host() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "the source"
	}
	return u.Host
}

// fetch asks for the list; nil data means that it is still that of etag.
func (s PriceSource) fetch(ctx context.Context, etag string) (data []byte, newTag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pricesWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, "", s.failed(errors.New("the address is none"))
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "mgx")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	client := http.Client{Transport: defaultTransport}
	if s.Client != nil {
		client = *s.Client
	}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) > 3 || !allowedPrices(req.URL) {
			return errors.New("it redirects to where prices are not taken from")
		}
		return nil
	}
	resp, err := client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // without the address, which may hold a credential
		}
		return nil, "", s.failed(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		return nil, etag, nil
	case resp.StatusCode != http.StatusOK:
		return nil, "", s.failed(fmt.Errorf("it answered %s", resp.Status))
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxPrices+1))
	if err == nil && len(data) > maxPrices {
		err = fmt.Errorf("its list has more than %d MB", maxPrices>>20)
	}
	if err == nil && !json.Valid(data) {
		err = errors.New("what it answered is not JSON")
	}
	if err != nil {
		return nil, "", s.failed(err)
	}
	return MarshalWire(json.RawMessage(data)), resp.Header.Get("ETag"), nil
}

func (s PriceSource) failed(err error) error {
	return mgx.Errorf(mgx.KindProvider, "prices_unreachable", "no prices were fetched from %s, and nothing is changed: %w", s.host(), err)
}

// keep writes the file whole or not at all.
func (s PriceSource) keep(k keptPrices) error {
	temp, err := os.CreateTemp(filepath.Dir(s.File), ".prices-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // of no effect once it is renamed
	_, err = temp.Write(MarshalWire(k))
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), s.File)
}

// plausible refuses a list in which the price of a known model differs more than
// tenfold from what it is.
func plausible(now *Prices, next *priceList) error {
	for _, name := range slices.Sorted(maps.Keys(next.names)) {
		is, known, _ := now.listed(name)
		if !known {
			continue
		}
		will := next.names[name]
		for _, c := range []struct {
			what    string
			is, was mgx.Money
		}{
			{"input", will.Input, is.Input},
			{"output", will.Output, is.Output},
			{"cached input", will.Cached, is.Cached},
			{"input written to the cache", will.CacheWrite, is.CacheWrite},
			{"input of long prompts", will.longest().Input, is.longest().Input},
			{"output after long prompts", will.longest().Output, is.longest().Output},
		} {
			if min(c.is, c.was)*10 < max(c.is, c.was) {
				return fmt.Errorf("a million tokens of %s of %s would cost %s instead of %s, a change of more than tenfold", c.what, name, c.is, c.was)
			}
		}
	}
	return nil
}

// longest are the rates of the longest prompts.
func (p Price) longest() Rates {
	if p.LongAbove > 0 {
		return p.Long
	}
	return p.Rates
}
