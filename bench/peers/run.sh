#!/usr/bin/env bash
# The same work in other systems and in tensair, beside each other: bench/peers/run.sh CASE [FLAGS]
# A case is a folder here. Its compare.py runs all sides in turns and prints the table; what they need of Python is in its
# requirements.txt, and goes into an environment of its own (build/peers/CASE), with requirements-optional.txt's where they
# can be installed. Without one, the project's environment serves.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

case=${1:-}
if [[ -z $case || ! -f $here/$case/compare.py ]]; then
  printf 'usage: bench/peers/run.sh CASE [FLAGS], where CASE is one of:' >&2
  for folder in "$here"/*/; do [[ -f $folder/compare.py ]] && printf ' %s' "$(basename "$folder")" >&2; done
  printf '\n' >&2
  exit 2
fi
shift

python=$root/.venv/bin/python
[[ -x $python ]] || python=python3
if [[ -f $here/$case/requirements.txt ]]; then
  environment=$root/build/peers/$case
  wanted=$(cat "$here/$case"/requirements*.txt)
  if [[ $wanted != "$(cat "$environment/installed.txt" 2>/dev/null)" ]]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet -r "$here/$case/requirements.txt"
    if [[ -f $here/$case/requirements-optional.txt ]]; then
      "$environment/bin/pip" install --quiet -r "$here/$case/requirements-optional.txt" ||
        printf 'run.sh: goes on without %s, which cannot be installed here\n' "$(tr '\n' ' ' <"$here/$case/requirements-optional.txt")" >&2
    fi
    printf '%s\n' "$wanted" >"$environment/installed.txt"
  fi
  python=$environment/bin/python
fi
exec "$python" "$here/$case/compare.py" "$@"
