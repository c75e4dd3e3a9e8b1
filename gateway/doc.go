// Package gateway is Sallyport put together: it builds every part from the
// configuration, listens, and shuts down.
//
// One request takes one straight line:
//
//	listener
//	  -> handler.go      knows nothing of authentication: recover, request id,
//	                     client address, the event and its metrics; then the
//	                     gateway's own endpoints, else the front end
//	  -> proxy           the front end: asks the guard, writes the answer
//	  -> guard.Decide    1 match the route    2 take the credential
//	                     3 prove it           4 ask the policy    5 answer
//	  -> guard.Verdict   strips what could pass for the gateway's word and every
//	                     credential, then sets the identity headers
//	  -> httputil.ReverseProxy, with Rewrite
//	  -> upstream.Pool   one of the addresses of the application
//	  <- guard.Verdict   strips the answer of what is not the application's to
//	                     say, and has its shield harden the rest
//
// Where another proxy forwards, forwardauth is the front end: it rebuilds the
// request that the proxy asks about, asks the guard the same question, and answers
// with the headers that the proxy has to set. Envoy asks extauthz the same by gRPC,
// at a listener of its own.
//
// Authentication is that one function, shared by every front end; it is not
// middleware. Errors travel back as values and become answers in one place,
// httperr.Edge. What is learnt about a request on the way is written into its
// telemetry.Event and logged once.
//
// build.go is the only file that names every concrete type. To see what talks
// to what, read it from top to bottom.
package gateway
