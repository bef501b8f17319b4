#!/usr/bin/env bash
# The main job, from nothing: makes .venv, installs what is pinned, downloads the weights of a profile and fits its regions.
# A second run skips what is there.
#   bash train_scripts.sh
#   PROFILE=ffhq bash train_scripts.sh
# Environment: PROFILE  a file of configs/ without .yaml (default: mobile)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/setup_venv.sh"
PROFILE="${PROFILE:-mobile}"
CONFIG="configs/$PROFILE.yaml"
setup_venv requirements.txt
cd "$ROOT"
if [ ! -f "$CONFIG" ]; then
    echo "error: no profile '$PROFILE'; set PROFILE to one of: $(cd configs && ls *.yaml | sed 's/\.yaml$//' | xargs)" >&2
    exit 2
fi

echo "1. weights of profile $PROFILE"
"$PY" scripts/download.py --profile "$PROFILE"

REGIONS="$("$PY" -c 'import sys; from where2edit import profile; print(profile.load(sys.argv[1]).regions_file)' "$CONFIG")"
echo "2. regions: $REGIONS"
if [ -f "$REGIONS" ]; then
    echo "fitted already; remove the file to fit again"
else
    "$PY" scripts/cluster.py --config "$CONFIG" --out "$REGIONS"
fi
