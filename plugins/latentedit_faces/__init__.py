"""Estimators and recognisers for photographs of faces, and for attributes of your own.

This module lists the plugins; importing it never imports torch. Libraries that single estimators
need are imported on use.
"""

from __future__ import annotations

from latentedit.plugin import PluginKind, PluginSpec, hookimpl

_PLUGINS: list[tuple[PluginKind, str, str, str]] = [
    (
        "estimator",
        "faces-clip",
        "clip_attributes:ClipAttributes",
        "any attribute that you can put into words, by a CLIP network",
    ),
    (
        "trainer",
        "faces-clip",
        "clip_calibrator:ClipCalibrator",
        "calibrates the words of faces-clip on your own labels",
    ),
    (
        "estimator",
        "faces-onnx",
        "onnx_models:OnnxAttributes",
        "attributes by an ONNX model that a YAML file describes",
    ),
    (
        "identity",
        "faces-onnx-identity",
        "onnx_models:OnnxIdentity",
        "an ArcFace-style ONNX recogniser that a YAML file describes",
    ),
    (
        "estimator",
        "faces-pose",
        "head_pose:HeadPose",
        "yaw, pitch and roll from the landmarks of an ONNX model",
    ),
    (
        "identity",
        "faces-dlib-identity",
        "dlib_identity:DlibIdentity",
        "dlib's recogniser, as in the StyleFlow paper",
    ),
    (
        "landmarks",
        "faces-dlib-landmarks",
        "dlib_landmarks:DlibLandmarks",
        "eyes and mouth by dlib's shape predictor of 68 points",
    ),
    (
        "estimator",
        "faces-csv",
        "csv_labels:CsvLabels",
        "labels that you wrote for the faces of a bank",
    ),
    (
        "estimator",
        "faces-trained",
        "trained:TrainedFaces",
        "what `latentedit train faces-trained` learnt from your labelled pictures",
    ),
    (
        "trainer",
        "faces-trained",
        "training:FacesTrainer",
        "a small network, or a ridge on a frozen one, from labelled pictures",
    ),
    (
        "estimator",
        "faces-python",
        "python_callable:PythonFunction",
        "a Python function of your own",
    ),
    (
        "bank-importer",
        "faces-codes",
        "own_codes:OwnCodes",
        "your own .npy or .pt codes of W or W+, with a CSV of labels",
    ),
    ("estimator", "faces-combined", "combined:CombinedAttributes", "several estimators as one"),
]
"""Kind, name, target within this package, and summary of each."""


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Estimators, recognisers, a landmark detector, trainers, and an importer of codes."""
    return [
        PluginSpec(kind, name, f"latentedit_faces.{target}", summary)
        for kind, name, target, summary in _PLUGINS
    ]
