"""Turn an official weight file into safetensors; nothing in the file is run, and every tensor of it is accounted for.

python scripts/convert.py stylegan2-rosinality stylegan2-ffhq-config-f.pt out/stylegan2-ffhq.safetensors
python scripts/convert.py stylegan2-nvidia ffhq.pkl out/stylegan2-ffhq.safetensors
python scripts/convert.py where2edit final_mapper.pt out/where2edit-released.safetensors
python scripts/convert.py --list

A profile that names an asset (scripts/download.py) converts it by itself; this is for files of your own.
"""

from where2edit.commands.cli import run_command
from where2edit.commands.convert import main

if __name__ == "__main__":
    run_command(main, __doc__)
