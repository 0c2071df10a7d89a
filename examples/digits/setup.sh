#!/usr/bin/env bash
# Makes ./python, a Python with scikit-learn and matplotlib: the node's own where it has both,
# else one in a virtual environment beside this file, which goes away with the node.
set -euo pipefail

has_both() { "$1" -c "import sklearn, matplotlib" >/dev/null 2>&1; }

python=$(command -v "${PYTHON:-python3}") || {
  echo "no ${PYTHON:-python3} on this node: install Python 3, or give one by --env PYTHON=/path" >&2
  exit 1
}
if ! has_both "$python"; then
  echo "scikit-learn or matplotlib is missing here: installing both into .venv"
  "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check scikit-learn matplotlib
  python=$PWD/.venv/bin/python
  has_both "$python"
fi
# Not a link: a virtual environment is found by the path its Python is called by.
printf '#!/bin/sh\nexec "%s" "$@"\n' "$python" > python
chmod +x python
