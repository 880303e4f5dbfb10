package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of the sandbox by name: sizes in bytes, counts, thousandths of processors,
// nanoseconds.
type Limits map[string]int64

// limitNames says how each limit is written.
var limitNames = map[string]amount{
	"memory": memorySize, "disk": byteSize, "tmp": byteSize, "file-size": byteSize,
	"processes": processes, "files": count, "open-files": count,
	"cpus": thousandths, "cpu-time": seconds,
}

// amount is how a number is written.
type amount struct {
	parse func(string) (int64, error)
	show  func(int64) string
}

// setLimits takes NAME=VALUE with commas between.
func setLimits(c *Config, v string, _ origin) error {
	c.SandboxLimits = nil
	if v == "" || v == "default" {
		return nil
	}
	limits := Limits{}
	for one := range strings.SplitSeq(v, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		if _, ok := limitNames[name]; !ok {
			return fmt.Errorf("it must read NAME=VALUE, with commas between several; names are %s", strings.Join(slices.Sorted(maps.Keys(limitNames)), ", "))
		}
		n, err := ParseLimit(name, value)
		if err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
		limits[name] = n
	}
	c.SandboxLimits = limits
	return nil
}

// ParseLimit reads the value of a limit, in the units of [Limits].
func ParseLimit(name, value string) (int64, error) {
	amount, ok := limitNames[name]
	if !ok {
		return 0, errors.New("is no limit of the sandbox")
	}
	return amount.parse(value)
}

// ShowLimit is the value of a limit as [ParseLimit] takes it.
func ShowLimit(name string, n int64) string { return limitNames[name].show(n) }

func showLimits(c *Config) string {
	if len(c.SandboxLimits) == 0 {
		return "default"
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c.SandboxLimits)) {
		list = append(list, name+"="+ShowLimit(name, c.SandboxLimits[name]))
	}
	return strings.Join(list, ",")
}

var (
	byteSize    = amount{ParseSize, ShowSize}
	memorySize  = amount{parseMemory, ShowSize}
	count       = amount{parseCount, showCount}
	processes   = amount{parseProcesses, showCount}
	thousandths = amount{parseThousandths, func(n int64) string { return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64) }}
	seconds     = amount{parseSeconds, func(n int64) string { return time.Duration(n).String() }}
)

func showCount(n int64) string { return strconv.FormatInt(n, 10) }

// units are powers of 1024, by either of their names, the longer names first.
var units = []struct {
	name  string
	shift int
}{
	{"KiB", 10},
	{"MiB", 20},
	{"GiB", 30},
	{"TiB", 40},
	{"KB", 10},
	{"kB", 10},
	{"MB", 20},
	{"GB", 30},
	{"TB", 40},
	{"B", 0},
	{"", 0},
}

// ParseSize reads bytes: a whole number of them or of a unit, such as 20GB or 20GiB,
// which are the same.
func ParseSize(v string) (int64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(v, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 1 || n > 1<<50>>u.shift {
			break
		}
		return n << u.shift, nil
	}
	return 0, errors.New("must be a size such as 512MB or 20GB, up to 1024TB")
}

// ShowSize is bytes as [ParseSize] takes them: so many MB, GB or TB if that is exact.
func ShowSize(n int64) string {
	for _, unit := range []string{"TB", "GB", "MB"} {
		if one, _ := ParseSize("1" + unit); n > 0 && n%one == 0 {
			return strconv.FormatInt(n/one, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

func parseCount(v string) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 1 {
		return 0, errors.New("must be a whole number from 1")
	}
	return n, nil
}

// leastMemory is what a command can begin with. Less is a size whose unit was forgotten.
const leastMemory = 1 << 20

func parseMemory(v string) (int64, error) {
	n, err := ParseSize(v)
	if err == nil && n < leastMemory {
		return 0, errors.New("must be at least 1MB, and have its unit, as in 4GB")
	}
	return n, err
}

// parseProcesses takes as many as a command needs to begin: itself and what waits for it.
func parseProcesses(v string) (int64, error) {
	n, err := parseCount(v)
	if err != nil || n < 2 {
		return 0, errors.New("must be a whole number from 2")
	}
	return n, nil
}

func parseThousandths(v string) (int64, error) {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !(n >= 0.01 && n <= 10_000) {
		return 0, errors.New("must be a number of processors such as 1.5")
	}
	return int64(n * 1000), nil
}

func parseSeconds(v string) (int64, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > 30*24*time.Hour {
		return 0, errors.New("must be a duration from 1s to 720h, such as 90s or 2h")
	}
	return int64(d), nil
}
