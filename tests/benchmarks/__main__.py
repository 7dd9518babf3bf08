"""Run every benchmark and print one table: `python -m tests.benchmarks`."""

from tests.benchmarks import autograd, deep, llm, memory, networks, parallel, site, tokenizing
from tests.benchmarks.table import print_table

BENCHMARKS = [autograd, networks, deep, llm, memory, parallel, tokenizing, site]

if __name__ == "__main__":
    print_table([row for benchmark in BENCHMARKS for row in benchmark.rows()])
