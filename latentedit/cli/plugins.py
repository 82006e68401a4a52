"""``latentedit plugins``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from latentedit.cli.console import err, out, print_json, say
from latentedit.cli.options import with_json, with_settings
from latentedit.plugin import KINDS
from latentedit.registry import Origin, Registry


@click.group()
def plugins() -> None:
    """List the installed plugins, check one, or start a new editor."""


@plugins.command("list")
@with_json
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
        if origin.note:
            note = escape(f"{origin.name} ({origin.distribution}): {origin.note}")
            out.print(f"\n[yellow]note[/yellow] {note}", soft_wrap=True)
        if origin.status not in ("ok", "disabled"):
            out.print(
                f"\n[red]{origin.status}[/red] {escape(origin.name)} "
                f"({escape(origin.distribution)})"
            )
            out.print(escape(origin.detail.rstrip()), soft_wrap=True)
    say("", next_step="latentedit bench run quickstart --out runs/quickstart")


@plugins.command()
@click.argument("name")
@with_settings("the plugin", name="settings")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
def check(name: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Test the plugin NAME against the rules of its kind.

    Editors, controls and metrics are tried in a small linear world, estimators and identity
    encoders on random images of 64 pixels. All are built with the options that are given.

    \b
    Examples:
      latentedit plugins check EDITOR
      latentedit plugins check EDITOR --option steps=200 --option hidden=[64,64]
      latentedit plugins check GENERATOR --option path=G
    """
    from latentedit import testing
    from latentedit.cli.fit import parse_pairs

    verdicts, registry = [], Registry.discover()
    kind = _kind(registry, name)
    tried = {
        "generator": testing.check_generator,
        "estimator": testing.check_estimator,
        "identity": testing.check_identity,
        "metric": testing.check_metric,
    }.get(kind, testing.check_editor)
    for verdict in tried(name, parse_pairs(settings), registry):
        verdicts.append(verdict)
        if as_json:
            continue
        mark = {"": "[green]kept  [/]", None: "[dim]–     [/]"}.get(verdict.fault, "[red]broken[/]")
        out.print(f"{mark}  {verdict.rule}")
        if verdict.fault:
            out.print(f"        [red]{escape(verdict.fault)}[/red]")
    broken = [verdict for verdict in verdicts if not verdict.kept]
    if as_json:
        print_json([verdict._asdict() for verdict in verdicts])
    elif broken:
        err.print(f"{name} breaks or does not reach {len(broken)} of {len(verdicts)} rules")
        say("", next_step=f"fix the first one, then: latentedit plugins check {name}")
    else:
        say(f"{name} keeps all {len(verdicts)} rules", next_step=_after(kind, name))
    raise SystemExit(bool(broken))


def _kind(registry: Registry, name: str) -> str:
    """The kind of the plugin `name` that has rules: an editor's where it has several, or none."""
    kind, bare = registry.editor_kind(name), name.rpartition("/")[2]
    if bare in registry.names(kind):
        return kind
    others = ("generator", "estimator", "identity", "metric")
    return next((other for other in others if bare in registry.names(other)), kind)


def _after(kind: str, name: str) -> str:
    if kind == "generator":
        return f"latentedit bank make --generator {name} --n 4000 --out B"
    if kind in ("estimator", "identity", "metric"):
        place = {"estimator": "judge", "identity": "identity", "metric": "metrics"}[kind]
        return f"name it in a suite, under {place}:"
    joining = "" if kind == "control" else f"--with {name} "
    return f"latentedit bench run quickstart {joining}--out runs/{name}"


@plugins.command()
@click.argument("name")
@click.option("--kind", help="Kind of the plugin; required if several kinds have one of this name.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(name: str, kind: str | None, as_json: bool) -> None:
    """Print the interface of the plugin NAME, and its options with type, default and meaning.

    \b
    Examples:
      latentedit plugins show EDITOR
      latentedit plugins show NAME --kind estimator
    """
    from latentedit.testing.describe import describe

    found = describe(Registry.discover(), name, kind)
    if as_json:
        print_json(asdict(found))
        return
    out.print(f"[bold]{escape(found.name)}[/bold], {found.kind} of {escape(found.origin)}")
    out.print(escape(f"{found.target}\n{found.interface}\n\n{found.meaning}\n"), soft_wrap=True)
    for declared, value in found.declared.items():
        out.print(escape(f"{declared.replace('_', ' ')}: {value}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("option", "type", "default", "meaning"):
        table.add_column(column)
    for option in found.options:
        cells = (option.name, option.type, option.default, option.meaning)
        table.add_row(*(escape(cell) for cell in cells))
    if found.options:
        out.print(table)
    else:
        out.print("It has no options.")


@plugins.command()
@click.argument("name")
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="New folder; latentedit-NAME by default.",
)
@click.option(
    "--generator",
    help="Generator of the suite in the package; by default the first with a labeller and a judge.",
)
@click.option(
    "--kind",
    type=click.Choice(["editor", "generator", "estimator", "identity", "metric"]),
    default="editor",
    show_default=True,
    help="What the package offers.",
)
def new(name: str, folder: Path | None, generator: str | None, kind: str) -> None:
    """Write a package with a working plugin NAME, as a start for your own.

    \b
    Examples:
      latentedit plugins new my-editor
      latentedit plugins new my-editor --out ~/my-editor
      latentedit plugins new my-metric --kind metric
    """
    from latentedit.testing.new import write_package

    folder = folder or Path(f"latentedit-{name}")
    written = write_package(name, folder, generator=generator, kind=kind)
    for path in written:
        out.print(escape(str(path)))
    say(
        f"{folder}: a working {kind} with its tests",
        next_step=f"pip install -e {folder} && latentedit plugins check {name}",
    )


def _row(origin: Origin) -> dict[str, object]:
    return {
        "origin": origin.name,
        "distribution": origin.distribution,
        "version": origin.version,
        "status": origin.status,
        "detail": origin.detail,
        "note": origin.note,
        "plugins": [
            {"kind": s.kind, "name": s.name, "target": s.target, "summary": s.summary}
            for s in origin.specs
        ],
    }


def _coloured(status: str) -> str:
    return f"[{'green' if status == 'ok' else 'dim' if status == 'disabled' else 'red'}]{status}[/]"
