"""``latentedit studio``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentedit.cli.console import err, look_at, say
from latentedit.cli.options import PATH, check_overwrite, with_device, with_force, with_threads
from latentedit.errors import EnvironmentFault, InputError
from latentedit.registry import Registry

if TYPE_CHECKING:
    from latentedit.studio.session.workbench import Workbench


@click.command()
@click.argument("run", required=False, type=PATH)
@click.option("--bank", "bank_folder", type=PATH, help="Folder with a bank, if there is no RUN.")
@click.option(
    "--editor",
    "editors",
    multiple=True,
    metavar="NAME|FOLDER",
    help="An editor or control of RUN, or a folder written by latentedit fit. May be repeated.",
)
@click.option("--judge", help="Estimator that judges; the generator's own by default.")
@click.option(
    "--identity",
    "recognisers",
    multiple=True,
    help="Identity encoder; the generator's own by default. May be repeated.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=7860, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option("--remote", is_flag=True, help="Serve other machines too, with a token.")
@click.option("--token", help="The token of --remote; a random one by default.")
@click.option(
    "--allow-host", "hosts", multiple=True, help="A further name of this server in addresses."
)
@click.option(
    "--public", is_flag=True, help="Serve everyone, without a token and without photographs."
)
@click.option("--space", type=PATH, help="Write a folder that can be hosted, and serve nothing.")
@click.option("--session", "session_file", type=PATH, help="Draw a saved session into --out.")
@click.option("--out", "picture", type=PATH, help="A PNG file, with --session.")
@with_threads
@with_device
@with_force
def studio(
    run: Path | None,
    bank_folder: Path | None,
    editors: tuple[str, ...],
    judge: str | None,
    recognisers: tuple[str, ...],
    host: str,
    port: int,
    remote: bool,
    token: str | None,
    hosts: tuple[str, ...],
    public: bool,
    space: Path | None,
    session_file: Path | None,
    picture: Path | None,
    threads: int,
    device: str,
    force: bool,
) -> None:
    """Compare editors on one image, live in a browser.

    RUN is the folder of a finished run. Its bank, editors, judge and identity encoders are used.
    Without RUN, give --bank and --editor. The page is served on this machine alone.

    \b
    Examples:
      latentedit studio runs/quickstart
      latentedit studio --bank B --editor E --editor F
      latentedit studio runs/quickstart --session session.json --out picture.png
      latentedit studio runs/quickstart --space hosted
    """
    import torch

    if (session_file is None) != (picture is None):
        raise InputError("--session and --out go together: one is drawn into the other")
    if picture is not None:
        check_overwrite(picture, force)
    torch.set_num_threads(threads)
    if session_file is None and space is None:
        _require_server()
        from latentedit.studio.page.serving import Place

        place = Place(host, port, remote, token, hosts, public)
    bench = _opened(run, bank_folder, editors, judge, recognisers, device)
    if session_file is not None and picture is not None:
        _draw(bench, session_file, picture)
    elif space is not None:
        from latentedit.studio.page.hosting import write_space

        write_space(bench, space, judge, recognisers)
        say(f"{space}: a folder that can be hosted", next_step=f"read {space / 'README.md'}")
    else:
        from latentedit.studio.page.app import Studio
        from latentedit.studio.page.serving import serve

        opened_with = _arguments(run, bank_folder, editors, judge, recognisers)
        page = Studio(bench, opened_with, photographs=not public)
        serve(page, place, _say_address, err.print)


def _say_address(address: str) -> None:
    say("the studio is ready; Ctrl-C stops it", next_step=f"open {address}")


def _require_server() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise EnvironmentFault(
            f"the studio's page needs {error.name}; install it with: "
            "pip install 'latentedit[studio]'"
        ) from None


def _opened(
    run: Path | None,
    bank_folder: Path | None,
    editors: tuple[str, ...],
    judge: str | None,
    recognisers: tuple[str, ...],
    device: str,
) -> Workbench:
    from latentedit.data.bank import LatentBank
    from latentedit.studio.session.workbench import Workbench

    registry = Registry.discover()
    if run is not None and bank_folder is None:
        if judge or recognisers:
            raise InputError(f"{run} has its own judge and recognisers; leave these options out")
        return Workbench.of_run(registry, run, editors or None, device)
    if run is not None or bank_folder is None:
        raise InputError(
            "give the folder of a run, or --bank with one --editor or more; for a run: "
            "latentedit bench run quickstart --out runs/quickstart"
        )
    names = [Path(folder).resolve().name for folder in editors]
    if len(set(names)) != len(names):
        raise InputError(f"two editors have the same folder name, received {', '.join(names)}")
    return Workbench.open(
        registry,
        LatentBank.open(bank_folder),
        dict(zip(names, editors, strict=True)),
        judge=judge,
        recognisers=recognisers or None,
        device=device,
    )


def _draw(bench: Workbench, session_file: Path, picture: Path) -> None:
    from latentedit.files.artefacts import write_bytes
    from latentedit.studio.session.exports import picture_png
    from latentedit.studio.session.record import load_session

    session = load_session(bench, session_file)
    write_bytes(picture, picture_png(session))
    say(f"{picture}: {len(session.history.now)} edits", next_step=look_at(picture))


def _arguments(
    run: Path | None,
    bank_folder: Path | None,
    editors: tuple[str, ...],
    judge: str | None,
    recognisers: tuple[str, ...],
) -> str:
    """The arguments that open the same images and models, for commands that the page shows."""
    import shlex

    given = [str(run)] if run is not None else ["--bank", str(bank_folder)]
    for option, values in (
        ("--editor", editors),
        ("--judge", [judge] if judge else []),
        ("--identity", recognisers),
    ):
        given += [part for value in values for part in (option, value)]
    return shlex.join(given)
