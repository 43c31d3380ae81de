"""Archives unpack whole or not at all, and never outside their folder."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest

from otolith.core.archives import unpack
from otolith.core.errors import ArchiveError


def make_zip(path, entries, mode=0):
    with zipfile.ZipFile(path, "w") as bundle:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            bundle.writestr(info, data)
    return path


def make_tar(path, entries):
    with tarfile.open(path, "w:gz") as bundle:
        for name, data, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "/etc/passwd"
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            bundle.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_good_archives_unpack(tmp_path, kind):
    if kind == "zip":
        archive = make_zip(tmp_path / "a.zip", [("d/x.txt", "hi"), ("y.txt", "there")])
    else:
        archive = make_tar(
            tmp_path / "a.tgz",
            [("d/x.txt", b"hi", tarfile.REGTYPE), ("y.txt", b"there", tarfile.REGTYPE)],
        )
    folder = unpack(archive, tmp_path / "out")
    assert (folder / "d" / "x.txt").read_text() == "hi"
    assert (folder / "y.txt").read_text() == "there"
    with pytest.raises(ArchiveError, match="exists already"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil", "\\evil"]
)
def test_paths_outside_are_refused(tmp_path, name):
    for archive in (
        make_zip(tmp_path / "a.zip", [("ok.txt", "1"), (name, "x")]),
        make_tar(
            tmp_path / "a.tgz", [("ok.txt", b"1", tarfile.REGTYPE), (name, b"x", tarfile.REGTYPE)]
        ),
    ):
        with pytest.raises(ArchiveError, match="outside"):
            unpack(archive, tmp_path / "sub" / "out")
    assert not list((tmp_path / "sub").iterdir())
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    with pytest.raises(ArchiveError, match="link or device"):
        unpack(make_tar(tmp_path / "a.tgz", [("x", b"", kind)]), tmp_path / "out")


def test_links_in_zip_are_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", [("x", "/etc/passwd")], mode=0o120777)
    with pytest.raises(ArchiveError, match="link"):
        unpack(archive, tmp_path / "out")


def test_limits_and_doubles(tmp_path):
    bomb = tmp_path / "b.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("zeros", bytes(3_000_000))
    with pytest.raises(ArchiveError, match="more than 1000000 bytes"):
        unpack(bomb, tmp_path / "out", max_bytes=1_000_000)
    many = make_zip(tmp_path / "m.zip", [(str(i), "") for i in range(20)])
    with pytest.raises(ArchiveError, match="more than 10 files"):
        unpack(many, tmp_path / "out", max_files=10)
    double = make_zip(tmp_path / "d.zip", [("A.txt", "1"), ("a.txt", "2")])
    with pytest.raises(ArchiveError, match="twice"):
        unpack(double, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_damaged_archives(tmp_path, cut):
    path = make_tar(tmp_path / "a.tgz", [("x", bytes(range(256)) * 40, tarfile.REGTYPE)])
    path.write_bytes(path.read_bytes()[: cut or 1])
    with pytest.raises(ArchiveError):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["xz", "gz", "bz2"])
def test_damage_inside_a_compressed_archive(tmp_path, kind):
    path = tmp_path / f"a.tar.{kind}"
    data = bytes(np.random.default_rng(0).integers(0, 256, 200_000, dtype=np.uint8))
    with tarfile.open(path, f"w:{kind}") as bundle:
        info = tarfile.TarInfo("x")
        info.size = len(data)
        bundle.addfile(info, io.BytesIO(data))
    content = bytearray(path.read_bytes())
    content[100_000:100_100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="cannot be unpacked|neither zip nor tar"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_with_a_password_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("x.txt", "secret")])
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="password"):
        unpack(path, tmp_path / "out")


def test_an_archive_that_goes_on_behind_its_end_is_refused(tmp_path):
    path = make_tar(tmp_path / "a.tgz", [("x", b"1", tarfile.REGTYPE)])
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(1 << 25)))
    with pytest.raises(ArchiveError, match="behind its end"):
        unpack(path, tmp_path / "out")
