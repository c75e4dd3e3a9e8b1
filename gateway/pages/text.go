package pages

// Text is every sentence that the pages say, in one language. A percent sign
// stands for a value that the page fills in.
type Text struct {
	Lang string // BCP 47

	Login     LoginText
	Logout    LogoutText
	SignedOut SignedOutText
	Onward    OnwardText
	Loop      LoopText
	Resubmit  ResubmitText
	Done      DoneText
	Error     ErrorTexts
}

// LoginText is the wording of the sign-in page.
type LoginText struct {
	Title, FailedTitle  string
	Host                string // which host asks
	Failed              string
	With                string // the button of a provider
	Or                  string
	Username, Password  string
	Submit              string
	PickLabel, PickNote string
	None, NoneAdvice    string
}

// LogoutText is the wording of the page before a sign-out.
type LogoutText struct{ Title, Who, Lead, Submit, Cancel string }

// SignedOutText is the wording of the page after a sign-out.
type SignedOutText struct{ Title, Lead, Again string }

// OnwardText is the wording of the page that leads to another site.
type OnwardText struct{ Title, Lead, Go string }

// ErrorTexts is the wording of the error pages.
type ErrorTexts struct {
	ByCode                       map[int]ErrorText
	Client, Server               ErrorText // any other code of 4xx, of 5xx
	SessionEnded                 ErrorText // 401 to a form
	SignInFailed                 ErrorText // 400 or 403 while signing in
	Who, Host                    string
	SwitchAccount, SignOut       string
	SignIn, SignInNewTab         string
	Again, Start, Wait, WaitABit string
	Details, Request             string
	Status, Reason               string
}

// ErrorText is one error in plain words: a heading, what happened (where the
// error itself does not say), and what to do.
type ErrorText struct{ Title, Lead, Advice string }

func (t *ErrorTexts) about(code int) ErrorText {
	if e, ok := t.ByCode[code]; ok {
		return e
	}
	if code >= 500 {
		return t.Server
	}
	return t.Client
}

func english() *Text {
	return &Text{
		Lang: "en",
		Login: LoginText{
			Title:       "Sign in",
			FailedTitle: "Sign-in refused",
			Host:        "to continue to",
			Failed:      "That did not work. Check the user name and the password, then try again.",
			With:        "Continue with %s",
			Or:          "or",
			Username:    "User name",
			Password:    "Password",
			Submit:      "Sign in",
			PickLabel:   "Choose who to be",
			PickNote:    "These are test identities. Anyone who can open this page can be any of them.",
			None:        "There is no way to sign in here yet.",
			NoneAdvice:  "The people who run this site have to set one up.",
		},
		Logout: LogoutText{
			Title:  "Sign out?",
			Who:    "Signed in as",
			Lead:   "This ends your session for every application behind this gateway.",
			Submit: "Sign out",
			Cancel: "Stay signed in",
		},
		SignedOut: SignedOutText{
			Title: "You are signed out",
			Lead:  "Your session is over. On a shared computer, close the browser as well.",
			Again: "Sign in again",
		},
		Onward: OnwardText{
			Title: "One moment",
			Lead:  "Taking you to",
			Go:    "Go there now",
		},
		Loop:     englishLoop(),
		Resubmit: englishResubmit(),
		Done:     englishDone(),
		Error: ErrorTexts{
			ByCode: englishErrors(),
			Client: ErrorText{
				Title:  "That request was refused",
				Lead:   "The request could not be answered as it was sent.",
				Advice: "Go back and try again. If it happens again, pass the request ID below to support.",
			},
			Server: ErrorText{
				Title:  "Something broke",
				Lead:   "Something went wrong on our side.",
				Advice: "Try again in a moment. If it happens again, pass the request ID below to support.",
			},
			SessionEnded: ErrorText{
				Title:  "Your session has ended",
				Lead:   "What you sent has not been delivered, because you are no longer signed in.",
				Advice: "Sign in from a new tab. Then come back to this one, go one page back and send the form again.",
			},
			SignInFailed: ErrorText{
				Title:  "Sign-in did not work",
				Lead:   "Something was missing, or too old, in what came back from the sign-in.",
				Advice: "Start again from the application. If that does not help, check that your browser accepts cookies from this site.",
			},
			Who:           "Signed in as",
			Host:          "Host asked for",
			SwitchAccount: "Use another account",
			SignOut:       "Sign out",
			SignIn:        "Sign in",
			SignInNewTab:  "Open sign-in in a new tab",
			Again:         "Try again",
			Start:         "Go to the start page",
			Wait:          "Try again in %d\u00a0s.",
			WaitABit:      "Try again in a moment.",
			Details:       "Details for support",
			Request:       "Request ID",
			Status:        "Status",
			Reason:        "Reason",
		},
	}
}

func englishErrors() map[int]ErrorText {
	return map[int]ErrorText{
		400: {
			Title:  "That request was not understood",
			Lead:   "The address or the data sent with it is not in a form that this site accepts.",
			Advice: "Check the address, or go back and try again.",
		},
		401: {
			Title: "Sign in to continue",
			Lead:  "This page is only for people who are signed in.",
		},
		403: {
			Title:  "You can’t open this page",
			Lead:   "Your account does not have access to it.",
			Advice: "If you have another account, use that one. If you should have access, ask the people who run this application and give them the request ID below.",
		},
		404: {
			Title:  "There is nothing here",
			Lead:   "No page exists at this address.",
			Advice: "Check the address for a typing mistake.",
		},
		405: {
			Title:  "That does not work here",
			Lead:   "This address does not accept this kind of request.",
			Advice: "Go back and follow a link, or start again from the start page.",
		},
		413: {
			Title:  "That is too large",
			Lead:   "What you sent is larger than this site accepts.",
			Advice: "Go back and send something smaller.",
		},
		421: {
			Title:  "This host is not served here",
			Lead:   "The request arrived, but no site of that name lives behind this gateway.",
			Advice: "Check the name in the address bar.",
		},
		429: {
			Title: "Too many requests",
			Lead:  "More requests came from you in a short time than this site accepts.",
		},
		431: {
			Title:  "Your browser sent too much",
			Lead:   "The headers of the request, most likely its cookies, are larger than this site accepts.",
			Advice: "Delete the cookies of this site in your browser, then try again.",
		},
		500: {
			Title:  "Something broke",
			Lead:   "Something went wrong on our side.",
			Advice: "Try again in a moment. If it happens again, pass the request ID below to support.",
		},
		502: {
			Title:  "The application is not answering",
			Lead:   "The sign-in gateway works, but the application behind it could not be reached.",
			Advice: "Try again in a moment. Your sign-in is not affected.",
		},
		503: {
			Title:  "Unavailable for the moment",
			Lead:   "A service that is needed to answer you cannot be reached right now.",
			Advice: "You have not been signed out.",
		},
		504: {
			Title:  "The application is too slow",
			Lead:   "The application behind the gateway did not answer in time.",
			Advice: "Try again in a moment. What you sent may have arrived all the same, so check before you send it twice.",
		},
	}
}
