"""Servers that lie, dribble or fall silent: a download ends soon, in one sentence, and takes no more than it should."""

import fcntl
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from hostile_cases import one_sentence

from where2edit.core.sentences import one_sentence as shortened
from where2edit.files import assets, downloads, manifest
from where2edit.files.downloads import LITTLE, SourceError, from_address

CONTENT = bytes(range(256)) * 1024  # 256 KiB


def whole(handler, begin):
    handler.start(len(CONTENT) - begin, begin)
    handler.wfile.write(CONTENT[begin:])


def too_long_and_says_so(handler, begin):
    handler.start(100 * len(CONTENT), 0)
    handler.endless()


def too_long_without_a_word(handler, begin):
    handler.start(None, 0)
    handler.endless()


def too_long_in_chunks(handler, begin):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


def dribbles(handler, begin):
    handler.start(len(CONTENT), 0)
    for i in range(600):
        handler.wfile.write(CONTENT[i : i + 1])
        time.sleep(0.02)


def falls_silent(handler, begin):
    handler.start(len(CONTENT) - begin, begin)
    handler.wfile.write(CONTENT[begin : begin + 1000])
    time.sleep(3)


def says_nothing(handler, begin):
    time.sleep(3)


def a_length_that_is_none(handler, begin):
    handler.send_response(200)
    handler.send_header("Content-Length", "9" * 5000)
    handler.end_headers()
    handler.wfile.write(CONTENT)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def start(self, length, begin):
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def endless(self):
        for _ in range(10_000):
            self.wfile.write(bytes(1 << 16))

    def do_GET(self):
        begin = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.server.asked.append(begin)
        self.server.behave(self, begin)

    do_HEAD = do_GET


@pytest.fixture
def server(monkeypatch):
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.asked, httpd.behave, httpd.daemon_threads = [], whole, True
    httpd.handle_error = lambda *arguments: None  # a client that went away is not worth a traceback
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/w.bin"
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setattr(downloads, "_unreachable", set())
    monkeypatch.setattr(downloads, "TIMEOUT", (1, 0.5))
    monkeypatch.setattr(downloads, "WINDOW", 0.3)
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def fetch(server, folder, size=len(CONTENT)):
    return from_address(server.url, folder / "w.bin", size, "w")


BAD = {
    too_long_and_says_so: "sends 26.2 MB, expected 262.1 kB",
    too_long_without_a_word: "sends more than the 340.8 kB that were expected",
    too_long_in_chunks: "sends more than the 340.8 kB that were expected",
    dribbles: "sends less than 1.0 kB a second; the same command goes on from there",
    falls_silent: "has sent nothing for 0.5 seconds; the same command goes on from there",
    says_nothing: "does not answer",
}


@pytest.mark.parametrize("behave", BAD, ids=lambda behave: behave.__name__)
def test_a_server_that_does_not_send_the_file_is_left_soon(behave, server, tmp_path):
    server.behave = behave
    begin = time.monotonic()
    with pytest.raises(SourceError, match=BAD[behave]) as error:
        fetch(server, tmp_path)
    one_sentence(shortened(str(error.value)))
    assert time.monotonic() - begin < 20
    left = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert left <= 1.06 * len(CONTENT) + LITTLE and not (tmp_path / "w.bin").exists()
    if behave.__name__.startswith("too_long"):
        assert not left, "what came is of another file"


@pytest.mark.parametrize("behave", [dribbles, falls_silent], ids=lambda behave: behave.__name__)
def test_the_same_command_goes_on(behave, server, tmp_path):
    server.behave = behave
    with pytest.raises(SourceError):
        fetch(server, tmp_path)
    server.behave = whole
    assert fetch(server, tmp_path) and (tmp_path / "w.bin").read_bytes() == CONTENT
    assert server.asked[-1] > 0, "what had come was not asked for again"


def test_a_length_that_makes_no_sense_is_none(server, tmp_path):
    server.behave = a_length_that_is_none
    fetch(server, tmp_path)
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


def test_without_an_expected_size_whatever_comes_is_taken(server, tmp_path):
    fetch(server, tmp_path, size=None)
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


def test_a_part_that_another_process_writes_is_left_to_it(server, tmp_path):
    """As where the lock of the cache was removed while a download went on."""
    part = tmp_path / "w.bin.part"
    part.write_bytes(CONTENT[:1000])
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SourceError, match="another process is fetching it at this moment"):
            fetch(server, tmp_path)
        assert part.read_bytes() == CONTENT[:1000]
    fetch(server, tmp_path)
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


def test_what_a_killed_process_unpacked_is_cleared_away(server, tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    entry = {"what": "w", "file": "w.bin", "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    entry |= {"licence": "none", "used_by": "tests", "sources": [{"url": server.url}]}
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump({"archives": {}, "assets": {"w": entry}}))
    monkeypatch.setattr(manifest, "manifest_path", lambda: tmp_path / "manifest.yaml")
    (tmp_path / "cache/downloads").mkdir(parents=True)
    (tmp_path / "cache/downloads/other.bin.member").write_bytes(b"half")
    assert assets.fetch("w").read_bytes() == CONTENT
    assert not list((tmp_path / "cache/downloads").glob("*.member"))


def test_a_server_is_reachable_where_it_answers_at_all(server):
    assert downloads.reachable(server.url)
    assert not downloads.reachable("http://127.0.0.1:9/x") and not downloads.reachable("http://127.0.0.1:9/y")


@pytest.mark.parametrize("offline", [True, False])
def test_a_heldout_encoder_that_cannot_be_had_is_one_sentence_at_once(offline, monkeypatch, tmp_path, caplog):
    """Without a connection: told so by the environment, or found out by asking once."""
    constants = pytest.importorskip("huggingface_hub.constants")
    from where2edit.evaluation.heldout import build_heldout
    from where2edit.text_image.base import TextImageConfig

    if offline:
        monkeypatch.setenv("WHERE2EDIT_OFFLINE", "1")
    monkeypatch.setattr(downloads, "_unreachable", set())
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    begin = time.monotonic()
    with pytest.raises(ValueError, match="weights 'openai' of CLIP model 'ViT-B-16' cannot be had") as error:
        build_heldout("clip:ViT-B-16:openai", TextImageConfig(name="toy"))
    assert "give a file in their place" in one_sentence(shortened(str(error.value)))
    assert not caplog.records, "the library's own words are not printed beside it"
    assert time.monotonic() - begin < 60 and not constants.HF_HUB_OFFLINE, "a machine at rest takes five seconds"
