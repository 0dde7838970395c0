#!/usr/bin/env bash
# Shows tensair at work: sets up, builds a sample, and runs it.
#
#   scripts/demo.sh [SAMPLE] [FLAGS]      default: cifar10 --local 2
#
# FLAGS are the sample's own; without --local or --nodes among them, it runs as two nodes on this machine.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

case ${1:-} in
  -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
  '' | -*) sample=cifar10 ;;
  *) sample=$1; shift ;;
esac
if [[ ! -d $root/samples/$sample ]]; then
  echo "demo: no sample '$sample'; there are: $(cd "$root/samples" && ls -d -- */ | tr -d / | tr '\n' ' ')" >&2
  exit 1
fi

"$root/scripts/setup.sh"
# From the project's folder, as presets are looked for there; the sample runs in the caller's, where its paths mean something.
(
  cd "$root"
  output=$(cmake --preset release 2>&1) || { printf '%s\n' "$output" >&2; exit 1; }
  cmake --build build/release --target "samples/$sample"
)

nodes=(--local 2)
for flag in "$@"; do
  case $flag in
    --local | --local=* | --nodes | --nodes=* | --rank | --rank=* | --help | --version) nodes=() ;;
  esac
done
[[ -z ${TENSAIR_NODES:-} ]] || nodes=()
exec "$root/build/release/samples/$sample" "${nodes[@]}" "$@"
