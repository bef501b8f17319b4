"""What scripts/evaluate.py does with its options: build the runner, run the tables, write the report."""

from __future__ import annotations

import hashlib
import subprocess
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from where2edit import assets, distributed, pictures, tensorfile
from where2edit import config as configs
from where2edit import profile as profiles
from where2edit.backbones import judge
from where2edit.cli import writable
from where2edit.evaluation import protocols, report
from where2edit.evaluation.memory import keep_freed_memory
from where2edit.evaluation.protocols import METHOD, Protocol, Row
from where2edit.evaluation.runner import Contestant, Runner
from where2edit.evaluation.samples import Plan, digest
from where2edit.methods.base import Method, Parts
from where2edit.metrics.base import Tools
from where2edit.profile import Profile
from where2edit.recipes import weights_digest
from where2edit.registry import nearest
from where2edit.runs import start_processes
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig

REAL = "real-features"  # kind of the file of features of real photos


def main(options: Namespace) -> int:
    """Run the tables that were asked for and print where the report lies."""
    keep_freed_memory()
    chosen = [only(protocol, options.row) for protocol in protocols.select(options.table)]
    profile = profiles.load(options.config, options.overrides)
    if options.weights:
        profile = replace(profile, method=replace(profile.method, weights=options.weights))
    folder = writable(options.out or Path("results") / profile.name)
    device = start_processes(options.device)
    encoder = profiles.build_encoder(profile, device)
    tools = build_tools(encoder, device, options.heldout, options.real, folder)
    pages = evaluate(profile, chosen, folder, encoder, tools, options)
    if pages:
        print("\n".join(map(str, pages)))
    distributed.leave()
    return 0


def evaluate(
    profile: Profile, chosen: list[Protocol], folder: Path, encoder: TextImage, tools: Tools, options: Namespace
) -> list[Path]:
    """Measure what is missing, then, in the first process, write the report; returns its pages."""
    conditions = profiles.build_conditions(profile, encoder)
    runner = Runner(folder / "samples", conditions, tools, profile.generator.truncation)
    without_preview = replace(profile, preview=replace(profile.preview, weights=None))  # it serves training only
    parts = profiles.build_parts(without_preview, encoder, tools.device)
    tables = []
    for protocol in chosen:
        plan = plan_of(protocol, options)
        contestants, left_out = build_rows(profile, protocol, parts, plan, options)
        tables.append((protocol, plan, contestants, left_out))
    runner.run([table[:3] for table in tables])
    if distributed.active():
        dist.barrier()
    if distributed.rank():
        return []
    return report.write(folder, runner, [report.table_of(runner, *table) for table in tables], facts(profile))


def only(protocol: Protocol, labels: list[str]) -> Protocol:
    """A protocol with the rows of these labels, or with all of its rows where none is named."""
    known = [row.label for row in protocol.rows]
    if unknown := [label for label in labels if label not in known]:
        raise ValueError(f"table '{protocol.name}' has no row '{unknown[0]}'; {nearest(unknown[0], known)}")
    return replace(protocol, rows=tuple(row for row in protocol.rows if row.label in labels)) if labels else protocol


def plan_of(protocol: Protocol, options: Namespace) -> Plan:
    """How many samples: --n, else the protocol's own; --paper is the paper's number and every prompt on each source."""
    n = options.n or (protocol.paper_n if options.paper else protocol.n)
    if n < 1 or options.batch < 1:
        raise ValueError(f"--n and --batch must be at least 1, got {n} and {options.batch}")
    if protocol.kind in ("strength", "sequential", "time") and not options.paper:
        n = min(n, protocol.n)  # these rows cost several edits of each source, or measure the clock
    crossed = options.paper or protocol.crossed
    return Plan(n, crossed, 1 if protocol.kind == "time" else options.batch, options.seed)


def build_rows(
    profile: Profile, protocol: Protocol, parts: Parts, plan: Plan, options: Namespace
) -> tuple[list[Contestant], dict[str, str]]:
    """The rows that can run, and the reason for each that cannot."""
    rows, left_out = [], {}
    for row in protocol.rows:
        try:
            rows.append(build_row(profile, row, parts, plan, options))
        except ValueError as error:
            if row.method == METHOD and not row.overrides and not row.weights:
                raise  # without the profile's own method there is no table
            left_out[row.label] = str(error)
    return rows, left_out


def build_row(profile: Profile, row: Row, parts: Parts, plan: Plan, options: Namespace) -> Contestant:
    """The method of a row with its weights. Raises ValueError when it cannot be built."""
    tree = configs.override(configs.as_dict(profile), row.overrides)
    own = configs.build(Profile, tree)
    if own.generator != profile.generator or own.text_image != profile.text_image:
        raise ValueError(f"row '{row.label}' changes the generator or the encoder; evaluate it as a profile of its own")
    weights = row.weights or own.method.weights
    name = own.method.name if row.method == METHOD else row.method
    own = replace(own, method=replace(own.method, name=name, weights=None))
    method: Method = profiles.build_method(own, replace(parts, blending=own.blending)).eval().requires_grad_(False)
    has_weights = weights is not None and any(True for _ in method.parameters())
    if has_weights:
        profiles.load_editor(method, profiles.resolve(weights))
    sha = hashlib.sha256(profiles.resolve(weights).read_bytes()).hexdigest() if has_weights else ""
    plan_facts = [plan.batch, plan.seed, plan.crossed, str(options.heldout), str(options.real)]
    relevant = [own.generator, own.text_image, own.regions, own.blending, own.method]
    depends_on = [digest([configs.as_dict(part) for part in relevant]), sha, regions_sha(profile), *plan_facts]
    return Contestant(row, method, own.method.strength, depends_on)


def regions_sha(profile: Profile) -> str:
    path = assets.shipped(profile.regions_file)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def build_tools(encoder: TextImage, device: str, heldout: str | None, real: Path | None, folder: Path) -> Tools:
    """The networks that metrics read; the held-out encoder and real photos only where they were given."""
    tools = Tools({"train_encoder": encoder}, device)
    if assets.shipped(judge.WEIGHTS).is_file():
        tools.give("judge", judge.Judge.load().to(device))
    if heldout:
        tools.give("heldout_encoder", TEXT_IMAGE.get(heldout)(TextImageConfig(name=heldout)).to(device))
    if real:
        tools.give("real_features", real_features(real, tools, folder))
    return tools


def real_features(folder: Path, tools: Tools, cache: Path) -> Tensor:
    """Inception features [M,2048] of the pictures below a folder, kept beside the results."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    if len(files) < 2:
        raise ValueError(f"--real {folder} holds {len(files)} pictures; give a folder of real photos (PNG, JPEG, WebP)")
    path = cache / f"real-{digest([[str(p.relative_to(folder)), p.stat().st_size] for p in files])}.safetensors"
    if not path.is_file():
        found = [tools["inception"](pictures.load_image(file).to(tools.device)).cpu() for file in files]
        tensorfile.write(path, {"features": torch.cat(found)}, REAL, {})
    return tensorfile.read(path, REAL)[0]["features"]


def facts(profile: Profile) -> report.Facts:
    """The labels of every figure of this run."""
    return report.Facts(
        profile=profile.name,
        generator=profile.generator.name,
        encoder=profile.text_image.name,
        config=configs.digest(profile),
        weights=weights_digest(profile, None),
        commit=commit(),
    )


def commit() -> str:
    """The commit of the checkout that this code runs from; "" where there is none."""
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
