package frontend

// ReasonHeader carries the reason of a refusal to a proxy that asks.
const ReasonHeader = "Sallyport-Reason"

// Reasons of refusals to proxies that ask, besides those of the guard.
const (
	ReasonUntrusted = "untrusted_proxy"
	ReasonOriginal  = "bad_original_request"
)
