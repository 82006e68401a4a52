"""The attributes of a SynthFace image, in the order and units of StyleFlow."""

from __future__ import annotations

from latentedit import Attribute, AttributeSchema

SCHEMA = AttributeSchema(
    (
        Attribute("gender", "binary", 0.0, 1.0),
        Attribute("glasses", "binary", 0.0, 1.0),
        Attribute("yaw", "continuous", -40.0, 40.0, "degrees"),
        Attribute("pitch", "continuous", -25.0, 25.0, "degrees"),
        Attribute("baldness", "binary", 0.0, 1.0),
        Attribute("beard", "binary", 0.0, 1.0),
        Attribute("age", "continuous", 0.0, 70.0, "years"),
        Attribute("expression", "binary", 0.0, 1.0),
        Attribute("lighting", "vector", -1.0, 1.5, size=9),
    )
)
"""17 columns: eight attributes and nine spherical-harmonic lighting coefficients."""
