# Sourced by run_tests.sh and train_scripts.sh. Sets ROOT (the checkout) and PY (its Python), and offers
#   setup_venv FILE ...   make .venv if there is none and install what the requirement files pin; what is there is skipped.
# Environment: PYTHON names the interpreter that makes .venv (3.10 or newer; default: the first that is found).

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PY="$ROOT/.venv/bin/python"

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no Python 3.10 or newer among: ${PYTHON:-python3 python3.13 ... python3.10}; set PYTHON to one" >&2
    return 1
}

# Run a step only if its stamp in .venv does not carry the same key; the stamp is written after the step succeeded.
once() {
    local stamp="$ROOT/.venv/.done-$1" key="$2"
    shift 2
    if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
        "$@"
        echo "$key" >"$stamp"
    fi
}

# -qq keeps errors and leaves out the warnings, of which some machines print hundreds for their own configuration.
install() {
    "$PY" -m pip install -qq --disable-pip-version-check "$@"
}

install_file() {
    echo "installing what $1 pins into .venv (a minute or two)"
    install -r "$ROOT/$1"
}

setup_venv() {
    local file python
    if ! "$PY" -m pip --version >/dev/null 2>&1; then
        python="$(find_python)"
        echo "making .venv with $("$python" --version)"
        "$python" -m venv "$ROOT/.venv"
    fi
    for file in "$@"; do
        once "$file" "$(cksum <"$ROOT/$file")" install_file "$file"
    done
    # The folder is part of the key: an editable install points at the place of the checkout.
    once package "$ROOT $(cat "$ROOT/setup.py" "$ROOT/requirements.txt" | cksum)" install --no-deps -e "$ROOT"
}
