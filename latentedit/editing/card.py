"""The model card of a fitted editor, as hubs of models show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CARD = "README.md"


def card(config: Mapping[str, Any]) -> str:
    """Markdown with the YAML front matter that hubs read.

    Args:
        config: the fields of `EditorRecord`, without the digest.
    """
    attributes = "\n".join(
        f"| {row['name']} | {row['kind']} | {row['low']:g} to {row['high']:g} {row['unit']} |"
        for row in config["schema"]
    )
    figures = "\n".join(f"| {name} | {value:.4g} |" for name, value in config["figures"].items())
    generator, labeller = config["generator"], config["labeller"]
    return f"""---
library_name: latentedit
tags: [latentedit, latent-space-editing, {json.dumps(config["editor"])}]
---

# {config["editor"]} for {generator["name"]}

An editor of latent codes, fitted with latentedit. It moves codes of the generator so that their
images have other attributes.

```
latentedit edit --editor FOLDER --bank BANK --out grid.png --help
```

FOLDER is the folder of this file. The bank must be of the same generator.

| | |
|---|---|
| editor | `{config["editor"]}` |
| space | `{config["space"]}` |
| generator | `{generator["name"]}`, fingerprint `{generator["fingerprint"]}` |
| labeller | `{labeller["name"]}`, fingerprint `{labeller["fingerprint"]}` |
| bank | hash `{config["bank_hash"]}` |
| seed | {config["seed"]} |

Options:

```json
{json.dumps(config["options"], indent=2, ensure_ascii=False)}
```

## Attributes

| attribute | kind | range |
|---|---|---|
{attributes}

## Figures of the fit

The fit reported these. They are no comparison with other editors: `latentedit bench run` makes one.

| figure | value |
|---|---|
{figures}
"""
