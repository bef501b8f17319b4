"""K-means on the pixels of bilinearly enlarged ("refined") feature maps, in torch and by scikit-learn as its reference.

Legend: n maps of h x w cells with D channels, refined to H x W = upsample*h x upsample*w points each, N points in all,
k centres, b maps of one chunk, t candidates.

The fast path never builds the refined points. Bilinear refinement U is linear, so for a point p = U x of cells x
    |p - c|^2 = |p|^2 - 2 U (x . c) + |c|^2          (k numbers are refined instead of D)
    sum of p in a cluster = sum of (U^T membership) x  (the membership is coarsened instead),
which are two matrix products over the cells: upsample^2 times less work and memory, and the same centres.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from where2edit.ops.extension import Impl, check_impl

PILOT = 32768  # cells on which the restarts compete
CHUNK = 2**23  # numbers of a temporary tensor: 32 MiB in float32


@dataclass(frozen=True)
class KMeans:
    """A finished clustering."""

    centres: Tensor  # [k,D]
    inertia: float  # sum over the refined points of the squared distance to the nearest centre
    iterations: int  # Lloyd steps over all points


def kmeans(
    cells: Tensor,
    k: int,
    upsample: int = 1,
    n_init: int = 10,
    seed: int = 42,
    impl: Impl = "auto",
    init: Tensor | None = None,
    max_iter: int = 300,
    tol: float = 1e-4,
) -> KMeans:
    """Cluster the points of `cells`, refined by `upsample` (bilinear, align_corners), into k clusters.

    cells: [n,h,w,D], channels last; plain points [N,D] are [N,1,1,D]. init [k,D] replaces k-means++ and the restarts.
    The reference runs every restart to its end on all points. The fast path lets the `n_init` restarts compete on a
    random pilot of the cells, and carries the best on to all points. Both stop when the summed squared movement of the
    centres is at most `tol` x the mean variance of a channel, or after `max_iter` steps, and move an empty cluster to
    the point farthest from its centre. Raises ValueError for shapes that do not fit and fewer points than k.
    """
    check_impl(impl)
    if cells.ndim != 4 or not 1 <= k <= cells[..., 0].numel():
        raise ValueError(f"cells [n,h,w,D] with at least k={k} >= 1 points needed, got {list(cells.shape)}")
    if init is not None and init.shape != (k, cells.shape[-1]):
        raise ValueError(f"init must be [{k},{cells.shape[-1]}], got {list(init.shape)}")
    if impl == "reference":
        return _sklearn(cells, k, upsample, n_init, seed, init, max_iter, tol)
    if init is None:
        init = _pilot(cells, k, n_init, seed, max_iter, tol)
    return _Lloyd(cells, upsample).run(init, max_iter, tol, progress=cells.numel() > CHUNK)


def refined(cells: Tensor, upsample: int) -> Tensor:
    """[n,h,w,D] -> the points [n,H,W,D] themselves; only for references and small chunks."""
    if upsample == 1:
        return cells
    maps = F.interpolate(cells.permute(0, 3, 1, 2), scale_factor=upsample, mode="bilinear", align_corners=True)
    return maps.permute(0, 2, 3, 1)


def assign(cells: Tensor, centres: Tensor, upsample: int = 1) -> Tensor:
    """The number of the nearest centre of each refined point: cells [n,h,w,D], centres [k,D] -> int64 [n,H,W]."""
    return torch.cat([scores.argmin(-1) for _, scores in _Lloyd(cells, upsample).scores(centres)])


class _Lloyd:
    """Lloyd's iteration over refined points that are never built."""

    def __init__(self, cells: Tensor, upsample: int):
        n, h, w, channels = cells.shape
        self.cells, self.upsample = cells, upsample
        self.rows = max(1, CHUNK // (h * w * upsample**2 * channels))
        self.tall, self.wide = (_refinement(size, upsample).to(cells) for size in (h, w))

    def chunks(self) -> Iterator[Tensor]:
        """The cells in pieces whose refined points fit into CHUNK numbers."""
        return iter(self.cells.split(self.rows))

    def refine(self, values: Tensor) -> Tensor:
        """[b,h,w,k] -> [b,H,W,k]."""
        if self.upsample == 1:
            return values
        b, h, w, k = values.shape
        values = self.tall @ values.reshape(b, h, w * k)
        return (self.wide @ values.view(-1, w, k)).view(b, len(self.tall), len(self.wide), k)

    def coarsen(self, values: Tensor) -> Tensor:
        """The adjoint of `refine`: [b,H,W,k] -> [b,h,w,k]."""
        if self.upsample == 1:
            return values
        b, height, width, k = values.shape
        values = self.wide.T @ values.view(b * height, width, k)
        return (self.tall.T @ values.view(b, height, -1)).view(b, *self.cells.shape[1:3], k)

    def scores(self, centres: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Chunks of cells with |c|^2 - 2 p.c of their refined points, [b,H,W,k]."""
        square = centres.square().sum(1)
        for cells in self.chunks():
            yield cells, square - 2 * self.refine(cells @ centres.T)

    def sums(self, centres: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One pass: per cluster the sum of its points [k,D] and their number [k]; per point its score and label."""
        sums, count = torch.zeros_like(centres, dtype=torch.float64), 0
        scores, labels = [], []
        for cells, score in self.scores(centres):
            best = score.min(-1)
            member = torch.zeros_like(score).scatter_(-1, best.indices[..., None], 1)
            sums += (self.coarsen(member).flatten(0, 2).T @ cells.flatten(0, 2)).double()
            count = count + best.indices.flatten().bincount(minlength=len(centres))
            scores.append(best.values.flatten())
            labels.append(best.indices.flatten())
        return sums, count, torch.cat(scores), torch.cat(labels)

    def norms(self) -> Tensor:
        """|p|^2 of every refined point [N]."""
        return torch.cat([refined(cells, self.upsample).square().sum(-1).flatten() for cells in self.chunks()])

    def point(self, index: int) -> Tensor:
        """One refined point [D]."""
        per_map = len(self.tall) * len(self.wide)
        row, at = divmod(index, per_map)
        return refined(self.cells[row : row + 1], self.upsample).flatten(0, 2)[at]

    def relocate(self, sums: Tensor, count: Tensor, distance: Tensor, labels: Tensor) -> None:
        """Give each empty cluster the point that lies farthest from its own centre, in place."""
        empty = (count == 0).nonzero().flatten().tolist()
        for cluster, index in zip(empty, distance.topk(len(empty)).indices.tolist(), strict=True):
            point, owner = self.point(index).double(), labels[index]
            sums[owner] -= point
            count[owner] -= 1
            sums[cluster], count[cluster] = point, 1

    def run(self, centres: Tensor, max_iter: int, tol: float, progress: bool = False) -> KMeans:
        """Iterate until the centres hardly move, then measure the inertia with the final centres."""
        norms = self.norms()
        mean = self.sums(centres[:1])[0] / len(norms)
        variance = (norms.double().mean() - mean.square().sum()).item() / mean.shape[1]
        limit = tol * max(variance, 0.0)
        bar = tqdm(range(1, max_iter + 1), desc="k-means", unit="step", disable=not progress, leave=False)
        steps = 0
        for _ in bar:
            sums, count, score, labels = self.sums(centres)
            self.relocate(sums, count, norms + score, labels)
            moved = (sums / count.clamp(min=1)[:, None]).to(centres)
            steps += 1
            shift = (moved - centres).square().sum().item()
            centres = moved
            bar.set_postfix(shift=f"{shift:.3g}", until=f"{limit:.3g}")
            if shift <= limit:
                break
        score = torch.cat([score.amin(-1).flatten() for _, score in self.scores(centres)])
        return KMeans(centres, (norms + score).double().sum().item(), steps)


def _refinement(size: int, upsample: int) -> Tensor:
    """The bilinear matrix [upsample*size,size] of one axis."""
    eye = torch.eye(size, dtype=torch.float64)[None]
    return F.interpolate(eye, size=size * upsample, mode="linear", align_corners=True)[0].T.contiguous()


def _pilot(cells: Tensor, k: int, n_init: int, seed: int, max_iter: int, tol: float) -> Tensor:
    """The best of `n_init` k-means++ restarts on a random subset of the cells: centres [k,D]."""
    draw = torch.Generator().manual_seed(seed)
    rows = cells.flatten(0, 2)
    if len(rows) > PILOT:
        rows = rows[torch.randperm(len(rows), generator=draw)[:PILOT].to(rows.device)]
    lloyd = _Lloyd(rows[:, None, None], 1)
    bar = tqdm(range(n_init), desc="k-means restarts", leave=False)
    results = [lloyd.run(_plus_plus(rows, k, draw), max_iter, tol) for _ in bar]
    return min(results, key=lambda result: result.inertia).centres


def _plus_plus(rows: Tensor, k: int, draw: torch.Generator) -> Tensor:
    """Greedy k-means++ seeding (Arthur and Vassilvitskii 2007), 2 + log k candidates a step like scikit-learn."""
    norms = rows.square().sum(1)
    centres = rows[torch.randint(len(rows), (1,), generator=draw).to(rows.device)]
    closest = _distances(rows, norms, centres)[:, 0]
    while len(centres) < k:
        weight = closest.cpu() if closest.any() else torch.ones(len(rows))
        picks = torch.multinomial(weight, 2 + int(math.log(k)), replacement=True, generator=draw).to(rows.device)
        distance = _distances(rows, norms, rows[picks]).minimum(closest[:, None])
        best = distance.sum(0).argmin()
        centres, closest = torch.cat([centres, rows[picks[best]][None]]), distance[:, best]
    return centres


def _distances(rows: Tensor, norms: Tensor, centres: Tensor) -> Tensor:
    """Points [N,D], their squared norms [N] and t centres [t,D] -> squared distances [N,t], never below 0."""
    return (norms[:, None] - 2 * rows @ centres.T + centres.square().sum(1)).clamp(min=0)


def _sklearn(
    cells: Tensor, k: int, upsample: int, n_init: int, seed: int, init: Tensor | None, max_iter: int, tol: float
) -> KMeans:
    """scikit-learn's KMeans on the points themselves, which must fit into memory."""
    from sklearn.cluster import KMeans as SklearnKMeans

    n, h, w, channels = cells.shape
    points = torch.empty(n, h * upsample, w * upsample, channels)
    for index in range(n):
        points[index] = refined(cells[index : index + 1], upsample)[0]
    start = {"init": init.cpu().numpy(), "n_init": 1} if init is not None else {"n_init": n_init}
    # Elkan is what the released run's version chose for dense data; it gives the same centres as Lloyd in less time.
    estimator = SklearnKMeans(
        k, random_state=seed, max_iter=max_iter, tol=tol, algorithm="elkan", copy_x=False, **start
    )
    fitted = estimator.fit(points.flatten(0, 2).numpy())
    centres = torch.from_numpy(fitted.cluster_centers_).to(cells)
    return KMeans(centres, float(fitted.inertia_), int(fitted.n_iter_))
