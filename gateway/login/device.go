package login

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/sallyport/sallyport/gateway/session"
)

// maxUserAgent is how much of a User-Agent is looked at, in bytes.
const maxUserAgent = 512

// client is from where a request comes, as a session keeps it. Of the User-Agent
// it takes a word for the browser and one for the system out of closed lists:
// enough to know one's own devices by, and nothing that tells one person of many.
func (s *Service) client(r *http.Request) session.Client {
	browser, system := deviceWords(r.UserAgent())
	address, err := netip.ParseAddr(s.clientAddr(r))
	if err != nil {
		address = netip.Addr{} // a unix socket has none
	}
	return session.NewClient(browser, system, address)
}

// deviceWords reads a User-Agent. The order counts: browsers name those that
// they want to be taken for, and systems those that they came from.
func deviceWords(agent string) (browser, system string) {
	agent = agent[:min(len(agent), maxUserAgent)]
	return firstWord(agent, []wordMark{
			{"Edg", "Edge"},
			{"OPR/", "Opera"},
			{"SamsungBrowser/", "Samsung"},
			{"Whale/", "Whale"},
			{"KAKAOTALK", "Kakao"},
			{"NAVER(", "Naver"},
			{"Firefox/", "Firefox"},
			{"FxiOS/", "Firefox"},
			{"CriOS/", "Chrome"},
			{"Chrome/", "Chrome"},
			{"Safari/", "Safari"},
			{"curl/", "curl"},
			{"Wget/", "Wget"},
			{"python", "Python"},
			{"Go-http-client", "Go"},
			{"Java/", "Java"},
			{"okhttp", "OkHttp"},
		}), firstWord(agent, []wordMark{
			{"Windows", "Windows"},
			{"iPhone", "iPhone"},
			{"iPad", "iPad"},
			{"Android", "Android"},
			{"CrOS", "ChromeOS"},
			{"Macintosh", "macOS"},
			{"Mac OS X", "macOS"},
			{"Linux", "Linux"},
			{"X11", "Unix"},
		})
}

type wordMark struct{ mark, word string }

func firstWord(agent string, marks []wordMark) string {
	for _, m := range marks {
		if strings.Contains(agent, m.mark) {
			return m.word
		}
	}
	return ""
}

// deviceName is a device for programs.
func deviceName(c session.Client) string {
	browser, system := c.Browser(), c.System()
	if browser != "" && system != "" {
		return browser + " on " + system
	}
	return browser + system
}
