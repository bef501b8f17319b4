"""Invert a photo of a face to the latent that scripts/edit.py reads, by e4e (for StyleGAN2-FFHQ, configs/ffhq.yaml).

python scripts/invert.py photo.jpg --out out/photo-w.safetensors
python scripts/edit.py --config configs/ffhq.yaml --latent out/photo-w.safetensors --prompt "a big smile"

The photo must be framed like FFHQ (eyes level, the face in the middle); its central square is read.
"""

from where2edit.commands.cli import run_command
from where2edit.commands.invert import main

if __name__ == "__main__":
    run_command(main, __doc__)
