"""`python -m postroad`."""

from postroad.app.cli import program

program()
