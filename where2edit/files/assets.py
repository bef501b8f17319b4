"""From assets, the weights that the manifest names, to verified local files: `fetch("scrfd")` returns a path.

pretrained_models/manifest.yaml says for each name where it comes from and which sha256 it must have. A file is "here"
when it lies in a folder of the user's own ($WHERE2EDIT_WEIGHTS), in the repository, or in the cache
($WHERE2EDIT_CACHE, default ~/.cache/where2edit); otherwise it is fetched from the manifest's sources in order, unless
WHERE2EDIT_OFFLINE=1.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from where2edit.files import archives, downloads
from where2edit.files.cache import cache_folder, environment_folder
from where2edit.files.downloads import SourceError, readable, storage
from where2edit.files.fingerprints import file_sha256
from where2edit.files.manifest import Asset, AssetError, Origin, entry, manifest, shipped
from where2edit.files.verified import known_right, record_right

SIZE_TOLERANCE = 0.05  # for weights of which no sha256 is published; enough to recognise a web page or half a file


def offline_mode(offline: bool = False) -> bool:
    """True when the argument or the environment variable WHERE2EDIT_OFFLINE asks for it."""
    return offline or os.environ.get("WHERE2EDIT_OFFLINE", "").lower() not in ("", "0", "false", "no")


def locate(name: str) -> Path | None:
    """Where `name` lies on this machine, unverified, or None."""
    asset, own = entry(name), environment_folder("WHERE2EDIT_WEIGHTS")
    places = [own / asset.file] if own else []
    places += [shipped(source.path) for source in asset.sources if source.path]
    places.append(cache_folder() / "weights" / asset.file)
    return next((place.absolute() for place in places if place.is_file()), None)


def fetch(name: str, offline: bool = False, verify: bool = False) -> Path:
    """The verified local file of the weight `name`, downloaded if it is not here.

    The hash of a file that is here is recomputed only when its size or time has changed, or with `verify`. Raises
    AssetError (a ValueError) for an unknown name, a wrong file, or when no source gives it; OSError when the cache is
    full or cannot be written. What was there before stays.
    """
    asset = entry(name)
    here = locate(name)
    if here is None and not offline_mode(offline):
        with _lock(name):
            # Another process may have brought it while this one waited for the lock.
            here = locate(name) or _download(name, asset)
    if here is None:
        raise AssetError(missing([name]))
    if verify or not known_right(name, here, asset.sha256):
        _check(name, asset, here, f"delete it and run scripts/download.py {name}")
        record_right(name, here, asset.sha256)
    return here


def missing(names: list[str]) -> str:
    """One sentence on which of `names` are not here and what to do about it; empty when all are."""
    absent = [name for name in names if locate(name) is None]
    if not absent:
        return ""
    listed = ", ".join(f"{name} ({readable(entry(name).size)})" for name in absent)
    files = ", ".join(entry(name).file for name in absent)
    return (
        f"not here, and offline mode is on: {listed}; run 'python scripts/download.py {' '.join(absent)}' where there "
        f"is a connection and copy its weights to {cache_folder() / 'weights'}, or set WHERE2EDIT_WEIGHTS to a folder "
        f"that holds {files}"
    )


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """One process at a time downloads; the others wait and then find the file."""
    from filelock import FileLock

    downloads.require_space(cache_folder() / "downloads", 0, f"asset '{name}'")
    lock = FileLock(cache_folder() / "downloads" / ".lock")
    with storage(cache_folder()):
        lock.acquire()
        for left in (cache_folder() / "downloads").glob("*.member"):  # what a killed process was unpacking
            left.unlink()
    try:
        yield
    finally:
        lock.release()


def _download(name: str, asset: Asset) -> Path:
    """Try the sources in order until one gives the right file; AssetError lists what each of them said."""
    reasons = []
    for source in asset.sources:
        try:
            if source.url:
                return _from_address(name, asset, source.url)
            if source.archive:
                return _from_archive(name, asset, source.archive)
            if source.path:
                reasons.append(f"{source.label}: {source.path} is missing")
        except (SourceError, AssetError) as error:
            reasons.append(f"{source.label}: {error}")
    pages = [source.page for source in asset.sources if source.page]
    hand = f"fetch it by hand from {pages[0]}" if pages else "try again with a connection"
    said = "; ".join(reasons) or "it has no address that a program can use"
    raise AssetError(
        f"asset '{name}' cannot be fetched ({said}); {hand}, or "
        f"name a folder of yours that holds {asset.file} in the environment variable WHERE2EDIT_WEIGHTS"
    )


def _from_address(name: str, asset: Asset, url: str) -> Path:
    """Download a weight from its address and install it."""
    file = cache_folder() / "downloads" / asset.file.replace("/", "-")
    if downloads.from_address(url, file, asset.size, name):
        # A part of another day may belong to another version of the file; one try from the first byte settles it.
        try:
            return _install(name, asset, file)
        except AssetError:
            downloads.from_address(url, file, asset.size, name)
    return _install(name, asset, file)


def _from_archive(name: str, asset: Asset, project: str) -> Path:
    """Fetch the archive of a registry project once, take every weight of the manifest out of it, and remove it."""
    read = manifest()
    archive = read.archives[project]
    file = cache_folder() / "downloads" / archive.file
    siblings = {
        other: (item, inside)
        for other, item in read.assets.items()
        for inside in item.sources
        if inside.archive == project and (other == name or locate(other) is None)
    }
    members = sum(item.size for item, _ in siblings.values())
    downloads.require_space(file.parent, archive.size + members, f"asset '{name}'")
    resumed = not file.is_file() and downloads.from_registry(project, archive.file, file, archive.size, name)
    try:
        found = file_sha256(file)
        if resumed and found != archive.sha256:
            downloads.from_registry(project, archive.file, file, archive.size, name)
            found = file_sha256(file)
        if found != archive.sha256:
            raise AssetError(f"archive {archive.file} has sha256 {found}, expected {archive.sha256}")
        paths = {other: _take(other, item, inside, file, other == name) for other, (item, inside) in siblings.items()}
    finally:
        file.unlink(missing_ok=True)
    wanted = paths[name]
    assert wanted is not None  # _take raises where the wanted member is missing
    return wanted


def _take(name: str, asset: Asset, source: Origin, archive: Path, wanted: bool) -> Path | None:
    """One member of an archive as a weight; a member that nobody asked for may be missing."""
    assert source.member is not None  # beside every archive the manifest names a member
    temporary = archive.with_name(f"{asset.file.replace('/', '-')}.member")
    try:
        archives.extract(archive, source.member, temporary, asset.size)
        return _install(name, asset, temporary)
    except (SourceError, AssetError):
        if wanted:
            raise
        return None
    finally:
        temporary.unlink(missing_ok=True)


def _install(name: str, asset: Asset, file: Path) -> Path:
    """Give a fetched file its final name once its content is right; a wrong one is deleted."""
    target = cache_folder() / "weights" / asset.file
    try:
        _check(name, asset, file, "what was fetched has been deleted")
    except AssetError:
        file.unlink(missing_ok=True)
        raise
    with storage(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
    record_right(name, target, asset.sha256)
    return target


def _check(name: str, asset: Asset, file: Path, advice: str) -> None:
    """Compare a file with the manifest. Raises AssetError with what was got, what was expected and `advice`."""
    size = file.stat().st_size
    tolerance = 0 if asset.sha256 else asset.size * SIZE_TOLERANCE
    if size < asset.size - tolerance:
        raise AssetError(f"{file} is truncated: it has {size} of {asset.size} bytes; {advice}")
    found = file_sha256(file)
    if asset.sha256 and found != asset.sha256:
        raise AssetError(f"{file} has sha256 {found}, expected {asset.sha256}; {advice}")
    if size > asset.size + tolerance:
        raise AssetError(f"{file} has {size} bytes, expected {asset.size}; {advice}")
    if not asset.sha256:
        warnings.warn(f"no sha256 is published for '{name}'; {file} has {found}: compare it yourself", stacklevel=4)
