"""The options of an evaluation, apart from the profile and the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from where2edit.core.bounds import Count, CountOrNone, Few, Seed
from where2edit.inversion.inverter import Quality


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of scripts/evaluate.py with the defaults of its command line."""

    n: Count | None = None  # samples of every row, or sources of a crossed table; None: the protocol's own number
    paper: bool = False  # the paper's number of samples, and every prompt on each source
    batch: Few = 2  # sources that are edited together; part of what makes two runs equal to the bit
    seed: Seed = 100_000  # of the first source; far from the seeds that training and sheets use
    processes: Few | None = None  # on a CPU; None: one for each core that has memory enough
    heldout: str | None = None  # text-image encoder that no training saw: NAME[:MODEL][:WEIGHTS or FILE]
    inception_logits: Path | None = None  # torch-fidelity's Inception file, which inception_score needs
    # Unedited faces among which natural examples are looked for; 0: metrics go without.
    natural_faces: CountOrNone = 4000
    overwrite: bool = False  # replace the report of another evaluation in the same folder
    real: Path | None = None  # folder of real photos, which fid_vs_real needs
    photos: Sequence[Path] | None = None  # files and folders of the table photos; None: scikit-image's astronaut
    quality: Quality | None = None  # of the inversions of photos; None: the protocol's
