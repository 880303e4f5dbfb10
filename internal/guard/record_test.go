package guard_test

import (
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"mgx/internal/guard"
)

// Whatever somebody calls a secret, a record keeps its shape, and tells who did what
// from where.
func TestRecordsKeepTheirShape(t *testing.T) {
	t.Parallel()
	const record = `{"actor":"key_01M8XK5T3N0000000000000000","decision":"allowed","resource":"user_01M8XK5T3N0000000000000001","details":{"from":"2001:db8::1f","after":{"name":"my hunter2hunter2 key"}},"at":"2026-11-29T08:00:00Z"}`
	r := guard.NewRedactor(`","decision":"allowed"`, `"actor":"`, `},"at":`, `{"actor":"key_01M8XK5T3N0000000000000000`, "01M8XK5T3N0000000000000000", "T3N0000000000000001", "2001:db8::1f", "hunter2hunter2")
	want := strings.Replace(record, "hunter2hunter2", guard.Mask, 1)
	if got := r.Record(record); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := r.String("fe80::1%hunter2hunter2"); strings.Contains(got, "hunter2") {
		t.Errorf("the zone of an address keeps a secret: %s", got)
	}
	for _, text := range []string{"key_01M8XK5T3N0000000000000000", "2001:db8::1f"} { // as a log has it
		if got := r.String(text); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	if got := r.Record("plain hunter2hunter2"); got != "plain "+guard.Mask {
		t.Errorf("%s", got)
	}
}

// A secret that is JSON is hidden in records by its long strings, which are what is
// secret of it, however it is written there.
func TestSecretThatIsJSON(t *testing.T) {
	t.Parallel()
	account := `{"type": "service_account", "private_key": "-----BEGIN KEY-----\nMIIabcdefghijklmnop0123456789\n-----END KEY-----\n", "id": "short"}`
	r := guard.NewRedactor(account)
	var v any
	if err := json.Unmarshal([]byte(account), &v); err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(map[string]any{"args": v})
	for _, in := range []string{string(again), `{"args":` + account + `}`, `{"text":"MIIabcdefghijklmnop0123456789"}`} {
		out := r.Record(in)
		if strings.Contains(out, "MIIabcdefghij") || !json.Valid([]byte(out)) {
			t.Errorf("%s became %s", in, out)
		}
	}
	if in := `{"type":"service_account","id":"short"}`; r.Record(in) != in {
		t.Errorf("%s became %s", in, r.Record(in))
	}
}

// An answer in which there is nothing to hide is handed back as it is, also one with
// escapes, which has to be looked at string by string.
func TestCleanRecordIsNotCopied(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactor("hunter2hunter2")
	for _, record := range []string{record("a plain title"), record("two\nlines")} {
		if got := r.Record(record); unsafe.StringData(got) != unsafe.StringData(record) {
			t.Errorf("%s was copied", record)
		}
	}
}

// What is hidden in a string by itself is hidden where it stands in a record, however
// the strings beside it are written.
func TestStringsOfRecords(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	r := guard.NewRedactor(secret)
	hexed := hex.EncodeToString([]byte(secret))
	apart := strings.TrimSuffix(regexp.MustCompile("..").ReplaceAllString(hexed, "$0:"), ":")
	quoted, _ := json.Marshal(map[string]string{"x": secret + "\n"})
	pieces := rapid.SampledFrom([]string{
		secret, hexed, apart, strings.ToUpper(apart), url.QueryEscape(secret), "hunter2\n  hunter2", `hunter2\nhunter2`, "hunter2&#104;unter2", string(quoted),
		`\`, `\\`, `"`, "\n", "&", "%", "6", "68:", "a b", "ünter", "0x68, 0x75", "hunter2", "=", "<",
	})
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(pieces, 0, 4).Draw(t, "pieces"), "") }), 1, 5).Draw(t, "texts")
		text, _ := json.Marshal(texts)
		var clean []string
		if err := json.Unmarshal([]byte(r.Record(string(text))), &clean); err != nil || len(clean) != len(texts) {
			t.Fatalf("%s became %q: %v", text, clean, err)
		}
		for i, one := range texts {
			if r.Holds(one) && clean[i] == one {
				t.Errorf("%q is hidden by itself, and stays in %s", one, text)
			}
		}
	})
}

// record is one as answers have many of.
func record(title string) string {
	text, _ := json.Marshal(map[string]any{
		"id": "run_01M8XK5T3N0000000000000000", "title": title, "from": "2001:db8::1f", "steps": 12345678,
		"created_at": "2026-11-29T19:51:55.501044Z", "hash": "sha256:7958b762611d2c2ce1df46c731f956618055e5c6e653bf241f992a9d56189383",
	})
	return string(text) + "\n"
}

func BenchmarkRecordClean(b *testing.B) {
	r := guard.NewRedactor("sk-proj-HFTJHXUJKNRG3RYSXHAQ", canarySecret)
	for name, title := range map[string]string{"plain": "Add a test", "escapes": "Add\na test"} {
		b.Run(name, func(b *testing.B) {
			text := "[" + strings.Repeat(record(title)+",", 99) + record(title) + "]"
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				r.Record(text)
			}
		})
	}
}
