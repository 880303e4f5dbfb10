package config

import (
	"maps"
	"testing"
	"time"
)

func TestSandboxLimits(t *testing.T) {
	for given, want := range map[string]Limits{
		"": nil, "default": nil,
		"memory=4GB":                             {"memory": 4 << 30},
		"memory=4GiB,tmp=512MiB,disk=1TiB":       {"memory": 4 << 30, "tmp": 512 << 20, "disk": 1 << 40},
		"tmp=2KiB,file-size=2kB":                 {"tmp": 2048, "file-size": 2048},
		"disk=20GB, files=100000,cpus=1.5":       {"disk": 20 << 30, "files": 100_000, "cpus": 1500},
		"tmp=512MB,file-size=1TB,processes=2":    {"tmp": 512 << 20, "file-size": 1 << 40, "processes": 2},
		"memory=1GB,memory=2GB,open-files=20000": {"memory": 2 << 30, "open-files": 20000},
		"memory=1048576,tmp=4096":                {"memory": 1 << 20, "tmp": 4096},
		"cpu-time=1.5m":                          {"cpu-time": int64(90 * time.Second)},
	} {
		var c Config
		if err := setLimits(&c, given, origin{}); err != nil || !maps.Equal(c.SandboxLimits, want) {
			t.Errorf("%q: %v, %v", given, c.SandboxLimits, err)
		}
		var again Config
		if err := setLimits(&again, showLimits(&c), origin{}); err != nil || !maps.Equal(again.SandboxLimits, want) {
			t.Errorf("%q is shown as %q, which is %v, %v", given, showLimits(&c), again.SandboxLimits, err)
		}
	}
	for _, given := range []string{
		"memory", "memory=", "memory=0", "memory=-1GB", "memory=1.5GB", "memory=4Gi", "memory=iB", "memory=4", "memory=1023KB", "memory=9999999TB", "memory=99999999999999999999", "ram=1GB", ",",
		"processes=0", "processes=1", "processes=1.5", "processes=4GB", "files=99999999999", "cpus=0", "cpus=NaN", "cpus=x", "=1", "cpu-time=60", "cpu-time=0s", "cpu-time=900h",
	} {
		var c Config
		if err := setLimits(&c, given, origin{}); err == nil || c.SandboxLimits != nil {
			t.Errorf("%q was taken: %v", given, c.SandboxLimits)
		}
	}
}
