"""Download weights and check them against pretrained_models/manifest.yaml; what is here is not fetched again.

python scripts/download.py --list
python scripts/download.py --profile mobile
python scripts/download.py mobilestylegan-synthesis-bin scrfd --verify
python scripts/download.py --profile mobile --offline
"""

from where2edit.commands.cli import run_command
from where2edit.commands.download import main

if __name__ == "__main__":
    run_command(main, __doc__)
