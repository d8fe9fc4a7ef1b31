"""Compiled modules: the same answers as the interpreter's, never stale, and never needed."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from cli.system import ROOT
from runtime import native

CAN_COMPILE = (Path(sysconfig.get_path("include")) / "Python.h").exists() and shutil.which(
    sysconfig.get_config_var("CC").split()[0]
)
needs_compiler = pytest.mark.skipif(not CAN_COMPILE, reason="no C compiler or no Python.h on this machine")

FOLD_A_LOG = """
import hashlib, sys
from random import Random
import cli
from msgspec.structs import astuple
from features.catalogue import (
    Catalogue, Decayed, Edge, EdgeValue, Extreme, Last, Recent, Sum, Top, Windowed, WindowedExtreme
)
from features.definitions import Base
from features.duplicates import DuplicateWindow, id_key
from features.packed_ids import PackedIds, put_ids, unpack_ids
from features.default import CATALOGUE
from features.derive import derive, derive_values
from features.fold import Folder
from features.packing import pack, unpack
from features.state import new_state
from loadgen.simulation import Simulation
from runtime import native
from runtime.delivery import LogRecord
from runtime.record_batch import RecordBatch
from schemas.events import AcceptedEvent, decode_record
from schemas.fit_events import FitEvent, judge_fit
from schemas.receipts import Position
from storage import StateRow, TimelineRow
from streams import records as reading
from tests.unit.prepared import encoder
import msgspec
import orjson

digest, log = hashlib.sha256(), Simulation(events=6_000, users=40).log()
VIEWED = ("view_item", "purchase")
OTHER = Catalogue(
    [
        Sum("revenue", of="purchase", value="value"),
        Last("items", of=VIEWED, field="item_id", k=5),
        Edge("first_item", of=VIEWED, field="item_id", which="first"),
        Extreme("largest", of="purchase", value="value", which="max"),
        Decayed("spent", weights={"purchase": 2.5}, half_life="1h", by="category", value="value", keys=2),
    ],
    [
        Windowed("revenue30d", "revenue", window="30d", doc=""),
        Recent("lastItems", "items", doc=""),
        EdgeValue("firstItem", "first_item", doc=""),
        WindowedExtreme("largest30d", "largest", window="30d", doc=""),
        Top("topSpent", "spent", k=2, doc=""),
    ],
)


def pack_ids(window, base):
    out = bytearray()
    put_ids(out, window, base)
    return msgspec.msgpack.decode(out, type=PackedIds)


def fold(catalogue, largest):
    folder, states = Folder(catalogue), {}
    for number, (append_ms, fields) in enumerate(log):
        if largest and "itemId" in fields:  # of an undo as well
            type_of = {"view_item": "purchase"}.get(fields["type"], fields["type"])
            fields = {**fields, "type": type_of, "value": largest if int(fields["itemId"][-1]) % 4 else -largest}
        event = decode_record(orjson.dumps({"receivedAt": append_ms, **fields}))
        state = states.setdefault(event.user_id, new_state(catalogue))
        epoch, offset = divmod(number, 4_000)
        digest.update(folder.fold(state, event, Position(epoch, 0, offset), append_ms).encode())
        if number % 500 == 0:
            states = {user: unpack(pack(state, catalogue), catalogue) for user, state in states.items()}
    for state in states.values():
        digest.update(pack(state, catalogue))
        for now_ms in (log[-1].append_ms, log[3_000].append_ms):
            for derived in derive(catalogue, state, now_ms, past=True):
                served = (derived.name, derived.answer, derived.facts, derived.covered_from_ms, derived.counts_from_ms)
                digest.update(repr(served).encode())
            digest.update(repr(derive_values(catalogue, state, now_ms)).encode())


ascii = bytes(range(128)).decode()
texts = ("", *ascii, *[ascii[turn:] for turn in range(8)], "\u00c9A\u00df", "\u0130I")
digest.update(repr([id_key(text) for text in texts]).encode())
fold(CATALOGUE, None)
fold(OTHER, 1e12)

base, window, chance = Base(0, 0), DuplicateWindow(), Random(1)
for offset in range(12_000):
    base = Base(base.append_ms + chance.choice((0, 0, 0, 90_000, 8_000_000)), offset)
    key = id_key(str(chance.randrange(offset // 2 + 1)))
    facts = (window.admit(key, offset, base.append_ms, base.append_ms - offset, 3, 9), len(window), window.find(-key))
    if offset % 700 == 0:
        window = unpack_ids(pack_ids(window, base), base)
    if offset % 5_000 == 4_999:
        window.start_epoch()
    digest.update(repr(facts).encode())
packed = pack_ids(window, base)
for place, column in enumerate(astuple(packed)):
    if isinstance(column, bytes | list):
        for changed in (column[:-1], column + column[:1], column[:0]):
            try:
                read = unpack_ids(PackedIds(*astuple(packed)[:place], changed, *astuple(packed)[place + 1:]), base)
                digest.update(repr(len(read)).encode())
            except ValueError:
                digest.update(b"refused")
events = [
    {
        "eventId": f"{number:08x}-0000-7000-8000-00000000000{'aF-'[number % 3]}",
        "type": "view_item",
        "userId": f"zo\u00eb {number % 7}",
        "occurredAt": f"2026-0{1 + number % 3}-{10 + number % 18}T12:00:00" + ("Z" if number % 5 else "+01:00"),
    }
    for number in range(900)
]
batch, records = RecordBatch(1), []
for verdict in judge_fit(msgspec.convert(events, list[FitEvent]), received_at_ms=1_772_500_000_000, sent_at_ms=None):
    digest.update(repr(verdict).encode())
    if isinstance(verdict, AcceptedEvent):
        batch.append(verdict.user_id.encode(), verdict.value)
        records.append(LogRecord("t", 0, len(records), 1_772_500_000_000, b"key", verdict.value, ()))
digest.update(batch._build())
digest.update(repr((len(records), reading.value_bytes(records), reading.read(records))).encode())
for number, (append_ms, fields) in enumerate(log[:200]):
    user_id, at = fields["userId"], Position(1, number % 12, number)
    state = encoder().state(StateRow(user_id, bytes(number), append_ms, at))
    event = encoder().event(TimelineRow(user_id, append_ms, str(number), fields["type"], b"{}", append_ms))
    digest.update(repr((state, event)).encode())
print(len(native.loaded()), digest.hexdigest())
"""


def fold_a_log(switch: str) -> tuple[int, str]:
    """How many compiled modules took part, and a digest of all outcomes, packed states and values."""
    environment = {**os.environ, native.SWITCH: switch}
    result = subprocess.run(
        [sys.executable, "-c", FOLD_A_LOG], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    count, digest = result.stdout.split()
    return int(count), digest


@needs_compiler
def test_compiled_modules_give_the_same_bytes_as_the_interpreter() -> None:
    compiled, interpreted = fold_a_log("on"), fold_a_log("off")
    assert compiled[0] > 15
    assert interpreted[0] == 0
    assert compiled[1] == interpreted[1]


@needs_compiler
def test_the_launcher_has_compiled_every_hot_module() -> None:
    native.build()  # nothing to do after ./headrace test; plain pytest may come first
    assert native.missing() == []


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The source of a package of its own with one hot module, `shop.sums`."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    source = tmp_path / "shop" / "sums.py"
    source.write_text("def total(numbers):\n    return sum(numbers)\n")
    monkeypatch.setattr(native, "ROOT", tmp_path)
    monkeypatch.setattr(native, "BUILT", tmp_path / "native")
    monkeypatch.setattr(native, "MODULES", ("shop.sums",))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    native.install()
    return source


def imported() -> str:
    """The file that `shop.sums` is loaded from now."""
    for name in ("shop.sums", "shop"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    file = importlib.import_module("shop.sums").__file__
    assert file is not None
    return file


@needs_compiler
def test_an_edited_module_runs_as_plain_python_until_it_is_compiled_again(small: Path) -> None:
    assert imported() == str(small)
    native.build()
    assert imported().endswith(sysconfig.get_config_var("EXT_SUFFIX"))
    assert native.loaded() == ["shop.sums"]
    small.write_text("def total(numbers):\n    return sum(numbers) + 1\n")
    assert imported() == str(small)
    assert native.missing() == ["shop.sums"]
    native.build()
    assert sys.modules["shop.sums"] is not None
    assert imported() != str(small)
    assert len(list(native.BUILT.iterdir())) == 1  # what older sources left is gone


@needs_compiler
def test_modules_that_know_each_others_c_types_are_compiled_and_loaded_together(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "MODULES", ("shop.sums", "shop.tills"))
    tills = small.with_name("tills.py")
    tills.write_text("class Till:\n    def __init__(self):\n        self.cents = 1\n")
    tills.with_suffix(".pxd").write_text("cdef class Till:\n    cdef public long long cents\n")
    small.write_text("from shop.tills import Till\ndef total(numbers):\n    till = Till()\n    return till.cents\n")
    small.with_suffix(".pxd").write_text("from shop.tills cimport Till\n")
    native.build()
    assert imported().endswith(sysconfig.get_config_var("EXT_SUFFIX"))
    assert sys.modules["shop.sums"].total([]) == 1
    tills.with_suffix(".pxd").write_text("cdef class Till:\n    cdef public object owner\n    cdef public int cents\n")
    assert native.missing() == ["shop.sums", "shop.tills"]
    assert imported() == str(small)
    native.build()
    next(native.BUILT.glob("shop.tills-*")).unlink()  # by hand: the other one alone would see the wrong object
    sys.modules.pop("shop.tills")
    assert imported() == str(small)


@needs_compiler
def test_modules_that_know_each_others_c_types_stay_plain_python_if_one_of_them_is_it_already(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "MODULES", ("shop.sums", "shop.drawers"))
    small.with_name("drawers.py").write_text("def drawer():\n    return 1\n")
    small.with_name("drawers.pxd").write_text("cpdef long long drawer()\n")
    small.write_text("from shop.drawers import drawer\ndef total(numbers):\n    return drawer()\n")
    small.with_suffix(".pxd").write_text("from shop.drawers cimport drawer\n")
    monkeypatch.setattr(sys, "meta_path", [each for each in sys.meta_path if each is not native._Finder])
    importlib.import_module("shop.drawers")
    native.install()
    native.build()
    assert imported() == str(small)
    assert sys.modules["shop.sums"].total([]) == 1


def test_without_a_compiler_it_says_what_to_install_and_goes_on(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_compiler(name: str) -> str:
        return "no-such-compiler -shared" if name == "LDSHARED" else ".so"

    monkeypatch.setattr(sysconfig, "get_config_var", no_compiler)
    native.main()
    said = capsys.readouterr().err
    assert "no-such-compiler" in said
    assert "apt install gcc python3-dev" in said
    assert imported() == str(small)


def test_a_module_that_cannot_be_compiled_is_named(small: Path) -> None:
    small.write_text("def total(numbers:\n")
    with pytest.raises(native.CannotCompile, match=r"shop/sums\.py:2"):
        native.build()


def test_it_can_be_switched_off(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(native.SWITCH, "off")
    native.main()
    assert (capsys.readouterr().err, native.missing()) == ("", ["shop.sums"])
