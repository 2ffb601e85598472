"""A file that is replaced is at all times the old one or the new one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from runstone.files import replace_file


def test_text_is_utf_8_as_it_stands_and_bytes_are_bytes(tmp_path: Path) -> None:
    replace_file(tmp_path / "text", "ä\r\n\n")
    replace_file(tmp_path / "bytes", b"\xff\r\n")
    assert (tmp_path / "text").read_bytes() == b"\xc3\xa4\r\n\n"
    assert (tmp_path / "bytes").read_bytes() == b"\xff\r\n"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", "old")
    with pytest.raises(UnicodeEncodeError):
        replace_file(tmp_path / "file", "\ud800")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "folder", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text("utf-8") == "old"


def test_readers_see_a_whole_file_while_several_write_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [letter * 200_000 for letter in "abc"]
    replace_file(path, contents[0])

    def write(text: str) -> None:
        for _ in range(30):
            replace_file(path, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text("utf-8") in contents
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
