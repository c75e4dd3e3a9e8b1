// Package ingress runs the files of deploy/ as they stand: nginx, Caddy and HAProxy
// ask the gateway about every request that they have for an application, with a real
// browser and programs before them. Traefik is replayed from its configuration. Its
// tests have the build tag e2e and need what `make test` installs.
package ingress
