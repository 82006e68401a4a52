"""Parts of a suite, and plugins as it names them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class SuitePart(_Strict):
    """A part of a suite. Fields in `OPTIONAL` are written only if they have a value, so that
    the records of other suites stay as they were."""

    OPTIONAL: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        return {k: v for k, v in fields.items() if v or k not in self.OPTIONAL}


class PluginUse(_Strict):
    """A plugin by name, with its options."""

    plugin: str = Field(description="name of the plugin")
    options: dict[str, Any] = Field(default={}, description="its options, by name")


class ModelUse(PluginUse):
    """An estimator or recogniser: its name alone, or with options and a name for the report."""

    name: str = Field(default="", description="name in reports; the plugin's if not given")

    def __str__(self) -> str:
        return self.name or self.plugin

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        return {"plugin": data} if isinstance(data, str) else data

    @model_serializer(mode="wrap")
    def _plain(self, write: SerializerFunctionWrapHandler) -> Any:
        return write(self) if self.options or self.name else self.plugin

    def same_model(self, other: ModelUse) -> bool:
        return (self.plugin, self.options) == (other.plugin, other.options)
