// Package listener owns the addresses of a gateway: it opens them, bounds who may
// connect and how many, presents certificates that change while it runs, believes
// PROXY headers of the operator's own proxies, and ends it all without dropping what
// is under way. What is served at the addresses is the caller's.
package listener
