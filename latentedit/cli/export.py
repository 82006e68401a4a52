"""``latentedit bench export``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.bench import FOLDER, bench
from latentedit.cli.console import err, say
from latentedit.cli.options import with_new_folder


@bench.command("export")
@click.argument("run", type=FOLDER)
@click.option("--pdf", is_flag=True, help="Figures of column width, as PDF.")
@click.option("--svg", is_flag=True, help="The same as SVG.")
@click.option("--latex", is_flag=True, help="A table for the package booktabs.")
@click.option("--csv", is_flag=True, help="A row for every edited image.")
@click.option("--frame", is_flag=True, help="A row for every metric of every edited image.")
@with_new_folder
def export_run(
    run: Path, folder: Path, pdf: bool, svg: bool, latex: bool, csv: bool, frame: bool
) -> None:
    """Write what a paper takes from RUN into a new folder.

    BibTeX of every method that the run uses, and a citation of the software, come with it.

    \b
    Examples:
      latentedit bench export runs/quickstart --pdf --latex --out paper
      latentedit bench export runs/quickstart --csv --frame --out numbers
    """
    from latentedit.registry import Registry
    from latentedit.report.export import export

    given = {"pdf": pdf, "svg": svg, "latex": latex, "csv": csv, "frame": frame}
    wanted = [kind for kind, chosen in given.items() if chosen]
    with err.status("drawing and writing"):
        names = export(run, folder, wanted, Registry.discover())
    say(f"{folder}: {', '.join(names)}", next_step=r"\input{table.tex}" if latex else "")
