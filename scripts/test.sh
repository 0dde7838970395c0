#!/usr/bin/env bash
# Sets up, builds, and runs all tests.
#
#   scripts/test.sh [--preset P] [-DVARIABLE=VALUE...] [CTEST FLAGS]
#
# P is release (default), debug, asan or tsan; -D goes to CMake; all else goes to ctest: -L stream, -R NAME, -j 1, ...
# (labels: stream, fuzz, model, samples, scripts, compile_fail, examples, guide, readme, consumer).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

preset=release
cmake_flags=()
ctest_flags=()
while (($#)); do
  case $1 in
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    --preset) preset=${2:-}; shift $(($# > 1)) ;;
    --preset=*) preset=${1#*=} ;;
    -D?*=*) cmake_flags+=("$1") ;;
    *) ctest_flags+=("$1") ;;
  esac
  shift
done

# Before anything is installed, CMake too. With presets of the user's own, CMake alone knows what there is.
presets=$(sed -n 's/.*"name": "\([a-z]*\)".*/\1/p' "$root/CMakePresets.json" | sort -u | grep -vx base)
if [[ ! -f $root/CMakeUserPresets.json ]] && ! grep -qx -e "$preset" <<<"$presets"; then
  echo "test: no preset '$preset'; there are:" $presets >&2
  exit 1
fi

setup_flags=(--tests)
for flag in "${cmake_flags[@]}"; do
  [[ $flag != -DTENSAIR_MODEL=OFF ]] || setup_flags=(--torch=none --tests)
done
"$root/scripts/setup.sh" "${setup_flags[@]}"

cd "$root"
output=$(cmake --preset "$preset" "${cmake_flags[@]}" 2>&1) || { printf '%s\n' "$output" >&2; exit 1; }
grep -E '^-- tensair:|Warning' <<<"$output" || true
cmake --build "build/$preset"
# The preset gives each test 120 s, unless it has a limit of its own: none can hang.
ctest --preset "$preset" -j "$(nproc)" "${ctest_flags[@]}"
