"""Say what a corpus costs to extract on one machine, one GPU and ten, from rates that were measured elsewhere.

    python benchmarks/corpus_cost.py                             # 1,000 hours, prints Markdown
    python benchmarks/corpus_cost.py --hours 65 --cores 32
    python benchmarks/corpus_cost.py --feature-mb 61             # with --rate 2
    python benchmarks/corpus_cost.py --gpu 1800 --core-price 0.04 --gpu-price 2.5

The defaults are for the preset `pretrained` and clips of 7 s, looked at twice a second. `--core` and `--decode` were
measured on 2 cores of an AMD Zen 4 (AVX-512 bf16), OpenVINO bf16 in one process a core. `--gpu` is NOT measured: it is
half of the peak of an H100 (989 TFLOP/s in bf16) divided by the work of a clip. Cores and machines are taken to add up.
"""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Clips a second: `core` does everything on one core, `decode` only decodes on one, `gpu` only encodes on one."""

    core: float
    decode: float
    gpu: float


@dataclass(frozen=True, slots=True)
class Machines:
    """Machines of one kind."""

    name: str
    cores: int
    gpus: int = 0

    def clips_s(self, rates: Rates) -> tuple[float, str]:
        """Return clips a second, and what keeps it from being more."""
        if not self.gpus:
            return self.cores * rates.core, "cores"
        return min((self.cores * rates.decode, "decoding on the cores"), (self.gpus * rates.gpu, "GPU"))


def table(
    rates: Rates, *, hours: float, clip_s: float, cores: int, feature_mb: float, core_price: float, gpu_price: float
) -> list[str]:
    """Return the lines of the table; with prices an hour, a column more."""
    clips = hours * 3600 / clip_s
    kinds = (
        Machines("2 cores, as measured", 2),
        Machines(f"one machine, {cores} cores", cores),
        Machines(f"one GPU, {cores} cores", cores, 1),
        Machines(f"ten GPUs, {cores} cores each", cores * 10, 10),
        Machines(f"one GPU, {round(rates.gpu / rates.decode)} cores", round(rates.gpu / rates.decode), 1),
    )
    priced = core_price > 0 or gpu_price > 0
    heads = ["", "clips a second", f"{hours:,g} hours take", "x real time", "features", "bound by", *["cost"] * priced]
    lines = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), "|" + "---|" * len(heads)]
    for kind in kinds:
        clips_s, limit = kind.clips_s(rates)
        took = clips / clips_s / 3600
        times = hours / took
        cells = [kind.name, f"{clips_s:,.4g}", f"{took:,.0f} h" if took > 2 else f"{took * 60:,.0f} min"]
        cells += [f"{times:,.0f}", f"{times * feature_mb / 3600:,.0f} MB/s", limit]
        if priced:
            cells.append(f"{took * (kind.cores * core_price + kind.gpus * gpu_price):,.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1000, help="of speech in the corpus")
    parser.add_argument("--clip-s", type=float, default=7, help="seconds of the clips that the rates are for")
    parser.add_argument("--core", type=float, default=0.81, help="clips a second and core: decoding and networks")
    parser.add_argument("--decode", type=float, default=8, help="clips a second and core: decoding alone")
    parser.add_argument("--gpu", type=float, default=2240, help="clips a second and GPU: networks alone")
    parser.add_argument("--cores", type=int, default=16, help="of a machine")
    parser.add_argument("--feature-mb", type=float, default=327, help="of features for an hour of speech")
    parser.add_argument("--core-price", type=float, default=0, help="an hour")
    parser.add_argument("--gpu-price", type=float, default=0, help="an hour, without its cores")
    told = parser.parse_args()
    rates = Rates(told.core, told.decode, told.gpu)
    lines = table(
        rates,
        hours=told.hours,
        clip_s=told.clip_s,
        cores=told.cores,
        feature_mb=told.feature_mb,
        core_price=told.core_price,
        gpu_price=told.gpu_price,
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
