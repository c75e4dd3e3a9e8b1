package pages

// SignOutText is the wording of the pages about what a sign-out leaves behind,
// and about a user's own sessions.
type SignOutText struct {
	Still, StillAdvice string // the provider's own session may go on
	Continue           string // to where the sign-out should lead

	Sessions SessionsText
	TooMany  TooManyText
}

// SessionsText is the wording of the list of sessions.
type SessionsText struct {
	Title, Lead, This      string
	On, UnknownDevice      string // browser and system
	Address, Began, Used   string
	Provider               string
	End, EndThis           string
	EndOthers, EndAll      string
	EndOthersNote, OnlyOne string
}

// TooManyText is the wording of the page for a user who has as many sessions as
// he may.
type TooManyText struct{ Title, Lead, Advice, Submit string }

func englishSignOut() SignOutText {
	return SignOutText{
		Still:       "%s could not be told. You may still be signed in there, and then signing in here again asks for no password.",
		StillAdvice: "On a shared computer, sign out there as well, or close the browser.",
		Continue:    "Continue",
		Sessions: SessionsText{
			Title:         "Where you are signed in",
			Lead:          "Each of these is a browser that can act as you. End every one that you do not know.",
			This:          "This browser",
			On:            "%s on %s",
			UnknownDevice: "Unknown device",
			Address:       "Address",
			Began:         "Signed in",
			Used:          "Last used",
			Provider:      "Signed in with",
			End:           "Sign it out",
			EndThis:       "Sign out here",
			EndOthers:     "Sign out all others",
			EndAll:        "Sign out everywhere",
			EndOthersNote: "They end at once, in every application behind this gateway.",
			OnlyOne:       "You are signed in nowhere else.",
		},
		TooMany: TooManyText{
			Title:  "You are signed in too often",
			Lead:   "You have as many sessions as this site allows for one person, so there is no room for another.",
			Advice: "Sign out in another browser and try again. If you can’t reach one, end them all from here; then you sign in again.",
			Submit: "Sign out everywhere else",
		},
	}
}
