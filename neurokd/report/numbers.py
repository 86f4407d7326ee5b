"""Numbers as a reader wants them: sensible digits, units, a true minus sign."""

import math
from collections.abc import Callable
from datetime import datetime

Show = Callable[[float], str]  # how a chart writes a number
MINUS = "\u2212"
_NARROW = "\u202f"  # a thin space that does not break between a number and its unit
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_PICOJOULES = {"pJ": 1.0, "nJ": 1e3, "uJ": 1e6, "mJ": 1e9}


def percent(share: float, samples: int | None = None) -> str:
    """A share as a percentage, with no more digits than `samples` can carry.

    >>> percent(0.97314, samples=360), percent(0.97314, samples=10_000)
    ('97.3\\u202f%', '97.31\\u202f%')
    """
    digits = 1 if samples is None or samples < 2000 else 2
    return f"{100 * share:.{digits}f}{_NARROW}%"


def points(difference: float, samples: int | None = None) -> str:
    """A difference of two shares in percentage points, with its sign.

    >>> print(ascii(points(-0.0062)))
    '\\u22120.6 points'
    >>> points(0.0)
    '±0 points'
    """
    digits = 1 if samples is None or samples < 2000 else 2
    text = f"{abs(100 * difference):.{digits}f}"
    if float(text) == 0:
        return "±0 points" if difference == 0 else f"{_sign(difference)}under {10**-digits:g} points"
    return f"{_sign(difference)}{text} points"


def whole(value: int) -> str:
    """An exact count with separators.

    >>> whole(1234567)
    '1,234,567'
    """
    return f"{value:,}".replace("-", MINUS)


def big(value: float) -> str:
    """A large amount to three digits with a prefix.

    >>> big(405_980_000), big(152_345), big(12.0), big(0.042)
    ('406\\u202fM', '152\\u202fk', '12', '0.042')
    """
    for size, prefix in _PREFIXES:
        if abs(value) >= size * 0.9995:
            return f"{three_digits(value / size)}{_NARROW}{prefix}"
    return three_digits(value)


def three_digits(value: float) -> str:
    """Three significant digits without an exponent where that is readable.

    >>> three_digits(3.14159), three_digits(97.0), three_digits(0.0), three_digits(999.96)
    ('3.14', '97', '0', '1000')
    """
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.2e}".replace("-", MINUS)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)


def energy(value: float, unit: str) -> str:
    """An energy in the unit that reads best.

    >>> energy(2310.0, "nJ"), energy(0.5, "nJ")
    ('2.31\\u202fµJ', '500\\u202fpJ')
    """
    picojoules = value * _PICOJOULES[unit]
    for name, factor in reversed(_PICOJOULES.items()):
        if picojoules >= factor * 0.9995:
            return f"{three_digits(picojoules / factor)}{_NARROW}{name.replace('u', 'µ')}"
    return f"{three_digits(picojoules)}{_NARROW}pJ"


def picojoules(value: float, unit: str) -> float:
    """The value in picojoules."""
    return value * _PICOJOULES[unit]


def duration(seconds: float) -> str:
    """A time span.

    >>> duration(0.42), duration(75), duration(3720), duration(59.7)
    ('0.42\\u202fs', '1 min 15 s', '1 h 2 min', '1 min 0 s')
    """
    if round(seconds) < 60:
        return f"{three_digits(seconds)}{_NARROW}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(iso: str | None) -> str:
    """A date as people write it; text that is no ISO date is returned as it is.

    >>> moment("2026-01-02T03:04:05+00:00"), moment("yesterday"), moment(None)
    ('2 January 2026, 03:04 UTC', 'yesterday', 'date not recorded')
    """
    if iso is None:
        return "date not recorded"
    try:
        time = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    except ValueError:
        return iso
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M} {time.tzname() or ''}".rstrip()


def shape(sizes: tuple[int, ...]) -> str:
    """A shape as people write it.

    >>> print(ascii(shape((16, 8, 8))))
    '16 \\xd7 8 \\xd7 8'
    """
    return " × ".join(str(size) for size in sizes)  # noqa: RUF001


def wilson(share: float, samples: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share observed in `samples` draws (Wilson 1927, eq. for the score interval).

    >>> low, high = wilson(0.9, 100)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
    """
    scale = 1 + z * z / samples
    middle = share + z * z / (2 * samples)
    half = z * math.sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples))
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def _sign(value: float) -> str:
    return MINUS if value < 0 else "+"
