"""Train facetext; the same command goes on where it stopped.

python scripts/train_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 scripts/train_facetext.py ...   (two processes, the quickest on two cores)
python scripts/report_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
"""

import argparse
import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from where2edit import cli, distributed
from where2edit.config import load
from where2edit.data import celeba
from where2edit.data.caption_bank import build, composites, singles
from where2edit.data.face_batches import Balance
from where2edit.encoder_report import mean_auc
from where2edit.encoder_training import (
    CaptionLoss,
    EncoderConfig,
    Run,
    batches,
    material,
    metadata,
    new_towers,
    start_head,
    teach_words,
)
from where2edit.text_image.facetext import TEXT_LAYERS
from where2edit.text_image.minilm import MiniLM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the aligned CelebA pictures")
    parser.add_argument("--attributes", type=Path, required=True, help="their attribute CSV")
    parser.add_argument("--config", type=Path, default=Path("configs/facetext.yaml"))
    parser.add_argument("--out", type=Path, default=Path("out/facetext"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("overrides", nargs="*", help="key=value, such as schedule.steps=200")
    args = parser.parse_args()
    config = load(EncoderConfig, args.config, args.overrides)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device
    if "LOCAL_RANK" in os.environ:
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
        device = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    args.out.mkdir(parents=True, exist_ok=True)
    table = celeba.read_attributes(args.attributes)
    photos = celeba.read_images(args.data, table.names, config.material.size)
    parsed, generated, _ = material(config.material, args.data, table, args.out, device)
    captions = singles() + composites(config.composites, config.schedule.seed)
    bank = build(captions, lambda: MiniLM.load(TEXT_LAYERS), args.out / "captions.safetensors")
    source = batches(config, photos, table, parsed, generated)
    towers = new_towers(source)
    axes = teach_words(towers.text_head, bank, config.schedule.seed)
    start_head(towers.image_tower, source, axes)
    towers.image_tower.net.blocks[: config.frozen_blocks].requires_grad_(False)
    towers.image_tower.net.stem.requires_grad_(False)
    heads = [towers.log_scale, towers.bias]
    slow = list(towers.text_head.parameters())
    balance = Balance(config.within_groups)
    run = Run(towers, heads, slow, source, balance, CaptionLoss(bank, balance, config), config, args.out, device)
    kept = table.validation()
    run.advance(lambda net: mean_auc(net, bank, photos[kept], table.values[kept]), report_every=200)
    if distributed.rank():
        return
    state = {key: value.half().contiguous() for key, value in run.average.state_dict().items()}
    save_file(state, args.out / "facetext.safetensors", metadata(config, "facetext"))
    print(f"weights in {args.out / 'facetext.safetensors'}")


if __name__ == "__main__":
    cli.run(main)
