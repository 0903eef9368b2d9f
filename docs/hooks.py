"""mkdocs: pages link to files of the repository where these lie; the site takes such files in, under `repository/`.

So README, examples and NUMERICS.md are read on the site and in the tree alike, and nothing is copied by hand. A Markdown file
becomes a page, and what it links to comes along; any other file is one to download.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "pages"
LINK = re.compile(r"\[([^\]\n]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def target(page: Path, link: str) -> Path | None:
    """The file that a link of a page leads to, a folder's README for a folder; `None` outside of the repository."""
    if "://" in link or link.startswith("mailto:"):
        return None
    path = Path(os.path.normpath(page.parent / link))
    return path / "README.md" if path.is_dir() else path


def place(path: Path) -> str:
    """Where the site has a file of the repository."""
    if path.is_relative_to(PAGES):
        return path.relative_to(PAGES).as_posix()
    return f"repository/{path.relative_to(ROOT).as_posix()}"


def linked(page: Path) -> Iterator[Path]:
    """The files that a page links to."""
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        path = target(page, match[2])
        if path is not None and path.is_file() and path.is_relative_to(ROOT):
            yield path


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what pages link to outside of their folder, and what that links to."""
    pending = [PAGES / file.src_uri for file in files.documentation_pages()]
    while pending:
        for path in linked(pending.pop()):
            if not path.is_relative_to(PAGES) and files.get_file_from_path(place(path)) is None:
                files.append(File.generated(config, place(path), abs_src_path=str(path)))
                if path.suffix == ".md":
                    pending.append(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links lead to where the site has their files; a link to a folder without a README is its text."""
    source = Path(page.file.abs_src_path or PAGES / page.file.src_uri)
    here = PurePosixPath(page.file.src_uri).parent

    def link(match: re.Match[str]) -> str:
        path = target(source, match[2])
        if path is None:
            return match[0]
        if not path.is_file():
            return match[1] if path.parent.is_dir() else match[0]
        return f"[{match[1]}]({os.path.relpath(place(path), here)}{match[3] or ''})"

    return LINK.sub(link, markdown)
