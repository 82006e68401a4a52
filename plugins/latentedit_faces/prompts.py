"""Prompts: texts for several values of an attribute."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from latentedit_faces.declarations import DeclaredAttribute, FromFile


class Prompted(DeclaredAttribute):
    """An attribute, with texts that describe its images.

        {name: smile, kind: binary, prompts: {0: a serious face, 1: [a smile, a laughing face]}}

    Args:
        prompts: for at least two values, one text each, or several whose embeddings are averaged.
            Without `low` and `high`, the range is from the lowest to the highest value.
    """

    prompts: dict[float, tuple[str, ...]] = Field(min_length=2)

    @field_validator("prompts", mode="before")
    @classmethod
    def _single(cls, prompts: object) -> object:
        if not isinstance(prompts, dict):
            return prompts
        return {v: (texts,) if isinstance(texts, str) else texts for v, texts in prompts.items()}

    @field_validator("prompts")
    @classmethod
    def _said(cls, prompts: dict[float, tuple[str, ...]]) -> dict[float, tuple[str, ...]]:
        if not all(texts and all(text.strip() for text in texts) for texts in prompts.values()):
            raise ValueError("every value needs a text")
        return dict(sorted(prompts.items()))

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(self.prompts)

    @property
    def ends(self) -> tuple[float, float]:
        return self.values[0], self.values[-1]


PromptedAttributes = Annotated[tuple[Prompted, ...], FromFile, Field(min_length=1)]
