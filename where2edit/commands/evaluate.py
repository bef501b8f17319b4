"""Evaluation from the command line: build the runner, run the tables, write the report."""

from __future__ import annotations

import subprocess
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from where2edit.commands.cli import writable
from where2edit.commands.options import add_config, add_device, add_overrides, add_weights, new_parser
from where2edit.core import config as configs
from where2edit.core import distributed
from where2edit.core.registry import nearest
from where2edit.editor.build import build_conditions, build_encoder, build_frozen
from where2edit.editor.profile import Profile, load_profile
from where2edit.editor.recipes import weights_digest
from where2edit.evaluation import protocols, report, workers
from where2edit.evaluation.metrics.base import Tools
from where2edit.evaluation.protocols import Protocol
from where2edit.evaluation.rows import Rows
from where2edit.evaluation.runner import Contestant, Runner
from where2edit.evaluation.samples import Plan
from where2edit.evaluation.tools import build_tools
from where2edit.text_image.base import TextImage


def main(help_text: str) -> None:
    """Run the tables that were asked for and print where the report lies."""
    options = build_parser(help_text).parse_args()
    chosen = [only(protocol, options.row) for protocol in protocols.select(options.table)]
    profile = load_profile(options.config, options.overrides)
    if options.weights:
        profile = replace(profile, method=replace(profile.method, weights=options.weights))
    folder = writable(options.out or Path("results") / profile.name)
    device = distributed.start_processes(options.device)
    if device == "cpu":
        torch.set_num_threads(1)  # also for what is built before the work is shared
    encoder = build_encoder(profile, device)
    tools = build_tools(profile, encoder, device, options, folder)
    pages = evaluate(profile, chosen, folder, encoder, tools, options)
    if pages:
        print("\n".join(map(str, pages)))
    distributed.leave()


def build_parser(help_text: str) -> ArgumentParser:
    """What the command line may say."""
    parser = new_parser(help_text)
    tables = f"1 to 4, all (every table but editor), or one of: {', '.join(protocols.names())}; may be repeated"
    parser.add_argument("--table", action="append", required=True, help=tables)
    parser.add_argument("--row", action="append", default=[], help="only this row of the tables; may be repeated")
    parser.add_argument("--n", type=int, help="pairs of source and prompt in every row (default: the protocol's)")
    parser.add_argument("--paper", action="store_true", help="the paper's number, every prompt on each source")
    parser.add_argument("--heldout", help="text-image encoder that no training saw: NAME[:MODEL][:WEIGHTS or FILE]")
    parser.add_argument("--inception-logits", type=Path, help="torch-fidelity's Inception file, for inception_score")
    parser.add_argument("--real", type=Path, help="folder of real photos, for fid_vs_real")
    parser.add_argument("--batch", type=int, default=2, help="sources edited together (default: %(default)s)")
    parser.add_argument("--processes", type=int, help="on a CPU (default: one per core that has 5 GB of memory)")
    parser.add_argument("--seed", type=int, default=100000, help="seed of the first source (default: %(default)s)")
    add_config(parser)
    add_weights(parser)
    add_device(parser)
    parser.add_argument("--out", type=Path, help="folder (default: results/ and the profile's name)")
    add_overrides(parser)
    return parser


def evaluate(
    profile: Profile, chosen: list[Protocol], folder: Path, encoder: TextImage, tools: Tools, options: Namespace
) -> list[Path]:
    """Measure what is missing, then, in the first process, write the report; returns its pages."""
    conditions = build_conditions(profile, encoder)
    runner = Runner(folder / "samples", conditions, tools, profile.generator.truncation)
    without_preview = replace(
        profile, preview_head=replace(profile.preview_head, weights=None)
    )  # it serves training only
    frozen = build_frozen(without_preview, encoder, tools.device)
    rows = Rows(profile, frozen, tools, options)
    tables = [(protocol, plan := plan_of(protocol, options), *rows.build(protocol, plan)) for protocol in chosen]
    measure(runner, [table[:3] for table in tables], workers.how_many(options.processes, str(tools.device)))
    if distributed.rank():
        return []
    finished = [report.table_of(runner, *table) for table in tables]
    return report.write(folder, runner, finished, facts(profile, options.heldout))


def measure(runner: Runner, tables: list[tuple[Protocol, Plan, list[Contestant]]], processes: int) -> None:
    """Share the work between processes; the clock runs last and alone, with one thread."""
    timed = [table for table in tables if table[0].kind == "time"]
    shared = [table for table in tables if table[0].kind != "time"]
    torch.set_num_threads(1)
    runner.prepare(tables)
    if distributed.active():
        runner.run(shared, distributed.rank(), distributed.world())
        dist.barrier()
    else:
        workers.share(partial(runner.run, shared), processes)
    if not distributed.rank():
        runner.run(timed)


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
    sheet = max(Plan.sheet, len(protocol.prompts))
    return Plan(n, crossed, 1 if protocol.kind == "time" else options.batch, options.seed, sheet)


def facts(profile: Profile, heldout: str | None) -> report.Facts:
    """The labels of every figure of this run."""
    return report.Facts(
        profile=profile.name,
        generator=profile.generator.name,
        encoder=profile.text_image.name,
        heldout=heldout or "",
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
