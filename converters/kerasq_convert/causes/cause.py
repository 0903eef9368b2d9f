"""What is said of a loss: a cause, its remedy, and what that gives and costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kerasq_convert.comparison.noise import finite
from kerasq_convert.options import Options
from kerasq_convert.settings import Settings


@dataclasses.dataclass(frozen=True)
class Remedy:
    """One change of a conversion.

    Attributes:
        options: Options by name, to be set.
        buffers, parameters: Lines of a settings file: formats by name of the tensor.
        advice: What to do, where that is no option and no line.
    """

    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    buffers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    advice: str = ""

    def applied(self, options: Options) -> Options:
        """The options with it."""
        settings, lines = Settings.load(options.settings), Settings.load(self.settings)
        merged = dataclasses.replace(
            settings,
            buffers={**settings.buffers, **lines.buffers},
            parameters={**settings.parameters, **lines.parameters},
        )
        return dataclasses.replace(options, settings=merged, **self.options)

    @property
    def settings(self) -> dict[str, dict[str, str]]:
        """Its lines as a settings file has them."""
        sections = {"buffers": dict(self.buffers), "parameters": dict(self.parameters)}
        return {section: lines for section, lines in sections.items() if lines}

    @property
    def flags(self) -> str:
        """Its options as a command line has them."""
        return " ".join(
            f"--{'' if value else 'no'}{name}" if isinstance(value, bool) else f"--{name} {value}"
            for name, value in self.options.items()
        )

    @property
    def line(self) -> str:
        """Its lines as one of YAML, which is a settings file by itself: `buffers: {signal: FIXED8_5}`."""
        sections = (
            f"{section}: {{{', '.join(f'{name}: {format_}' for name, format_ in lines.items())}}}"
            for section, lines in self.settings.items()
        )
        return "; ".join(sections)

    def __str__(self) -> str:
        parts = [self.flags, f"in the settings (--settings) {self.line}" if self.line else "", self.advice]
        return ", ".join(part for part in parts if part)


@dataclasses.dataclass(frozen=True)
class Size:
    """What a network takes: bytes of the file and of the arena, instructions of an inference, where there is an estimate."""

    model_bytes: int
    arena_bytes: int
    instructions: int | None

    def __sub__(self, other: Size) -> Size:
        both = self.instructions is not None and other.instructions is not None
        return Size(
            self.model_bytes - other.model_bytes,
            self.arena_bytes - other.arena_bytes,
            (self.instructions or 0) - (other.instructions or 0) if both else None,
        )


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a remedy did to the outputs when it was tried, with those of the causes before it, and what it costs.

    Attributes:
        before_db, after_db: Signal-to-noise ratio at the outputs.
        price: By how much the network grows.
        core: Of which the instructions are.
    """

    before_db: float
    after_db: float
    price: Size
    core: str

    @property
    def gain_db(self) -> float:
        return self.after_db - self.before_db

    def __str__(self) -> str:
        count = self.price.instructions
        counted = "instructions not estimated" if count is None else f"{count:+,} instructions ({self.core})"
        return (
            f"{self.before_db:.1f} -> {self.after_db:.1f} dB at the outputs, {self.price.model_bytes:+,} bytes of the file, "
            f"{self.price.arena_bytes:+,} of the arena, {counted}"
        )


@dataclasses.dataclass(frozen=True)
class Cause:
    """Why a tensor loses what it does.

    Attributes:
        tensor: Its name.
        kind: Of the cause: "setting", "outliers", "channels", "bias", "softmax", "examples" or "resolution".
        effect: Noise : signal at the outputs by this tensor's own error; `None`: not measured.
        why: A sentence with the evidence.
        remedy: What mends it.
        trial: What that gave; `None`: it was not tried.
    """

    tensor: str
    kind: str
    effect: float | None
    why: str
    remedy: Remedy
    trial: Trial | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        remedy = {"text": str(self.remedy), "options": dict(self.remedy.options), "settings": self.remedy.settings}
        trial = None
        if self.trial is not None:
            trial = dataclasses.asdict(self.trial)
            for name in ("before_db", "after_db"):
                trial[name] = finite(trial[name])
        values = {"tensor": self.tensor, "kind": self.kind, "effect": self.effect, "why": self.why}
        return {**values, "remedy": remedy, "trial": trial}


@dataclasses.dataclass(frozen=True)
class Suspicion:
    """A cause that evidence speaks for, with the remedies that may help it, the simplest first."""

    kind: str
    why: str
    remedies: tuple[Remedy, ...]
