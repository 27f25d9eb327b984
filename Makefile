# Two commands do all the set-up: `make demo` and `make test`. Both can be repeated.
.PHONY: demo test test-tools check bench setup generate clean

# Node.js of set-up's own, where the machine has none or one that is too old.
export PATH := $(CURDIR)/.setup/node/bin:$(PATH)

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E env PATH=$(PATH))

demo: setup
	$(SUDO) node dist/cli/main.js demo

test: setup test-tools check
	$(SUDO) npx vitest run

test-tools: setup
	@scripts/setup.sh --tests

check: setup
	npm run --silent check

# Speed, as ratios in one run against named baselines; wants an idle machine.
bench: setup
	$(SUDO) npx tsx bench/xdp.ts
	$(SUDO) npx tsx bench/bmv2.ts

# Files that are made from definitions in src/.
generate: setup
	npm run --silent generate

setup:
	@scripts/setup.sh

clean:
	rm -rf dist node_modules
