"""Training, export and pages of SynthFace's networks; each module runs by ``python -m``."""
