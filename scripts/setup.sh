#!/usr/bin/env bash
# Makes this machine ready to build tensair: compilers, libraries, a LibTorch.
#
#   scripts/setup.sh [--torch=auto|wheel|debian|none] [--optional] [--tests]
#
# --torch=auto    (default) a LibTorch that is given (Torch_DIR, CMAKE_PREFIX_PATH) or was set up before; else the wheel
# --torch=wheel   torch==2.13.0 from pip, in .venv
# --torch=debian  Debian's libtorch-dev (1.13, several times slower)
# --torch=none    only what tensair::stream needs
# --tests         also what only tests need: Open MPI and iproute2, which start nodes; DuckDB from pip, which results
#                 are compared with
# --optional      also what only some contributors need: clang, clang-format, clang-tidy, doxygen
#
# Idempotent, non-interactive, and quick when there is nothing to do. Root (or sudo) is asked for only if a package is
# missing. pip's own configuration decides where the wheel comes from; to get the CPU build of torch elsewhere than on
# a machine whose pip already prefers it, point pip at an index that has it. Which system this is stands in /etc/os-release,
# or in the file that OS_RELEASE names.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
torch_version=2.13.0
os_release=${OS_RELEASE:-/etc/os-release}

packages=(
  g++ cmake ninja-build ccache git xz-utils ca-certificates
  libboost1.81-dev libboost-serialization1.81-dev libfmt-dev libssl-dev libcli11-dev nlohmann-json3-dev
  liblz4-dev libzstd-dev
  catch2 librapidcheck-dev
)
python_packages=(python3 python3-venv)
test_packages=(openmpi-bin iproute2)
optional_packages=(clang libclang-rt-dev clang-format-14 clang-tidy doxygen)

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

torch=auto
tests=0
for arg in "$@"; do
  case $arg in
    --torch=auto | --torch=wheel | --torch=debian | --torch=none) torch=${arg#--torch=} ;;
    --optional) packages+=("${optional_packages[@]}") ;;
    --tests) tests=1; packages+=("${test_packages[@]}") ;;
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown argument '$arg' (see --help)" ;;
  esac
done

# Prints the given LibTorch's directory, if the caller's environment names one.
given_torch() {
  local dir config
  if [[ -n ${Torch_DIR:-} ]]; then
    [[ -f $Torch_DIR/TorchConfig.cmake ]] || die "Torch_DIR=$Torch_DIR has no TorchConfig.cmake"
    printf '%s\n' "$Torch_DIR"
    return
  fi
  local IFS=':;'
  for dir in ${CMAKE_PREFIX_PATH:-}; do
    for config in share/cmake/Torch lib/cmake/Torch Torch .; do
      if [[ -f $dir/$config/TorchConfig.cmake ]]; then
        printf '%s\n' "$dir/$config"
        return
      fi
    done
  done
}

wheel_config() { compgen -G "$root/.venv/lib/python3*/site-packages/torch/share/cmake/Torch/TorchConfig.cmake" | head -n 1; }
debian_has_torch() { [[ $(dpkg-query -W -f='${db:Status-Abbrev}' libtorch-dev 2>/dev/null) == ii* ]]; }

# A python3 that the wheel may be built for: the first on the PATH of 3.10 to 3.14 that can make virtual environments.
find_python() {
  local python
  for python in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
      printf '%s\n' "$python"
      return
    fi
  done
}

# --- Which LibTorch -------------------------------------------------------------------------------------------------
given=$(given_torch)
if [[ $torch == auto ]]; then
  if [[ -n $given ]]; then
    say "LibTorch: the one given, $given"
    torch=given
  elif [[ -f $root/.venv/tensair-torch-debian ]]; then
    torch=debian  # chosen by an earlier --torch=debian
  else
    torch=wheel
  fi
fi
[[ $torch == debian ]] && packages+=(libtorch-dev)
if [[ $torch == wheel && -z $(wheel_config) && -z $(find_python) ]]; then
  packages+=("${python_packages[@]}")
fi

# --- Packages -------------------------------------------------------------------------------------------------------
known_system() { # Debian 12 and later, and its close relatives, have all of the packages under these names
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null && [[ -r $os_release ]] &&
    grep -qE '^(ID|ID_LIKE)=.*(debian|ubuntu)' "$os_release"
}

if known_system; then
  installed=$(dpkg-query -W -f='${db:Status-Abbrev}\t${binary:Package}\n' 2>/dev/null | sed -n 's/^ii.\t//p' | sed 's/:.*//')
  missing=()
  # A system with a newer Boost as its default is as good as one with 1.81 beside it.
  boost=$(sed -n 's/^#define BOOST_VERSION //p' /usr/include/boost/version.hpp 2>/dev/null || true)
  for package in "${packages[@]}"; do
    if [[ $package == libboost* ]] && ((${boost:-0} >= 108100)) &&
      { [[ $package != *serialization* ]] || compgen -G "/usr/lib/*/libboost_serialization.so" >/dev/null; }; then
      continue
    fi
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
  done
  if ((${#missing[@]})); then
    say "installing ${missing[*]}"
    as_root=()
    if ((EUID != 0)); then
      command -v sudo >/dev/null || die "needs root (or sudo) to install: ${missing[*]}"
      as_root=(sudo)
    fi
    apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null; }
    apt update || say "apt-get update failed; trying with the package lists there are"
    if [[ " ${missing[*]} " == *" libboost1.81-dev "* ]] && ! apt-cache show libboost1.81-dev >/dev/null 2>&1; then
      # A newer release has a newer Boost as its default.
      for i in "${!missing[@]}"; do
        case ${missing[i]} in
          libboost1.81-dev) missing[i]=libboost-dev ;;
          libboost-serialization1.81-dev) missing[i]=libboost-serialization-dev ;;
        esac
      done
    fi
    apt install --no-install-recommends -y "${missing[@]}" >/dev/null || die "apt-get could not install: ${missing[*]}"
  fi
else
  # Not a system whose packages are known here: go on only if the tools and libraries are in place.
  lacking=()
  for tool in c++ cmake ninja git xz; do command -v "$tool" >/dev/null || lacking+=("$tool"); done
  probe() {
    printf '#include <%s>\n' "$1" | c++ -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || lacking+=("$2")
  }
  if command -v c++ >/dev/null; then
    probe boost/asio.hpp "Boost >= 1.81 (headers, Serialization)"
    probe fmt/format.h "fmt >= 9"
    probe openssl/hmac.h "OpenSSL >= 1.1"
    probe CLI/CLI.hpp CLI11
    probe nlohmann/json.hpp nlohmann-json
    [[ -n $(printf '#include <catch2/catch_test_macros.hpp>\n' | c++ -std=c++20 -E -x c++ - 2>/dev/null) ]] ||
      probe catch2/catch.hpp "Catch2 (v2 or v3)"
  fi
  if ((${#lacking[@]})); then
    printf 'setup: this is not a Debian-like system; install these with its own package manager and run this again:\n' >&2
    printf '  %s\n' "${lacking[@]}" >&2
    printf 'On Debian 12 they are: %s\n' "${packages[*]} ${python_packages[*]}" >&2
    exit 1
  fi
fi

# --- LibTorch -------------------------------------------------------------------------------------------------------
case $torch in
  given | none) ;;
  debian)
    debian_has_torch || die "libtorch-dev is not installed"
    mkdir -p "$root/.venv"
    touch "$root/.venv/tensair-torch-debian"
    say "LibTorch: Debian's libtorch-dev"
    ;;
  wheel)
    stamp=$root/.venv/tensair-torch-$torch_version
    if [[ ! -f $stamp || -z $(wheel_config) ]]; then
      python=$(find_python)
      [[ -n $python ]] || die "no python3 of 3.10 to 3.14 with venv: install one, set PYTHON, or use --torch=debian"
      say "LibTorch: torch==$torch_version into .venv"
      [[ -x $root/.venv/bin/python ]] || "$python" -m venv "$root/.venv"
      "$root/.venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        "torch==$torch_version" numpy || die "pip could not install torch==$torch_version; give a LibTorch with \
Torch_DIR, or use --torch=debian"
      [[ -n $(wheel_config) ]] || die "the installed torch has no CMake files"
      touch "$stamp"
    fi
    rm -f "$root/.venv/tensair-torch-debian"
    ;;
esac
# --- What tests compare with ----------------------------------------------------------------------------------------
duckdb_version=2.0.1
if ((tests)) && [[ -x $root/.venv/bin/python && ! -f $root/.venv/tensair-duckdb-$duckdb_version ]]; then
  if "$root/.venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "duckdb==$duckdb_version"; then
    touch "$root/.venv/tensair-duckdb-$duckdb_version"
  else
    say "pip could not install duckdb==$duckdb_version: tests that compare with it are skipped"
  fi
fi
say "ready"
