package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/gateway"
	"mgx/internal/llm"
)

// drip is a model that says a word a second and never ends.
type drip struct{ endless }

func (drip) Call(ctx context.Context, _ mgx.WorkspaceID, _ *llm.Request, _ llm.Account, watch func(llm.Chunk)) (*llm.Result, error) {
	for ctx.Err() == nil {
		watch(llm.Chunk{Text: "and "})
		time.Sleep(time.Second)
	}
	return nil, ctx.Err()
}

// A call under way ends soon after its key was revoked or has expired, and says so.
func TestKeyEndsMidCall(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(*gatewayKey){
		"is not valid": func(k *gatewayKey) { k.RevokedAt = time.Now() },
		"has expired":  func(k *gatewayKey) { k.ExpiresAt = time.Now() },
	} {
		synctest.Test(t, func(t *testing.T) {
			ks := &keys{all: map[keyID]gatewayKey{}}
			k, secret := ks.make(gatewayKey{})
			s := gateway.New(gateway.Options{Keys: access.NewKeyring(ks, nil), Books: newBooks(t, 0), Models: drip{}})
			ctx, stop := context.WithTimeout(t.Context(), time.Hour)
			defer stop()
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(simple("", "x/y", true)))
			req.Header.Set("Authorization", "Bearer "+secret)
			time.AfterFunc(time.Minute, func() {
				ks.mu.Lock()
				defer ks.mu.Unlock()
				end(&k)
				ks.all[k.ID] = k
			})
			began, out := time.Now(), httptest.NewRecorder()
			func() {
				defer func() { recover() }() // the connection is broken, so that nobody takes the answer for whole
				s.ServeHTTP(out, req)
			}()
			if took := time.Since(began); took < time.Minute || took > 75*time.Second || !strings.Contains(out.Body.String(), what) {
				t.Errorf("it took %s and ended with …%s", took, out.Body.String()[max(0, out.Body.Len()-300):])
			}
			s.Close()
		})
	}
}
