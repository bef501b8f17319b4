"""Resumable downloads, from an address or the package registry to one local file.

What was fetched is not checked here: the caller compares sha256 before a file gets its final name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from where2edit.files import atomic
from where2edit.files.atomic import StorageError

TIMEOUT = (5, 60)  # seconds to connect and to wait for bytes; short, so that a machine behind a mirror moves on
ATTEMPTS = 3
CHUNK = 1 << 20
SLOWEST, WINDOW = 1024, 60  # bytes per second, over so many seconds, below which a server counts as silent
TOLERANCE, LITTLE = 0.05, 1 << 16  # share of the expected size, and bytes, that more may come: some sizes are rounded
GOES_ON = "the same command goes on from there"
_unreachable: set[str] = set()  # hosts that did not answer this process; asking them again would only cost time


class SourceError(Exception):
    """One source cannot give the file; the next may. The text is a clause of the final sentence."""


class _TooLong(SourceError):
    """A server sends more than was expected: what came is of another file."""


class _Lost(Exception):
    """The connection broke while bytes were coming."""


@contextmanager
def storage(folder: Path) -> Iterator[None]:
    """Turn what goes wrong while writing into `folder` into one sentence (StorageError)."""
    with atomic.storage(f"cache folder {folder}", "set WHERE2EDIT_CACHE to another folder"):
        yield


def require_space(folder: Path, size: int, what: str) -> None:
    """Make `folder` and raise StorageError unless `size` more bytes fit into it."""
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < size:
        raise StorageError(
            f"{what} needs {readable(size)} in {folder} but only {readable(free)} are free; free some space or set "
            "WHERE2EDIT_CACHE to a folder on another disk"
        )


def readable(size: float | None) -> str:
    """A number of bytes for people: 31.4 MB (decimal units)."""
    if size is None:
        return "unknown size"
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def from_address(url: str, path: Path, size: int | None, what: str) -> bool:
    """Download an https address to `path`; True if it went on from the `path`.part of an earlier attempt.

    size: bytes that are expected, for the check of space and the progress bar; what: what messages call the file.
    Raises SourceError when the address does not give the file, StorageError when the disk does not take it.
    """
    import requests

    _check_scheme(url)
    with requests.Session() as session:
        return _download(session, url, path, size, what)


def from_registry(project: str, archive: str, path: Path, size: int | None, what: str) -> bool:
    """Download one archive of a project of the package registry to `path`, never to be installed.

    Arguments, answer and errors are those of `from_address`.
    """
    import requests
    from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedRepoVersionError

    try:
        with PyPISimple(registry_address()) as client:
            page = client.get_project_page(project, timeout=TIMEOUT)
            package = next((p for p in page.packages if p.filename == archive), None)
            if package is None:
                raise SourceError(f"the package registry has no file {archive} in project {project}")
            return _download(client.s, package.url, path, size, what)
    except NoSuchProjectError:
        raise SourceError(f"the package registry has no project {project}") from None
    except (requests.RequestException, UnsupportedRepoVersionError, ValueError) as error:
        # The text of the error would repeat the address, which may hold a password.
        raise SourceError(f"the package registry does not answer ({type(error).__name__})") from None


def registry_address() -> str:
    """The address of the package registry: what pip on this machine uses (PIP_INDEX_URL, then its configuration)."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    address = os.environ.get("PIP_INDEX_URL", "").strip()
    if not address:
        command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        address = (answer.stdout.strip().splitlines() or [""])[-1] if answer.returncode == 0 else ""
    return address if address.startswith(("https://", "http://")) else PYPI_SIMPLE_ENDPOINT


def reachable(url: str) -> bool:
    """Whether a server answers at all, with whatever; it is asked once and not for long."""
    import requests

    host = urlsplit(url).hostname or ""
    if host in _unreachable:
        return False
    try:
        requests.head(url, timeout=TIMEOUT[0])
    except requests.RequestException:
        _unreachable.add(host)
        return False
    return True


def _check_scheme(url: str) -> None:
    """Raises SourceError for an address without https; this machine itself is excepted, for tests and mirrors."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise SourceError(f"{parts.hostname} was reached without https")


def _download(session: Any, url: str, path: Path, size: int | None, what: str) -> bool:
    """Stream `url` into `path`.part, going on after a broken connection, then give it its name; True if it went on."""
    import requests

    host, part = urlsplit(url).hostname or "", path.with_name(path.name + ".part")
    if host in _unreachable:
        raise SourceError(f"{host} did not answer before")
    resumed = part.is_file()
    for attempt in range(ATTEMPTS):
        try:
            _stream(session, url, part, size, what)
            break
        except _Lost:
            resumed = True
            if attempt == ATTEMPTS - 1:
                raise SourceError(
                    f"the file from {host} is truncated: the connection broke after {part.stat().st_size} bytes of "
                    f"{readable(size)}; {GOES_ON}"
                ) from None
        except requests.RequestException as error:
            _unreachable.add(host)
            raise SourceError(f"{host} does not answer ({type(error).__name__})") from None
    with storage(path.parent):
        os.replace(part, path)
    return resumed


def _stream(session: Any, url: str, part: Path, size: int | None, what: str) -> None:
    """One request: append to `part` what is still missing. Raises _Lost when the connection breaks before the end."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    host = urlsplit(url).hostname
    have = part.stat().st_size if part.is_file() else 0
    # Without identity a server may compress on the way, and then neither lengths nor ranges mean the file's bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
        if response.status_code == 416 and have:  # nothing left to send: the part is whole, or of another file
            if have != size:
                part.unlink()
                _stream(session, url, part, size, what)
            return
        have, total = _check_answer(response, have)
        most = None if size is None else int(size * (1 + TOLERANCE)) + LITTLE
        if total is not None and most is not None and total > most:
            raise SourceError(f"{host} sends {readable(total)}, expected {readable(size)}")
        require_space(part.parent, (total or size or 0) - have, what)
        try:
            have += _append(_received(response, most and most - have), part, have, total or size, what)
        except _TooLong:
            part.unlink(missing_ok=True)
            raise
        except ReadTimeoutError:
            raise SourceError(f"{host} has sent nothing for {TIMEOUT[1]} seconds; {GOES_ON}") from None
        except HTTPError:
            raise _Lost from None
    if total is not None and have < total:
        raise _Lost


def _received(response: Any, most: int | None) -> Iterator[bytes]:
    """The bytes of an answer as they come. Raises SourceError for more than `most`, and for next to none in a while."""
    host = urlsplit(response.url).hostname
    came, recent, since = 0, 0, time.monotonic()
    while block := response.raw.read1(CHUNK, decode_content=False):
        came, recent = came + len(block), recent + len(block)
        if most is not None and came > most:
            raise _TooLong(f"{host} sends more than the {readable(most)} that were expected")
        if (took := time.monotonic() - since) > WINDOW:
            if recent < SLOWEST * took:
                raise SourceError(f"{host} sends less than {readable(SLOWEST)} a second; {GOES_ON}")
            recent, since = 0, time.monotonic()
        yield block


def _check_answer(response: Any, have: int) -> tuple[int, int | None]:
    """Where the answer's bytes begin and how long the whole file is; SourceError for what is not a file."""
    host = urlsplit(response.url).hostname
    _check_scheme(response.url)
    if response.status_code not in (200, 206):
        raise SourceError(f"{host} answers with status {response.status_code}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise SourceError(f"{host} answers with a web page instead of the file")
    resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    if response.status_code == 206 and not resumed:
        raise SourceError(f"{host} sends a part of the file that was not asked for")
    have = have if resumed else 0
    length = response.headers.get("Content-Length", "")
    return have, have + int(length) if length.isdigit() and len(length) < 16 else None


def _append(blocks: Iterator[bytes], part: Path, have: int, total: int | None, what: str) -> int:
    """Write the blocks behind the first `have` bytes of `part`, with a progress bar; how many bytes came."""
    from tqdm import tqdm

    came = 0
    with storage(part.parent):
        file = part.open("ab", buffering=0)
    _hold(file)
    with storage(part.parent):
        file.truncate(have)
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=what, disable=None, leave=False)
    with file, bar:
        for block in blocks:
            write_block(file, block, part.parent)
            bar.update(len(block))
            came += len(block)
    return came


def write_block(file: FileIO, block: bytes, folder: Path) -> None:
    """Write a block whole into a file below `folder`, opened without a buffer. Raises StorageError.

    A full disk may take a part of what it is given without an error; a buffer would meet the error at closing only.
    """
    with storage(folder):
        while block:
            block = block[file.write(block) :]


def _hold(file: FileIO) -> None:
    """Keep a part for this process while it is open: two that write one part, as when a lock was removed, lose it.

    Raises SourceError where another process has it.
    """
    try:
        import fcntl
    except ImportError:  # a system without such locks
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SourceError("another process is fetching it at this moment; wait for it") from None
