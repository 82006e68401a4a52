"""The interface of landmark detectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from latentedit.interfaces.editor import Options

Point = tuple[float, float]


@dataclass(frozen=True)
class Landmarks:
    """Four points (x, y) in pixels; left and right are those of the picture."""

    left_eye: Point
    right_eye: Point
    left_mouth: Point
    right_mouth: Point


class LandmarkDetector(ABC):
    """Finds the landmarks of faces."""

    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def find(self, picture: NDArray[np.uint8]) -> Landmarks | None:
        """Landmarks of the largest face in a (H, W, 3) picture; None if there is no face."""
