package admin

import "testing"

// TestEveryTemplateIsWellFormed: a page that is seldom shown panics no sooner than
// somebody opens it.
func TestEveryTemplateIsWellFormed(t *testing.T) {
	t.Parallel()
	sheets := newSite(&gate{}, nil).sheets
	if len(sheets) < 10 {
		t.Fatalf("%d templates", len(sheets))
	}
	for name, sheet := range sheets {
		if sheet().Lookup("main") == nil {
			t.Errorf("%s has nothing to show", name)
		}
	}
}
