"""A small CLIP network with random weights, in the files that published ones have."""

from __future__ import annotations

import json
from pathlib import Path

import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz"
START, END = "<|startoftext|>", "<|endoftext|>"
SIDE, WIDTH = 32, 16


def write_clip(folder: Path, seed: int = 0) -> Path:
    """config.json, model.safetensors, vocab.json, merges.txt and preprocessor_config.json."""
    from transformers import CLIPConfig, CLIPModel

    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), ",</w>", START, END]
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    tower |= {"num_attention_heads": 2}
    text = {"vocab_size": len(words), "max_position_embeddings": 32, "eos_token_id": len(words) - 1}
    text |= {"bos_token_id": len(words) - 2, "pad_token_id": len(words) - 1}
    config = CLIPConfig(
        text_config=tower | text,
        vision_config=tower | {"image_size": SIDE, "patch_size": 8},
        projection_dim=WIDTH,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPModel(config)
        for weight in model.parameters():
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 32}))
    normalisation = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(normalisation))
    return folder
