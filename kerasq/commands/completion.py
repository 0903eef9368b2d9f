"""Scripts by which a shell completes a command's flags, their values and files: `--completion bash`, zsh or fish.

eval "$(kerasq-convert --completion bash)"                                             # in ~/.bashrc
eval "$(kerasq-convert --completion zsh)"                                              # in ~/.zshrc, after compinit
kerasq-convert --completion fish > ~/.config/fish/completions/kerasq-convert.fish
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator

from absl import flags

from kerasq.commands.help import choices_of, value_of

_FILES = {"FILE", "FOLDER"}  # what flags call values that are paths


@dataclasses.dataclass(frozen=True)
class _Flag:
    """A flag as shells see it: its names with dashes, its meaning in a line, and what its value may be."""

    names: tuple[str, ...]
    meaning: str
    takes_value: bool
    choices: tuple[str, ...]
    is_path: bool


def completion(shell: str, command: str, options: flags.FlagValues) -> str:
    """The script of a command for a shell."""
    return SHELLS[shell](command, [*_flags(options)])


def _flags(options: flags.FlagValues) -> Iterator[_Flag]:
    unique = {options[name].name: options[name] for name in options}
    for flag in unique.values():
        names = (f"--{flag.name}", *([f"-{flag.short_name}"] if flag.short_name else []))
        if flag.boolean and flag.default:
            names = (f"--no{flag.name}", *names)
        meaning = re.split(r"[.;:] |\.$", " ".join(flag.help.replace("`", "").split()).rpartition(">: ")[2])[0]
        yield _Flag(names, meaning, not flag.boolean, tuple(choices_of(flag)), value_of(flag) in _FILES)


def _bash(command: str, described: list[_Flag]) -> str:
    function = f"_{command.replace('-', '_')}"
    names = " ".join(name for flag in described for name in flag.names)
    cases = "".join(f"    {'|'.join(flag.names)}) {_bash_values(flag)} ;;\n" for flag in described if flag.takes_value)
    return (
        f"{function}() {{\n"
        '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"\n'
        '  if [[ $word == = ]]; then word=; elif [[ $before == = ]]; then before="${COMP_WORDS[COMP_CWORD-2]}"; fi\n'
        "  COMPREPLY=()\n"
        f'  case "$before" in\n{cases}  esac\n'
        f'  [[ $word == -* ]] && COMPREPLY=($(compgen -W "{names}" -- "$word"))\n'
        "}\n"
        f"complete -o default -F {function} {command}\n"
    )


def _bash_values(flag: _Flag) -> str:
    """Choices; else what `complete -o default` does, files."""
    return f'COMPREPLY=($(compgen -W "{" ".join(flag.choices)}" -- "$word")); return' if flag.choices else "return"


def _zsh(command: str, described: list[_Flag]) -> str:
    function = f"_{command.replace('-', '_')}"
    lines = []
    for flag in described:
        meaning = re.sub(r"([\[\]:\\])", r"\\\1", flag.meaning).replace("'", "’")
        value = f":value:{_zsh_values(flag)}" if flag.takes_value else ""
        joined = "=" if flag.takes_value else ""
        for name in flag.names:
            lines.append(f"    '{name}{joined if name.startswith('--') else ''}[{meaning}]{value}'")
    arguments = " \\\n".join([*lines, "    '*:file:_files'"])
    return f"#compdef {command}\n{function}() {{\n  _arguments \\\n{arguments}\n}}\ncompdef {function} {command}\n"


def _zsh_values(flag: _Flag) -> str:
    return f"({' '.join(flag.choices)})" if flag.choices else "_files" if flag.is_path else " "


def _fish(command: str, described: list[_Flag]) -> str:
    lines = []
    for flag in described:
        meaning = flag.meaning.replace("\\", "\\\\").replace("'", "\\'")
        value = f" -x -a '{' '.join(flag.choices)}'" if flag.choices else " -r" if flag.is_path else " -x"
        for name in flag.names:
            kind = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            lines.append(f"complete -c {command} {kind}{value if flag.takes_value else ''} -d '{meaning}'\n")
    return "".join(lines)


SHELLS: dict[str, Callable[[str, list[_Flag]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
