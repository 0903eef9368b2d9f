"""Models of the cycles that a processor takes, from how often each instruction was executed.

A model, not a measurement: what the technical reference manuals of Cortex-M0+ (r0p1), M3 (r2p1) and M4 (r0p1) state in
tables of instructions and sections on loads and stores, with memory that has no wait states. What they leave open is taken thus:

* a pipeline is refilled in 2 cycles (M3 and M4: 1 to 3);
* a division takes 12 (2 to 12), a long product on an M3 5, with addition 7 (3 to 5, 4 to 7);
* IT takes 1 (0 where it is folded); so does an instruction that its condition skips.

M3 and M4: a load takes 2 cycles, but 1 right behind another load of one register that did not make its address and that has no
condition. A store takes 1, to a sum of two registers 2, or 1 behind a load. LDM, STM, PUSH, POP, LDRD and STRD take one more than
they have registers, an unaligned access 1 or 2 more. A branch takes 1, and the refill if it is taken.

The Cortex-M7 issues two instructions at once, the M33 has no published table: there is no model of them here, nor of RV32.
"""

import dataclasses
import re

import numpy as np
from counting import Instruction

_CONDITIONS = "(?:eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|hs|lo)?"
_SINGLE = re.compile(rf"(ldr|str)(b|h|sb|sh)?{_CONDITIONS}")
_UNCONDITIONAL_LOAD = re.compile(r"ldr(b|h|sb|sh)?(\.[nw])?")
_DOUBLE = re.compile(rf"(ldr|str)d{_CONDITIONS}")
_MULTIPLE = re.compile(rf"(ldm|stm|push|pop)(ia|db|fd|ea)?{_CONDITIONS}")
_BRANCH = re.compile(rf"(b|bl|bx|blx){_CONDITIONS}|cbn?z")
_TABLE_BRANCH = re.compile("tb[bh]")
_DIVISION = re.compile(rf"[us]div{_CONDITIONS}")
_PRODUCT = re.compile(rf"(mul|mla|mls|[us]mull|[us]mlal|sm\w*|umaal)s?{_CONDITIONS}")


@dataclasses.dataclass(frozen=True)
class Manual:
    """What a processor's manual states.

    Attributes:
        source: The manual.
        refill: Cycles of a taken branch beyond the first.
        load, store_register: Of one register, from an address and to a sum of two registers.
        store: To an address with an immediate offset.
        pipelined: Whether loads and stores behind a load take 1.
        call: Of BL beyond a branch that is taken.
        to_pc: Of POP with pc, beyond a refill.
        products: Cycles by name where they are not 1.
    """

    source: str
    refill: int
    load: int
    store: int
    store_register: int
    pipelined: bool
    call: int = 0
    to_pc: int = 0
    products: dict[str, int] = dataclasses.field(default_factory=dict)


_M4 = Manual("Cortex-M4 technical reference manual, r0p1", 2, 2, 1, 2, pipelined=True)
MANUALS = {
    "m0": Manual("Cortex-M0+ technical reference manual, r0p1", 1, 2, 2, 2, pipelined=False, call=1, to_pc=1),
    "m3": dataclasses.replace(
        _M4,
        source="Cortex-M3 technical reference manual, r2p1",
        products={"mla": 2, "mls": 2, "smull": 5, "umull": 5, "smlal": 7, "umlal": 7},
    ),
    "m4": _M4,
}
KINDS = ("load", "store", "several", "product", "division", "branch", "other")


def kind_of(name: str) -> str:
    """One of `KINDS` for a mnemonic without `.w` and `.n`."""
    if match := _SINGLE.fullmatch(name):
        return "load" if match[1] == "ldr" else "store"
    if _DOUBLE.fullmatch(name) or _MULTIPLE.fullmatch(name):
        return "several"
    if _BRANCH.fullmatch(name) or _TABLE_BRANCH.fullmatch(name):
        return "branch"
    if _DIVISION.fullmatch(name):
        return "division"
    return "product" if _PRODUCT.fullmatch(name) else "other"


class Cycles:
    """The model of a processor for one program.

    Args:
        manual: What its manual states.
        instructions: The program's, by address.
    """

    def __init__(self, manual: Manual, instructions: list[Instruction]) -> None:
        self._manual = manual
        self._addresses = np.array([instruction.address for instruction in instructions], np.uint64)
        names = [instruction.name.split(".")[0] for instruction in instructions]
        self._kinds = np.array([KINDS.index(kind_of(name)) for name in names])
        several = KINDS.index("several")
        registers = [
            _registers(name, instruction.operands) if kind == several else 1
            for name, instruction, kind in zip(names, instructions, self._kinds, strict=True)
        ]
        self._registers = np.array(registers)
        self._executed = np.array([self._cost(name, one.operands) for name, one in zip(names, instructions, strict=True)])
        self._jumped = np.array([manual.refill + self._cost_of_jump(name) for name in names])
        behind = zip([None, *instructions[:-1]], instructions, strict=True)
        self._pipelined = np.array([manual.pipelined and _is_pipelined(before, this) for before, this in behind])

    def _cost(self, name: str, operands: str) -> int:
        """Of an instruction of which nothing else is known, in cycles."""
        match kind_of(name):
            case "load":
                return self._manual.load
            case "store":
                return self._manual.store_register if re.search(r"\[\w+, *[a-z]", operands) else self._manual.store
            case "several":
                return 1 + _registers(name, operands)
            case "division":
                return 12
            case "product":
                return self._manual.products.get(name, 1)
        return 2 if _TABLE_BRANCH.fullmatch(name) else 1

    def _cost_of_jump(self, name: str) -> int:
        """Beyond the refill."""
        if name == "bl":
            return self._manual.call
        return self._manual.to_pc if name == "pop" else 0

    def of(self, records: np.ndarray) -> dict[str, int]:
        """Cycles of what was counted, by kind of instruction."""
        rows = np.searchsorted(self._addresses, records["address"])
        assert np.array_equal(self._addresses[rows], records["address"])
        executed, kinds = records["executed"].astype(np.int64), self._kinds[rows]
        memory = np.isin(kinds, [KINDS.index(kind) for kind in ("load", "store", "several")])
        done = np.where(memory, records["accesses"].astype(np.int64) // self._registers[rows], executed)
        cycles = done * self._executed[rows] + (executed - done)
        cycles += records["jumped"].astype(np.int64) * self._jumped[rows] + records["unaligned"].astype(np.int64)
        cycles -= self._pipelined[rows] * np.minimum(done, executed - records["entered"].astype(np.int64))
        return {kind: int(cycles[kinds == position].sum()) for position, kind in enumerate(KINDS)}


def _registers(name: str, operands: str) -> int:
    """How many an instruction loads or stores: `{r4-r7, lr}` is five, and what has no list two."""
    listed = re.search(r"\{(.*)\}", operands)
    if listed is None:
        return 2
    numbers = {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
    count = 0
    for part in listed[1].split(","):
        ends = [numbers.get(end.strip(), end.strip()[1:]) for end in part.split("-")]
        count += int(ends[-1]) - int(ends[0]) + 1
    return count


def _is_pipelined(before: Instruction | None, this: Instruction) -> bool:
    """Whether a load or store takes a cycle less where it is executed behind the instruction before it."""
    if before is None or _UNCONDITIONAL_LOAD.fullmatch(before.name) is None:
        return False
    kind = kind_of(this.name.split(".")[0])
    loaded, address = before.operands.split(",")[0], this.operands.partition("[")[2]
    if kind == "store" and not re.search(r"\[\w+, *[a-z]", this.operands):
        return False  # takes one in any case
    return kind in ("load", "store") and re.search(rf"\b{loaded}\b", address) is None
