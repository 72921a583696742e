"""What a package of Debian has beside its programs: a man page, completions of three shells, a changelog.

    python -m deploy.package.manual --to FOLDER --version 0.1.0 --revision 1 --date 1796040000

Everything is written from the parsers of the program, the tree of its errors and CHANGELOG.md; nothing by hand.
"""

import argparse
import gzip
import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from typer._completion_shared import get_completion_script

from deploy.reference import Page, pages
from edge_agent.cli.app import app
from edge_agent.cli.completion import PROGRAM, Shell
from edge_agent.cli.options import NOT_WELL
from edge_agent.errors import EdgeAgentError

ROOT = Path(__file__).parents[2]
MAINTAINER = "edge-agent developers <edge-agent@localhost>"
COMPLETIONS = {
    Shell.BASH: f"usr/share/bash-completion/completions/{PROGRAM}",
    Shell.ZSH: f"usr/share/zsh/vendor-completions/_{PROGRAM}",
    Shell.FISH: f"usr/share/fish/vendor_completions.d/{PROGRAM}.fish",
}
"""Where each shell of Debian looks for them."""
MAN = f"usr/share/man/man1/{PROGRAM}.1.gz"
CHANGES = f"usr/share/doc/{PROGRAM}/changelog.Debian.gz"
NEWS = f"usr/share/doc/{PROGRAM}/changelog.gz"
_VARIABLE = f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE"
_ZSH_FIRST = f'[[ $zsh_eval_context[-1] == loadautofunc ]] && _{PROGRAM.replace("-", "_")}_completion "$@"\n'
"""zsh reads the file when it is first asked; without this line that first question has no answer."""
_FILES = (
    ("/etc/edge-agent/agent.toml", "the configuration of the service"),
    ("/etc/edge-agent/credentials/", "one file a secret, as credentials of the service"),
    ("/var/lib/edge-agent/", "what was learnt, alarms, history"),
)
_MORE = "More lies in /usr/share/doc/edge-agent."
_HEADING = re.compile(r"## \[(?P<version>[^]]+)\](?: - (?P<day>\d{4}-\d\d-\d\d))?")


def man_page(*, version: str, date: datetime) -> str:
    """The page in the language of man(7)."""
    root, *others = pages(app, PROGRAM)
    return "\n".join([*_head(root, version=version, date=date), *_commands(root, others), *_tail()]) + "\n"


def _head(root: Page, *, version: str, date: datetime) -> Iterator[str]:
    about = root.about.rstrip(".")
    yield f'.TH {_roff(PROGRAM.upper())} 1 "{date:%Y-%m-%d}" "{PROGRAM} {version}" "User Commands"'
    yield from (".SH NAME", rf"{_roff(PROGRAM)} \- {_roff(about[0].lower() + about[1:])}")
    yield from (".SH SYNOPSIS", rf".B {_roff(PROGRAM)}", ".I COMMAND", r"[\fIOPTIONS\fR] [\fIARGUMENTS\fR]")
    yield from (".SH DESCRIPTION", _roff(root.about))
    yield _roff("Every command and every group of commands tells its options with -h.")


def _commands(root: Page, others: list[Page]) -> Iterator[str]:
    yield ".SH OPTIONS"
    yield from _params(root)
    yield ".SH COMMANDS"
    for page in others:
        yield from (f".SS {_roff(page.usage.removeprefix(f'{PROGRAM} '))}", _roff(page.about))
        yield from _params(page)


def _params(page: Page) -> Iterator[str]:
    for param in page.params:
        names = ", ".join(rf"\fB{_roff(name)}\fR" for name in param.names)
        yield from (".TP", names, _roff(param.meaning.replace("`", "")))


def _tail() -> Iterator[str]:
    yield from (".SH FILES",)
    for path, what in _FILES:
        yield from (".TP", f".I {_roff(path)}", _roff(what))
    yield from (".SH EXIT STATUS", ".TP", ".B 0", "all is well")
    for code, said in sorted(exit_codes().items()):
        yield from (".TP", f".B {code}", _roff(said))
    yield from (".SH SEE ALSO", ".BR systemctl (1),", ".BR journalctl (1)", ".PP", _roff(_MORE))


def exit_codes() -> dict[int, str]:
    """What each exit code beside 0 means, in the words of the errors that end with it."""
    told: dict[int, list[str]] = {}
    for kind in EdgeAgentError.__subclasses__():
        sentence = (inspect.getdoc(kind) or "").split("\n")[0].split(";")[0].rstrip(".")
        told.setdefault(kind.exit_code, []).append(sentence[0].lower() + sentence[1:])
    told[NOT_WELL] = ["the question was answered, and the answer is bad"]
    return {code: "; ".join(said) for code, said in told.items()}


def _roff(text: str) -> str:
    """Text that means itself: hyphens that are typed, no requests at the beginning of a line."""
    line = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{line}" if line[:1] in (".", "'") else line


def completion(shell: Shell) -> str:
    """The script of a shell; it asks the program, so it never grows old."""
    script = get_completion_script(prog_name=PROGRAM, complete_var=_VARIABLE, shell=shell.value)
    return script + "\n" + (_ZSH_FIRST if shell is Shell.ZSH else "")


def changelog(text: str, *, version: str, revision: int, date: datetime) -> str:
    """CHANGELOG.md in Debian's form, newest first; what is not released yet is the version that is built."""
    entries: list[str] = []
    for heading, body in _releases(text):
        told = heading["version"]
        of_day = heading["day"] or f"{date:%Y-%m-%d}"
        at = date if told == "Unreleased" else datetime.fromisoformat(f"{of_day}T12:00:00+00:00")
        number = f"{version if told == 'Unreleased' else told}-{revision}"
        lines = [f"{PROGRAM} ({number}) stable; urgency=medium", ""]
        for line in body:
            if line.startswith("### "):
                lines += [f"  [ {line[4:]} ]"]
            elif line.startswith("- "):
                lines += [f"  * {line[2:]}"]
            elif line.strip():
                lines += [f"    {line.strip()}"]
        lines += ["", f" -- {MAINTAINER}  {format_datetime(at)}", ""]
        entries.append("\n".join(lines))
    return "\n".join(entries)


def _releases(text: str) -> Iterator[tuple[re.Match[str], list[str]]]:
    parts = re.split(r"^(?=## \[)", text, flags=re.MULTILINE)
    for part in parts[1:]:
        first, *body = part.splitlines()
        heading = _HEADING.fullmatch(first.strip())
        if heading is not None and any(line.startswith("- ") for line in body):
            yield heading, body


def write(folder: Path, *, version: str, revision: int, date: datetime) -> None:
    """Write all of it below a folder, at the places that it has in the package; the same input gives the same bytes."""
    said = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    packed = {
        MAN: man_page(version=version, date=date),
        CHANGES: changelog(said, version=version, revision=revision, date=date),
        NEWS: said,
    }
    texts = {place: completion(shell).encode() for shell, place in COMPLETIONS.items()}
    texts |= {place: gzip.compress(text.encode(), 9, mtime=0) for place, text in packed.items()}
    for place, raw in texts.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def main() -> None:
    """Write all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", type=int, default=1)
    parser.add_argument("--date", type=int, default=0, help="seconds since 1970")
    options = parser.parse_args()
    date = datetime.fromtimestamp(options.date, UTC)
    write(options.to, version=options.version, revision=options.revision, date=date)


if __name__ == "__main__":
    main()
