"""Whole commands at toy size in processes of their own, which can be killed, kept waiting or given a full disk.

The processes are forked from a server that has imported everything, so that one costs what its work costs. Networks
that the toy profile does not have are stand-ins with fixed random weights; everything else is the real command.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import metric_cases
import official_files
import torch
import toy_cases as toy
from inversion_cases import use_small_networks
from photo_edit_cases import face
from PIL import Image

from where2edit.commands import cli
from where2edit.facetext import celeba
from where2edit.files.atomic import PARTIAL
from where2edit.files.fingerprints import file_sha256

TOY = str(toy.ROOT / "configs/toy.yaml")
SERVER = multiprocessing.get_context("forkserver")
COMMANDS = ("train", "evaluate", "cluster", "train_facetext", "download", "invert", "edit", "contact_sheet", "sample")
COMMANDS += ("train_encoder", "application_sheets", "calibrate", "make_faces", "convert", "write_captions")
# torch._dynamo is what a process imports for its first optimizer, in four seconds.
PRELOADED = ["survival_cases", "requests", "torch._dynamo", *(f"where2edit.commands.{name}" for name in COMMANDS)]
SERVER.set_forkserver_preload(PRELOADED)
MOST_SECONDS = 300  # of one command
PASSING = ("verified", ".lock", "probe")  # folders and files that hold times or processes and no result


# Stand-ins


class Parser(metric_cases.Parser):
    """Labels by place, where a face parser is loaded."""

    def to(self, device):
        return self

    def parameters(self):
        yield torch.zeros(1)


def look(picture, box, detector):
    """One face, as large as the picture allows, where a face detector would look for them."""
    points = torch.tensor([[0.35, 0.4], [0.65, 0.4], [0.5, 0.55], [0.38, 0.7], [0.62, 0.7]]) * min(picture.size)
    return points[None], torch.tensor([[0.0, 0.0, *picture.size]]), torch.ones(1)


class Distance(metric_cases.Distance):
    """A distance of pictures, where LPIPS is loaded."""

    def to(self, device):
        return self


def words(prompts):
    """Features of prompts, in place of MiniLM's."""
    seeds = [int.from_bytes(prompt.encode()[-7:], "big") for prompt in prompts]
    return torch.stack([torch.randn(1152, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def image_network(path=None):
    """EfficientNet-Lite0 with random weights."""
    from where2edit.backbones.efficientnet_lite import EfficientNetLite0

    torch.manual_seed(0)
    return EfficientNetLite0(fused=False)


def stand_in(inputs: Path) -> None:
    """Replace what needs weights that are not shipped; the manifest is that of `inputs`."""
    from where2edit.backbones import efficientnet_lite, face_parsing, judge
    from where2edit.commands import train
    from where2edit.editing import region_shares
    from where2edit.evaluation import evaluate, natural_faces, networks
    from where2edit.facetext import start
    from where2edit.files import locks, manifest
    from where2edit.generators import mobilestylegan
    from where2edit.inversion import encoder_material, encoder_start, inverter
    from where2edit.photo_editing import faces as edited_faces
    from where2edit.photos import faces
    from where2edit.text_image import minilm

    networks.LOADERS.update(
        inception=partial(metric_cases.RandomFeatures, 2048, 1, positive=True),
        arcface=partial(metric_cases.RandomFeatures, 32, 2),
        face_parsing=Parser,
        lpips=Distance,
    )
    judge.Judge.load = metric_cases.Judge
    natural_faces.SHARD, train.SHEET_PROMPTS = 10, ("a beard",)
    region_shares.FACES, region_shares.FaceParser.load = range(3000, 3004), lambda *_: Parser()
    evaluate.commit = lambda: "0" * 40  # somebody may commit while the tests run
    face_parsing.FaceParser.load = lambda *_: Parser()
    mobilestylegan.MobileStyleGAN.load = lambda *_: toy.generator(32)
    minilm.MiniLM.load = lambda *_: words
    efficientnet_lite.EfficientNetLite0.load = image_network
    start.teach_words, start.start_head = partial(start.teach_words, steps=2), partial(start.start_head, pictures=12)
    encoder_material.FaceDetector.load, encoder_material.look = lambda *_: None, look
    edited_faces.find_faces, faces.look_closer = lambda photo: (face(128, 120, 100),), lambda photo, face: face
    use_small_networks(StandIn)
    inverter.KEPT_EVERY, inverter.DIRECTION_SAMPLES, encoder_start.SAMPLES = 1, 600, 600
    locks.SECONDS = 0.3
    if (inputs / "manifest.yaml").is_file():
        manifest.manifest_path = lambda: inputs / "manifest.yaml"


# What happens to a process


@dataclass(frozen=True)
class Moment:
    """When a process is killed: `seconds` after write number `write`, or at that write (half: with half of its bytes).

    Writes are counted as Python's audit events tell: files opened to be written, renamed, removed, folders made. Number
    0 is the start of the command.
    """

    write: int = 0
    seconds: float | None = None
    half: bool = False


@dataclass
class Ended:
    """How a process ended: exit code (negative: a signal), what it printed, and when it wrote."""

    code: int | None
    out: str = ""
    error: str = ""
    writes: list[float] = field(default_factory=list)  # seconds from the start of the command

    @property
    def sentence(self) -> str:
        """The last line of stderr, behind the progress bars."""
        return self.error.replace("\r", "\n").strip().split("\n")[-1]


def kill(partial_file: str | None = None) -> None:
    """SIGKILL for this process; of `partial_file` only the first half has been written."""
    if partial_file:
        os.truncate(partial_file, os.path.getsize(partial_file) // 2)
    os.kill(os.getpid(), signal.SIGKILL)


def watch(folder: Path, begin: float, writes: list[float], moment: Moment | None, pause: tuple | None) -> None:
    """Note every write below `folder`, and kill this process, or let it wait for a file, at one of them."""
    inside = str(folder)

    def reached(file: str | None) -> None:
        writes.append(time.monotonic() - begin)
        if moment and len(writes) == moment.write:
            act(file)
        if pause and len(writes) == pause[0]:
            (folder / "paused").touch()
            while not pause[1].exists():
                time.sleep(0.01)

    def act(file: str | None) -> None:
        if moment.seconds is None:
            kill(file if moment.half else None)
        threading.Timer(moment.seconds, kill).start()

    def hook(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str) and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            path = arguments[0]
        elif event in ("os.rename", "os.remove", "os.mkdir"):
            path = os.fsdecode(arguments[0])
        else:
            return
        if os.path.abspath(path).startswith(inside) and not path.endswith("paused"):
            reached(path if event == "os.rename" else None)

    if moment and not moment.write:
        act(None)
    sys.addaudithook(hook)


def command(pipe, name, arguments, folder, inputs, environment, moment, pause, most_bytes) -> None:
    """The process: one command in `folder`; sends its end, unless it is killed."""
    begin, writes = time.monotonic(), []
    torch.set_num_threads(1)
    os.chdir(folder)
    for proxy in [key for key in os.environ if key.lower().endswith("_proxy")]:
        del os.environ[proxy]
    os.environ.update(environment)
    sys.argv = [f"{name}.py", *arguments]
    main = importlib.import_module(f"where2edit.commands.{name}").main
    stand_in(inputs)
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code: int | None = 99  # a traceback
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        watch(folder, begin, writes, moment, pause)
        if most_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        try:
            cli.run_command(main, "A heading.")
        except SystemExit as end:
            code = end.code
        except BaseException:
            import traceback

            traceback.print_exc()
    said = [stream.buffer.getvalue().decode() for stream in (out, error)]
    pipe.send((code, *said, writes))


class Running:
    """A command at work in a folder; `end` waits for it."""

    def __init__(self, case: Case, folder: Path, inputs: Path, moment=None, pause=None, most_bytes=None, **environment):
        folder.mkdir(exist_ok=True)
        whole = {"WHERE2EDIT_CACHE": str(folder / "cache"), "WHERE2EDIT_WEIGHTS": str(inputs)} | environment
        self.pipe, theirs = SERVER.Pipe(duplex=False)
        arguments = [each.replace("INPUTS", str(inputs)) for each in case.arguments]
        what = (theirs, case.command, arguments, folder, inputs, whole, moment, pause, most_bytes)
        with one_thread():
            self.process = SERVER.Process(target=command, args=what, daemon=True)
            self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> Ended:
        """How it ended. Raises AssertionError where it hangs."""
        try:
            assert self.pipe.poll(MOST_SECONDS), "the command hangs"
            said = self.pipe.recv()
        except EOFError:
            said = ()
        finally:
            self.pipe.close()
            if not self.process.is_alive() or self.process.join(10) is None and self.process.is_alive():
                self.process.kill()
            self.process.join()
        return Ended(*said) if said else Ended(self.process.exitcode)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def one_thread():
    """The server of processes starts with one thread, whatever this process has."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


# The commands


@dataclass(frozen=True)
class Case:
    """A command at toy size: its options (INPUTS stands for the folder of its inputs) and what makes the inputs.

    `result`: the file that is there as soon as the command is done, for one that refuses to replace it.
    """

    command: str
    arguments: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda inputs: None
    result: str | None = None


def changed(case: Case, options: tuple[str, ...]) -> Case:
    """The command with more options; those of the config stand together."""
    end = max((i + 1 for i, each in enumerate(case.arguments) if "=" in each), default=len(case.arguments))
    overrides = tuple(each for each in options if "=" in each)
    others = tuple(each for each in options if "=" not in each)
    return replace(case, arguments=case.arguments[:end] + overrides + case.arguments[end:] + others)


SMALL = ("method.mapper.options.samples=300", "method.mapper.options.direction_faces=2")
TRAINING = ("training.steps=6", "training.snapshot_every=2", "training.sheet_every=4", "training.prompts=2")
PROTOCOL = """
name: small
title: Small
prompts_from: ours
prompts:
  - {text: blond hair, regions: [hair], concept: Smiling}
  - {text: big nose, regions: [nose], concept: Big_Nose}
rows: [{label: no-op, method: no-op}, {label: ours}]
metrics: [fid_vs_unedited, success_train_encoder, success_judge, id_arcface, kid_vs_natural, changed_outside_mask]
tests: [id_arcface]
"""
MATERIAL = ("material.size=32", "material.parsed=6", "material.generated=4", "mix.batch=4", "mix.altered=2")
SCHEDULE = ("schedule.steps=5", "schedule.restart=2", "schedule.refine.start=3", "schedule.save_every=2")
ENCODER = ("steps=4", "save_every=1", "generated=2", "photos=1", "bfloat16=false", "view.site=32.rgb")
ENCODER += ("view.weights=null", "measured_at.site=32.rgb", "measured_at.weights=null", "material.generated=4")
ENCODER += ("material.photos=4", "material.validation=2")
SIZES = ("schedule.small_size=32", "captions=20", "composites=400")


def write_protocol(inputs: Path) -> None:
    (inputs / "small.yaml").write_text(PROTOCOL)


def write_captions(inputs: Path) -> None:
    (inputs / "captions").mkdir()
    (inputs / "captions/0.txt").write_text(toy.CAPTION)


def toy_editor(inputs: Path) -> None:
    toy.lively_editor(inputs / "editor.safetensors")


def write_photos(inputs: Path) -> None:
    """Twelve photos and their attributes."""
    draw, rows = torch.Generator().manual_seed(0), [",".join(("image", *celeba.ATTRIBUTES))]
    for i in range(12):
        pixels = torch.randint(256, (6, 5, 3), generator=draw, dtype=torch.uint8).numpy()
        Image.fromarray(pixels).resize((89, 109)).save(inputs / f"{i}.png")
        values = torch.randint(2, (len(celeba.ATTRIBUTES),), generator=draw).tolist()
        rows.append(",".join(map(str, (f"{i}.png", *values))))
    (inputs / "table.csv").write_text("\n".join(rows) + "\n")


def write_e4e(inputs: Path) -> None:
    """A small e4e in its official layout."""
    torch.save(official_files.e4e(64, official_files.SMALL_WIDTHS, seed=0), inputs / "e4e.pt")


def write_stylegan2(inputs: Path) -> None:
    """A small StyleGAN2 in its official layout, which the manifest names."""
    torch.save(official_files.stylegan2_rosinality(8, seed=0), inputs / "stylegan2.pt")
    write_manifest(inputs, {"stylegan2-ffhq": (inputs / "stylegan2.pt", None, ("stylegan2-rosinality",))})


def write_photo(inputs: Path) -> None:
    Image.linear_gradient("L").convert("RGB").save(inputs / "photo.png")


class StandIn:
    """Replaces attributes, as pytest's monkeypatch does, for good."""

    setattr = staticmethod(setattr)


def write_manifest(inputs: Path, files: dict[str, tuple[Path, str | None, tuple[str, ...]]]) -> None:
    """A manifest of files: path, the address that sends it, and formats."""
    assets = {}
    for name, (path, url, formats) in files.items():
        assets[name] = {"what": name, "file": path.name, "size": path.stat().st_size, "sha256": file_sha256(path)}
        assets[name] |= {"licence": "none", "used_by": "tests", "formats": list(formats)}
        assets[name]["sources"] = [{"url": url}] if url else [{"page": "https://example.org"}]
    (inputs / "manifest.yaml").write_text(json.dumps({"archives": {}, "assets": assets}))


CASES = {
    "train": Case(
        "train",
        ("--config", TOY, *SMALL, *TRAINING, "training.tensorboard=false", "data.captions=INPUTS/captions")
        + ("--device", "cpu", "--out", "out"),
        write_captions,
    ),
    "evaluate": Case(
        "evaluate",
        ("--table", "INPUTS/small.yaml", "--config", TOY, "blending.threshold=0.5", "--n", "6", "--natural-faces")
        + ("20", "--processes", "1", "--device", "cpu", "--out", "out"),
        write_protocol,
    ),
    "cluster": Case(
        "cluster",
        ("--config", TOY, "losses.named_regions.weight=1.0", "--out", "out", "--sheet", "out/regions.png")
        + ("--k", "3", "5", "--device", "cpu"),
        result="out/regions.png",
    ),
    "facetext": Case(
        "train_facetext",
        ("--data", "INPUTS", "--attributes", "INPUTS/table.csv", *MATERIAL, *SCHEDULE, *SIZES)
        + ("--device", "cpu", "--out", "out"),
        write_photos,
    ),
    "download": Case("download", ("a", "b")),
    "invert": Case(
        "invert",
        ("--photo", "INPUTS/photo.png", "--config", TOY, "inversion.w_steps=2", "inversion.canvas_steps=3")
        + ("--device", "cpu", "--out", "out"),
        write_photo,
    ),
    "train_encoder": Case(
        "train_encoder",
        ("--data", "INPUTS", "--attributes", "INPUTS/table.csv", "--profile", TOY, *ENCODER)
        + ("--device", "cpu", "--out", "out"),
        write_photos,
    ),
}
EDITOR = ("--config", TOY, "--weights", "INPUTS/editor.safetensors", "--device", "cpu")
CASES |= {  # commands that finish at once or not at all
    "edit": Case("edit", ("--prompt", "a beard", "--seed", "1", *EDITOR, "--out", "out"), toy_editor),
    "contact_sheet": Case(
        "contact_sheet",
        ("--prompt", "a beard", "--seeds", "0-1", "--cell", "64", *EDITOR, "--out", "out/edits.jpg"),
        toy_editor,
        "out/edits.jpg",
    ),
    "sample": Case(
        "sample",
        ("--config", TOY, "--seeds", "0-1", "--cell", "64", "--device", "cpu", "--out", "out/faces.png"),
        result="out/faces.png",
    ),
    "converted": Case(
        "sample",
        ("--config", TOY, "generator.weights=stylegan2-ffhq", "generator.options.resolution=8")
        + ("generator.options.channel_multiplier=2", "generator.blend_site=8.conv1", "--seeds", "0", "--cell", "64")
        + ("--device", "cpu", "--out", "out/faces.png"),
        write_stylegan2,
        "out/faces.png",
    ),
    "calibrate": Case(
        "calibrate",
        ("--config", TOY, "natural_strength.faces=4", "--device", "cpu", "--out", "out/c.safetensors"),
        result="out/c.safetensors",
    ),
    "make_faces": Case(
        "make_faces",
        ("--seeds", "0-2", "--size", "32", "--device", "cpu", "--out", "out/faces.safetensors"),
        result="out/faces.safetensors",
    ),
    "convert": Case(
        "convert", ("e4e", "INPUTS/e4e.pt", "out/e4e.safetensors"), write_e4e, result="out/e4e.safetensors"
    ),
    "application_sheets": Case(
        "application_sheets", ("--seeds", "0", "--references", "10", *EDITOR, "--out", "out"), toy_editor
    ),
    "write_captions": Case("write_captions", ("--files", "3", "--out", "out"), result="out/0.txt"),
}


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The results below a folder: every file but those that hold times or processes; logs without their times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not any(part in PASSING for part in path.relative_to(folder).parts):
            found[name] = without_times(path) if path.suffix == ".jsonl" else path.read_bytes()
    return found


def without_times(log: Path) -> bytes:
    """The lines of a log without the seconds that its steps took."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return "\n".join(json.dumps({k: v for k, v in line.items() if k != "seconds"}) for line in lines).encode()


def half_written(folder: Path) -> list[str]:
    """Partial files below a folder."""
    return [str(path) for path in folder.rglob("*") if PARTIAL.fullmatch(path.name) or path.name.endswith(".member")]
