"""Estimators and recognisers for photographs of faces, and for attributes of your own.

This module lists the plugins; importing it never imports torch. Libraries that single estimators
need are imported on use.
"""

from __future__ import annotations

from latentedit.plugin import PluginSpec, hookimpl

_HERE = "latentedit_faces"


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    """Estimators, identity encoders, a landmark detector, and what trains an estimator."""
    return [
        PluginSpec(
            "estimator",
            "faces-clip",
            f"{_HERE}.clip_attributes:ClipAttributes",
            "any attribute that you can put into words, by a CLIP network",
        ),
        PluginSpec(
            "trainer",
            "faces-clip",
            f"{_HERE}.clip_calibrator:ClipCalibrator",
            "calibrates the words of faces-clip on your own labels",
        ),
        PluginSpec(
            "estimator",
            "faces-onnx",
            f"{_HERE}.onnx_models:OnnxAttributes",
            "attributes by an ONNX model that a YAML file describes",
        ),
        PluginSpec(
            "identity",
            "faces-onnx-identity",
            f"{_HERE}.onnx_models:OnnxIdentity",
            "an ArcFace-style ONNX recogniser that a YAML file describes",
        ),
        PluginSpec(
            "estimator",
            "faces-pose",
            f"{_HERE}.head_pose:HeadPose",
            "yaw, pitch and roll from the landmarks of an ONNX model",
        ),
        PluginSpec(
            "identity",
            "faces-dlib-identity",
            f"{_HERE}.dlib_identity:DlibIdentity",
            "dlib's recogniser, as in the StyleFlow paper",
        ),
        PluginSpec(
            "landmarks",
            "faces-dlib-landmarks",
            f"{_HERE}.dlib_landmarks:DlibLandmarks",
            "eyes and mouth by dlib's shape predictor of 68 points",
        ),
        PluginSpec(
            "estimator",
            "faces-csv",
            f"{_HERE}.csv_labels:CsvLabels",
            "labels that you wrote for the faces of a bank",
        ),
        PluginSpec(
            "estimator",
            "faces-trained",
            f"{_HERE}.trained:TrainedFaces",
            "what `latentedit train faces-trained` learnt from your labelled pictures",
        ),
        PluginSpec(
            "trainer",
            "faces-trained",
            f"{_HERE}.training:FacesTrainer",
            "a small network, or a ridge on a frozen one, from labelled pictures",
        ),
        PluginSpec(
            "estimator",
            "faces-python",
            f"{_HERE}.python_callable:PythonFunction",
            "a Python function of your own",
        ),
        PluginSpec(
            "estimator",
            "faces-combined",
            f"{_HERE}.combined:CombinedAttributes",
            "several estimators as one",
        ),
    ]
