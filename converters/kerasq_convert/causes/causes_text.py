"""A diagnosis for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from kerasq.text import printable
from kerasq_convert.causes.cause import Cause
from kerasq_convert.causes.diagnosis import Diagnosis
from kerasq_convert.comparison.analysis_text import decibels_of, share_percent
from kerasq_convert.comparison.outputs import FAIR_DB


def to_text(diagnosis: Diagnosis) -> str:
    """All of it, as a person reads it."""
    return "\n".join([*verdict(diagnosis), *(line for part in _parts(diagnosis) for line in ("", *part))])


def verdict(diagnosis: Diagnosis) -> list[str]:
    """Whether there is something to mend, in sentences."""
    reached = decibels_of(diagnosis.sqnr_db)
    lines = []
    if diagnosis.unlike:
        lines.append(f"{diagnosis.unlike} of the examples have far larger outputs than all others: by these others it is judged")
    if diagnosis.is_well:
        lines.append(f"causes: none is looked for, {reached} at the outputs are no less than {FAIR_DB:g} dB")
    elif diagnosis.causes:
        lines.append(f"causes of the loss, {reached} at the outputs; each remedy was tried together with those before it:")
    else:
        lines.append(
            f"causes: {reached} at the outputs, and no single remedy helps: many tensors lose a little. --refine, then --tune; "
            "or --bits 16; or training (kerasq.quantize_model)"
        )
    return lines


def cause_lines(cause: Cause) -> Iterator[str]:
    """A cause: what loses, why, what mends it, and what that gives."""
    yield f"{printable(cause.tensor)}{adds(cause)}: {printable(cause.why)}"
    yield f"remedy: {printable(str(cause.remedy))}"
    if cause.trial is not None:
        yield f"tried:  {cause.trial}"


def adds(cause: Cause) -> str:
    """What its tensor does, as the predicate of a sentence."""
    return "" if cause.effect is None else f" adds noise of {share_percent(cause.effect)} of the signal at the outputs"


def _parts(diagnosis: Diagnosis) -> Iterator[list[str]]:
    for number, cause in enumerate(diagnosis.causes, 1):
        first, *others = cause_lines(cause)
        yield [f"  {number}. {first}", *(f"     {line}" for line in others)]
