#!/usr/bin/env bash
# Fuzzes what parses bytes from outside, with clang's libFuzzer and AddressSanitizer.
#
#   scripts/fuzz.sh [--seconds N | --runs N] [--check] [--build DIR] [NAME...]
#
# NAME is a file test/fuzz/NAME.cpp; without one all are fuzzed, one a processor at a time, 60 s each, or as many inputs each
# as --runs says. What a run finds to be different is added to test/fuzz/corpus/NAME, as few and short inputs as show
# it; with --check nothing is. An input that fails is left in DIR, and the exit status is not 0. DIR is build/fuzz, which is
# set up here, or a build that has fuzzers already: with clang, TENSAIR_SANITIZE=address,undefined and TENSAIR_LIBFUZZER=ON.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
limit=-max_total_time=60
keep=1
build=build/fuzz
names=()
while (($#)); do
  case $1 in
    --seconds) limit=-max_total_time=${2:?--seconds needs a number}; shift 2 ;;
    --runs) limit=-runs=${2:?--runs needs a number}; shift 2 ;;
    --check) keep=0; shift ;;
    --build) build=${2:?--build needs a folder}; shift 2 ;;
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) names+=("$1"); shift ;;
  esac
done
if ((${#names[@]} == 0)); then
  for file in test/fuzz/*.cpp; do
    name=$(basename "$file" .cpp)
    [[ $name == driver ]] || names+=("$name")
  done
fi

if [[ $build == build/fuzz ]]; then
  clang=${CXX:-$(command -v clang++ || command -v clang++-14 || true)}
  if [[ -z $clang ]]; then
    echo "fuzz: no clang++: run scripts/setup.sh --optional" >&2
    exit 1
  fi
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1" \
    "-DCMAKE_CXX_COMPILER=$clang" -DTENSAIR_SANITIZE=address -DTENSAIR_LIBFUZZER=ON \
    -DTENSAIR_MODEL=OFF -DTENSAIR_SAMPLES=OFF -DTENSAIR_BENCH=OFF -DTENSAIR_WERROR=OFF >/dev/null
elif ! grep -qs '^TENSAIR_LIBFUZZER:[A-Z]*=ON$' "$build/CMakeCache.txt"; then
  echo "fuzz: '$build' has no fuzzers: build it with clang and -DTENSAIR_LIBFUZZER=ON, or leave --build out" >&2
  exit 1
fi
ninja -C "$build" "${names[@]/#/fuzz_}"

fuzz() {
  local name=$1
  local corpus=$root/test/fuzz/corpus/$name found=$build/found/$name status=0
  mkdir -p "$corpus" "$found"
  "$build/test/fuzz_$name" "$limit" -max_len=4096 -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=5 \
    -verbosity=0 -print_funcs=0 -print_final_stats=1 "-artifact_prefix=$build/" "$found" "$corpus" \
    >"$build/$name.log" 2>&1 || status=$?
  printf '=== fuzz %s\n%s\n' "$name" "$(<"$build/$name.log")"
  ((status == 0)) || return "$status"
  ((keep)) || return 0
  "$build/test/fuzz_$name" -set_cover_merge=1 -max_len=4096 -verbosity=0 -print_funcs=0 "$corpus" "$found"
}
export -f fuzz
export root limit keep build
printf '%s\0' "${names[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'set -euo pipefail; fuzz "$1"' fuzz
