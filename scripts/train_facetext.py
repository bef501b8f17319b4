"""Train facetext; the same command goes on where it stopped.

python scripts/train_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 scripts/train_facetext.py ...   (two processes, the quickest on two cores)
python scripts/train_facetext.py ... --weights <trained weights>   (the refining steps alone, from these weights)
python scripts/report_facetext.py --data <CelebA folder> --attributes <csv> --out out/facetext
"""

from pathlib import Path

from where2edit.commands import cli
from where2edit.commands.encoder_options import training_options
from where2edit.core.config import load
from where2edit.facetext import celeba, training
from where2edit.facetext.caption_bank import build, composites, singles
from where2edit.facetext.face_batches import Balance
from where2edit.facetext.measures import mean_auc
from where2edit.text_image.facetext import TEXT_LAYERS
from where2edit.text_image.minilm import MiniLM


def main() -> None:
    parser = training_options(__doc__, "facetext")
    parser.add_argument("--weights", type=Path, help="trained weights: run the refining steps alone, from them")
    args = parser.parse_args()
    config = load(training.EncoderConfig, args.config, args.overrides)
    device = training.start(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    table = celeba.read_attributes(args.attributes)
    photos = celeba.read_images(args.data, table.names, config.material.size)
    parsed, generated = training.material(config.material, args.data, table, args.out, device)
    captions = singles() + composites(config.composites, config.schedule.seed)
    bank = build(captions, lambda: MiniLM.load(TEXT_LAYERS), args.out / "captions.safetensors")
    source = training.batches(config, photos, table, parsed, generated)
    towers = training.prepared_towers(source, bank, config, args.weights)
    balance = Balance(config.within_groups)
    loss = training.CaptionLoss(bank, balance, config)
    fresh, slow = [towers.log_scale, towers.bias], list(towers.text_head.parameters())
    run = training.Run(towers, fresh, slow, source, balance, loss, config, args.out, device)
    if args.weights:
        run.skip_to(config.schedule.refine.start)
    kept = table.validation()
    run.advance(lambda net: mean_auc(net, bank, photos[kept], table.values[kept]), report_every=200)
    training.publish(run.result(), args.out / "facetext.safetensors", config, "facetext")
    print(f"weights in {args.out / 'facetext.safetensors'}")


if __name__ == "__main__":
    cli.run(main)
