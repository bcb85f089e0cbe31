# SPDX-License-Identifier: Apache-2.0
# `make model` and `make test` set up .venv from requirements.lock by themselves.
PYTHON ?= python3
BIN := .venv/bin
UV := uv==0.13.9
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help model teacher test test-long fuzz web-test android-test android-apk android-library android-screenshots compat lint types fmt check lock results clean

help:  ## Print this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

# Where Python is told to keep no bytecode, every process compiles PyTorch anew: 3 s each time.
COMPILED := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; ok = (3, 11) <= v <= (3, 13); sys.exit(0 if ok else f"Python {v[0]}.{v[1]} found: 3.11, 3.12 or 3.13 is needed; call make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(COMPILED) --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# Kotlin's real-model tests take LiteRT's library from the environment, and from the build in BUILD, if
# there is one, its files and 500 questions with its answers.
BUILD ?= build/embedded
LITERT = $(firstword $(wildcard $(CURDIR)/$(BIN)/../lib/python3*/site-packages/ai_edge_litert/libLiteRt.so))
BUILT := $(wildcard $(BUILD)/tflite/model.json)
ANSWERS := $(if $(LITERT),$(BUILT:tflite/model.json=golden-answers.json.gz))
ANDROID_TEST = android_demo/test.sh $(addprefix -Dlitert.library=,$(LITERT)) -Dmodel.folder=$(abspath $(BUILD))/tflite test

$(ANSWERS): $(BUILT)
	@echo "Answering 500 questions in Python, for Kotlin's tests to compare: about three minutes, once a build"
	$(BIN)/python -m pipeline.golden_answers $(firstword $(wildcard $(<D)/student-int8.tflite $(<D)/*.tflite))

model: .venv/ready  ## Build a model: teacher, student, TFLite files, gates, report (ARGS="--seed 7" adds flags).
	$(BIN)/python -m pipeline.build --target tflite $(ARGS)

# The questions beside the embedded ones are no part of the project: name them with ARGS.
teacher: .venv/ready  ## Train the adapter of the embedded teacher, for hours (ARGS="--data FILE --data-license TEXT").
	$(BIN)/python -m pipeline.adapter $(ARGS)

# Kotlin's tests are not for ARGS, which are pytest's, and need a JDK and Maven: ANDROID=required
# makes it an error where they cannot run.
ANDROID ?= optional
WORKERS ?= 2

test: .venv/ready $(ANSWERS)  ## Run the fast tests in WORKERS processes, and the Kotlin tests if there are a JDK and Maven.
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --durations 10 $(ARGS)
	$(if $(ARGS),,ANDROID=$(ANDROID) $(ANDROID_TEST))

test-long: .venv/ready  ## Run the long tests: kills and resumes, every length at full size.
	$(BIN)/python -m pytest -m long $(ARGS)

fuzz: .venv/ready  ## Read 24,000 damaged files with every reader, and print what came of it (ARGS="--share 0.1").
	$(BIN)/python tests/fuzz/harness.py $(ARGS)

# transformers.js and playwright from npm, optimum in an environment of its own: 6 GB with its PyTorch.
OPTIMUM := .compat/optimum

tests/web/node_modules/.package-lock.json: tests/web/package-lock.json
	npm ci --prefix tests/web --ignore-scripts --no-audit --no-fund
	@touch $@

$(OPTIMUM)/ready: tests/web/optimum-requirements.txt .venv/ready
	$(PYTHON) -m venv --clear $(OPTIMUM)
	$(BIN)/uv pip install --quiet --python $(OPTIMUM)/bin/python -r $<
	@touch $@

web-test: .venv/ready tests/web/node_modules/.package-lock.json $(OPTIMUM)/ready  ## Run the tests of the hub folder in transformers.js, optimum and Chromium (needs Node and Chromium).
	$(BIN)/python -m pytest -m "long or not long" tests/web $(ARGS)

android-test: $(ANSWERS)  ## Run the Kotlin style checks and JVM tests (JDK 17, Maven; offline after the first time).
	$(ANDROID_TEST) $(ARGS)

android-apk: .venv/ready  ## Build and test signed APKs of the demo, debug and release, with the model of the last build.
	$(BIN)/python android_demo/apk/build_apk.py --test $(ARGS)

android-library: .venv/ready  ## Build the Android libraries (jars and AARs) with POMs and sources, as a Maven repository.
	$(BIN)/python android_demo/apk/build_library.py $(ARGS)

# With the model of the APK, if there is one: TensorFlow Lite, which tests load, computes it right.
PACKED = $(patsubst %/model.json,-Dmodel.folder=%,$(wildcard $(CURDIR)/build/android/assets/model/model.json))

android-screenshots:  ## Write the screens of the demo to build/android/screenshots/*.png.
	android_demo/test.sh --projects app --also-make -Dtest=ScreenshotTest -Dsurefire.failIfNoSpecifiedTests=false \
		-Dscreenshots.folder=$(CURDIR)/build/android/screenshots $(PACKED) test
	@echo "The pictures are in build/android/screenshots"

# Runtimes that apps carry, each in an environment of its own under .compat: 4 GB, made once. System
# packages: libusb-1.0-0 (Task Library); libegl1 libgles2 (MediaPipe); gcc-aarch64-linux-gnu libstdc++6-arm64-cross qemu-user (arm64).
TASKS = $(filter %.tflite,$(FILES))
FILES ?= $(wildcard $(BUILD)/tflite/*.tflite $(BUILD)/onnx/*.onnx)

compat: .venv/ready  ## Run exported files in old and current runtimes (FILES="a.tflite b.onnx").
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m converters.compat --install $(FILES) $(ARGS)
	$(if $(TASKS),$(BIN)/python -m pipeline.task_library $(TASKS))

lint: .venv/ready  ## Run ruff, and check which package may import which (import-linter).
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: .venv/ready  ## Run mypy --strict.
	$(BIN)/mypy

fmt: .venv/ready  ## Format the code and fix what ruff can fix.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint types test  ## Run what continuous integration runs.

lock:  ## Pin the environment again from pyproject.toml.
	uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		--all-extras --no-emit-package distilbert-mobile -o requirements.lock pyproject.toml

results: .venv/ready  ## Measure the missing figures of the pages, for hours (ARGS="--force" measures all again).
	$(BIN)/python docs/make_results.py all $(ARGS)

clean:  ## Remove the environments and the builds.
	rm -rf .venv .compat build
