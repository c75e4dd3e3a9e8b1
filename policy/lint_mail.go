package policy

import (
	"slices"
	"strings"
)

// publicMailDomain knows the large services at which anybody can have an address.
// The list is short on purpose: it can't be complete, and a domain that is on it
// wrongly would be a false alarm for a whole company.
func publicMailDomain(domain string) bool {
	domain = strings.Map(foldASCII, domain)
	name, suffix, _ := strings.Cut(domain, ".")
	switch name {
	case "yahoo", "hotmail", "outlook", "live", "gmx", "yandex": // in many countries
		return countrySuffix(suffix)
	}
	return slices.Contains([]string{
		"gmail.com", "googlemail.com", // Google
		"msn.com",                                // Microsoft, beside outlook.*, hotmail.* and live.*
		"ymail.com", "rocketmail.com", "aol.com", // Yahoo, beside yahoo.*
		"icloud.com", "me.com", "mac.com", // Apple
		"proton.me", "protonmail.com", "pm.me", // Proton
		"tuta.com", "tutanota.com", "tutanota.de", // Tuta
		"web.de", "mail.com", // United Internet, beside gmx.*
		"mail.ru", "bk.ru", "inbox.ru", "list.ru", // VK
		"naver.com", "daum.net", "hanmail.net", "kakao.com", "nate.com", // South Korea
		"qq.com", "foxmail.com", "163.com", "126.com", "sina.com", // China
		"zoho.com", "zohomail.com", "fastmail.com",
	}, domain)
}

// countrySuffix is true of com, net, de, co.uk, com.br and the like.
func countrySuffix(s string) bool {
	first, country, second := strings.Cut(s, ".")
	if second {
		return (first == "co" || first == "com") && len(country) == 2
	}
	return first == "com" || first == "net" || len(first) == 2
}
