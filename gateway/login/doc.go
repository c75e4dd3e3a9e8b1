// Package login owns how a person gets a session and gives it up: the sign-in
// page, the redirect to a provider and back (OpenID Connect Core 1.0, RFC 6749,
// RFC 9700), local accounts, development identities, the sign-out, and what
// /.auth/me says. One way to sign in is one file that implements provider and
// either redirector or passwords.
//
// A sign-in by redirect goes
//
//	GET login -> state sealed, its nonce into the login cookie -> 302 provider
//	GET callback -> state, cookie, provider, error, iss -> redeem the code
//	             -> prove the ID token -> userinfo -> session -> 302 return_to
//
// A load of the login URL by a browser gets a page in place of the first 302,
// which keeps the fragment; a callback that belongs to no attempt goes where it
// wanted, or begins again, once (stray.go); and a browser that does not keep its
// cookies is stopped with a page (loop.go).
//
// Nothing is kept on the server between the two: the state carries everything,
// sealed, and the nonce in the cookie says which browser it belongs to.
//
// How sessions are kept is session's business, how tokens are proven that of
// jose and jwks, how pages look that of pages. Who may do what is policy's.
package login
