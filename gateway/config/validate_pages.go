package config

import (
	"fmt"
	"regexp"
	"unicode/utf8"
)

const (
	maxLogo     = 64 << 10 // it is a part of every page
	maxPageName = 60       // characters
)

var pageColor = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// pages checks what pages are made of. Whether the logo is a picture is seen when
// the gateway is built.
func (k *checker) pages() {
	const at = "pages"
	p := k.Pages
	switch {
	case p.Name == "":
		k.missing(at+".name", "is empty", "write what people call this site, or remove it")
	case !isPlainText(p.Name) || utf8.RuneCountInString(p.Name) > maxPageName:
		k.fault(at+".name", fmt.Sprintf("%q is not a short line of text", shorten(p.Name)), fmt.Sprintf("write at most %d characters", maxPageName))
	}
	if p.Color != "" && !pageColor.MatchString(p.Color) {
		k.fault(at+".color", fmt.Sprintf("%q is not a colour", shorten(p.Color)), `write it as "#0f6b5b", with quotes`)
	}
	if p.LogoFile == "" {
		return
	}
	if _, problem := readFile(k.FileName(p.LogoFile), maxLogo); problem != "" {
		k.fault(at+".logo_file", fmt.Sprintf("the file %q %s", shorten(p.LogoFile), problem), "name an SVG, PNG, JPEG, WebP or GIF file of at most 64 KiB")
	}
}
