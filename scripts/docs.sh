#!/usr/bin/env bash
# Makes the reference, docs/reference/index.html, of the comments in the public headers. Fails if one of them is wrong:
# documents a parameter that does not exist, refers to nothing, ends too early.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

command -v doxygen >/dev/null || scripts/setup.sh --torch=none --optional
warnings=$(doxygen docs/Doxyfile 2>&1 >/dev/null)
if [[ -n $warnings ]]; then
  printf '%s\n' "$warnings" >&2
  printf 'docs: the comments above are wrong\n' >&2
  exit 1
fi
printf 'docs: %s\n' "$root/docs/reference/index.html"
