package native_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

func TestMain(m *testing.M) {
	native.Main()
	os.Exit(m.Run())
}

func TestFirst(t *testing.T) {
	b, err := native.New().Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	begin := time.Now()
	r, err := b.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", "id; pwd; ls -la / /dev /etc; env; cat /proc/self/status | grep -E 'Cap|NoNew'; cat /proc/self/mounts; ps ax; ulimit -a; cat /proc/sys/kernel/pid_max; exit 3"}, Stdout: &out, Stderr: &out, Timeout: 5 * time.Second})
	t.Log(r, err, time.Since(begin), "\n", out.String())
}
