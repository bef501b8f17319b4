"""Edit a face by words; only the region that the words name changes.

python scripts/edit.py --prompt "blond hair" --seed 3
python scripts/edit.py --prompt "blond hair" --prompt "a big smile" --seeds 0-3      one after the other
python scripts/edit.py --prompt "grey hair" --where "blond hair" --seed 3            where / what
python scripts/edit.py --prompt "an old person" --seed 3 --sweep                     a row of strengths
python scripts/edit.py --replay out/edit/seed0003-blond-hair.json                    the same bytes again
"""

from __future__ import annotations

import argparse
from pathlib import Path

from where2edit.commands import edit as edits
from where2edit.commands.cli import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what")
    what.add_argument("--prompt", action="append", default=[], help="what should change; several are applied in a row")
    what.add_argument("--long", help="a long description: split into attributes, applied one by one, large areas first")
    what.add_argument("--reference", help="image whose look drives the change; --prompt or --where says where")
    what.add_argument("--replay", type=Path, help="make the edit of a recipe again; everything else is read from it")
    where = parser.add_argument_group("where")
    where.add_argument("--where", help="prompt that chooses the region (two-prompt editing)")
    where.add_argument("--mask", help="your own mask, a picture of the output's size: white is edited")
    where.add_argument(
        "--mask-mode", choices=("replace", "multiply"), default="replace", help="instead of, or times, the attention"
    )
    where.add_argument("--threshold", type=float, help="attention below it is not edited (default: the profile's 0.8)")
    where.add_argument("--coverage", type=float, help="0 to 1, larger edits more: threshold = 1 - coverage/4")
    source = parser.add_argument_group("source")
    source.add_argument("--seed", type=int, help="face of one seed (default: 0)")
    source.add_argument("--seeds", help="several, for example 0-3 or 2,5,7")
    source.add_argument("--latent", help="safetensors with a tensor 'w' [512] or [L,512]")
    how = parser.add_argument_group("how")
    how.add_argument("--strength", type=float, help="the paper's alpha; negative reverses (default: the profile's)")
    how.add_argument("--sweep", action="store_true", help="a row of strengths from reversed to strong")
    how.add_argument("--assert-local", action="store_true", help="exit 1 if any pixel outside mask + halo changed")
    how.add_argument("--config", default="configs/mobile.yaml", help="profile (default: %(default)s)")
    how.add_argument("--weights", help="trained editor: asset name or path (default: the profile's)")
    how.add_argument("--device", default="cpu")
    how.add_argument("--out", type=Path, default=Path("out/edit"), help="folder (default: %(default)s)")
    parser.add_argument("overrides", nargs="*", help="section.key=value changes of the config")
    return edits.main(parser.parse_args())


if __name__ == "__main__":
    run(main)
