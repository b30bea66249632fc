"""`python -m postroad`."""

from postroad.app.cli import main

main(prog_name="postroad")
