"""Frames of what is small: those of other writers are read, and what is no frame of ours has an error of ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cramjam
import pytest

from schemas.zstd import CannotDecompress, compressed, decompressed

CONTENT = b"a state of a user, " * 100


def test_what_was_compressed_comes_back() -> None:
    frame = compressed(bytearray(CONTENT))
    assert len(frame) < len(CONTENT) // 4
    assert decompressed(frame, len(CONTENT)) == CONTENT


def test_frames_of_an_earlier_version_are_read() -> None:
    assert decompressed(bytes(cramjam.zstd.compress(CONTENT, 1)), len(CONTENT)) == CONTENT


@pytest.mark.parametrize(
    "frame", [b"", b"\x28\xb5\x2f\xfd", compressed(CONTENT)[:-1], compressed(CONTENT) + b"x", b"x" * 100]
)
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(CannotDecompress):
        decompressed(frame, len(CONTENT))


def test_a_frame_of_more_than_allowed_is_refused_before_it_is_read() -> None:
    with pytest.raises(CannotDecompress, match="more than 10 bytes"):
        decompressed(compressed(CONTENT), 10)


def test_threads_do_not_share_what_compresses() -> None:
    def there_and_back(number: int) -> bool:
        content = CONTENT * (1 + number % 50) + bytes([number % 256])
        return decompressed(compressed(content), len(content)) == content

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(4_000)))
