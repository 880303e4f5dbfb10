package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"mgx"
)

// maxFile bounds the user's file, in bytes.
const maxFile = 64 << 10

// readFile returns the settings in the user's file, as text by name. A file
// that is not there holds none.
func readFile(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		var values map[string]string
		if values, err = parse(b); err == nil {
			return values, nil
		}
	}
	return nil, mgx.Errorf(mgx.KindConfig, "bad_config_file", "the configuration file %s cannot be used: %w", path, err)
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening, which would wait on a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("it is larger than %d KB", maxFile>>10)
	}
	return b, err
}

// parse reads one flat JSON object of known names and plain values.
func parse(b []byte) (map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it must hold one JSON object")
	}
	values := map[string]string{}
	for dec.More() {
		if err := parseEntry(dec, values); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, notJSON(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return values, nil
}

func parseEntry(dec *json.Decoder, values map[string]string) error {
	key, err := dec.Token()
	if err != nil {
		return notJSON(err)
	}
	name := key.(string) // the decoder accepts nothing else here
	if _, twice := values[name]; twice {
		return fmt.Errorf("%q is given twice", name)
	}
	if !known(name) {
		return fmt.Errorf("%q is not a setting; the settings are %s", name, strings.Join(names(), ", "))
	}
	value, err := dec.Token()
	if err != nil {
		return notJSON(err)
	}
	switch value.(type) {
	case string, json.Number:
		values[name] = fmt.Sprint(value)
		return nil
	}
	return fmt.Errorf("%q must be a string or a number", name)
}

func notJSON(err error) error { return fmt.Errorf("it is not valid JSON: %w", err) }
