"""The base of editors with networks on whitened codes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from latentedit import ANY_FLAT, Editor, InputError, NotFitted, loaded_module
from latentedit_neural.regressor import Scale


class NetworkEditor(Editor):
    """An editor whose fitted state is networks, and the scale of codes and attributes.

    A subclass builds the networks, trains them in `fit`, and moves codes in `edit`.
    """

    spaces: ClassVar[tuple[str, ...]] = ("w", ANY_FLAT)
    net: nn.Module
    scale: Scale

    @abstractmethod
    def build(self, dim: int, width: int) -> nn.Module:
        """Untrained networks for codes of `dim` numbers and `width` attribute columns."""

    def ready(self, codes: Tensor) -> Scale:
        """The scale, after moving it and the networks to the device of `codes`.

        Raises:
            NotFitted: before `fit` or `load_state`.
        """
        self._trained().to(codes.device)
        return self.scale.to(codes.device)

    def state(self) -> dict[str, Tensor]:
        parts = {"net": self._trained(), "scale": self.scale}
        return {f"{p}.{k}": v for p, part in parts.items() for k, v in part.state_dict().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        try:
            dim, width = len(state["scale.mean"]), len(state["scale.a_mean"])
            scale = loaded_module(lambda: Scale(dim, width), _below("scale.", state))
            net = loaded_module(lambda: self.build(dim, width), _below("net.", state))
        except (InputError, KeyError, TypeError, RuntimeError) as error:
            raise InputError(f"not the state of a {type(self).__name__}: {error}") from None
        self.scale, self.net = scale, net.requires_grad_(False).eval()

    def _trained(self) -> nn.Module:
        if not hasattr(self, "net"):
            raise NotFitted(f"{type(self).__name__} is not fitted; call fit or load_state first")
        return self.net


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
