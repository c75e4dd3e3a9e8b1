package policytest

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"golang.org/x/tools/txtar"
)

const (
	archiveSuffix = ".txtar"
	casesSuffix   = "cases.yaml"

	wholeConfig  = "config.yaml"
	policiesOnly = "policies.yaml"
)

// Archive is what a txtar archive holds besides its cases.
type Archive struct {
	// Config is the text of its configuration, with as many empty lines before it as
	// make its lines those of the archive.
	Config []byte
	// Whole says that the configuration is a whole one. Else it has policies alone.
	Whole bool

	files []txtar.File
}

// Unpack writes the other files of the archive into dir, which must be there: those
// that policies name relative to the archive. It writes nowhere else.
func (a *Archive) Unpack(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, f := range a.files {
		name := filepath.FromSlash(f.Name)
		if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := root.WriteFile(name, f.Data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// archive reads an archive into file.
func (r *reader) archive(file *File, text []byte, now time.Time) {
	if len(text) > MaxFile {
		r.fault(nil, "", "the file is larger than 1 MiB", "split it up")
		return
	}
	all := txtar.Parse(text)
	file.Archive, file.Config = &Archive{}, file.Name
	cases, seen, folders := false, map[string]bool{}, map[string]bool{}
	line := bytes.Count(all.Comment, []byte("\n"))
	for _, f := range all.Files {
		line++ // of the marker
		marker := line
		line += bytes.Count(f.Data, []byte("\n"))
		padded := append(bytes.Repeat([]byte("\n"), marker), f.Data...)

		name := f.Name
		inFile := false
		for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
			folders[dir] = true
			inFile = inFile || seen[dir]
		}
		switch {
		case !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name || strings.ContainsFunc(name, unicode.IsControl):
			r.inArchive(marker, excerpt(name)+" is not the name of a file in the archive", "write a relative name, such as admins.txt or lists/admins.txt")
		case seen[name]:
			r.inArchive(marker, excerpt(name)+" is in the archive twice", "keep one of them")
		case inFile || folders[name]:
			r.inArchive(marker, excerpt(name)+" is a file here and a folder elsewhere in the archive", "choose another name")
		case name == wholeConfig || name == policiesOnly:
			if file.Archive.Config != nil {
				r.inArchive(marker, "a second configuration begins here", "keep config.yaml or policies.yaml")
			}
			file.Archive.Config, file.Archive.Whole = padded, name == wholeConfig
		case strings.HasSuffix(name, casesSuffix):
			cases = true
			if root := r.document(padded); root != nil {
				r.root(file, root, now)
			}
		default:
			file.Archive.files = append(file.Archive.files, f)
		}
		seen[name] = true
	}
	if !cases {
		r.fault(nil, "", "the archive has no cases", "add a file that ends in cases.yaml, after a line such as -- cases.yaml --")
	}
	if file.Archive.Config == nil {
		r.fault(nil, "", "the archive has no policies", fmt.Sprintf("add %s with the policies alone, or a whole %s", policiesOnly, wholeConfig))
	}
}

func (r *reader) inArchive(line int, problem, fix string) {
	r.add(Fault{File: r.file, Line: line, Problem: problem, Fix: fix})
}
