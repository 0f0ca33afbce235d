#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Safe to run again; offline once the packages are there.
#   ./test.sh [ctest arguments]     e.g. ./test.sh -R tokenizer
set -euo pipefail
source "$(dirname "$0")/tools/setup.sh"
install_packages
find_python
build_targets all
say "testing"
cd "$build"
ctest --output-on-failure --timeout 900 -j "$(nproc)" "$@"
