package pages

// LoopText is the wording of the page that stops a sign-in which turns in circles.
type LoopText struct {
	Title          string
	Lost           string // the cookie did not come back
	Unknown        string // it came back, and nobody knows it
	Bounced        string // no cookie is at fault
	Cookie, Host   string
	Why            string
	Domain         string
	PlainHTTP      string
	Frame          string
	Blocked        string
	Clock          string
	UnknownSession string
	Provider       string
	Again          string
}

// ResubmitText is the wording of the page after a form came without a session,
// and of the one on which it is sent after all.
type ResubmitText struct {
	Title, Lead, Advice                 string
	SignIn, Send                        string
	KeptLead, KeptAdvice, SignInAndSend string
	ReadyTitle, ReadyLead               string
}

// DoneText is the wording of the page at the end of a sign-in in another tab.
type DoneText struct{ Title, Who, Lead, Start string }

func englishLoop() LoopText {
	return LoopText{
		Title:          "Signing in goes round in circles",
		Lost:           "Your browser came back from the sign-in without a cookie that it was given just before. It was stopped here, because it would go on like this.",
		Unknown:        "You signed in, and your browser came back with the cookie, but this gateway does not know the session in it. It was stopped here, because it would go on like this.",
		Bounced:        "The sign-in service keeps sending your browser back without signing you in. It was stopped here, because it would go on like this.",
		Cookie:         "Cookie",
		Host:           "Host",
		Why:            "Why that may be",
		Domain:         "The cookie is set for a domain that does not cover this host (cookie.domain in the gateway’s configuration). The people who run this site have to change that.",
		PlainHTTP:      "The address begins with http://, and the cookie is for https:// only (it is Secure). Open the page with https://, or ask the people who run this site to correct its public_url.",
		Frame:          "The page is inside a frame of another site, and your browser keeps no cookies there. Open it in a tab of its own.",
		Blocked:        "Your browser, or an extension, blocks or deletes the cookies of this site. Allow them for this site, then try again.",
		Clock:          "The clock of this computer, or of the server, is wrong, so that the cookie ends before it begins.",
		UnknownSession: "Several gateways answer here that do not share their sessions or keys. The people who run this site have to give them one store and the same keys.",
		Provider:       "The sign-in service sends people to the wrong address after they have signed in. The people who run this site have to correct the redirect URI there.",
		Again:          "Try again",
	}
}

func englishResubmit() ResubmitText {
	return ResubmitText{
		Title:         "Your session has ended",
		Lead:          "What you sent has not been delivered, because you are no longer signed in. It is kept on this page.",
		Advice:        "Sign in from a new tab. Then come back to this one and send it again. Do not close or reload this page before.",
		SignIn:        "Open sign-in in a new tab",
		Send:          "Send it now",
		KeptLead:      "What you sent has not been delivered, because you are no longer signed in. It is kept for ten minutes.",
		KeptAdvice:    "Sign in, and you can send it with one click.",
		SignInAndSend: "Sign in, then send it",
		ReadyTitle:    "You are signed in again",
		ReadyLead:     "What you had sent is waiting. It is sent once, and only if you say so here.",
	}
}

func englishDone() DoneText {
	return DoneText{
		Title: "You are signed in",
		Who:   "Signed in as",
		Lead:  "Close this tab and go back to the other one: it works again.",
		Start: "Go to the start page",
	}
}
