#!/usr/bin/env bash
# The main job, from nothing: makes .venv, installs what is pinned, downloads the weights of a profile and fits its regions.
# A second run skips what is there.
#   bash train_scripts.sh
#   PROFILE=ffhq bash train_scripts.sh
# Environment: PROFILE  mobile (the default), mobile_clip, ffhq or toy
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/setup_venv.sh"
PROFILE="${PROFILE:-mobile}"
CONFIG="configs/$PROFILE.yaml"
setup_venv requirements.txt
cd "$ROOT"

echo "1. weights of profile $PROFILE"
"$PY" scripts/download.py --profile "$PROFILE"

echo "2. regions of profile $PROFILE (fitted once)"
"$PY" scripts/cluster.py --config "$CONFIG"
