# Forwards to meson and to the scripts; README.md says what each word is for.
RELEASE = -Dstatic=true
SANITIZED = -Dtests=true -Dfaults=true -Dshared=false -Db_sanitize=address,undefined -Ddebug=true -Doptimization=1
FUZZ = -Dfuzz=true -Dshared=false -Ddebug=true -Doptimization=1
PREFIX = /usr/local

.PHONY: all run check soak bench lint fuzz breaks install clean docs build build-san build-fuzz

all: build

build:
	@tools/build build $(RELEASE)

build-san:
	@tools/build build-san $(SANITIZED)

build-fuzz:
	@if command -v clang >/dev/null; then CC=clang tools/build build-fuzz $(FUZZ); else echo "no clang: fuzzing is left out"; fi

run:
	@scripts/deps run
	@$(MAKE) --no-print-directory build
	@tools/demo build/stile

check:
	@scripts/deps check
	@$(MAKE) --no-print-directory build build-san build-fuzz
	@tools/check-layers
	@tools/check-sizes
	@tools/requirements --check --strict
	@tests/run

soak: build build-san build-fuzz
	@tests/run --share full

bench:
	@scripts/deps run
	@$(MAKE) --no-print-directory build
	@if tools/list bench | grep -q .; then tools/build build $(RELEASE) -- benches; fi
	@bench/run

fuzz: build-fuzz
	@tests/run --only 'fuzz/*' --share full

breaks: build-san
	@tools/breaks

lint:
	@tools/lint

docs:
	@tools/requirements
	@tools/build build $(RELEASE) -- stile
	@{ printf "# The states of a session\n\nMade from the table in \`src/core/session_state.c\` by \`make docs\`.\n\n"; build/stile help --states; } >docs/session-states.md

install: build
	@meson configure build --prefix $(PREFIX) && meson install -C build

clean:
	rm -rf build build-san build-fuzz build-clang
