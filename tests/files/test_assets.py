"""Assets: whatever goes wrong between a name and a verified file, one sentence says so and nothing is lost."""

from __future__ import annotations

import errno
import hashlib
import io
import multiprocessing
import os
import shutil
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from where2edit.files import assets, downloads, manifest

CONTENT = bytes(range(256)) * 4096  # 1 MiB, more than one block


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; `server.behave` says how: ranges, cut connections, other answers."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        content = server.files.get(self.path)
        if content is None or "status" in server.behave:
            self.send_error(server.behave.get("status", 404))
            return
        begin = 0
        if self.headers.get("Range") and server.behave.get("ranges", True):
            begin = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
            if begin >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        page = self.path.startswith("/simple")
        self.send_header("Content-Type", "text/html" if page else server.behave.get("type", "application/octet-stream"))
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        cut = server.behave.get("cut", [])
        self.wfile.write(content[begin:][: cut.pop(0) if cut else None])


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.files, httpd.behave, httpd.requests = {"/w.bin": CONTENT}, {}, []
    httpd.handle_error = lambda *args: None  # a client that went away is not worth a traceback
    httpd.url = f"http://127.0.0.1:{httpd.server_port}"
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    for name in ("WHERE2EDIT_WEIGHTS", "WHERE2EDIT_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setattr(downloads, "_unreachable", set())
    return tmp_path / "cache"


@pytest.fixture
def declare(tmp_path, monkeypatch, cache):
    """Make a manifest of one asset `w` (and more by keyword) the one that is read."""
    numbers = iter(range(100))

    def write(sources, content=CONTENT, archives=None, more=None, **changes):
        entry = {"what": "w", "file": "w.bin", "size": len(content), "sha256": digest(content), "licence": "none"}
        entry |= {"used_by": "tests", "sources": sources} | changes
        path = tmp_path / f"manifest{next(numbers)}.yaml"
        path.write_text(yaml.safe_dump({"archives": archives or {}, "assets": {"w": entry} | (more or {})}))
        monkeypatch.setattr(manifest, "manifest_path", lambda: path)
        return entry

    return write


def leftovers(cache: Path) -> list[str]:
    """Files of the cache that are neither weights nor bookkeeping."""
    return sorted(p.name for p in (cache / "downloads").glob("*") if p.name != ".lock")


def fails(match: str, kind: type[Exception] = assets.AssetError, **options) -> str:
    with pytest.raises(kind, match=match) as error:
        assets.fetch("w", **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# Official addresses


def test_download_then_quick_second_time(server, cache, declare, monkeypatch):
    declare([{"url": f"{server.url}/w.bin"}], file="folder/w.bin")
    path = assets.fetch("w")
    assert path == cache / "weights" / "folder" / "w.bin" and path.read_bytes() == CONTENT and not leftovers(cache)
    monkeypatch.setattr(assets, "file_sha256", lambda path: pytest.fail("the hash of an unchanged file was recomputed"))
    assert assets.fetch("w") == path and len(server.requests) == 1


def test_resume_takes_only_what_is_missing(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}])
    server.behave["cut"] = [300_000, 200_000]
    assert assets.fetch("w").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_connection_that_keeps_breaking_leaves_a_part_for_the_next_run(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}])
    server.behave["cut"] = [1000] * 3
    fails("truncated: the connection broke after 3000 bytes")
    assert leftovers(cache) == ["w.bin.part"] and not (cache / "weights").exists()
    assert assets.fetch("w").read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=3000-" and not leftovers(cache)


def test_a_server_without_ranges_starts_again(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}])
    server.behave |= {"cut": [1000], "ranges": False}
    assert assets.fetch("w").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"x" * 5000, CONTENT, CONTENT + b"more", b""])
def test_a_part_of_another_file_does_no_harm(server, cache, declare, part):
    declare([{"url": f"{server.url}/w.bin"}])
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / "w.bin.part").write_bytes(part)
    assert assets.fetch("w").read_bytes() == CONTENT and not leftovers(cache)


def test_wrong_hash_deletes_what_came_and_keeps_what_was(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}], sha256="0" * 64)
    message = fails("has sha256 ")
    assert digest(CONTENT) in message and "0" * 64 in message
    assert not leftovers(cache) and not list((cache).rglob("w.bin"))


def test_truncated_at_the_source(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}])
    server.files["/w.bin"] = CONTENT[:-1]
    fails(f"truncated: it has {len(CONTENT) - 1} of {len(CONTENT)} bytes")
    assert not leftovers(cache)


@pytest.mark.parametrize(
    "behave, match", [({"status": 404}, "status 404"), ({"type": "text/html"}, "web page instead of the file")]
)
def test_answers_that_are_not_the_file(server, cache, declare, behave, match):
    declare([{"url": f"{server.url}/w.bin", "page": "https://example.org/page"}])
    server.behave |= behave
    assert "by hand from https://example.org/page" in fails(match)


def test_no_network_is_asked_once(cache, declare, monkeypatch):
    declare([{"url": "https://127.0.0.1:9/w.bin"}, {"url": "https://127.0.0.1:9/other.bin"}])
    message = fails("127.0.0.1 does not answer")
    assert "did not answer before" in message and "WHERE2EDIT_WEIGHTS" in message


def test_plain_http_is_refused(cache, declare):
    declare([{"url": "http://example.org/w.bin"}])
    fails("example.org was reached without https")


@pytest.mark.filterwarnings("error")
def test_unknown_hash_needs_the_size_and_warns(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}], sha256=None)
    with pytest.warns(UserWarning, match=digest(CONTENT)):
        assets.fetch("w")
    assets.fetch("w")  # a second warning would be an error
    declare([{"url": f"{server.url}/w.bin"}], sha256=None, file="other.bin", size=len(CONTENT) * 2)
    fails("truncated")
    declare([{"url": f"{server.url}/w.bin"}], sha256=None, file="other.bin", size=len(CONTENT) // 2)
    fails("expected")


# Archives of the package registry


def archive_of(members: dict[str, bytes], kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "whl":
        with zipfile.ZipFile(stream, "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
    else:
        with tarfile.open(fileobj=stream, mode="w:gz") as file:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def registry(server, declare, monkeypatch):
    """Serve one archive as project `nets` of a registry; the real client reads it."""

    def serve(members, kind="whl", damage=lambda content: content, **options):
        name = f"nets-1.0-py3-none-any.{kind}" if kind == "whl" else "nets-1.0.tar.gz"
        content = damage(archive_of(members, kind))
        page = f'<html><body><a href="{server.url}/files/{name}#sha256={digest(content)}">{name}</a></body></html>'
        server.files |= {"/simple/nets/": page.encode(), f"/files/{name}": content}
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        archives = {"nets": {"file": name, "size": len(content), "sha256": digest(content)}}
        return declare([{"archive": "nets", "member": "nets/w.bin"}], archives=archives, **options)

    return serve


@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
def test_member_of_an_archive(server, cache, registry, kind):
    registry({"nets/other.bin": b"no", "nets/w.bin": CONTENT}, kind)
    assert assets.fetch("w").read_bytes() == CONTENT
    assert not leftovers(cache)


def test_an_archive_is_downloaded_once_for_all_its_members(server, cache, registry):
    sibling = {"what": "v", "file": "v.bin", "size": 3, "sha256": digest(b"abc"), "licence": "none", "used_by": "tests"}
    sibling |= {"sources": [{"archive": "nets", "member": "nets/v.bin"}]}
    absent = sibling | {"file": "u.bin", "sources": [{"archive": "nets", "member": "nets/u.bin"}]}
    registry({"nets/w.bin": CONTENT, "nets/v.bin": b"abc"}, more={"v": sibling, "u": absent})
    assets.fetch("w")
    assert assets.fetch("v").read_bytes() == b"abc"
    assert sum(path.startswith("/files/") for path, _ in server.requests) == 1
    with pytest.raises(assets.AssetError, match="has no member nets/u.bin"):
        assets.fetch("u")


def test_a_broken_archive_download_goes_on(server, cache, registry):
    registry({"nets/w.bin": CONTENT})
    server.behave["cut"] = [None, 100]  # the page whole, the archive not
    assert assets.fetch("w").read_bytes() == CONTENT
    assert [asked for path, asked in server.requests if path.startswith("/files/")] == [None, "bytes=100-"]


def test_a_part_of_another_archive_does_no_harm(cache, registry):
    registry({"nets/w.bin": CONTENT})
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / "nets-1.0-py3-none-any.whl.part").write_bytes(b"x" * 5000)
    assert assets.fetch("w").read_bytes() == CONTENT and not leftovers(cache)


@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
def test_archive_without_the_member(cache, registry, kind):
    registry({"nets/other.bin": CONTENT}, kind)
    fails("has no member nets/w.bin")
    assert not leftovers(cache)


@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
def test_names_that_would_leave_the_folder_are_never_used(tmp_path, cache, registry, kind):
    evil = {"../../evil": b"x", "/evil-absolute": b"x", "nets/../../../evil": b"x", "nets/w.bin": CONTENT}
    registry(evil, kind)
    assets.fetch("w")
    assert not list(tmp_path.rglob("*evil*")) and not Path("/evil-absolute").exists()


def test_a_link_in_the_place_of_the_member_is_refused(tmp_path, cache, registry):
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as file:
        info = tarfile.TarInfo("nets/w.bin")
        info.type, info.linkname = tarfile.SYMTYPE, str(secret)
        file.addfile(info)
    registry({}, "tar.gz", damage=lambda content: stream.getvalue())
    fails("has no member")


@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
@pytest.mark.parametrize(
    "damage", [lambda c: c[: len(c) // 2], lambda c: c[:60] + b"\xff" * 50 + c[110:], lambda c: b"no"]
)
def test_broken_archives(cache, registry, kind, damage):
    registry({"nets/w.bin": os.urandom(5000)}, kind, damage=damage, content=b"x" * 5000)
    fails("is broken|has no member|truncated|has sha256")
    assert not leftovers(cache) and not list(cache.rglob("w.bin"))


def test_a_member_that_is_too_long_is_not_unpacked_whole(cache, registry):
    registry({"nets/w.bin": b"\0" * 20_000_000}, content=b"\0" * 10)
    fails("longer than the 10 bytes")


def test_changed_archive(server, cache, registry):
    registry({"nets/w.bin": CONTENT})
    server.files["/files/nets-1.0-py3-none-any.whl"] = archive_of({"nets/w.bin": b"other"}, "whl")
    fails("archive nets-1.0-py3-none-any.whl has sha256")
    assert not leftovers(cache)


def test_registry_without_project_file_or_answer(server, cache, registry, monkeypatch):
    registry({"nets/w.bin": CONTENT})
    page = server.files.pop("/simple/nets/")
    fails("no project nets")
    server.files["/simple/nets/"] = page.replace(b"nets-1.0", b"nets-2.0")
    fails("has no file nets-1.0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:password@127.0.0.1:9/simple")
    assert "password" not in fails("registry does not answer")


def test_sources_are_tried_in_order(server, cache, registry, declare):
    entry = registry({"nets/w.bin": CONTENT})
    whole = server.files["/files/nets-1.0-py3-none-any.whl"]
    archives = {"nets": {"file": "nets-1.0-py3-none-any.whl", "size": len(whole), "sha256": digest(whole)}}
    server.files["/w.bin"] = b"wrong"
    entry["sources"].insert(0, {"url": f"{server.url}/w.bin"})
    declare(entry["sources"], archives=archives)
    assert assets.fetch("w").read_bytes() == CONTENT
    assert [path for path, _ in server.requests][0] == "/w.bin"


# Files that are here


def test_own_folder_comes_first_and_is_checked(tmp_path, cache, declare, monkeypatch):
    declare([{"url": "https://127.0.0.1:9/w.bin"}])
    own = tmp_path / "own"
    own.mkdir()
    (own / "w.bin").write_bytes(CONTENT)
    monkeypatch.setenv("WHERE2EDIT_WEIGHTS", str(own))
    assert assets.fetch("w", offline=True) == own / "w.bin"
    (own / "w.bin").write_bytes(CONTENT[::-1])
    assert "delete it and run scripts/download.py w" in fails("has sha256")
    assert (own / "w.bin").read_bytes() == CONTENT[::-1]


def test_path_in_the_repository(tmp_path, cache, declare, monkeypatch):
    declare([{"path": "pretrained_models/w.bin"}])
    fails("pretrained_models/w.bin is missing")
    (tmp_path / "w.bin").write_bytes(CONTENT)
    monkeypatch.setattr(assets, "shipped", lambda relative: tmp_path / Path(relative).name)
    assert assets.fetch("w", offline=True) == tmp_path / "w.bin"


def test_a_damaged_file_in_the_cache_is_noticed_and_kept(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}])
    path = assets.fetch("w")
    stat = path.stat()
    damaged = b"!" + CONTENT[1:]
    path.write_bytes(damaged)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert assets.fetch("w") == path  # same size and time: the quick way cannot see it
    fails("has sha256", verify=True)
    os.utime(path)
    fails("has sha256")
    path.write_bytes(CONTENT[:10])
    fails("truncated")
    assert path.read_bytes() == CONTENT[:10] and len(server.requests) == 1


def test_a_new_hash_in_the_manifest_is_not_covered_by_the_old_record(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}])
    assets.fetch("w")
    declare([{"url": f"{server.url}/w.bin"}], sha256="1" * 64)
    fails("has sha256")


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_offline_says_what_is_missing(server, cache, declare, monkeypatch, way):
    declare([{"url": f"{server.url}/w.bin"}])
    if way == "environment":
        monkeypatch.setenv("WHERE2EDIT_OFFLINE", "1")
    message = fails("offline mode is on: w ", offline=way == "argument")
    assert "scripts/download.py w" in message and "WHERE2EDIT_WEIGHTS" in message and not server.requests


def test_unknown_names(cache):
    with pytest.raises(ValueError, match="did you mean 'mobilestylegan-mapping-xml'"):
        assets.fetch("mobilestylegan-maping-xml")
    with pytest.raises(ValueError, match="did you mean 'mobile'"):
        manifest.profile_assets("mobil")


# The disk


def test_no_space_is_said_before_anything_is_written(server, cache, declare, monkeypatch):
    declare([{"url": f"{server.url}/w.bin"}])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    fails("needs 1.0 MB in .* but only 1.0 kB are free", OSError)
    assert not leftovers(cache)


def test_a_disk_that_fills_up_keeps_the_part(server, cache, declare, monkeypatch):
    declare([{"url": f"{server.url}/w.bin"}])
    server.behave["cut"] = [5000]
    real = downloads._append

    def full(blocks, part, *rest):
        if part.is_file():
            with downloads.storage(part.parent):
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(blocks, part, *rest)

    monkeypatch.setattr(downloads, "_append", full)
    fails("No space left on device.*WHERE2EDIT_CACHE", OSError)
    assert leftovers(cache) == ["w.bin.part"]


def test_a_cache_that_cannot_be_made(server, tmp_path, cache, declare, monkeypatch):
    declare([{"url": f"{server.url}/w.bin"}])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "file" / "cache"))
    fails("cannot be written.*WHERE2EDIT_CACHE", OSError)


def test_a_read_only_cache_still_gives_what_it_holds(server, cache, declare, monkeypatch):
    declare([{"url": f"{server.url}/w.bin"}])
    path = assets.fetch("w")
    shutil.rmtree(cache / "verified")

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert assets.fetch("w") == path
    path.unlink()
    fails("cannot be written \\(Read-only file system\\)", OSError)


def _fetch(_):
    return assets.fetch("w").read_bytes() == CONTENT


def test_processes_that_fetch_together_download_once(server, cache, declare):
    declare([{"url": f"{server.url}/w.bin"}])
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert all(pool.map(_fetch, range(4)))
    assert len(server.requests) == 1


# The manifest itself


def test_every_entry_is_complete():
    assert len(manifest.manifest().archives) == 8
    files = [entry.file for entry in manifest.entries().values()]
    assert len(set(files)) == len(files)
    for name, entry in manifest.entries().items():
        assert entry.size > 0 and entry.licence and entry.what and entry.used_by and entry.sources, name
        assert entry.sha256 is None or len(entry.sha256) == 64, name
        for source in entry.sources:
            assert source.url is None or source.url.startswith("https://"), name
            # Only an official address may come without a published hash.
            assert entry.sha256 or not (source.archive or source.path), name


def test_the_default_profile_needs_only_the_registry_and_the_repository():
    names = manifest.profile_assets("mobile")
    assert {"mobilestylegan-synthesis-bin", "minilm-model"} <= set(names) and not manifest.profile_assets("toy")
    for name in names:
        assert any(source.archive or source.path for source in manifest.entry(name).sources), name


@pytest.mark.parametrize(
    "changes, match",
    [
        ({"file": "../w.bin"}, "below the cache folder"),
        ({"file": "/w.bin"}, "below the cache folder"),
        ({"sources": [{"archive": "net", "member": "x"}]}, "unknown archive 'net'"),
        ({"sources": [{"member": "x"}]}, "archive and member together"),
        ({"sorces": []}, "did you mean 'sources'"),
        ({"size": "big"}, "size must be int"),
    ],
)
def test_a_wrong_manifest_is_refused(declare, changes, match):
    declare(**{"sources": [{"url": "https://127.0.0.1:9/w.bin"}]} | changes)
    with pytest.raises(ValueError, match=match):
        assets.fetch("w")


def test_a_real_member_of_the_real_registry(cache):
    path = assets.fetch("minilm-config")
    assert path.stat().st_size == 612 and assets.locate("minilm-tokenizer") is not None
