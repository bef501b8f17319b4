#!/usr/bin/env bash
# The main job, from nothing: makes .venv, installs what is pinned, downloads the weights of a profile, fits its regions,
# trains an editor, measures it briefly and edits with it. A second run skips what is there; a run that was stopped goes on.
#   bash train_scripts.sh                               23 to 31 minutes on 2 CPU cores with other work beside it, install included
#   STEPS=1400 bash train_scripts.sh                    the training behind the shipped editor, 20 minutes longer
#   PROFILE=ffhq GPUS=8 bash train_scripts.sh           the paper: 10,000 steps on 8 GPUs, official weights
#   PROFILE=mobile_clip GPUS=1 bash train_scripts.sh    MobileStyleGAN edited by OpenAI's CLIP
#   PROFILE=toy bash train_scripts.sh                   a random 32 px generator, a minute: does everything run?
# Environment: PROFILE  mobile (the default), mobile_clip, ffhq or toy
#              STEPS    training steps; mobile 400 where nothing is said, else the profile's own
#              GPUS     number of GPUs; left out, two processes train on the CPU
#              OUT      folder of the run (out/$PROFILE)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/setup_venv.sh"
PROFILE="${PROFILE:-mobile}"
CONFIG="configs/$PROFILE.yaml"
OUT="${OUT:-out/$PROFILE}"
[ "$PROFILE" = mobile ] && STEPS="${STEPS:-400}"
setup_venv requirements.txt
cd "$ROOT"
# On a CPU one thread per process: threads that wait for each other make a step several times slower.
if [ -n "${GPUS:-}" ]; then PROCESSES="$GPUS" DEVICE=(); else PROCESSES=2 DEVICE=(--device cpu) && export OMP_NUM_THREADS=1; fi
spread() { "$PY" -m torch.distributed.run --standalone --nproc-per-node "$PROCESSES" "$@"; }
EDITOR="$OUT/train/editor.safetensors"

echo "1. weights of profile $PROFILE"
"$PY" scripts/download.py --profile "$PROFILE"

echo "2. regions of profile $PROFILE (fitted once)"
"$PY" scripts/cluster.py --config "$CONFIG" "${DEVICE[@]}"

echo "3. training from scratch into $OUT/train"
spread scripts/train.py --config "$CONFIG" --out "$OUT/train" "${DEVICE[@]}" ${STEPS:+training.steps="$STEPS"}
[ "$PROFILE" = toy ] && echo "done: a random generator has no faces to edit" && exit

echo "4. a brief evaluation into $OUT/evaluation"
"$PY" scripts/evaluate.py --config "$CONFIG" --weights "$EDITOR" --table editor --n 4 --natural-faces 0 \
    --out "$OUT/evaluation" --overwrite "${DEVICE[@]}"

echo "5. ten prompts on four faces into $OUT/edits"
"$PY" scripts/contact_sheet.py --config "$CONFIG" --weights "$EDITOR" --seeds 0-3 --masks --out "$OUT/edits/sheet.png" \
    --overwrite "${DEVICE[@]}" \
    --prompt "blond hair" --prompt "grey hair" --prompt "bangs" --prompt "a big smile" --prompt "lipstick" \
    --prompt "bushy eyebrows" --prompt "eyeglasses" --prompt "a beard" --prompt "old" --prompt "rosy cheeks"
"$PY" scripts/edit.py --config "$CONFIG" --weights "$EDITOR" --prompt "a big smile" --seed 3 --assert-local --out "$OUT/edits" \
    --overwrite "${DEVICE[@]}"
cat <<END
done:
  $EDITOR                  the editor; scripts/edit.py --weights takes it
  $OUT/train/sheet-*.png   how it learnt, on fixed prompts and faces
  $OUT/evaluation/         report.md: success, identity, locality, with a row that edits nothing
  $OUT/edits/              sheet.png: ten prompts on four faces, with masks; one edit with its sheet, recipe and certificate
END
