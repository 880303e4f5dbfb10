package git

import (
	"bytes"
	"context"
	"strings"
	"sync"
)

// top is what the files in the top directory of a commit say that a run leaves out.
type top struct{ submodules, lfs bool }

// tops remembers those of some commits by repository, which no commit changes. Its
// methods may be called from several goroutines.
type tops struct {
	mu    sync.Mutex
	known map[topKey]top
}

type topKey struct{ repository, commit string }

const maxTops = 1000

func (t *tops) of(key topKey) (found top, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok = t.known[key]
	return found, ok
}

func (t *tops) keep(key topKey, found top) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxTops {
		t.known = map[topKey]top{}
	}
	t.known[key] = found
}

// learnTop looks at the top of HEAD, unless it is known. That of a partial clone is not
// kept, since what it lacks today may be there tomorrow.
func (s *Source) learnTop(ctx context.Context, known *tops) error {
	key := topKey{s.CommonDir, s.Head}
	found, ok := known.of(key)
	if !ok {
		if found, ok = s.glance(ctx); !ok {
			found = s.readTop(ctx)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !s.partial {
			known.keep(key, found)
		}
	}
	s.Submodules, s.LFS = found.submodules, found.lfs
	return nil
}

// glance asks for all at once. It fails where git is older than 2.36.
func (s *Source) glance(ctx context.Context) (found top, ok bool) {
	ask := "info " + s.Head + ":.gitmodules\ncontents " + s.Head + ":.gitattributes\n"
	out, err := hostCommand{
		dir: s.Path, env: s.env(), stdin: strings.NewReader(ask), limit: maxList, doing: "read the repository",
		args: []string{"cat-file", "--batch-command"},
	}.run(ctx)
	if err != nil {
		return top{}, false
	}
	modules, rest, _ := bytes.Cut(out, []byte("\n"))
	attributes, text, ok := bytes.Cut(rest, []byte("\n"))
	return top{
		submodules: !bytes.HasSuffix(modules, []byte(" missing")),
		lfs:        bytes.Contains(attributes, []byte(" blob ")) && bytes.Contains(text, []byte("filter=lfs")),
	}, ok
}

func (s *Source) readTop(ctx context.Context) top {
	_, modules := s.git(ctx, "cat-file", "-e", s.Head+":.gitmodules")
	text, attributes := s.git(ctx, "cat-file", "blob", s.Head+":.gitattributes")
	return top{submodules: modules == nil, lfs: attributes == nil && bytes.Contains(text, []byte("filter=lfs"))}
}
