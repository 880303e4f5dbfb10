package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"mgx"
)

// Lock is schemas/contracts.lock.json: the digest of every version of every
// contract that was ever released, by type and version. It only grows.
type Lock map[mgx.EventType]map[string]string

// ReadLock returns the embedded lock.
func ReadLock() (Lock, error) {
	raw, err := embedded.ReadFile("schemas/" + lockFile)
	if err != nil {
		return nil, err
	}
	var l Lock
	return l, json.Unmarshal(raw, &l)
}

// JSON writes the lock with a version on each line, in order.
func (l Lock) JSON() []byte {
	var b bytes.Buffer
	b.WriteString("{")
	for i, typ := range slices.Sorted(maps.Keys(l)) {
		fmt.Fprintf(&b, "%s\n  %q: {", comma(i), typ)
		for j, v := range slices.SortedFunc(maps.Keys(l[typ]), compareVersions) {
			fmt.Fprintf(&b, "%s\n    %q: %q", comma(j), v, l[typ][v])
		}
		b.WriteString("\n  }")
	}
	b.WriteString("\n}\n")
	return b.Bytes()
}

func comma(i int) string {
	if i > 0 {
		return ","
	}
	return ""
}

func compareVersions(a, b string) int {
	v, _ := parseVersion(a)
	w, _ := parseVersion(b)
	return v.compare(w)
}

// Release returns the lock with the versions that are new, or says why the
// contracts may not be released as they are: each problem is a sentence that
// says what to do. It is how a build fails when a schema changed without the
// step in its version that the change asks for.
func (r *Registry) Release(l Lock) (Lock, []string) {
	next := maps.Clone(l)
	var problems []string
	for _, typ := range slices.Sorted(maps.Keys(l)) {
		if _, kept := r.contracts[typ]; !kept {
			problems = append(problems, fmt.Sprintf("%s was released and its schema is gone; the log may hold such events for ever: put schemas/%s.json back", typ, typ))
		}
	}
	for _, typ := range r.order {
		all, err := r.contracts[typ].versions()
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		digests, found := releaseType(all, l[typ])
		next[typ] = digests
		problems = append(problems, found...)
		problems = append(problems, r.checkSteps(typ, all)...)
	}
	return next, problems
}

func releaseType(all []*release, locked map[string]string) (digests map[string]string, problems []string) {
	typ := all[0].typ
	digests = maps.Clone(locked)
	if digests == nil {
		digests = map[string]string{}
	}
	here := map[string]bool{}
	for _, one := range all {
		v := one.version().String()
		here[v] = true
		now := one.digest()
		if was := locked[v]; was != "" && was != now {
			problems = append(problems, changed(one, one == all[len(all)-1]))
			continue
		}
		digests[v] = now
	}
	for v := range locked {
		if !here[v] {
			problems = append(problems, fmt.Sprintf("version %s of %s was released and its file is gone: put it back as schemas/%s/%s@%s.json (git log -- internal/event/schemas finds it)", v, typ, earlier, typ, v))
		}
	}
	return digests, append(problems, checkOrder(all)...)
}

func changed(one *release, current bool) string {
	v := one.version()
	if !current {
		return fmt.Sprintf("schemas/%s/%s@%s.json was released and changed since; the log holds events of that version: undo the change", earlier, one.typ, v)
	}
	return fmt.Sprintf(`%s %s was released and schemas/%s.json changed since. Keep what was released: git show HEAD:internal/event/schemas/%s.json > internal/event/schemas/%s/%s@%s.json (or an earlier commit than HEAD). `+
		`Then give the "$id" in schemas/%s.json the next version (%d.%d.%d when only words changed, %d.%d.0 for an optional field or a value of an enum, %d.0.0 for anything else) and run: make docs`,
		one.typ, v, one.typ, one.typ, earlier, one.typ, v, one.typ, v.major, v.minor, v.patch+1, v.major, v.minor+1, v.major+1)
}

// checkOrder holds each version against every one before it in the same major
// version, not only the last: whoever reads the log meets them all.
func checkOrder(all []*release) (problems []string) {
	for i, after := range all {
		for _, before := range all[:i] {
			problems = append(problems, checkPair(before, after)...)
		}
	}
	return problems
}

func checkPair(before, after *release) []string {
	v, w := before.version(), after.version()
	if v.major != w.major {
		return nil
	}
	found, err := Compare(before.raw, after.raw)
	if err != nil {
		return []string{fmt.Sprintf("%s %s and %s cannot be compared: %v", after.typ, v, w, err)}
	}
	allowed := Patch
	if v.minor != w.minor {
		allowed = Minor
	}
	found = slices.DeleteFunc(found, func(d Difference) bool { return d.Change <= allowed })
	if len(found) == 0 {
		return nil
	}
	next := fmt.Sprintf("%d.%d.0", w.major, w.minor+1)
	if largest(found) == Major {
		next = fmt.Sprintf("%d.0.0, with a step in internal/event/upcast.go, or take the change back", w.major+1)
	}
	return []string{fmt.Sprintf("%s %s differs from %s by more than a %s version allows: %v. Make it %s", after.typ, w, v, allowed, found, next)}
}

// checkSteps looks for a step between each two major versions.
func (r *Registry) checkSteps(typ mgx.EventType, all []*release) (problems []string) {
	for i := 1; i < len(all); i++ {
		from, to := all[i-1].version().major, all[i].version().major
		switch s := r.step(typ, from); {
		case from == to:
		case to != from+1:
			problems = append(problems, fmt.Sprintf("%s goes from version %d to %d: major versions follow one another", typ, from, to))
		case s == nil || s.up == nil:
			problems = append(problems, fmt.Sprintf("%s has no step from version %d to %d: add one to steps in internal/event/upcast.go", typ, from, to))
		}
	}
	return problems
}

// digest is of the contract's meaning as JSON: how the file is laid out does not
// count.
func (c *release) digest() string {
	var doc any
	d := json.NewDecoder(bytes.NewReader(c.raw))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return "unreadable"
	}
	plain, err := json.Marshal(doc)
	if err != nil {
		return "unreadable"
	}
	sum := sha256.Sum256(plain)
	return "sha256:" + hex.EncodeToString(sum[:])
}
