"""``latentedit plugins``."""

from __future__ import annotations

import click
from rich.markup import escape
from rich.table import Table

from latentedit.cli.console import out, print_json, say
from latentedit.plugin import KINDS
from latentedit.registry import Origin, Registry


@click.group()
def plugins() -> None:
    """List the installed plugins and their state."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(as_json: bool) -> None:
    """List every plugin with kind, version and status.

    \b
    Example:
      latentedit plugins list --json
    """
    registry = Registry.discover()
    if as_json:
        print_json([_row(origin) for origin in registry.origins])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "name", "from", "version", "status", "summary"):
        table.add_column(column, style="bold" if column == "name" else "")
    specs = [(spec, origin) for origin in registry.origins for spec in origin.specs]
    for spec, origin in sorted(specs, key=lambda pair: (KINDS.index(pair[0].kind), pair[0].name)):
        table.add_row(
            spec.kind,
            spec.name,
            origin.name,
            origin.version,
            _coloured(origin.status),
            escape(spec.summary),
        )
    for origin in registry.origins:
        if not origin.specs:
            table.add_row("–", "–", origin.name, origin.version, _coloured(origin.status), "")
    out.print(table)
    for origin in registry.origins:
        if origin.status not in ("ok", "disabled"):
            out.print(
                f"\n[red]{origin.status}[/red] {escape(origin.name)} "
                f"({escape(origin.distribution)})"
            )
            out.print(escape(origin.detail.rstrip()), soft_wrap=True)
    say("", next_step="latentedit bench run quickstart --out runs/quickstart")


def _row(origin: Origin) -> dict[str, object]:
    return {
        "origin": origin.name,
        "distribution": origin.distribution,
        "version": origin.version,
        "status": origin.status,
        "detail": origin.detail,
        "plugins": [
            {"kind": s.kind, "name": s.name, "target": s.target, "summary": s.summary}
            for s in origin.specs
        ],
    }


def _coloured(status: str) -> str:
    return f"[{'green' if status == 'ok' else 'dim' if status == 'disabled' else 'red'}]{status}[/]"
