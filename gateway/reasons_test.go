package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// reasonsInCode collects the words that the code can give as a reason: constants
// that are called Reason... or are of type Reason, and literals of a field
// called Reason.
func reasonsInCode(t *testing.T) map[string]string {
	t.Helper()
	isReason := regexp.MustCompile("^[a-z_]+$")
	found := map[string]string{}
	add := func(e ast.Expr, file string) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			word, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if isReason.MatchString(word) {
				found[word] = file
			}
		}
	}
	walk := func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.Contains(file, "test/") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				kind, _ := n.Type.(*ast.Ident)
				for i, name := range n.Names {
					if i < len(n.Values) && (strings.HasPrefix(name.Name, "Reason") || kind != nil && kind.Name == "Reason") {
						add(n.Values[i], file)
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Reason" {
					add(n.Value, file)
				}
			}
			return true
		})
		return nil
	}
	for _, root := range []string{".", "../policy"} {
		if err := filepath.WalkDir(root, walk); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestEveryReasonIsInTheReferenceAndNoOther(t *testing.T) {
	text, err := os.ReadFile("../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		if documented[m[1]] {
			t.Errorf("%s stands twice in the reference", m[1])
		}
		documented[m[1]] = true
	}
	inCode := reasonsInCode(t)
	for word, file := range inCode {
		if !documented[word] {
			t.Errorf("%s (%s) is not in docs/reasons.md", word, file)
		}
	}
	for word := range documented {
		if _, ok := inCode[word]; !ok {
			t.Errorf("%s is in docs/reasons.md and nowhere else", word)
		}
	}
}
