"""`python -m fastgw.cli`: the same as `fastgw`."""

from fastgw.cli import main

main(prog_name="fastgw")
