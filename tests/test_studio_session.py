"""Sessions of the studio, without a page."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from studio_world import QUICK, fitted_world, opened
from toy import SCHEMA, ToyGenerator
from toy_photos import write_photos

from latentedit import (
    CorruptArtefact,
    EditSession,
    EnvironmentFault,
    FingerprintMismatch,
    InputError,
    OutOfRange,
    UnknownName,
    Unsupported,
    Workbench,
    fit_editor,
    make_bank,
)
from latentedit.studio.session.controls import abilities, controls
from latentedit.studio.session.exports import (
    codes_npy,
    commands,
    picture_png,
    sweep_frames,
    sweep_gif,
    sweep_mp4,
)
from latentedit.studio.session.face_map import neighbour_map, principal_map
from latentedit.studio.session.history import Edit
from latentedit.studio.session.pictures import View, difference
from latentedit.studio.session.record import load_session, save_session


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted_world(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="module")
def bench(world: Path) -> Workbench:
    return opened(world)


@pytest.fixture
def session(bench: Workbench) -> EditSession:
    return EditSession(bench, ("exact", "leaky"))


def pixels(view: View) -> list[list[int]]:
    return [picture.image.flatten().tolist() for picture in view.pictures]


def test_every_editor_edits_the_same_face_and_each_is_read(session: EditSession) -> None:
    session.choose(3)
    before = session.face.values[0, 0]
    session.edit(age=50)
    view = session.view()
    assert [picture.title for picture in view.pictures] == [
        "original",
        "exact",
        "leaky",
        "counterfactual",
    ]
    exact = view["exact"].reading
    assert exact.changes["age"].requested == pytest.approx(float(50 - before), abs=1e-3)
    assert exact.changes["age"].achieved == pytest.approx(float(50 - before), abs=0.2)
    assert exact.identity["toy-identity"] == pytest.approx(1, abs=1e-3)
    assert set(exact.leakage) == {"glasses", "yaw", "lighting"}
    assert exact.mean_leakage < 0.02
    leaky = view["leaky"].reading
    assert leaky.identity["toy-identity"] < exact.identity["toy-identity"] - 0.01
    assert view["exact"].edit_ms > 0
    assert view.judge_ms > 0


def test_the_counterfactual_is_the_worlds_own_and_absent_before_an_edit(
    session: EditSession,
) -> None:
    assert session.view().counterfactual is None
    session.edit(age=20, yaw=10)
    found = session.view().counterfactual
    assert found is not None
    truth = ToyGenerator().truth(found.codes).attributes[0]
    asked = session.requested()[0]
    assert truth.tolist() == pytest.approx(asked.tolist(), abs=1e-3)


def test_edits_are_made_in_sequence_each_from_what_was_asked_before(session: EditSession) -> None:
    session.edit(age=50)
    session.edit(yaw=12)
    session.edit(glasses=1)
    bench, face = session.bench, session.face
    fitted = bench.editor("leaky")
    codes, values = face.codes, face.values
    for asked in ({"age": 50}, {"yaw": 12}, {"glasses": 1}):
        target = SCHEMA.changed(values, **asked)
        codes, values = fitted.edit(codes, values, target).codes, target
    assert torch.equal(session.view()["leaky"].codes, codes)


def test_times_are_parts_of_the_time_that_all_took(session: EditSession) -> None:
    started = time.perf_counter()
    session.edit(age=50)
    view = session.view()
    took = 1000 * (time.perf_counter() - started)
    parts = [part for p in view.pictures for part in (p.edit_ms, p.image_ms)]
    assert min(parts) >= 0
    assert sum(parts) + view.judge_ms <= took


def test_an_edit_goes_the_whole_way_where_nothing_is_said() -> None:
    assert Edit(values={"age": (50.0,)}).strength == 1


def test_a_slider_that_moves_on_replaces_its_own_last_edit_alone(session: EditSession) -> None:
    session.edit(age=50)
    session.edit(age=60)
    session.edit(yaw=5)
    session.edit(age=20)
    assert [edit.title for edit in session.history.now] == ["age = 60", "yaw = 5", "age = 20"]


def test_undo_redo_and_reset_go_through_the_history(session: EditSession) -> None:
    plain = pixels(session.view())
    session.edit(age=50)
    edited = pixels(session.view())
    session.edit(glasses=1)
    session.undo()
    assert pixels(session.view()) == edited
    session.redo()
    assert pixels(session.view()) != edited
    session.reset()
    assert pixels(session.view())[:3] == plain[:3]
    session.undo()
    assert len(session.history.now) == 2
    session.undo()
    session.undo()
    with pytest.raises(InputError, match="nothing to undo"):
        session.undo()
    session.edit(age=10)
    with pytest.raises(InputError, match="nothing to redo"):
        session.redo()


def test_a_history_is_bounded(session: EditSession) -> None:
    for i in range(100):
        session.edit({("age", "yaw")[i % 2]: 10 + i / 10})
    assert session.view()["exact"].reading.changes["yaw"].achieved != 0
    with pytest.raises(InputError, match="at most 100 edits follow one another"):
        session.edit(glasses=1)
    for i in range(1_000):
        session.edit(yaw=i / 100)
    assert len(session.history.states) == 300
    assert session.history.can_undo
    session.reset()
    assert session.history.now == ()


def test_a_pending_edit_is_shown_and_not_kept(session: EditSession) -> None:
    shown = pixels(session.view(session.request({"age": 50})))
    assert session.history.now == ()
    session.edit(age=50)
    assert pixels(session.view()) == shown


def test_strength_is_the_share_of_the_way(session: EditSession) -> None:
    before = float(session.face.values[0, 0])
    session.edit(age=before + 10 if before < 50 else before - 10, strength=0.5)
    change = session.view()["exact"].reading.changes["age"]
    assert abs(change.requested) == pytest.approx(5, abs=1e-3)
    assert abs(change.achieved) == pytest.approx(5, abs=0.2)


def test_layers_keep_an_edit_in_some_rows(session: EditSession) -> None:
    session.edit(age=50, layers=(1,))
    picture = session.view()["exact"]
    assert picture.space == "w+"
    unedited = ToyGenerator().convert(session.face.codes, "w", "w+")
    moved = (picture.codes - unedited).abs()
    assert (moved.sum(-1)[0] > 0).tolist() == [False, True, False, False]
    session.reset()
    session.edit(age=50, layers="middle")
    picture = session.view()["exact"]
    assert picture.space == "w+"
    moved = (picture.codes - unedited).abs()
    assert (moved.sum(-1)[0] > 0).tolist() == [False, True, True, False]


def test_an_attribute_is_copied_from_another_face(session: EditSession) -> None:
    session.transfer("lighting", 7)
    other = session.bench.test.attributes[7]
    columns = SCHEMA.columns("lighting")
    assert torch.equal(session.requested()[0, columns], other[columns].clamp(-1.5, 1.5))
    assert session.history.now[-1].title == "lighting of face 7"


@pytest.mark.parametrize("effect", [0.5, 0.8, 1.0])
def test_matched_editors_reach_one_effect_with_strengths_of_their_own(
    session: EditSession, effect: float
) -> None:
    session.match(effect)
    before = float(session.face.values[0, 0])
    session.edit(age=before + 15 if before < 40 else before - 15)
    for picture in session.view().edited:
        change = picture.reading.changes["age"]
        assert change.achieved / change.requested == pytest.approx(effect, abs=0.06)
        assert picture.strength == pytest.approx(effect, abs=0.06)


def test_an_editor_that_never_reaches_the_effect_is_told_apart(world: Path, tmp_path: Path) -> None:
    from toy_photos import registry

    from latentedit import LatentBank, fit_editor

    bank = LatentBank.open(world / "bank")
    fit_editor(registry(), "no-edit", bank).save(tmp_path / "no-edit")
    bench = Workbench.open(
        registry(),
        bank,
        {"exact": world / "exact", "no-edit": tmp_path / "no-edit"},
        judge="toy-judge",
        recognisers=[],
    )
    session = EditSession(bench, effect=0.8)
    session.edit(yaw=30)
    view = session.view()
    assert "does not reach 80% of the change; at most 0%" in view["no-edit"].refused
    assert not view["exact"].refused
    assert view["exact"].reading.identity == {}


def test_a_refused_face_stays_and_says_why(bench: Workbench) -> None:
    session = EditSession(bench, ("timid",))
    (refused,) = [i for i in range(20) if float(bench.test.codes[i, 0]) < 0][:1]
    session.choose(refused)
    session.edit(age=50)
    picture = session.view()["timid"]
    assert picture.refused == "its first coordinate is negative"
    assert torch.equal(picture.codes, session.face.codes)


def test_faces_come_from_seeds_samples_and_photographs(bench: Workbench, tmp_path: Path) -> None:
    session = EditSession(bench, ("exact",))
    session.choose_seed(5)
    assert torch.equal(session.face.codes, ToyGenerator().sample(1, 5))
    session.choose_sample("draws", 3, {"age": 60, "glasses": 1.0})
    truth = ToyGenerator().truth(session.face.codes).attributes[0]
    assert truth[:2].tolist() == pytest.approx([60, 1], abs=0.01)
    codes = write_photos(tmp_path / "photos", 1)
    session.choose_photograph(tmp_path / "photos" / "0.png", options=QUICK)
    assert session.face.title == "photograph 0.png"
    seen = ToyGenerator().truth(session.face.codes, session.face.space).attributes
    wanted = ToyGenerator().truth(codes).attributes
    assert float((seen - wanted).abs()[0, 0]) < 10
    with pytest.raises(Unsupported, match="editors that do: draws"):
        session.choose_sample("exact")


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda s: s.edit(agee=3), UnknownName, "did you mean 'age'"),
        (lambda s: s.edit(age=300), OutOfRange, "0 to 70 years, received 300"),
        (lambda s: s.edit(), InputError, "nothing to edit: set one of age"),
        (lambda s: s.edit(age=3, strength=float("nan")), InputError, "strength is from 0 to 4"),
        (lambda s: s.choose(60), InputError, "0 to 59, received 60"),
        (lambda s: s.choose_seed(-1), InputError, "received -1"),
        (lambda s: s.choose_sample("draws", -1), InputError, "received -1"),
        (lambda s: s.compare([]), InputError, "one to 6 editors"),
        (lambda s: s.compare(["exact", "exact"]), InputError, "each once"),
        (lambda s: s.compare(["exakt"]), UnknownName, "did you mean 'exact'"),
        (lambda s: s.match(1.5), InputError, "received 1.5"),
        (lambda s: s.transfer("agee", 1), UnknownName, "did you mean 'age'"),
        (lambda s: sweep_frames(s, "lighting"), InputError, "'lighting' is a vector"),
        (lambda s: sweep_frames(s, "age", 1), InputError, "2 to 120 frames"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_changes_nothing(
    session: EditSession, ask: Any, error: type[Exception], said: str
) -> None:
    session.edit(yaw=3)
    before = (session.face, session.history, session.columns, session.effect)
    with pytest.raises(error, match=said):
        ask(session)
    assert (session.face, session.history, session.columns, session.effect) == before


def every_kind_of_face(session: EditSession, kind: str, folder: Path) -> None:
    if kind == "bank":
        session.choose(9)
    elif kind == "seed":
        session.choose_seed(4)
    elif kind == "sample":
        session.choose_sample("draws", 2, {"age": 30})
    else:
        write_photos(folder / "photos", 1)
        session.choose_photograph(folder / "photos" / "0.png", options=QUICK)


@pytest.mark.parametrize("kind", ["bank", "seed", "sample", "photograph"])
def test_a_saved_session_gives_equal_pixels(bench: Workbench, kind: str, tmp_path: Path) -> None:
    session = EditSession(bench, ("leaky", "exact"), effect=0.8)
    every_kind_of_face(session, kind, tmp_path)
    session.edit(age=50)
    session.edit(yaw=12, layers=(0, 2), strength=0.7)
    session.transfer("glasses", 3)
    save_session(session, tmp_path / "session.json")
    again = load_session(bench, tmp_path / "session.json")
    assert pixels(again.view()) == pixels(session.view())
    assert again.columns == ("leaky", "exact")
    again.undo()
    session.undo()
    assert pixels(again.view()) == pixels(session.view())


def test_a_session_of_another_bank_version_or_editor_is_refused_with_both_named(
    bench: Workbench, session: EditSession, tmp_path: Path
) -> None:
    saved = tmp_path / "session.json"
    save_session(session, saved)
    other = opened(fitted_world(tmp_path / "other", ("exact", "leaky"), seed=1), ("exact", "leaky"))
    with pytest.raises(FingerprintMismatch) as caught:
        load_session(other, saved)
    assert bench.bank.hash in str(caught.value)
    assert other.bank.hash in str(caught.value)
    record = json.loads(saved.read_text())
    record["versions"]["latentedit"] = "0.0.1"
    saved.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"latentedit 0\.0\.1, torch .* and this is latentedit \d"):
        load_session(bench, saved)
    save_session(session, saved)
    record = json.loads(saved.read_text())
    record["editors"]["exact"]["fingerprint"] = "0" * 64
    saved.write_text(json.dumps(record))
    with pytest.raises(FingerprintMismatch, match=r"exact \(000000000000\), the studio has exact"):
        load_session(bench, saved)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "latentedit session 2"),
        ("effect", 2.0),
        ("face", {"kind": "bank", "index": -1}),
        ("face", {"kind": "elsewhere"}),
        ("edits", [{"values": {}}]),
        ("edits", [{"values": {"age": [1]}, "strength": 9}]),
        ("surplus", 1),
    ],
)
def test_a_damaged_session_is_refused_by_its_field(
    bench: Workbench, session: EditSession, field: str, value: Any, tmp_path: Path
) -> None:
    saved = tmp_path / "session.json"
    save_session(session, saved)
    saved.write_text(json.dumps(json.loads(saved.read_text()) | {field: value}))
    with pytest.raises(CorruptArtefact, match=field):
        load_session(bench, saved)


def given(**changes: Any) -> dict[str, Any]:
    values = [35.0, 0.5, 0.0, 0.0, 0.0, 0.0]
    face = {"kind": "given", "title": "t", "space": "w", "shape": [24], "codes": [0.0] * 24}
    return face | {"values": values} | changes


@pytest.mark.parametrize(
    ("face", "said"),
    [
        (given(codes=[0.0] * 23), "has shape"),
        (given(shape=[12, 2]), "has shape"),
        (given(space="q"), "is of q"),
        (given(values=[1.0]), "1 attribute values, and the bank has 6"),
        ({"kind": "bank", "index": 60}, "0 to 59, received 60"),
    ],
)
def test_a_session_with_an_impossible_face_is_refused(
    bench: Workbench, session: EditSession, face: dict[str, Any], said: str, tmp_path: Path
) -> None:
    saved = tmp_path / "session.json"
    save_session(session, saved)
    saved.write_text(json.dumps(json.loads(saved.read_text()) | {"face": face}))
    with pytest.raises(InputError, match=said):
        load_session(bench, saved)


def test_exports_are_pictures_codes_and_sweeps(session: EditSession) -> None:
    session.edit(age=50)
    picture = Image.open(io.BytesIO(picture_png(session)))
    assert picture.format == "PNG"
    assert picture.width > 4 * 192
    moving = Image.open(io.BytesIO(sweep_gif(session, "yaw", 6)))
    assert (moving.format, getattr(moving, "n_frames", 1)) == ("GIF", 6)
    assert (moving.info["duration"], moving.info["loop"]) == (80, 0)  # in hundredths of a second
    view = session.view()
    kept = np.load(io.BytesIO(codes_npy(view["exact"])), allow_pickle=False)
    assert np.array_equal(kept, view["exact"].codes.numpy())
    assert [edit.title for edit in session.history.now] == ["age = 50"]


def test_a_video_is_made_by_ffmpeg_where_there_is_one(
    session: EditSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="install it, or export a GIF"):
        sweep_mp4(session, "age", 4)
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text('#!/bin/sh\nfor last; do :; done\n/usr/bin/wc -c > "$last"\n')
    stand_in.chmod(0o755)
    width, height = sweep_frames(session, "age", 4)[0].size
    told = int(sweep_mp4(session, "age", 4))
    assert told == 4 * 3 * (width - width % 2) * (height - height % 2)
    stand_in.write_text("#!/bin/sh\necho no codec >&2\nexit 1\n")
    with pytest.raises(EnvironmentFault, match="no codec; export a GIF"):
        sweep_mp4(session, "age", 4)


def test_a_sweep_goes_through_the_range_and_back(session: EditSession) -> None:
    for count in (7, 8):
        frames = sweep_frames(session, "age", count)
        assert len(frames) == count
        assert len({frame.size for frame in frames}) == 1
    shown = [frame.tobytes() for frame in frames]
    assert shown[1:4] == shown[:4:-1]
    assert len(set(shown)) == 5


def test_the_commands_ask_for_the_same(session: EditSession, world: Path) -> None:
    session.choose(4)
    session.edit(age=50.25)
    session.edit(lighting=[0.5, 0, -0.25])
    drawn, first, second = commands(session, "session.json", "runs/x")
    assert drawn == "latentedit studio runs/x --session session.json --out picture.png"
    assert f"--editor {world / 'exact'}" in first
    assert second.endswith(
        "--index 4 --set age=50.25 --set 'lighting=[0.5, 0, -0.25]' --out leaky.png"
    )
    session.match(0.8)
    assert len(commands(session, "session.json", "runs/x")) == 1


@pytest.mark.parametrize(
    ("layers", "options"),
    [("middle", " --layers middle"), ((0, 2), " --layers 0,2"), (None, "")],
)
def test_the_commands_ask_for_the_same_rows_and_strength(
    session: EditSession, layers: tuple[int, ...] | str | None, options: str
) -> None:
    session.edit(age=50, layers=layers, strength=0.5)
    _, first, second = commands(session, "session.json", "runs/x")
    assert first.endswith(f"--set age=50 --amount 0.5{options} --out exact.png")
    assert second.endswith(f"--set age=50 --amount 0.5{options} --out leaky.png")
    session.edit(yaw=3, layers=layers, strength=0.25)
    assert len(commands(session, "session.json", "runs/x")) == 1
    session.undo()
    session.edit(yaw=3, layers=(1,), strength=0.5)
    assert len(commands(session, "session.json", "runs/x")) == 1


def test_a_difference_is_grey_where_nothing_changed() -> None:
    before = torch.tensor([[[0, 100, 255]]], dtype=torch.uint8)
    after = torch.tensor([[[0, 110, 0]]], dtype=torch.uint8)
    assert difference(before, after).tolist() == [[[128, 138, 0]]]


def test_the_map_holds_every_face_and_keeps_the_largest_variance() -> None:
    codes = ToyGenerator().sample(50, 0)
    places = principal_map(codes)
    assert places.shape == (50, 2)
    assert float(places.min()) == 0
    assert float(places.max()) == 1
    centred = (codes - codes.mean(0)).double().numpy()
    _, vectors = np.linalg.eigh(centred.T @ centred)
    for axis in (0, 1):
        expected = centred @ vectors[:, -1 - axis]
        assert abs(np.corrcoef(expected, places[:, axis].numpy())[0, 1]) > 1 - 1e-6
    assert principal_map(torch.zeros(3, 1, 1)).tolist() == [[0, 0]] * 3


def test_a_map_of_neighbours_keeps_groups_together() -> None:
    generator = torch.Generator().manual_seed(0)
    group = torch.arange(60) % 3
    centres = torch.tensor([[0.0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0]])
    codes = centres[group] + 0.1 * torch.randn(60, 4, generator=generator)
    places = neighbour_map(codes)
    assert places.aminmax(dim=0).min.tolist() == [0, 0]
    assert places.aminmax(dim=0).max.tolist() == [1, 1]
    nearest = (torch.cdist(places, places) + torch.eye(60) * 9).argmin(1)
    assert torch.equal(group[nearest], group)
    assert torch.equal(neighbour_map(codes), places)
    assert torch.equal(neighbour_map(codes[:3]), principal_map(codes[:3]))


def test_controls_are_made_from_what_is_declared(bench: Workbench) -> None:
    made = {control.attribute.name: control for control in controls(bench)}
    assert list(made) == list(SCHEMA.names)
    assert made["glasses"].ends == ("no glasses", "glasses")
    assert made["age"].step == 1
    found = abilities(bench)
    assert found["rows"] == 4
    assert found["presets"] == ["middle"]
    assert found["samplers"] == ["draws"]
    assert found["counterfactuals"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"judge": "toy-labeller"}, "labelled the bank"),
        ({"judge": None}, "toy has no default judge; name an estimator with --judge"),
        ({"editors": {}}, "received none"),
    ],
)
def test_a_workbench_needs_editors_and_a_judge_of_its_own(
    bench: Workbench, world: Path, changes: dict[str, Any], said: str
) -> None:
    how: dict[str, Any] = {"editors": {"exact": world / "exact"}, "judge": "toy-judge"} | changes
    editors = how.pop("editors")
    with pytest.raises(InputError, match=said):
        Workbench.open(bench.registry, bench.bank, editors, recognisers=[], **how)


def test_editors_of_another_world_are_refused(bench: Workbench, tmp_path: Path) -> None:
    other = make_bank(
        bench.registry, tmp_path / "bank", generator="toy", labeller="toy-labeller",
        generator_options={"world_seed": 1}, n_fit=20, n_test=2,
    )  # fmt: skip
    fit_editor(bench.registry, "exact", other).save(tmp_path / "exact")
    with pytest.raises(FingerprintMismatch):
        Workbench.open(bench.registry, bench.bank, {"exact": tmp_path / "exact"}, judge="toy-judge")


def test_a_run_that_is_none_is_refused(tmp_path: Path, bench: Workbench) -> None:
    with pytest.raises(InputError, match=r"it has no suite\.json"):
        Workbench.of_run(bench.registry, tmp_path)


def test_strengths_of_a_session_are_numbers(session: EditSession) -> None:
    session.match(0.8)
    session.edit(lighting=[0.5, 0, -0.25])
    strengths = [picture.strength for picture in session.view().edited]
    assert strengths == pytest.approx([1, 1])
