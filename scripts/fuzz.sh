#!/usr/bin/env bash
# Fuzzes what parses bytes from outside, with clang's libFuzzer and AddressSanitizer.
#
#   scripts/fuzz.sh [--seconds N | --runs N] [--check] [NAME...]
#
# NAME is a file test/fuzz/NAME.cpp; without one all are fuzzed, one after the other, 60 s each, or as many inputs each
# as --runs says. What a run finds to be different is added to test/fuzz/corpus/NAME, as few and short inputs as show
# it; with --check nothing is. An input that fails is left in build/fuzz, and the exit status is not 0.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
limit=-max_total_time=60
keep=1
names=()
while (($#)); do
  case $1 in
    --seconds) limit=-max_total_time=${2:?--seconds needs a number}; shift 2 ;;
    --runs) limit=-runs=${2:?--runs needs a number}; shift 2 ;;
    --check) keep=0; shift ;;
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

clang=${CXX:-$(command -v clang++ || command -v clang++-14 || true)}
if [[ -z $clang ]]; then
  echo "fuzz: no clang++: run scripts/setup.sh --optional" >&2
  exit 1
fi
cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_COMPILER=$clang" -DTENSAIR_LIBFUZZER=ON \
  -DTENSAIR_MODEL=OFF -DTENSAIR_SAMPLES=OFF -DTENSAIR_BENCH=OFF -DTENSAIR_WERROR=OFF >/dev/null
ninja -C build/fuzz "${names[@]/#/fuzz_}"
for name in "${names[@]}"; do
  corpus=$root/test/fuzz/corpus/$name
  found=build/fuzz/found/$name
  mkdir -p "$corpus" "$found"
  printf '=== fuzz %s\n' "$name"
  "build/fuzz/test/fuzz_$name" "$limit" -max_len=4096 -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=5 \
    -verbosity=0 -print_funcs=0 -print_final_stats=1 -artifact_prefix=build/fuzz/ "$found" "$corpus"
  ((keep)) || continue
  "build/fuzz/test/fuzz_$name" -set_cover_merge=1 -max_len=4096 -verbosity=0 -print_funcs=0 "$corpus" "$found"
done
