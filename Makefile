# fastgw. `make help` lists the targets; sources.mk says what the engine is made of.
include sources.mk

PY       := .venv/bin/python
JOBS     ?= $(shell nproc 2>/dev/null || echo 2)
LTO      ?= 1
CLANG    ?= clang
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 3600
HOOK_REQUESTS ?= 1000000
T        ?=
FUZZ     ?=
PYTEST_ARGS ?=
export JOBS CLANG

ifeq ($(origin CC),default)
CC := cc
endif
export CC
# One build at a time in a checkout; jobs of our own unless the caller brought a number.
LOCK     := $(if $(shell command -v flock),mkdir -p build && flock -o build/.lock)
SUB       = $(LOCK) $(MAKE) --no-print-directory --output-sync=target $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

sources   = $(sort $(wildcard src_c/$(1)/*.c))
SOURCES  := $(foreach l,$(FGW_LAYERS),$(call sources,$(l)))
HEADERS  := $(sort $(wildcard src_c/*/*.h src_c/*/*.def))
reverse   = $(if $(1),$(call reverse,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
upto      = $(if $(1),$(firstword $(1)) $(if $(filter $(2),$(firstword $(1))),,$(call upto,$(wordlist 2,$(words $(1)),$(1)),$(2))))

.PHONY: help run build test ctest tsan fuzz fuzz-replay pytest bench bench-compare bench-tls bench-grpc bench-limits soak soak-hooks lint fmt gen gen-check clean
.PHONY: compiled nothing bootstrap-run bootstrap-test FORCE

help: #? this list
	@sed -n 's/^\([a-z][a-z-]*\):.*#? \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

# ---------------------------------------------------------------- run and build

run: build #? bootstrap, build, then the demo: a gateway on 127.0.0.1:8080 before two upstreams of its own
	@exec .venv/bin/fastgw demo

build: #? bootstrap, then the engine, the extensions and a working .venv/bin/fastgw (LTO=0: quicker to link)
	@scripts/bootstrap run
	+@$(SUB) compiled

bootstrap-run:
	@scripts/bootstrap run
bootstrap-test:
	@scripts/bootstrap test
nothing:; @: # for a list of targets that may be empty
FORCE:

compiled: .venv/.fastgw-editable build/extensions.stamp

# $(1) a build's name, $(2) its compiler, $(3) its flags, $(4) its archiver:
# objects in build/$(1)/obj, one archive a layer in build/$(1).
define BUILD
build/$(1)/obj/%.o: src_c/%.c sources.mk
	@mkdir -p $$(@D)
	@echo "  $(1) $$<"
	@$(2) $$(FGW_STD) $(3) -MMD -MP -c -o $$@ $$<
$(foreach l,$(FGW_LAYERS),$(eval $(call ARCHIVE,$(1),$(l),$(4))))
build/$(1)/sources: FORCE
	@mkdir -p $$(@D)
	@echo '$$(SOURCES)' | cmp -s - $$@ || echo '$$(SOURCES)' >$$@
-include $$(patsubst src_c/%.c,build/$(1)/obj/%.d,$$(SOURCES))
endef
define ARCHIVE
build/$(1)/$(2).a: $(patsubst src_c/%.c,build/$(1)/obj/%.o,$(call sources,$(2))) build/$(1)/sources
	@rm -f $$@
	@$(3) rcs $$@ $$(filter %.o,$$^)
endef
# The archives of the layers up to $(2) in build $(1), highest first: what a test of layer $(2) may be linked with.
archives = $(foreach l,$(call reverse,$(call upto,$(FGW_LAYERS),$(2))),build/$(1)/$(l).a)

LTO_FLAGS := $(if $(filter 1,$(LTO)),$(FGW_LTO))
RELEASE   := release$(if $(LTO_FLAGS),,-nolto)
$(eval $(call BUILD,$(RELEASE),$(CC),$$(FGW_OPT) $$(LTO_FLAGS) -Wall -Wextra,gcc-ar))
$(eval $(call BUILD,asan,$(CC),$$(FGW_ASAN),ar))
$(eval $(call BUILD,tsan,$(CC),$$(FGW_TSAN),ar))
$(eval $(call BUILD,fuzz,$(CLANG),$$(FGW_FUZZ),ar))
$(eval $(call BUILD,lint-gcc,$(CC),-O2 $$(FGW_WARN) -Werror,ar))
$(eval $(call BUILD,lint-clang,$(CLANG),-O2 $$(FGW_WARN_CLANG) -Werror,ar))
objects = $(patsubst src_c/%.c,build/$(1)/obj/%.o,$(SOURCES))

# Written beside and moved, so that a running gateway keeps the library it has mapped.
fastgw/_libfgw.so: $(call objects,$(RELEASE)) build/$(RELEASE)/sources src_c/exports.map
	@echo "  link $@"
	@$(CC) $(FGW_OPT) $(LTO_FLAGS) $(FGW_LINK) -o build/_libfgw.so $(filter %.o,$^) $$(scripts/libs)
	@mv -f build/_libfgw.so $@

PYX      := $(wildcard fastgw/_*.pyx)
build/extensions.stamp: setup.py $(PYX) $(wildcard fastgw/_*.pxd fastgw/_c/*.pxd fastgw/_*_build.py) $(HEADERS) | fastgw/_libfgw.so
	+@echo "  extensions: Cython and the C compiler, up to some minutes the first time"
	@FGW_LIB=fastgw/_libfgw.so $(PY) setup.py --quiet build_ext --inplace --parallel $(JOBS)
	@touch $@

.venv/.fastgw-editable: pyproject.toml setup.py | build/extensions.stamp
	@FGW_BUILT=1 PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# ---------------------------------------------------------------- tests

test: #? bootstrap, build and run everything: C tests, fuzz corpora, Python tests; the totals come last
	@scripts/bootstrap test
	+@$(SUB) compiled
	@scripts/run-tests ctest fuzz-replay pytest

TESTS    := $(sort $(wildcard tests/c/*/test_*.c))
ifneq ($(T),)
TESTS    := $(foreach t,$(TESTS),$(if $(findstring $(T),$(t)),$(t)))
endif
layer_of  = $(firstword $(subst /, ,$(patsubst tests/c/%,%,$(1))))
# $(1) build, $(2) compiler, $(3) flags, $(4) test source. The test includes its .c; the archive's member of the same
# name is then never pulled in.
define TEST
build/$(1)/tests/$(patsubst tests/c/%.c,%,$(4)): $(4) sources.mk $(call archives,$(1),$(call layer_of,$(4)))
	@mkdir -p $$(@D)
	@echo "  $(1) $(4)"
	@$(2) $$(FGW_STD) -I. -Itests/c $(3) -Wall -Wextra -MMD -MP -o $$@ $(4) $$(filter %.a,$$^) $$$$(scripts/libs)
-include build/$(1)/tests/$(patsubst tests/c/%.c,%,$(4)).d
endef
$(foreach t,$(TESTS),$(eval $(call TEST,asan,$(CC),$$(FGW_ASAN),$(t))))
ASAN_TESTS := $(patsubst tests/c/%.c,build/asan/tests/%,$(TESTS))

ctest: #? C unit tests under ASan and UBSan (T=base/test_arena: only those whose name has it)
	+@code=0; $(SUB) --keep-going nothing $(ASAN_TESTS) || code=1; \
	    scripts/run-ctests ctest $(ASAN_TESTS) || code=1; exit $$code

TSAN_TESTS := $(if $(TESTS),$(shell grep -l 'pthread.h' $(TESTS)))
$(foreach t,$(TSAN_TESTS),$(eval $(call TEST,tsan,$(CC),$$(FGW_TSAN),$(t))))
TSAN_TESTS := $(patsubst tests/c/%.c,build/tsan/tests/%,$(TSAN_TESTS))
tsan: #? the C tests that use threads, under the thread sanitizer
	+@code=0; $(SUB) --keep-going nothing $(TSAN_TESTS) || code=1; \
	    scripts/run-ctests tsan $(TSAN_TESTS) || code=1; exit $$code

FUZZERS  := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
ifneq ($(FUZZ),)
FUZZERS  := $(filter fuzz_$(FUZZ) $(FUZZ),$(FUZZERS))
endif
FUZZ_ALL := $(call archives,fuzz,$(lastword $(FGW_LAYERS)))
ASAN_ALL := $(call archives,asan,$(lastword $(FGW_LAYERS)))
build/fuzz/%: tests/fuzz/%.c sources.mk $(FUZZ_ALL)
	@echo "  fuzz $<"
	@$(CLANG) $(FGW_STD) -I. -Itests/c $(FGW_FUZZ) -fsanitize=fuzzer -MMD -MP -o $@ $< $(FUZZ_ALL) $$(scripts/libs)
build/asan/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c sources.mk $(ASAN_ALL)
	@mkdir -p $(@D)
	@echo "  asan $<"
	@$(CC) $(FGW_STD) -I. -Itests/c $(FGW_ASAN) -o $@ $< tests/fuzz/replay.c $(ASAN_ALL) $$(scripts/libs)
# The parser behind a pipe, for tests/hostile/test_differential.py, which makes it.
build/asan/door: tests/hostile/door.c sources.mk $(ASAN_ALL)
	@$(CC) $(FGW_STD) -I. -Itests/c $(FGW_ASAN) -Wall -Wextra -o $@ $< $(filter %.a,$^) $$(scripts/libs)
-include $(FUZZERS:%=build/fuzz/%.d)

fuzz: #? every fuzz target for FUZZ_SECONDS=60 (FUZZ=head: one of them); new inputs join its corpus, crashes go to build/
	+@$(SUB) nothing $(FUZZERS:%=build/fuzz/%)
	@scripts/run-fuzz $(FUZZ_SECONDS) $(FUZZERS)

fuzz-replay: #? every input of the fuzz corpora once, under ASan and UBSan
	+@code=0; $(SUB) --keep-going nothing $(FUZZERS:%=build/asan/fuzz/%) || code=1; \
	    scripts/run-ctests fuzz-replay $(FUZZERS:%=build/asan/fuzz/%) || code=1; exit $$code

pytest: #? Python, end-to-end, hostile and house tests (PYTEST_ARGS="-k name tests/py")
	@$(PY) -m pytest $(PYTEST_ARGS)

# ---------------------------------------------------------------- benchmarks

MICRO    := $(sort $(wildcard benchmarks/micro/bench_*.c))
build/micro/%: benchmarks/micro/%.c sources.mk $(call archives,$(RELEASE),$(lastword $(FGW_LAYERS)))
	@mkdir -p $(@D)
	@$(CC) $(FGW_STD) -I. $(FGW_OPT) $(LTO_FLAGS) -Wall -Wextra -o $@ $< $(filter %.a,$^) $$(scripts/libs)

# The floor of TLS and HTTP/2 (docs/design/0003-tls-and-http2.md): make build/probe/h2_probe
build/probe/%: benchmarks/probe/%.c sources.mk $(call archives,$(RELEASE),$(lastword $(FGW_LAYERS)))
	@mkdir -p $(@D)
	@$(CC) $(FGW_STD) -I. $(FGW_OPT) $(LTO_FLAGS) -Wall -Wextra -o $@ $< $(filter %.a,$^) $$(scripts/libs) $$(pkg-config --libs libnghttp2)

bench: build #? micro-benchmarks: benchmarks/micro/bench_*, with instruction counts where they take them
	+@$(SUB) nothing $(MICRO:benchmarks/micro/%.c=build/micro/%)
	@set -e; for b in $(MICRO:benchmarks/micro/%.c=build/micro/%); do echo "== $$b"; $$b; done
	@set -e; for b in $(sort $(wildcard benchmarks/micro/bench_*.py)); do echo "== $$b"; $(PY) $$b; done

bench-compare: bootstrap-test #? the gateway beside a bare relay, nginx, HAProxy and Envoy, interleaved; results as JSON
	+@$(SUB) compiled
	@$(PY) benchmarks/compare/run.py

bench-tls: bootstrap-test #? the gateway over TLS beside h2o, HAProxy, nghttpx, nginx and a bare probe; results as JSON
	+@$(SUB) compiled
	@$(PY) -m benchmarks.compare.tls

bench-grpc: bootstrap-test #? unary gRPC calls beside Envoy, nginx and HAProxy, HTTP/2 on both sides; results as JSON
	+@$(SUB) compiled
	@$(PY) -m benchmarks.compare.calls

bench-limits: bootstrap-test #? limits over HTTP with 64 connections while workers are killed, and a million keys; results as JSON
	+@$(SUB) compiled
	@$(PY) -m benchmarks.load.limits

soak: bootstrap-test #? SOAK_SECONDS=3600 of half load with slow clients and a flapping upstream: leaks, descriptors, 5xx
	+@$(SUB) compiled
	@$(PY) -m benchmarks.load.soak --seconds $(SOAK_SECONDS)

soak-hooks: bootstrap-test #? HOOK_REQUESTS=1000000 through hooks of every kind, with a reload every second: none lost, memory level
	+@$(SUB) compiled
	@$(PY) -m benchmarks.load.hooks --requests $(HOOK_REQUESTS)

# ---------------------------------------------------------------- keeping it tidy

CYTHON   := $(sort $(wildcard fastgw/_*.pyx fastgw/_*.pxd fastgw/_c/*.pxd))
lint: bootstrap-test #? ruff, cython-lint, and the engine compiled with every warning an error by gcc and by clang
	+@code=0; $(PY) -m ruff check . || code=1; \
	    PATH=$(CURDIR)/.venv/bin:$$PATH cython-lint $(CYTHON) || code=1; \
	    $(SUB) --keep-going objects-lint-gcc objects-lint-clang || code=1; exit $$code

# Every source as one plain object: for lint, and for the house tests, which read their symbols.
objects-%: FORCE
	+@$(MAKE) --no-print-directory --silent nothing $(call objects,$*)

fmt: #? repair what a tool can repair: ruff's fixes, blanks at line ends
	@$(PY) -m ruff check --fix-only .
	@grep -rlE --include='*.[ch]' --include='*.p[yx]*' '[[:blank:]]+$$' src_c tests fastgw benchmarks \
	    | xargs -r sed -i 's/[[:blank:]]*$$//'

gen: #? write the generated files anew (docs/reference, fastgw/errors_table.py)
	@$(PY) -m fastgw.gen

gen-check: #? fail if a generated file is stale
	@$(PY) -m fastgw.gen --check

clean: #? remove what was built; .venv stays
	@rm -rf build dist *.egg-info fastgw/_libfgw.so fastgw/*.so .venv/.fastgw-editable
