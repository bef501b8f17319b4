"""Train the judge, the attribute classifier that measures edits; the same command goes on where it stopped.

python scripts/train_judge.py --data <CelebA folder> --attributes <csv> --out out/judge
"""

import argparse
import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from where2edit import cli, distributed
from where2edit.backbones.judge import from_parsing
from where2edit.config import load
from where2edit.data import celeba
from where2edit.data.face_batches import Balance
from where2edit.data.phrases import NAMES
from where2edit.encoder_report import judge_auc
from where2edit.encoder_training import EncoderConfig, Run, batches, concept_loss, material, metadata


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the aligned CelebA pictures")
    parser.add_argument("--attributes", type=Path, required=True, help="their attribute CSV")
    parser.add_argument("--config", type=Path, default=Path("configs/judge.yaml"))
    parser.add_argument("--out", type=Path, default=Path("out/judge"))
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
    torch.manual_seed(config.schedule.seed)
    judge = from_parsing(NAMES)
    heads = [*judge.trunk.layer4.parameters(), *judge.head.parameters()]
    balance = Balance(config.within_groups)
    source = batches(config, photos, table, parsed, generated)
    run = Run(judge, heads, [], source, balance, concept_loss(balance), config, args.out, device)
    kept = table.validation()
    run.advance(lambda net: judge_auc(net, photos[kept], table.values[kept]), report_every=200)
    if distributed.rank():
        return
    state = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in run.average.state_dict().items()}
    save_file(state, args.out / "judge.safetensors", {**metadata(config, "judge"), "names": ",".join(NAMES)})
    print(f"weights in {args.out / 'judge.safetensors'}")


if __name__ == "__main__":
    cli.run(main)
