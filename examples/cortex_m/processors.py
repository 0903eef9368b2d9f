"""The processors that run.py compiles for, each with a board of QEMU's that has one."""

import dataclasses

_ARM = ("-mthumb", "-mfloat-abi=soft")
_RISCV = ("-march=rv32imc", "-mabi=ilp32", "-msmall-data-limit=0")


@dataclasses.dataclass(frozen=True)
class Processor:
    """How to build a program for a processor, and to simulate it.

    Attributes:
        name: What tables call it.
        tools: First part of the names of the compiler and its companions.
        options: What the compiler must be told of the processor.
        small: What makes code smaller beside -Os.
        library: What selects a small C library.
        sources: Folder of firmware/ with start-up code, clock and the way to the host.
        script: File of firmware/boards/ with the board's memory.
        simulator: The program and its arguments.
        hertz: Of the clock that the firmware reads. With -icount shift=0 an instruction takes 1 ns of the simulated time.
        dsp: Whether it has the DSP extension of Armv7E-M and Armv8-M.
        code_limit: Bytes of the runtime's code that are promised at -Os.
    """

    name: str
    tools: str
    options: tuple[str, ...]
    small: tuple[str, ...]
    library: str
    sources: str
    script: str
    simulator: tuple[str, ...]
    hertz: int
    dsp: bool
    code_limit: int = 16 * 1024

    def instructions(self, ticks: int) -> int:
        """Executed while the clock ticked so often."""
        return round(ticks * 1e9 / self.hertz)


def _cortex_m(cpu: str, script: str, machine: tuple[str, ...], megahertz: int, dsp: bool) -> Processor:
    return Processor(
        name=f"Cortex-{cpu.upper()}",
        tools="arm-none-eabi-",
        options=(f"-mcpu=cortex-{cpu}", *_ARM),
        small=(),
        library="--specs=nano.specs",
        sources="cortex_m",
        script=script,
        simulator=("qemu-system-arm", "-M", *machine),
        hertz=megahertz * 1_000_000,
        dsp=dsp,
    )


PROCESSORS = {
    # The micro:bit has 256 KB of flash and 16 KB of memory, its simulation what one asks for.
    "m0": _cortex_m(
        "m0",
        "mps2.ld",
        ("microbit", "-global", "nrf51-soc.flash-size=0x400000", "-global", "nrf51-soc.sram-size=0x400000"),
        megahertz=16,
        dsp=False,
    ),
    "m3": _cortex_m("m3", "mps2.ld", ("mps2-an385",), megahertz=25, dsp=False),
    "m4": _cortex_m("m4", "mps2.ld", ("mps2-an386",), megahertz=25, dsp=True),
    "m7": _cortex_m("m7", "mps2.ld", ("mps2-an500",), megahertz=25, dsp=True),
    "m33": _cortex_m("m33", "an505.ld", ("mps2-an505",), megahertz=20, dsp=True),
    "rv32": Processor(
        name="RV32IMC",
        tools="riscv64-unknown-elf-",
        options=_RISCV,
        small=("-msave-restore",),
        library="--specs=picolibc.specs",
        sources="riscv",
        script="virt.ld",
        simulator=("qemu-system-riscv32", "-M", "virt", "-bios", "none", "-cpu", "rv32,a=off,f=off,d=off,h=off,s=off"),
        hertz=1_000_000_000,
        dsp=False,
        code_limit=18 * 1024,
    ),
}
# The package of Debian that has a program.
PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi and libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf and picolibc-riscv64-unknown-elf",
    "qemu-system-riscv32": "qemu-system-misc",
}
