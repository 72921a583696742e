"""Writes the table of rules that fired live from benchmarks/results/observability.json into docs/observability.md.

python -m benchmarks.reliability.rules_table            # write it
python -m benchmarks.reliability.rules_table --check    # say whether the page has it, and whether a rule is missing
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT

FIRED = RESULTS / "observability.json"
RULES = ROOT / "deploy/prometheus/rules/alerts.yml"
PAGE = ROOT / "docs/observability.md"
BEGIN, END = "<!-- live: begin -->", "<!-- live: end -->"
_MEASURED = ("firing_after_s", "resolved_after_s")


def table(rules: dict[str, dict[str, Any]], names: list[str]) -> str:
    """One line a rule, in the order of the rules' file."""
    lines = [
        "| alert | fault made | heard after | mended by | its end heard after |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        told = rules.get(name, {})
        fired, ended = (f"{told[key]:.0f} s" if key in told else "**not heard**" for key in _MEASURED)
        lines.append(f"| {name} | {told.get('fault', '')} | {fired} | {told.get('mended', '')} | {ended} |")
    return "\n".join(lines)


def main() -> int:
    """0 when written, or when the page is as it should be and every rule fired and ended."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--check", action="store_true")
    check = ask.parse_args().check
    rules = json.loads(FIRED.read_text())["rules"]
    names = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), re.MULTILINE)
    before, found, rest = PAGE.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        print(f"{PAGE}: no place for the table", file=sys.stderr)
        return 1
    text = f"{before}{BEGIN}\n{table(rules, names)}\n{END}{after}"
    wrong = [f"{name} did not fire and end" for name in names if set(_MEASURED) - set(rules.get(name, {}))]
    if check and text != PAGE.read_text():
        wrong.append(f"{PAGE.name} does not show what was measured: run {Path(__file__).name}")
    if not check:
        PAGE.write_text(text)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
