package cost

import (
	"encoding/json"
	"io"
)

// Report is what was measured, and what was assumed.
type Report struct {
	Machine Machine `json:"machine"`
	Assumed Assumed `json:"assumed"`
	Rows    []Row   `json:"rows"` // in the order of the subjects
}

// Machine says where it was measured.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// Assumed is what was not measured.
type Assumed struct {
	RequestsPerDay        int64   `json:"requests_per_day"`
	DaysPerMonth          int     `json:"days_per_month"`
	PricePerGB            float64 `json:"price_per_gb"`
	TokenLifetimeSeconds  float64 `json:"token_lifetime_seconds"`
	RequestsPerConnection int     `json:"requests_per_connection"`
	Rounds                int     `json:"rounds"`
	RoundSeconds          float64 `json:"round_seconds"`
	Clock                 string  `json:"clock"`
}

// Row is one credential.
type Row struct {
	Credential string     `json:"credential"`
	Claims     string     `json:"claims"`
	Bytes      Bytes      `json:"bytes"`
	CPU        CPU        `json:"cpu_nanoseconds"`
	Lookups    Lookups    `json:"lookups"`
	Revocation Revocation `json:"revocation"`
	Month      Month      `json:"dollars_per_month"`
}

// CPU is the median for one validation, in nanoseconds.
type CPU struct {
	Cold   float64 `json:"cold"`
	Cached float64 `json:"cached"`
}

// Lookups is how often a session store is asked for one request, with a live
// credential, one that has ended, and a forged one.
type Lookups struct {
	Hit    int64 `json:"hit"`
	Miss   int64 `json:"miss"`
	Forged int64 `json:"forged"`
}

// Revocation is how long a credential that was taken back is still accepted.
type Revocation struct {
	Seconds float64 `json:"seconds"` // at another gateway, as measured in this process
	// Elsewhere is how long, at the most, by whoever verifies it and is told of no
	// revocations: until it expires. 0 for what nobody else can verify.
	Elsewhere float64 `json:"elsewhere_seconds,omitzero"`
}

// Month is the price of carrying the credential, in dollars a month.
type Month struct {
	HTTP1 float64 `json:"http1"`
	HTTP2 float64 `json:"http2"`
}

// label names a row.
func (r *Row) label() string { return r.Credential + ", " + r.Claims }

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
