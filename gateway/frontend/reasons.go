package frontend

// ReasonHeader carries the reason of a refusal to a proxy that asks.
const ReasonHeader = "Sallyport-Reason"

// Reasons of refusals, besides those of the guard: to proxies that ask, and of a
// request for a route about which they only ask.
const (
	ReasonCheckOnly = "check_only"
	ReasonUntrusted = "untrusted_proxy"
	ReasonOriginal  = "bad_original_request"
)
