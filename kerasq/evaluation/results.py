"""What an evaluation finds, as values and as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from kerasq.text import printable, table


@dataclasses.dataclass(frozen=True)
class Result:
    """Figures of one model.

    Attributes:
        model: Path of the model as it was given.
        top1: Share of the images, 0..1, whose highest score is that of their class.
        images: Number of images.
        model_bytes: Bytes of a .kq file; of a float model, of the values that it needs for inference, as float32.
        arena_bytes: Bytes of working memory for one image; of a float model, those of its conversion with FLOAT32
            activations, `None` where it can't be converted.
        seconds: Wall time of inference in this process, all images together.
        agreement: Share of the images, 0..1, that get the same class as from the first model.
    """

    model: str
    top1: float
    images: int
    model_bytes: int
    arena_bytes: int | None
    seconds: float
    agreement: float

    @property
    def stderr(self) -> float:
        """Standard error of `top1` as a binomial share: sqrt(p (1 - p) / n)."""
        return (self.top1 * (1 - self.top1) / self.images) ** 0.5

    @property
    def ms_per_image(self) -> float:
        """Milliseconds of inference, averaged over the images."""
        return 1000 * self.seconds / self.images

    @property
    def footprint_bytes(self) -> int | None:
        """Model and arena."""
        return None if self.arena_bytes is None else self.model_bytes + self.arena_bytes

    def as_dict(self) -> dict[str, Any]:
        """The figures by name, for JSON."""
        return {
            "model": self.model,
            "top1": self.top1,
            "stderr": self.stderr,
            "images": self.images,
            "model_bytes": self.model_bytes,
            "arena_bytes": self.arena_bytes,
            "footprint_bytes": self.footprint_bytes,
            "seconds": self.seconds,
            "ms_per_image": self.ms_per_image,
            "agreement": self.agreement,
        }


def format_table(results: Sequence[Result]) -> str:
    """The results as aligned text, a line per model; `-` stands for what is not known."""
    header = ("model", "top-1 %", "model bytes", "arena bytes", "footprint bytes", "inference s", "ms/image", "agreement %")
    return table(header, [_cells(result) for result in results], right=header[1:])


def _cells(result: Result) -> list[str]:
    return [
        printable(result.model),
        f"{100 * result.top1:.2f} ± {100 * result.stderr:.2f}",
        f"{result.model_bytes:,}",
        "-" if result.arena_bytes is None else f"{result.arena_bytes:,}",
        "-" if result.footprint_bytes is None else f"{result.footprint_bytes:,}",
        f"{result.seconds:.2f}",
        f"{result.ms_per_image:.3f}",
        f"{100 * result.agreement:.2f}",
    ]
