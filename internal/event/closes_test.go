package event

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"strings"
	"testing"
)

// Every code that the server can close with, which are the constants of their type, is
// in the AsyncAPI document and on the page about events, and nothing else is.
func TestCloseCodesAreDocumented(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "closes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var coded []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && fmt.Sprint(v.Type) == "CloseCode" {
			coded = append(coded, v.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	text, err := registry(t).AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Channels struct {
			Socket struct {
				Description string
				Mgx         struct {
					Codes []struct {
						Code           int
						Meaning, Again string
					} `json:"close_codes"`
				} `json:"x-mgx"`
			}
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| close code |")
	table, _, _ = strings.Cut(table, "| others")
	all := Closings()
	if len(coded) != len(all) || len(doc.Channels.Socket.Mgx.Codes) != len(all) || strings.Count(table, "\n| ") != len(all) {
		t.Errorf("%d codes in the program, %d listed, %d in the document, %d on the page", len(coded), len(all), len(doc.Channels.Socket.Mgx.Codes), strings.Count(table, "\n| "))
	}
	for i, c := range all {
		if said := doc.Channels.Socket.Mgx.Codes[i]; fmt.Sprint(int(c.Code)) != coded[i] || said.Code != int(c.Code) || said.Meaning != c.Means || said.Again != c.Then {
			t.Errorf("%+v is %s in the program, %+v in the document", c, coded[i], said)
		}
		if !strings.Contains(doc.Channels.Socket.Description, fmt.Sprintf("%d: %s", c.Code, c.Means)) {
			t.Errorf("the document does not tell people of %d", c.Code)
		}
		if row := fmt.Sprintf("\n| %d | %s | %s |", c.Code, c.Means, c.Then); !strings.Contains(table, row) {
			t.Errorf("docs/events.md lacks the line %s", row)
		}
	}
}
