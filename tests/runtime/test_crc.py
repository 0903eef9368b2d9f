"""kq_crc32 is zlib's CRC-32, in one piece or several."""

from __future__ import annotations

import subprocess
import zlib

import numpy as np
import pytest

from c_compiler import RUNTIME, compile_program

# Reads standard input in pieces of argv[1] bytes and prints the checksum.
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "kerasq.h"

int main(int argc, char **argv) {
  static uint8_t piece[4096];
  const size_t size = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : sizeof piece;
  uint32_t crc = 0;
  size_t count;
  while ((count = fread(piece, 1, size, stdin)) > 0) crc = kq_crc32(crc, piece, count);
  printf("%lu", (unsigned long)crc);
  return 0;
}
"""


@pytest.fixture(scope="module")
def crc32(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crc")
    (folder / "program.c").write_text(PROGRAM)
    program = compile_program(
        [folder / "program.c", RUNTIME / "src" / "kq_crc.c"], folder / "program", f"-I{RUNTIME / 'include'}"
    )
    return lambda content, piece: int(
        subprocess.run([program, str(piece)], input=content, capture_output=True, check=True).stdout
    )


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_equals_zlib(crc32, piece):
    content = np.random.default_rng(0).integers(0, 256, 10_000).astype(np.uint8).tobytes()
    for length in (0, 1, 2, 255, len(content)):
        assert crc32(content[:length], piece) == zlib.crc32(content[:length])
