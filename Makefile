# `make help` lists what can be made.

GO        ?= go
TOOL       = $(GO) tool -modfile=$(CURDIR)/tools/go.mod
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BUILD      = CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
BENCH      = $(GO) build -C bench -o $(CURDIR)/bin/bench . && bin/bench
FUZZTIME  ?= 10s
# The product, and what only its developers need: each is a module.
MODULES    = . test bench

# What the tests use, as command:Debian package.
PROGRAMS   = git:git gcc:gcc /usr/include/stdio.h:libc6-dev nginx:nginx-core /usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream \
             curl:curl wrk:wrk redis-server:redis-server redis-cli:redis-tools haproxy:haproxy pen:pen \
             dnsmasq:dnsmasq-base unbound:unbound dnsperf:dnsperf dig:bind9-dnsutils ip:iproute2 /usr/sbin/nft:nftables \
             mandoc:mandoc fish:fish zsh:zsh /usr/share/zoneinfo/Europe/Helsinki:tzdata \
             /usr/lib/postgresql/*/bin/initdb:postgresql openssl:openssl gnutls-cli:gnutls-bin \
             apache2:apache2-bin sslscan:sslscan testssl:testssl.sh /usr/lib/postfix/sbin/master:postfix \
             mariadbd:mariadb-server-core my_print_defaults:mariadb-client-core /usr/sbin/slapd:slapd

# What Pen is built for beside the machine that builds it.
PLATFORMS ?= darwin/arm64 freebsd/amd64 openbsd/amd64 linux/386 linux/arm linux/arm64

# Where install puts things; DESTDIR is for packagers.
PREFIX    ?= /usr/local
TO         = $(DESTDIR)$(PREFIX)
INSTALLED  = $(filter-out pendemo,$(notdir $(wildcard cmd/*)))
MAN1       = $(notdir $(wildcard packaging/man/*.1))
MAN5       = $(notdir $(wildcard packaging/man/*.5))
BASHDIR    = share/bash-completion/completions
FISHDIR    = share/fish/vendor_completions.d
ZSHDIR     = share/zsh/site-functions

# What is run where an int has 32 bits, on amd64: records, counts, and how connections go.
ON32BITS   = -short -run 'TestRecord|TestWheel|TestPlane/(status|integrity|slow|the_client|the_server|failover|idle|a_server|kill)'

.PHONY: help build run generate unit test lint platforms need faults fuzz bench install uninstall clean

.DEFAULT_GOAL := build

help: ## this list
	@awk -F ':.*## ' '/^## /{printf "\n%s\n", substr($$0, 4)} /^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

## Use

build: ## the programs, in bin/
	$(BUILD) -o bin/ ./cmd/...

run: build ## Pen on 127.0.0.1:8080 in front of three small web servers; ARGS="-listen :9090" if that port is taken
	@bin/pendemo -pen bin/pen $(ARGS)

install: build ## programs, manual pages and completions, below $(DESTDIR)$(PREFIX)
	install -d $(addprefix $(TO)/,bin share/man/man1 share/man/man5 $(BASHDIR) $(FISHDIR) $(ZSHDIR))
	install $(addprefix bin/,$(INSTALLED)) $(TO)/bin
	install -m 644 $(addprefix packaging/man/,$(MAN1)) $(TO)/share/man/man1
	install -m 644 $(addprefix packaging/man/,$(MAN5)) $(TO)/share/man/man5
	install -m 644 packaging/completions/pen.bash $(TO)/$(BASHDIR)/pen
	install -m 644 packaging/completions/pen.fish $(TO)/$(FISHDIR)/pen.fish
	install -m 644 packaging/completions/pen.zsh $(TO)/$(ZSHDIR)/_pen
	ln -sf pen $(TO)/$(BASHDIR)/penctl
	ln -sf pen.fish $(TO)/$(FISHDIR)/penctl.fish

uninstall: ## removes what install has put there; folders stay
	rm -f $(addprefix $(TO)/bin/,$(INSTALLED)) \
	      $(addprefix $(TO)/share/man/man1/,$(MAN1)) $(addprefix $(TO)/share/man/man5/,$(MAN5)) \
	      $(addprefix $(TO)/$(BASHDIR)/,pen penctl) $(addprefix $(TO)/$(FISHDIR)/,pen.fish penctl.fish) $(TO)/$(ZSHDIR)/_pen

## Change

generate: ## writes generated files anew: docs/commands.md, lists in manual pages, completions, docs/imports.svg
	$(GO) generate ./...

unit: ## the tests that need neither root nor other programs than Go
	$(GO) test -skip 'AsRoot$$' ./...

test: need build lint ## all tests, as root; five to ten minutes
	$(GO) test -race -timeout 15m ./...
	$(GO) test -C test -race -timeout 15m ./...
	$(GO) test -C bench ./...
	$(GO) test -run '^$$' -bench . -benchtime 1x ./internal/... >/dev/null
	GOARCH=386 CGO_ENABLED=0 $(GO) test $(ON32BITS) ./internal/plane/loop ./internal/plane/stream
	$(BENCH) -quick -pen bin/pen

lint: ## format, vet, staticcheck
	@out=$$($(TOOL) gofumpt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofumpt would change: $$out"; exit 1; fi
	@for m in $(MODULES); do (cd $$m && $(GO) vet ./... && $(TOOL) staticcheck ./...) || exit 1; done

platforms: ## programs and tests build for PLATFORMS; what counts and parses is tested with 32 bits
	@for p in $(PLATFORMS); do echo "$$p"; export CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/}; \
		$(GO) build -o /dev/null ./cmd/... || exit 1; \
		for m in $(MODULES); do [ $$m = bench -a $$GOOS != linux ] || $(GO) vet -C $$m ./... || exit 1; done; done # bench is for Linux
	CGO_ENABLED=0 GOARCH=386 $(GO) test ./internal/dispatch ./internal/wire

need: ## the programs that tests use; names what is missing, and as root on Debian installs it
	@scripts/need $(PROGRAMS)

## Measure and search, for longer

bench: need build ## the figures of bench/README.md; some twenty minutes; ARGS are flags, such as "-before FILE"
	$(BENCH) -pen bin/pen $(ARGS)

faults: need ## the slow tests of failures, in full; some twenty minutes
	$(GO) test -C test -race -timeout 30m -run 'TestDNSServerKilled|TestReloadUnderLoad|TestScripts/.*/(failover|reload)' -count 5 ./faults ./scale ./script
	$(GO) test -C test -race -timeout 30m -run 'TestFaultyServers|TestPenStopped' -thorough -stopped 30s -v ./faults
	$(GO) test -C test -timeout 30m -run TestTLSScan -scan -v ./hardening
	$(GO) test -C test -timeout 30m -run 'TestManyClients|TestRestoredClients' -clients 1000000 -v ./scale

# Go minimises every input whose coverage varies, for a minute each unless it is
# told otherwise: with crypto/tls in a target nothing else would be done.
fuzz: ## each fuzz target for FUZZTIME
	@for file in $$(git grep -l '^func Fuzz' -- '*_test.go'); do for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' $$file); do \
		dir=$$(dirname $$file); echo "$$dir $$name"; \
		(cd $$dir && $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x .) || exit 1; done; done

clean: ## removes bin/
	rm -rf bin
