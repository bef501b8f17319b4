"""Time the operations and whole StyleGAN2 syntheses, and measure what each kind of convolution leaks.

python scripts/benchmark_ops.py
python scripts/benchmark_ops.py --device cpu --resolution 128 --out out/benchmark.md
"""

from where2edit.commands.benchmark_ops import main
from where2edit.commands.cli import run_command

if __name__ == "__main__":
    run_command(main, __doc__)
