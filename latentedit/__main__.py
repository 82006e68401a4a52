"""``python -m latentedit``: the command line."""

from latentedit.cli.main import main

main()
