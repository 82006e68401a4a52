"""A CLIP network in a local folder of safetensors: images and texts in one space.

Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from latentedit import CorruptArtefact, InputError, fingerprint, read_json
from latentedit_faces.optional import library
from latentedit_faces.pictures import check_images, resized

INSTALL = "pip install 'latentedit[faces]', or pip install transformers"
GET = (
    "get config.json, model.safetensors and the tokenizer's files of a CLIP model, for instance of "
    "https://huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K (MIT), into one folder"
)
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Mean and deviation of CLIP's training pixels, if the folder has no preprocessor_config.json."""
BATCH = 64


class ClipNetwork:
    """Embeds images and texts.

    Attributes:
        logit_scale: factor of cosines before a softmax, learned with the network.
        fingerprint: sha256 of configuration and weights.
    """

    def __init__(self, folder: Path, needed_by: str) -> None:
        _check_folder(folder, needed_by)
        transformers = library("transformers", needed_by=needed_by, install=INSTALL)
        self._model = _load_model(transformers, folder)
        self._tokenizer = _load_tokenizer(transformers, folder)
        self._size = int(self._model.config.vision_config.image_size)
        self._mean, self._deviation = _normalisation(folder)
        self.logit_scale = float(self._model.logit_scale.exp())
        settings = {
            "clip": self._model.config.to_diff_dict().get("model_type", "clip"),
            "vision": _plain(self._model.config.vision_config),
            "text": _plain(self._model.config.text_config),
            "mean": self._mean,
            "deviation": self._deviation,
            "tokenizer": self._tokenizer(["a face, smiling"])["input_ids"],
        }
        self.fingerprint = fingerprint(settings, self._model.state_dict())

    @torch.no_grad()
    def embed_images(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, E), unit norm, on the images' device."""
        images = check_images(images)
        if not len(images):
            return images.new_zeros(0, self._model.config.projection_dim)
        model = self._model.to(images.device)
        parts = []
        for part in images.split(BATCH):
            shown = self._prepared(part)
            pooled = model.vision_model(pixel_values=shown).pooler_output
            parts.append(model.visual_projection(pooled))
        return normalize(torch.cat(parts), dim=1)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """N texts → (N, E), unit norm, on the CPU."""
        words = self._tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self._model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        model = self._model.to("cpu")
        pooled = model.text_model(
            input_ids=words["input_ids"], attention_mask=words["attention_mask"]
        ).pooler_output
        return normalize(model.text_projection(pooled), dim=1)

    def _prepared(self, images: Tensor) -> Tensor:
        """The central square in the network's resolution, normalised like its training images."""
        edge = min(images.shape[2:])
        top, left = ((length - edge) // 2 for length in images.shape[2:])
        square = images[:, :, top : top + edge, left : left + edge]
        pixels = (resized(square, (self._size, self._size), "bicubic").clamp(-1, 1) + 1) / 2
        mean, deviation = (
            pixels.new_tensor(v).view(-1, 1, 1) for v in (self._mean, self._deviation)
        )
        return (pixels - mean) / deviation


def _check_folder(folder: Path, needed_by: str) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} is no folder with a CLIP model for {needed_by}: {GET}")
    if not (folder / "model.safetensors").is_file():
        raise InputError(
            f"{folder} has no model.safetensors. Weights in other formats, such as "
            f"pytorch_model.bin, are not read, because reading them can run code: {GET}"
        )
    if read_json(folder / "config.json").get("model_type") != "clip":
        raise InputError(f"{folder}/config.json does not describe a CLIP model: {GET}")


def _load_model(transformers: Any, folder: Path) -> Any:
    transformers.utils.logging.disable_progress_bar()
    try:
        model, report = transformers.CLIPModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # transformers raises what its parts raise
        raise CorruptArtefact(f"{folder} is no CLIP model that can be read: {error}") from None
    if report["missing_keys"] or report["mismatched_keys"]:
        missing = [*report["missing_keys"], *report["mismatched_keys"]]
        raise CorruptArtefact(
            f"{folder}/model.safetensors lacks {missing[0]} and {len(missing) - 1} more weights"
        )
    return model.eval().float().requires_grad_(False)


def _load_tokenizer(transformers: Any, folder: Path) -> Any:
    try:
        return transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # as above
        raise InputError(
            f"{folder} has no CLIP tokenizer that can be read: {error}. {GET}"
        ) from None


def _normalisation(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    path = folder / "preprocessor_config.json"
    written = read_json(path) if path.is_file() else {}
    found = written.get("image_mean", MEAN), written.get("image_std", DEVIATION)
    return tuple(map(float, found[0])), tuple(map(float, found[1]))


def _plain(config: Any) -> dict[str, Any]:
    """The settings that affect results, without names of library versions."""
    return {
        key: value
        for key, value in config.to_diff_dict().items()
        if isinstance(value, (int, float, str)) and "version" not in key and "dtype" not in key
    }
