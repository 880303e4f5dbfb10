package app_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/store"
)

// What somebody says takes the place of the gaps of a template.
func TestWordsOfATemplate(t *testing.T) {
	t.Parallel()
	bug := app.BuiltInTemplates()[0].Task
	if text, err := bug.Words("  "); !mgx.IsCode(err, "template_has_gaps") {
		t.Errorf("with gaps: %q %v", text, err)
	}
	text, err := bug.Words("an empty order crashes")
	if err != nil || text != "an empty order crashes\n\nWrite a test that fails because of it first, then fix it and nothing else." {
		t.Errorf("%q %v", text, err)
	}
	whole := app.TemplateTask{Text: "Update all."}
	for said, want := range map[string]string{"": "Update all.", "Not go.mod.": "Not go.mod.\n\nUpdate all."} {
		if text, err := whole.Words(said); err != nil || text != want {
			t.Errorf("%q: %q %v", said, text, err)
		}
	}
	if text, err := (app.TemplateTask{Model: "a/b"}).Words("say hello"); err != nil || text != "say hello" {
		t.Errorf("%q %v", text, err)
	}
}

// Of many who keep templates of one name at the same moment one does, and there are
// never more than the workspace may have.
func TestTemplatesAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := templateStore(t)
	who := access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Owner: true}
	all := &app.Templates{Access: app.NewAccess(app.AccessOptions{Store: s}), Store: s}
	made := func(name string) error {
		_, err := all.Create(context.Background(), who, app.TaskTemplate{Name: name, Task: app.TemplateTask{Text: "x"}})
		return err
	}
	var mu sync.Mutex
	var some sync.WaitGroup
	codes := map[string]int{}
	for i := range mgx.QuotaTemplates.Most() + 10 {
		some.Go(func() {
			err := made(fmt.Sprint("one of ", i/2*2))
			mu.Lock()
			defer mu.Unlock()
			code := ""
			if err != nil {
				code = mgx.AsError(err).Code
			}
			codes[code]++
		})
	}
	some.Wait()
	if n := int(mgx.QuotaTemplates.Most()+10) / 2; codes[""] != n || codes[mgx.CodeConflict] != n {
		t.Errorf("%v", codes)
	}
	for i := range mgx.QuotaTemplates.Most() {
		if err := made(fmt.Sprint("more ", i)); mgx.IsCode(err, "too_many_templates") {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	list, err := all.List(t.Context(), who, "")
	own := 0
	for _, one := range list {
		if strings.HasPrefix(string(one.ID), "tpl_") {
			own++
		}
	}
	if err != nil || int64(own) != mgx.QuotaTemplates.Most() {
		t.Errorf("there are %d, %v", own, err)
	}
}

func templateStore(t *testing.T) *store.Store {
	t.Helper()
	contracts, err := event.NewRegistry()
	must(t, err)
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{Check: func(e *mgx.Event) error {
		known, _ := contracts.Type(e.Type)
		e.Version = known.Version
		return nil
	}})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}
