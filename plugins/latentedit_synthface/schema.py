"""The attributes of a SynthFace image, in the order and units of StyleFlow."""

from __future__ import annotations

from latentedit import Attribute, AttributeSchema

_AMBIENT, _STRENGTH = 0.85, 0.5
LIGHTS = {
    "left-to-right": (_AMBIENT, 0, 0, -_STRENGTH, 0, 0, 0, 0, 0),
    "right-to-left": (_AMBIENT, 0, 0, _STRENGTH, 0, 0, 0, 0, 0),
    "down-to-up": (_AMBIENT, 0, -_STRENGTH, 0, 0, 0, 0, 0, 0),
    "up-to-down": (_AMBIENT, 0, _STRENGTH, 0, 0, 0, 0, 0, 0),
    "front": (_AMBIENT, -_STRENGTH, 0, 0, 0, 0, 0, 0, 0),
    "none": (_AMBIENT, 0, 0, 0, 0, 0, 0, 0, 0),
}
"""Coefficients of `lighting.irradiance` by the way that the light shines; "none" is ambient light
alone, and "left-to-right" comes from the left."""

SCHEMA = AttributeSchema(
    (
        Attribute("gender", "binary", 0.0, 1.0, named={"female": (0.0,), "male": (1.0,)}),
        Attribute("glasses", "binary", 0.0, 1.0),
        Attribute("yaw", "continuous", -40.0, 40.0, "degrees"),
        Attribute("pitch", "continuous", -25.0, 25.0, "degrees"),
        Attribute("baldness", "binary", 0.0, 1.0),
        Attribute("beard", "binary", 0.0, 1.0),
        Attribute("age", "continuous", 0.0, 70.0, "years"),
        Attribute("expression", "binary", 0.0, 1.0),
        Attribute("lighting", "vector", -1.0, 1.5, size=9, named=LIGHTS),
    )
)
"""17 columns: eight attributes and nine spherical-harmonic lighting coefficients."""
