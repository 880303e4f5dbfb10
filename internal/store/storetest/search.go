package storetest

import (
	"strings"
	"testing"

	"mgx"
)

// Tasks are found by the beginnings of their words, in either case and any order,
// and by nothing else; what looks like a query language is words.
func searches(t *testing.T, open Opener) {
	s := open(t)
	w := s.(Work)
	in := mgx.Scope{Workspace: ws, Project: "proj_1", User: "user_ada"}
	texts := map[mgx.TaskID]string{}
	for _, text := range []string{
		"Fix the parser", "fix parseHTTPRequest in net_util.go", `"OR" NEAR AND * words : -not`, "Ünïcode Straße ΣΟΦΟΣ \u212aelvin", "修复解析器の不具合",
		"'; DROP TABLE tasks; --", "100%_off & \\ (a|b) !c <-> d", "NULL \x00 byte", "", "🚀🚀", "v2.10.3 x86-64", strings.Repeat("long", 100), strings.Repeat("wide spread words ", 3000) + "end",
	} {
		texts[asked(t, s, in, text).Task] = text
	}
	theirs := asked(t, s, mgx.Scope{Workspace: elsewhere, Project: "proj_1", User: "user_ada"}, "Fix the parser").Task
	for query, want := range map[string][]string{ // by how they begin
		"fix":        {"Fix the parser", "fix parseHTTP"},
		"PARS fi":    {"Fix the parser", "fix parseHTTP"},
		"fix parser": {"Fix the parser"}, "arser": nil, "parserx": nil,
		"request": {"fix parseHTTP"}, "parsehttprequest": {"fix parseHTTP"}, "httpr": {"fix parseHTTP"}, "util": {"fix parseHTTP"}, "net_util.go": {"fix parseHTTP"},
		`"or"`: {`"OR"`}, "near and": {`"OR"`}, "fix OR near": nil, "NEAR(words not)": {`"OR"`}, "words : *": {`"OR"`, "wide"}, "-not": {`"OR"`}, "words:end": {"wide"},
		"üNÏ": {"Ünïcode"}, "strasse": nil, "stra": {"Ünïcode"}, "σοφος": {"Ünïcode"}, "kelvin": {"Ünïcode"}, "uni": nil,
		"解析": {"修复"}, "不具合": {"修复"}, "解 修": {"修复"}, "解雇": nil,
		"drop table": {"'; DROP"}, "'; drop table tasks; --": {"'; DROP"}, "') OR 1=1 --": nil,
		"100%": {"100%"}, "off & (a|b)": {"100%"}, `\`: nil, "%": nil, "_": nil, "d:* | fix:*": nil, "!c": {"100%"},
		"null byte": {"NULL"}, "\x00": nil, "nu\xff": {"NULL"}, "🚀": nil, " \t\n": nil, "\u0301": nil,
		"v2.10": {"v2"}, "86": nil, "x86-64": {"v2"},
		strings.Repeat("long", 100): {"longlong"}, "longlo": {"longlong"}, "wide end": {"wide"}, "spread wide": {"wide"},
		"_ws": nil, "task": {"'; DROP"}, "description": nil, "title": nil,
	} {
		got, err := w.Tasks(t.Context(), ws, query, "", 0)
		if err != nil {
			t.Errorf("%q: %v", query, err)
		}
		var wrong []string
		left := map[string]bool{}
		for _, begin := range want {
			left[begin] = true
		}
		for _, task := range got {
			known := false
			for begin := range left {
				if strings.HasPrefix(texts[task.ID], begin) {
					known = true
					delete(left, begin)
				}
			}
			if !known {
				wrong = append(wrong, texts[task.ID])
			}
		}
		if len(wrong) > 0 || len(left) > 0 {
			t.Errorf("%q finds wrongly %.60q and not what begins with %v", query, wrong, left)
		}
		runs, err := w.RunInfos(t.Context(), mgx.RunFilter{Workspace: ws, Text: query}, "", 0)
		if err != nil || len(runs) != len(got) {
			t.Errorf("%q: %d runs of %d tasks, %v", query, len(runs), len(got), err)
		}
	}
	if got, err := w.Tasks(t.Context(), elsewhere, "fix parser", "", 0); err != nil || len(got) != 1 || got[0].ID != theirs {
		t.Errorf("elsewhere %+v is found: %v", got, err)
	}
}
