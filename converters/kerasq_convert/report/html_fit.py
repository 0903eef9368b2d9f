"""What the network takes on a board, as a part of the HTML report."""

from __future__ import annotations

from kerasq.footprint import Footprint
from kerasq.footprint.report import fit_verdict, memory_rows, work_columns, work_rows
from kerasq.rich import escape
from kerasq_convert.report.html_figures import html_table


def fit_section(fit: Footprint) -> str:
    """Bars of flash and RAM, the verdict, and the work of each operator."""
    bars = "".join(
        _bar(what, used, limit)
        for what, used, limit in (("flash", fit.flash, fit.flash_limit), ("RAM", fit.ram, fit.ram_limit))
        if limit
    )
    verdict = "".join(f"<p>{escape(line)}</p>" for line in fit_verdict(fit).splitlines())
    memory = html_table(("", "", "bytes", "of", ""), memory_rows(fit), ("bytes", "of"))
    columns = work_columns(fit)
    work = html_table(columns, work_rows(fit), ("#", *columns[3:]))
    operators = f"<details><summary>{len(fit.operators)} operators</summary>{work}</details>"
    return f'<ul class="bars">{bars}</ul>{verdict}{memory}{operators}'


def _bar(what: str, used: int, limit: int) -> str:
    share = used / limit
    style = "top" if used > limit else "mem"
    text = f"{used:,} of {limit:,} bytes · {share:.0%}"
    bar = f'<i style="width:{100 * min(share, 1):.1f}%"></i><span>{text}</span>'
    return f'<li><span>{what}</span><div class="bar {style}">{bar}</div></li>'
