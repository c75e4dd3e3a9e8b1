# Every target is a line or two. `make test` is all that a newcomer needs.
GO       ?= go
TOOLS    := $(CURDIR)/.tools
LINT     := golangci-lint@v2.15.0
GOFUMPT  := gofumpt@v0.12.0
FUZZTIME ?= 60s
# The race detector lets every program wait for a second before it ends.
export GORACE ?= atexit_sleep_ms=0

.PHONY: run test unit e2e test-long bench bench-compare fuzz lint fmt tools

run: ## run the gateway with config.yaml
	$(GO) run ./cmd/sallyport

test: ## install what is missing, then run every test
	.ci/deps
	$(MAKE) --no-print-directory unit e2e

unit: ## unit, property and command line tests
	$(GO) mod verify
	$(GO) vet -tags e2e ./...
	$(GO) test -race -count=1 -parallel 4 ./...

e2e: export SALLYPORT_E2E_BINARY := $(TOOLS)/sallyport
e2e: ## end-to-end tests with a real browser, provider, application and Valkey
	$(GO) build -o $(SALLYPORT_E2E_BINARY) ./cmd/sallyport
	$(GO) test -race -count=1 -p 1 -parallel 4 -timeout 15m -tags e2e ./gateway/e2e ./gateway/e2e/env
	$(GO) test -race -count=1 -parallel 6 -timeout 10m -tags e2e ./gateway/session/valkeystore
	$(GO) test -count=1 -p 2 -timeout 5m -tags e2e ./gateway/e2e/carry ./gateway/e2e/compare ./gateway/e2e/packaging ./gateway/e2e/ingress
	$(GO) test -count=1 -tags e2e -run 'NearCache|Alloc' ./gateway ./gateway/echo
	cd gateway/e2e/kubernetes && $(GO) test -count=1 -vet=off -timeout 10m ./...

test-long: fuzz ## fuzz every target for FUZZTIME, load, list and end a million sessions, break everything under the store, stream for ten minutes, five of load by way of each proxy, Rails and Next behind sallyport dev
	LONG=1 .ci/deps
	$(GO) test -count=1 -v -timeout 30m -tags 'e2e long' -run 'TestAMillion|TestChaos' ./gateway/session/valkeystore
	$(GO) test -count=1 -v -timeout 5m -tags long -run TestAHundredThousand ./gateway/session/embedded
	$(GO) test -count=1 -v -timeout 30m -tags 'e2e long' -parallel 8 -run 'TestStreamsLive|TestMinutes' ./gateway/e2e/carry
	$(GO) test -count=1 -v -timeout 15m -tags 'e2e long' -parallel 8 -run TestMinutes ./gateway/e2e/ingress
	$(GO) test -count=1 -v -timeout 10m -tags 'e2e long' -run 'TestRails|TestNext|TestTrusted' ./gateway/e2e

bench: ## benchmarks, some with a real Valkey (compare two runs with benchstat), then bench-compare
	.ci/deps
	$(GO) test -tags e2e -run '^$$' -bench . -benchmem ./...
	$(MAKE) --no-print-directory bench-compare

bench-compare: ## CPU of a request beside a bare ReverseProxy and nginx, some 5 minutes; COMPARE='-rounds 2 -seconds 1' is shorter
	$(GO) test -count=1 -v -timeout 30m -tags 'e2e bench' -run TestCompare ./gateway/e2e/compare $(COMPARE)

fuzz:
	@set -e; $(GO) list ./... | while read -r pkg; do \
	  $(GO) test -list '^Fuzz' "$$pkg" | { grep '^Fuzz' || true; } | while read -r target; do \
	    echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$$pkg"; \
	  done; done

lint: tools
	$(TOOLS)/golangci-lint run
	cd gateway/e2e/kubernetes && $(TOOLS)/golangci-lint run
	$(GO) mod tidy -diff
	cd gateway/e2e/kubernetes && $(GO) mod tidy -diff

fmt: tools
	$(TOOLS)/gofumpt -w cmd gateway policy

tools: $(TOOLS)/$(LINT) $(TOOLS)/$(GOFUMPT)

$(TOOLS)/$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/$(LINT) && touch $@

$(TOOLS)/$(GOFUMPT):
	GOBIN=$(TOOLS) $(GO) install mvdan.cc/$(GOFUMPT) && touch $@
