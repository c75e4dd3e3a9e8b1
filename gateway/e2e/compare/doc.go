//go:build e2e && linux

// Package compare measures whole proxies beside one another, each a process of its
// own: what a request costs in CPU time, how long it takes, and what it allocates.
// The reverse proxy of the standard library is the measure, since absolute times
// differ from machine to machine while ratios within one run hold.
//
// The proxies share one core and get it in turns, round after round, so that what
// else the machine does hits all of them alike. Clients and application have
// another core to themselves. CPU time is what the operating system counted for the
// processes of a proxy, divided by the requests they answered.
package compare
