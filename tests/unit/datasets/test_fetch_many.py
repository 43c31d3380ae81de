"""Several data sets in turn: what became of each, after breaks, with wrong files, offline."""

import dataclasses
import hashlib
import http.server
import io
import socket
import threading
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.support.command_line import otolith, refused

from otolith.core import downloads
from otolith.core.config import config
from otolith.core.errors import OfflineError, UnknownNameError
from otolith.core.files import read_json
from otolith.datasets import DATASETS, Card, RemoteFile, Source, _fetch, register_dataset
from otolith.datasets._fetch_many import Status, fetch_each
from otolith.recordings import Annotation, Channel, Gravity, ImuStream, Recording
from otolith.recordings.store import DataFolder

NAMES = ("made_up_a", "made_up_b", "made_up_c")


def release(value):
    content = io.BytesIO()
    rng = np.random.default_rng(int(value))
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("values.txt", f"{value}\n" * 40)
        archive.writestr("noise.bin", rng.bytes(500_000))
    return content.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ranged = self.headers.get("Range")
        self.server.asked.append((self.path, ranged))
        body = self.server.bodies.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(ranged.removeprefix("bytes=").removesuffix("-")) if ranged else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        end = start + 100_000 if self.path in self.server.breaking else len(body)
        self.wfile.write(body[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.asked, httpd.breaking = [], set()
        httpd.bodies = {f"/{name}.zip": release(i) for i, name in enumerate(NAMES, start=1)}
        httpd.base = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield httpd
        httpd.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OTOLITH_OFFLINE", raising=False)
    monkeypatch.setattr(downloads.time, "sleep", lambda _: None)
    return tmp_path / "home"


@config
class Settings:
    root: Path


def component(name, base):
    class MadeUp:
        """Invented: one file of numbers."""

        SOURCE = Source(
            licence="CC0-1.0",
            licence_url=f"https://example.org/licence/{name}",
            cite="Nobody, 2020.",
            homepage=f"https://example.org/{name}",
            files=(RemoteFile(name="data.zip", url=f"{base}/{name}.zip", unpack=True),),
        )
        CARD = Card(
            title="Made up", description="Invented.", rate_hz=(10.0,), placements=("wrist",),
            gravity=Gravity.INCLUDED, num_subjects=1, labels=("walking",),
        )  # fmt: skip
        Config = Settings

        @staticmethod
        def recordings(config):
            stream = ImuStream(
                name="imu", samples_TC=np.loadtxt(config.root / "values.txt", dtype=np.float32)[:, None],
                rate_hz=10.0, channels=(Channel.from_name("acc_x"),),
            )  # fmt: skip
            note = Annotation(start_s=0.0, end_s=4.0, labels=("walking",))
            yield Recording(id="r1", dataset=name, streams={"imu": stream}, annotations=(note,))

        @staticmethod
        def splits():
            return {}

    return MadeUp


@pytest.fixture
def made_up(server, monkeypatch):
    made = {name: component(name, server.base) for name in NAMES}
    for name, module in made.items():
        register_dataset(name)(module)
    monkeypatch.setattr(type(DATASETS), "names", lambda self: list(NAMES))
    yield made
    for name in NAMES:
        DATASETS.unregister(name)


def change(module, **changes):
    module.SOURCE = dataclasses.replace(module.SOURCE, **changes)


def outcomes(**options):
    return {o.name: o for o in fetch_each(NAMES, accept_licences=True, **options)}


def stored(home, name):
    return float(np.asarray(DataFolder.open(home / "data" / name).rows(0, 0, 40)).mean())


def test_all_are_fetched_and_a_second_run_asks_nobody(made_up, server, home):
    first = outcomes()
    assert {o.status for o in first.values()} == {Status.DOWNLOADED}
    assert [stored(home, name) for name in NAMES] == [1.0, 2.0, 3.0]
    assert len(server.asked) == 3
    second = outcomes()
    assert {o.status for o in second.values()} == {Status.ALREADY_THERE}
    assert [o.detail for o in second.values()] == [str(home / "data" / n) for n in NAMES]
    assert len(server.asked) == 3


def test_a_broken_connection_fails_alone_and_the_next_run_goes_on(made_up, server, home):
    server.breaking.add("/made_up_b.zip")
    assert len(server.bodies["/made_up_b.zip"]) > 4 * 100_000, "more than four tries bring"
    first = outcomes()
    assert [o.status for o in first.values()] == [
        Status.DOWNLOADED,
        Status.FAILED,
        Status.DOWNLOADED,
    ]
    assert "closed after" in first["made_up_b"].detail
    part = home / "downloads" / "made_up_b" / "data.zip.part"
    assert part.stat().st_size == 400_000
    server.breaking.clear()
    server.asked.clear()
    assert outcomes()["made_up_b"].status is Status.DOWNLOADED
    assert server.asked == [("/made_up_b.zip", "bytes=400000-")]
    assert stored(home, "made_up_b") == 2.0


def test_a_wrong_hash_fails_alone_and_leaves_no_data(made_up, server, home):
    file = made_up["made_up_a"].SOURCE.files[0]
    right = hashlib.sha256(server.bodies["/made_up_a.zip"]).hexdigest()
    change(made_up["made_up_a"], files=(dataclasses.replace(file, sha256="0" * 64),))
    found = outcomes()
    assert found["made_up_a"].status is Status.FAILED
    assert f"sha256 {right} instead of" in found["made_up_a"].detail
    assert not (home / "data" / "made_up_a").exists()
    assert found["made_up_c"].is_here


def test_a_page_instead_of_an_archive_is_not_kept(made_up, server, home):
    good = server.bodies["/made_up_a.zip"]
    server.bodies["/made_up_a.zip"] = b"<html>Please log in</html>"
    found = outcomes()["made_up_a"]
    assert found.status is Status.FAILED
    assert "no archive" in found.detail
    server.bodies["/made_up_a.zip"] = good
    assert outcomes()["made_up_a"].status is Status.DOWNLOADED


def test_licences_come_first_and_are_named(made_up, server, home):
    found = list(fetch_each(NAMES))
    assert {o.status for o in found} == {Status.NEEDS_LICENCE}
    assert found[1].detail == "CC0-1.0 (https://example.org/licence/made_up_b)"
    assert not server.asked
    assert not (home / "licences.json").exists()
    outcomes()
    assert set(read_json(home / "licences.json")) == set(NAMES)


def test_what_needs_a_person_has_an_address_and_asks_for_no_licence(made_up, server):
    change(made_up["made_up_a"], manual="Write to the authors.", files=())
    change(made_up["made_up_b"], package="no-such-package-of-ours", files=())
    change(made_up["made_up_c"], files=())
    a, b, c = fetch_each(NAMES)
    assert (a.status, a.detail) == (
        Status.BY_HAND,
        "Write to the authors. https://example.org/made_up_a",
    )
    assert (b.status, b.is_here) == (Status.PACKAGE, False)
    assert b.detail.startswith("pip install no-such-package-of-ours")
    assert (c.status, c.detail) == (Status.BY_HAND, "https://example.org/made_up_c")


def test_an_installed_package_carries_its_data_set(made_up, server, home, monkeypatch):
    @config
    class FromPackage:
        root: Path | None = None

    module = made_up["made_up_a"]
    change(module, package="numpy", files=())
    module.Config = FromPackage
    folder = home / "carried"
    folder.mkdir(parents=True)
    (folder / "values.txt").write_text("7\n" * 40)
    plain = module.recordings
    module.recordings = staticmethod(lambda config: plain(FromPackage(root=folder)))
    found = outcomes()["made_up_a"]
    assert (found.status, found.is_here) == (Status.PACKAGE, True)
    assert stored(home, "made_up_a") == 7.0


def test_offline_is_said_and_what_is_here_stays_usable(made_up, server, home, monkeypatch):
    list(fetch_each(NAMES[:1], accept_licences=True))
    server.asked.clear()
    monkeypatch.setenv("OTOLITH_OFFLINE", "1")
    found = outcomes()
    assert [o.status for o in found.values()] == [
        Status.ALREADY_THERE,
        Status.OFFLINE,
        Status.OFFLINE,
    ]
    assert "OTOLITH_OFFLINE" in found["made_up_b"].detail
    assert not server.asked


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), Status.OFFLINE),
        (OSError(101, "Network is unreachable"), Status.OFFLINE),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), Status.FAILED),
        (ConnectionRefusedError(111, "Connection refused"), Status.FAILED),
    ],
)
def test_no_network_is_told_from_a_server_that_is_gone(made_up, monkeypatch, reason, status):
    def fail(*_):
        raise urllib.error.URLError(reason)

    monkeypatch.setattr(downloads, "_fetch", fail)
    found = outcomes()
    assert {o.status for o in found.values()} == {status}
    assert ("no network" in found["made_up_a"].detail) == (status is Status.OFFLINE)


def test_offline_is_a_class_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_OFFLINE", "1")
    with pytest.raises(OfflineError):
        downloads.download("https://example.org/x", tmp_path / "x")


def test_a_full_disk_fails_alone(made_up, monkeypatch):
    plain = _fetch.unpack

    def unpack(archive, target, **options):
        if "made_up_a" in str(archive):
            raise OSError(28, "No space left on device", str(target))
        return plain(archive, target, **options)

    monkeypatch.setattr(_fetch, "unpack", unpack)
    found = outcomes()
    assert found["made_up_a"].status is Status.FAILED
    assert "No space left" in found["made_up_a"].detail
    assert found["made_up_b"].is_here


def test_an_unknown_name_stops_before_anything_is_fetched(made_up, server):
    with pytest.raises(UnknownNameError, match="made_up_x"):
        fetch_each(["made_up_a", "made_up_x"], accept_licences=True)
    assert not server.asked


# --- the command line -------------------------------------------------------------------------


def lines_of(ran, names=NAMES):
    return [next(x.split() for x in ran.out.splitlines() if f" {n} " in x) for n in names]


def test_the_command_says_a_line_of_each_and_a_table(made_up, server, home, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    server.bodies.pop("/made_up_b.zip")
    ran = otolith("data", "download", "--all", "--accept-licences")
    assert ran.code == 0, "--all goes on after failures"
    assert lines_of(ran) == [
        ["1", "of", "3", "made_up_a", "downloaded"], ["2", "of", "3", "made_up_b", "failed"],
        ["3", "of", "3", "made_up_c", "downloaded"],
    ]  # fmt: skip
    assert "404" in ran.out
    assert "2 downloaded, 1 failed." in ran.out
    assert f"Results: {home / 'data' / 'made_up_c'}" in ran.out
    again = otolith("data", "download", "--all", "--accept-licences")
    assert "2 already there, 1 failed." in again.out


def test_what_was_named_and_is_not_here_ends_with_code_2(made_up, server):
    server.bodies.pop("/made_up_b.zip")
    ran = otolith("data", "download", *NAMES, "--accept-licences")
    assert ran.code == 2
    assert "1 of 3 data sets are not here: made_up_b." in ran.err
    assert "2 downloaded, 1 failed." in ran.out
    server.bodies["/made_up_b.zip"] = release(2)
    assert otolith("data", "download", *NAMES, "--accept-licences").code == 0


def test_addresses_are_never_cut_off_in_the_table(made_up, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    ran = otolith("data", "download", "--all")
    assert "…" not in ran.out
    cells = "".join(x.split("│")[3].strip() for x in ran.out.splitlines() if x.count("│") == 4)
    assert all(f"https://example.org/licence/{n})" in cells for n in NAMES)
    assert "--accept-licences" in ran.out


def test_licences_of_several_are_accepted_in_so_many_words(made_up, server):
    assert "--accept-licences" in refused("data", "download", *NAMES, "--accept-licence")[-1]
    assert "--accept-licences" in refused("data", "download", "--all", "--accept-licence")[-1]
    assert not server.asked
    assert otolith("data", "download", "made_up_a", "--accept-licence").code == 0
    assert otolith("data", "download", "made_up_b", "--accept-licences").code == 0


def test_names_or_all(made_up):
    assert "--all" in refused("data", "download")[-1]
    assert "Both" in refused("data", "download", "made_up_a", "--all")[0]
    assert "made_up_a" in refused("data", "download", "made_up_q", "made_up_b")[1]


def test_offline_is_clear_on_the_command_line(made_up, monkeypatch):
    monkeypatch.setenv("OTOLITH_OFFLINE", "1")
    ran = otolith("data", "download", "--all", "--accept-licences")
    assert "3 offline." in ran.out
    assert "OTOLITH_OFFLINE" in ran.out
    assert "Without a network" in ran.out
