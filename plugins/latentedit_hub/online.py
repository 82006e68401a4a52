"""Hugging Face's hub of models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentedit import EnvironmentFault, Hub, InputError


class HuggingFace(Hub):
    """Repositories of models; what was fetched once is there without a network too.

    ``HF_TOKEN``, ``HF_HOME`` and ``HF_HUB_OFFLINE`` hold as for every client of the hub. A new
    repository is private, so that its owner decides who sees it.
    """

    def push(self, folder: Path, files: Sequence[str], name: str) -> str:
        client = _client()
        try:
            api = client.HfApi()
            api.create_repo(name, private=True, exist_ok=True)
            api.upload_folder(
                repo_id=name,
                folder_path=str(folder),
                allow_patterns=list(files),
                commit_message="Add a fitted editor",
            )
        except (client.errors.HfHubHTTPError, OSError, ValueError) as error:
            raise EnvironmentFault(
                f"could not push to {name}: {_first_line(error)}. Check the name, the network, and "
                "HF_TOKEN, which must allow writing"
            ) from error
        return f"huggingface:{name}"

    def fetch(self, name: str, files: Sequence[str], revision: str | None) -> Path:
        client = _client()
        try:
            folder = client.snapshot_download(name, revision=revision, allow_patterns=list(files))
        except (
            client.errors.RepositoryNotFoundError,
            client.errors.RevisionNotFoundError,
            client.errors.HFValidationError,
        ) as error:
            at = "" if revision is None else f" with the revision {revision}"
            raise InputError(
                f"the hub has no {name}{at}, or you may not see it: {_first_line(error)}"
            ) from error
        except (client.errors.HfHubHTTPError, OSError) as error:
            raise EnvironmentFault(
                f"could not fetch {name}: {_first_line(error)}. Check the network, or fetch it "
                "once where there is one"
            ) from error
        return Path(folder)


def _client() -> Any:
    try:
        import huggingface_hub  # noqa: PLC0415
        import huggingface_hub.errors  # noqa: PLC0415
    except ImportError:
        raise EnvironmentFault(
            "the hub huggingface takes the package huggingface_hub; pip install 'latentedit[hub]'"
        ) from None
    return huggingface_hub


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
