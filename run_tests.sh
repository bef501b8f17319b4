#!/usr/bin/env bash
# The tests, from nothing: makes .venv, installs what is pinned, runs pytest. Arguments go to pytest:
#   bash run_tests.sh                       the default run: no slow tests, no GPU; about 8 minutes on 2 cores, and 3 to install
#   bash run_tests.sh -m slow               long tests and those that need large weights
#   bash run_tests.sh -m cuda               tests that need a GPU
#   bash run_tests.sh tests/files/test_assets.py  one file (paths count from the repository)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/setup_venv.sh"
setup_venv requirements.txt requirements-test.txt
cd "$ROOT"
case " $* " in
*" -m "*) exec "$PY" -m pytest "$@" ;;
*) # two processes of one thread are quicker than one of two; -n 0 tests in one process
    exec env OMP_NUM_THREADS=1 "$PY" -m pytest -m "not slow and not cuda" -n 2 --dist loadfile "$@" ;;
esac
