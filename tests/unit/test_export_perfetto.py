"""Perfetto's trace, decoded with the schema that Perfetto publishes."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from export_help import PAGE, export, made, plain

from oracle import events, pmt, synth

unknown_fields = pytest.importorskip("google.protobuf.unknown_fields", reason="needs protobuf: pip install protobuf")
schema = pytest.importorskip(
    "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="needs perfetto: pip install perfetto"
)


class Timeline:
    """What Perfetto's importer makes of the packets: slices by thread, instants, counters."""

    def __init__(self, path: Path) -> None:
        self.slices: dict[tuple[int, int], list[tuple[str, int, int, int]]] = {}  # name, begin, end, depth
        self.instants: list[tuple[tuple[int, int], str, dict[str, Any]]] = []
        self.counters: dict[tuple[int, str], list[tuple[int, int]]] = {}
        self.processes: dict[int, str] = {}
        self.threads: dict[tuple[int, int], str] = {}
        self.places: dict[str, tuple[str, int]] = {}
        trace = schema.Trace()
        trace.ParseFromString(path.read_bytes())
        assert trace.SerializeToString()
        tracks: dict[int, Any] = {}
        open_: dict[int, list[tuple[str, int]]] = {}
        names: dict[int, str] = {}
        sources: dict[int, Any] = {}
        assert trace.packet[0].sequence_flags == 1
        for packet in trace.packet:
            assert packet.trusted_packet_sequence_id == 1
            for part in packet, packet.track_event, packet.track_descriptor, packet.interned_data:
                assert not unknown_fields.UnknownFieldSet(part)
            if packet.HasField("interned_data"):
                names.update((name.iid, name.name) for name in packet.interned_data.event_names)
                sources.update((place.iid, place) for place in packet.interned_data.source_locations)
            elif packet.HasField("track_descriptor"):
                track = packet.track_descriptor
                assert track.uuid not in tracks
                tracks[track.uuid] = track
                if track.HasField("process"):
                    self.processes[track.process.pid] = track.process.process_name
                elif track.HasField("thread"):
                    self.threads[track.thread.pid, track.thread.tid] = track.thread.thread_name
            elif packet.HasField("track_event"):
                event = packet.track_event
                track = tracks[event.track_uuid]
                if event.type == schema.TrackEvent.TYPE_COUNTER:
                    assert track.counter.unit == schema.CounterDescriptor.UNIT_SIZE_BYTES
                    pid = tracks[track.parent_uuid].process.pid
                    self.counters.setdefault((pid, track.name), []).append((packet.timestamp, event.counter_value))
                    continue
                thread = track.thread.pid, track.thread.tid
                stack = open_.setdefault(event.track_uuid, [])
                if event.type == schema.TrackEvent.TYPE_SLICE_BEGIN:
                    name = names[event.name_iid]
                    place = sources[event.source_location_iid]
                    self.places[name] = place.file_name, place.line_number
                    stack.append((name, packet.timestamp))
                elif event.type == schema.TrackEvent.TYPE_SLICE_END:
                    name, begin = stack.pop()
                    self.slices.setdefault(thread, []).append((name, begin, packet.timestamp, len(stack)))
                else:
                    assert event.type == schema.TrackEvent.TYPE_INSTANT
                    notes = {n.name: n.int_value or n.string_value for n in event.debug_annotations}
                    self.instants.append((thread, event.name, notes))
        assert not any(open_.values())


def test_slices(tmp_path: Path) -> None:
    found = Timeline(export(made(tmp_path), "perfetto"))
    assert found.processes == {100: "app.py", 200: "app.py"}
    assert found.threads == {(100, 100): "MainThread", (100, 101): "worker", (200, 200): "MainThread"}
    assert sorted(found.slices[100, 100], key=lambda s: s[1:]) == [
        ("main", 1000, 1920, 0),
        ("grow", 1200, 1600, 1),
        ("shrink", 1640, 1680, 1),
        ("items", 1720, 1760, 1),
        ("items", 1800, 1840, 1),
    ]
    assert found.slices[100, 101] == [("grow", 1304, 1384, 0)]
    assert found.places["grow"] == ("/app/lib.py", 9) and found.places["items"] == ("/app/app.py", 20)


def test_instants_and_counters(tmp_path: Path) -> None:
    found = Timeline(export(made(tmp_path), "perfetto"))
    faults = [notes for _thread, name, notes in found.instants if name == "page fault"]
    assert sorted(notes["bytes"] // PAGE for notes in faults) == [1, 2, 4, 5, 7, 20]
    assert {"bytes": 7 * PAGE, "function": "grow", "at": "/app/lib.py:11"} in faults
    names = Counter(name for _thread, name, _notes in found.instants)
    assert names["half way"] == names["12 events were lost here"] == 1
    rss = [value // PAGE for _time, value in found.counters[100, "RSS"]]
    assert rss[0] == 1000 and rss[-1] == 1034 and max(rss) == 1034
    assert found.counters[100, "RSS anonymous"] == [(1950, 4000 * 1024)]
    assert found.counters[100, "swap"] == [(1950, 8 * 1024)]
    alone = Timeline(export(made(tmp_path), "perfetto", "--pid", "200"))
    assert set(alone.processes) == {200}


def test_without_calls(tmp_path: Path) -> None:
    found = Timeline(export(plain(tmp_path), "perfetto"))
    assert not found.slices
    assert found.counters[100, "RSS"] == [(190, 1510 * 1024)]
    assert sum(notes.get("bytes", 0) for _thread, _name, notes in found.instants) == 22 * PAGE


def test_hostile_names(tmp_path: Path) -> None:
    found = Timeline(export(made(tmp_path, hostile=True), "perfetto"))
    texts = [*found.processes.values(), *found.threads.values(), *(name for _thread, name, _notes in found.instants)]
    assert all(text.isprintable() for text in texts) and any("</script>" in text for text in texts)


@pytest.mark.parametrize("seed", range(6))
def test_random_logs_nest(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "random.pmt"
    path.write_bytes(synth.event_trace(seed).finish())
    found = Timeline(export(path, "perfetto"))
    rows = events.log(pmt.decode(path))
    begun = Counter(row.function or "" for row in rows if row.kind in ("call", "resume", "throw", "c_call"))
    assert sum(len(slices) for slices in found.slices.values()) == sum(begun.values())
    depths = {(row.pid, row.tid, row.t, row.depth) for row in rows if row.kind in ("call", "resume", "throw", "c_call")}
    for thread, slices in found.slices.items():
        assert {(*thread, begin, depth) for _name, begin, _end, depth in slices} <= depths
