"""Attributes of one's own: labels in a CSV or in folders, functions, and parts put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_files import write_clip
from faces_world import feature_model
from PIL import Image
from torch import Tensor

from latentedit import (
    AttributeEstimator,
    CorruptArtefact,
    FingerprintMismatch,
    InputError,
    OutOfRange,
    PluginFault,
    Registry,
    UnknownName,
    Unsupported,
)
from latentedit_faces.thresholds import same_person_threshold

REGISTRY = Registry.discover()


def csv_labels(path: Path, **options: Any) -> AttributeEstimator:
    return REGISTRY.estimator("faces-csv", {"file": str(path)} | options)


class TestCsv:
    def write(self, folder: Path, *lines: str) -> Path:
        path = folder / "labels.csv"
        path.write_text("\n".join(lines))
        return path

    def test_values_are_found_by_face_in_any_order(self, tmp_path: Path) -> None:
        lines = ["age,index,split,glasses", "30,1,fit,0", "20.5,0,fit,1", "40,0,test,1"]
        labels = csv_labels(self.write(tmp_path, *lines))
        found = labels.recorded("fit", 2)
        assert found is not None
        assert found.tolist() == [[20.5, 1.0], [30.0, 0.0]]
        assert [(a.name, a.kind, a.low, a.high) for a in labels.schema] == [
            ("age", "continuous", 20.5, 40.0),
            ("glasses", "binary", 0.0, 1.0),
        ]

    def test_names_of_written_pictures_are_faces(self, tmp_path: Path) -> None:
        lines = ["file,mood", "faces/fit-00001.png,2", "fit-00000.png,1"]
        found = csv_labels(self.write(tmp_path, *lines)).recorded("fit", 2)
        assert found is not None
        assert found[:, 0].tolist() == [1, 2]

    def test_declared_attributes_choose_columns_order_range_and_unit(self, tmp_path: Path) -> None:
        declared = [{"name": "age", "low": 0, "high": 70, "unit": "years"}]
        path = self.write(tmp_path, "split,index,mood,age", "fit,0,3,20", "fit,1,4,30")
        schema = csv_labels(path, attributes=declared).schema
        assert (schema.names, schema["age"].high, schema["age"].unit) == (("age",), 70, "years")

    def test_it_does_not_look_at_images(self, tmp_path: Path) -> None:
        labels = csv_labels(self.write(tmp_path, "split,index,a", "fit,0,1", "fit,1,2"))
        with pytest.raises(Unsupported, match="train a judge"):
            labels.estimate(torch.zeros(1, 3, 8, 8))

    @pytest.mark.parametrize(
        ("lines", "told"),
        [
            (["name,age", "a.png,3"], "it lacks split"),
            (["split,index", "fit,0"], "no column besides"),
            (["split,index,a", "fit,0,old"], r"line 2: a is a number or empty, received 'old'"),
            (["split,index,a", "fit,0,inf"], "received 'inf'"),
            (["split,index,a", "fit,0,nan"], "received 'nan'"),
            (["split,index,a", "fit,0"], "line 2: 2 cells for 3 columns"),
            (["split,index,a", "fit,-1,3"], "an index from 0"),
            (["split,index,a", "train,1,3"], "split fit or test"),
            (["split,index,a", "fit,1,3", "fit,01,4"], "two rows for fit-00001.png"),
            (["split,index,a,a", "fit,1,3,4"], "different names"),
            (["split,index,a"], "no rows"),
            (["split,index,a", "fit,0,"], "'a' is empty"),
            (["split,index,a", "fit,0,3", "fit,1,3"], "every value of .a. is 3"),
        ],
    )
    def test_a_wrong_table_is_refused_with_the_place(
        self, tmp_path: Path, lines: list[str], told: str
    ) -> None:
        with pytest.raises(InputError, match=told):
            csv_labels(self.write(tmp_path, *lines))

    def test_faces_without_labels_are_counted(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "split,index,a,b", "fit,0,1,5", "fit,2,2,", "test,0,1,6")
        with pytest.raises(InputError, match=r"no labels of 1 of 3 fit faces, first of face 1"):
            csv_labels(path).recorded("fit", 3)
        whole = self.write(tmp_path, "split,index,a,b", "fit,0,1,5", "fit,1,2,", "test,0,1,6")
        with pytest.raises(InputError, match="no value of 'b' for fit face 1"):
            csv_labels(whole).recorded("fit", 2)
        with pytest.raises(InputError, match="no face of a bank"):
            csv_labels(self.write(tmp_path, "file,a", "me.jpg,1", "you.jpg,2")).recorded("fit", 1)

    def test_values_and_columns_are_checked_against_the_declaration(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "split,index,age", "fit,0,80", "fit,1,3")
        with pytest.raises(OutOfRange, match="received 80"):
            csv_labels(path, attributes=[{"name": "age", "low": 0, "high": 70}])
        with pytest.raises(UnknownName, match="did you mean 'age'"):
            csv_labels(path, attributes=[{"name": "agee"}])

    def test_the_file_has_to_be_text(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00split")
        with pytest.raises(InputError, match="as a CSV in UTF-8"):
            csv_labels(tmp_path / "x.csv")


def draw(place: float, bar: bool, rng: np.random.Generator) -> Image.Image:
    """A noisy 48 × 48 picture with a disc at `place` from 0 to 1, and perhaps a bar on top."""
    shade = rng.uniform(40, 90, (48, 48, 3))
    rows, columns = np.mgrid[:48, :48]
    shade[(columns - 8 - 32 * place) ** 2 + (rows - 28) ** 2 < 36] = 220
    if bar:
        shade[4:8] = 200
    return Image.fromarray(shade.astype(np.uint8))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of 160 pictures, and the CSV of their labels; some labels are missing."""
    folder, rng, lines = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0), []
    for i in range(160):
        place, bar = rng.uniform(), bool(rng.uniform() < 0.5)
        draw(place, bar, rng).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{'' if i % 20 == 3 else f'{80 * place - 40:.2f}'},{int(bar)}")
    table = folder / "labels.csv"
    table.write_text("\n".join(["file,place,bar", *lines]))
    return folder, table


def train(images: Path, labels: Path | None, out: Path, **options: Any) -> dict[str, Any]:
    made = REGISTRY.trainer("faces-trained", options).train(images, labels, out)
    assert made.options == {"folder": str(out)}
    return dict(made.held_out)


def trained(folder: Path, **options: Any) -> AttributeEstimator:
    return REGISTRY.estimator("faces-trained", {"folder": str(folder)} | options)


@pytest.fixture(scope="module")
def network(
    pictures: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("trained") / "E"
    return out, train(*pictures, out, epochs=25)


class TestTraining:
    def test_a_small_network_learns_and_states_its_error(
        self, network: tuple[Path, dict[str, Any]]
    ) -> None:
        out, held_out = network
        assert held_out["place"]["r2"] > 0.9
        assert held_out["bar"]["auc"] > 0.99
        assert held_out["bar"]["n"] == 40
        assert trained(out).card()["held_out"] == held_out

    def test_the_stated_error_is_that_of_new_pictures(
        self, network: tuple[Path, dict[str, Any]]
    ) -> None:
        rng = np.random.default_rng(99)
        places = rng.uniform(size=60)
        shades = [np.array(draw(place, False, rng)) for place in places]
        images = torch.from_numpy(np.stack(shades)).permute(0, 3, 1, 2) / 127.5 - 1
        found = trained(network[0]).estimate(images)[:, 0].numpy()
        truth = 80 * places - 40
        r2 = 1 - ((truth - found) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
        assert r2 > network[1]["place"]["r2"] - 0.1

    def test_images_of_any_size_in_any_batch_read_the_same(
        self, network: tuple[Path, dict[str, Any]]
    ) -> None:
        estimator = trained(network[0])
        images = torch.rand(3, 3, 96, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
        alone = torch.cat([estimator.estimate(image[None]) for image in images])
        torch.testing.assert_close(estimator.estimate(images), alone, atol=1e-3, rtol=1e-4)
        assert estimator.estimate(images[:0]).shape == (0, 2)

    def test_the_same_pictures_give_the_same_network(
        self, pictures: tuple[Path, Path], tmp_path: Path
    ) -> None:
        for name in "ab":
            train(*pictures, tmp_path / name, epochs=1)
        train(*pictures, tmp_path / "c", epochs=1, seed=1)
        found = [trained(tmp_path / name).fingerprint for name in "abc"]
        assert found[0] == found[1] != found[2]

    def test_folders_are_labels(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for name, bar in (("bar", True), ("not-bar", False)):
            (tmp_path / "faces" / name).mkdir(parents=True)
            for i in range(30):
                picture = draw(rng.uniform(), bar, rng)
                picture.save(tmp_path / "faces" / name / f"{i}.png")
        held_out = train(tmp_path / "faces", None, tmp_path / "E", epochs=15)
        assert held_out["bar"]["auc"] > 0.95
        assert trained(tmp_path / "E").schema.names == ("bar",)

    @pytest.mark.parametrize("features", ["onnx", "clip"])
    def test_a_ridge_on_a_frozen_network(
        self, pictures: tuple[Path, Path], tmp_path: Path, features: str
    ) -> None:
        model = feature_model(tmp_path) if features == "onnx" else write_clip(tmp_path / "clip")
        held_out = train(*pictures, tmp_path / "E", features=features, model=str(model))
        assert held_out["bar"]["auc"] > 0.9
        assert held_out["place"]["n"] == 152
        estimator = trained(tmp_path / "E")
        assert estimator.estimate(torch.zeros(2, 3, 48, 48)).shape == (2, 2)
        assert estimator.estimate(torch.zeros(0, 3, 48, 48)).shape == (0, 2)

    def test_a_moved_network_is_found_and_another_one_refused(
        self, pictures: tuple[Path, Path], tmp_path: Path
    ) -> None:
        model = write_clip(tmp_path / "clip")
        train(*pictures, tmp_path / "E", features="clip", model=str(model))
        before = trained(tmp_path / "E").fingerprint
        model.rename(tmp_path / "moved")
        with pytest.raises(InputError, match="no folder with a CLIP model"):
            trained(tmp_path / "E")
        assert trained(tmp_path / "E", model=str(tmp_path / "moved")).fingerprint == before
        other = write_clip(tmp_path / "other", seed=1)
        with pytest.raises(FingerprintMismatch, match="frozen network"):
            trained(tmp_path / "E", model=str(other))

    def test_what_cannot_be_trained_is_refused_and_leaves_nothing(
        self, pictures: tuple[Path, Path], tmp_path: Path
    ) -> None:
        folder, table = pictures
        missing = tmp_path / "missing.csv"
        missing.write_text("file,a\nnone.png,3\n0.png,4\n")
        broken = tmp_path / "faces"
        broken.mkdir()
        (broken / "0.png").write_bytes(b"no picture")
        few = tmp_path / "few.csv"
        few.write_text("file,a\n0.png,3\n1.png,4\n")
        many = tmp_path / "many.csv"
        many.write_text("file,a\n" + "\n".join(f"{i}.png,{2 * i}" for i in range(20)))
        cases: list[tuple[Callable[[], Any], str]] = [
            (lambda: train(folder, missing, tmp_path / "E"), "labels of none.png"),
            (lambda: train(folder, few, tmp_path / "E"), "has 2 labelled pictures"),
            (lambda: train(folder, None, tmp_path / "E"), "outside of folders"),
            (lambda: train(tmp_path / "no", None, tmp_path / "E"), "there is no folder"),
            (lambda: train(folder, table, tmp_path / "E", features="clip"), "option model"),
        ]
        for call, told in cases:
            with pytest.raises(InputError, match=told):
                call()
        for i in range(20):
            (broken / f"{i}.png").write_bytes(b"no picture")
        with pytest.raises(InputError, match=r"0\.png is none of PNG"):
            train(broken, many, tmp_path / "E")
        assert not (tmp_path / "E").exists()

    def test_a_changed_or_absent_estimator_is_refused(
        self, pictures: tuple[Path, Path], tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match="Make one with"):
            trained(tmp_path)
        train(*pictures, tmp_path / "E", epochs=1)
        weights = tmp_path / "E" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
        with pytest.raises(CorruptArtefact, match="was changed or cut"):
            trained(tmp_path / "E")


class TestPython:
    RED = "def red(images):\n    return images[:, :1].mean((2, 3))\n"

    def make(self, folder: Path, source: str = RED, name: str = "red", **options: Any) -> Any:
        file = folder / "mine.py"
        file.write_text(source)
        attributes = [{"name": "red", "low": -1, "high": 1}]
        chosen = {"function": f"{file}:{name}", "attributes": attributes} | options
        return REGISTRY.estimator("faces-python", chosen)

    def test_a_function_is_called_with_images(self, tmp_path: Path) -> None:
        images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        found = self.make(tmp_path).estimate(images)
        torch.testing.assert_close(found[:, 0], images[:, 0].mean((1, 2)))

    def test_it_cannot_change_its_input(self, tmp_path: Path) -> None:
        images = torch.ones(2, 3, 4, 4)
        source = "def red(images):\n    return images.zero_()[:, :1, 0, 0]\n"
        assert self.make(tmp_path, source).estimate(images).abs().max() == 0
        assert bool((images == 1).all())

    def test_an_installed_module_may_hold_it(self) -> None:
        attributes = [{"name": name, "low": -1, "high": 1} for name in "abc"]
        options = {"function": "toy:toy_split", "attributes": attributes}
        assert REGISTRY.estimator("faces-python", options).schema.width == 3

    def test_the_fingerprint_is_of_the_file_and_the_version(self, tmp_path: Path) -> None:
        first = self.make(tmp_path).fingerprint
        assert self.make(tmp_path).fingerprint == first
        assert self.make(tmp_path, self.RED + "# changed\n").fingerprint != first
        assert self.make(tmp_path, version="2").fingerprint != first

    @pytest.mark.parametrize(
        ("source", "told"),
        [
            ("def red(images):\n    return images\n", r"returned \(2, 3, 4, 4\) for 2 images"),
            ("def red(images):\n    return 3\n", "returned int"),
            ("def red(images):\n    return images[:, :1, 0, 0] / 0\n", "NaN or infinity"),
            ("def red(images):\n    raise KeyError('x')\n", "raised KeyError"),
        ],
    )
    def test_faults_have_the_functions_name(self, tmp_path: Path, source: str, told: str) -> None:
        with pytest.raises(PluginFault, match=rf"mine.py:red.*{told}"):
            self.make(tmp_path, source).estimate(torch.zeros(2, 3, 4, 4))

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"function": "red"}, "write function as"),
            ({"function": "no_such_module:red"}, "ModuleNotFoundError"),
            ({"function": "nowhere.py:red"}, "there is no file"),
            ({"function": "toy:SCHEMA"}, "is no function"),
            ({"function": "toy:schema"}, "AttributeError"),
            ({"attributes": []}, "at least 1"),
        ],
    )
    def test_wrong_options_are_named(
        self, tmp_path: Path, options: dict[str, Any], told: str
    ) -> None:
        with pytest.raises(InputError, match=told):
            self.make(tmp_path, **options)


class TestCombined:
    def parts(self, folder: Path) -> list[dict[str, Any]]:
        file = folder / "mine.py"
        file.write_text("def means(images):\n    return images.mean((2, 3))\n")
        colours = [{"name": name, "low": -1, "high": 1} for name in ("red", "green", "blue")]
        options = {"function": f"{file}:means", "attributes": colours}
        grey = {"function": f"{file}:means", "attributes": [c | {"unit": "x"} for c in colours]}
        return [
            {"plugin": "faces-python", "options": options, "attributes": ["blue", "red"]},
            {"plugin": "faces-python", "options": grey, "attributes": ["green"]},
        ]

    def test_columns_follow_each_other_in_the_order_that_is_written(self, tmp_path: Path) -> None:
        images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        combined = REGISTRY.estimator("faces-combined", {"parts": self.parts(tmp_path)})
        assert combined.schema.names == ("blue", "red", "green")
        assert combined.schema["green"].unit == "x"
        torch.testing.assert_close(
            combined.estimate(images), images.mean((2, 3))[:, [2, 0, 1]], atol=1e-6, rtol=0
        )

    def test_wrong_parts_are_named(self, tmp_path: Path) -> None:
        first, second = self.parts(tmp_path)
        for parts, told in (
            ([first, first], "attribute names must differ"),
            ([first | {"plugin": "faces-pythn"}], "did you mean 'faces-python'"),
            ([first | {"attributes": ["rad"]}], "did you mean 'red'"),
            ([], "at least 1"),
        ):
            with pytest.raises(InputError, match=told):
                REGISTRY.estimator("faces-combined", {"parts": parts})
        assert REGISTRY.estimator("faces-combined", {"parts": [second]}).schema.names == ("green",)


def test_a_threshold_lets_the_wanted_share_of_strangers_pass() -> None:
    def people(n: int, seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return torch.nn.functional.normalize(torch.randn(n, 32, generator=rng), dim=1)

    threshold = same_person_threshold(people(600, 0), 1e-2)
    rows, columns = torch.triu_indices(600, 600, offset=1)
    others = people(600, 1)
    passed = ((others @ others.T)[rows, columns] > threshold).float().mean().item()
    assert passed == pytest.approx(1e-2, rel=0.1)
    with pytest.raises(InputError, match="needs at least 10000"):
        same_person_threshold(people(100, 0))
