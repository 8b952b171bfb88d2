"""Java's `double` as text: what `Double.toString` of JDK 17 prints and what `Double.parseDouble` reads.

Up to JDK 18 the printed digits are not always the shortest ones, so Python's `repr` is right for part of the
range only, and the rest is generated digit by digit as the JDK does it.
"""

import math
import re

from harness.synapse.java import LONG_MAX, LONG_MIN, trim

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")
_NAMED = re.compile(r"[+-]?(?:NaN|Infinity)")


def parse(text: str) -> float | None:
    """`Double.parseDouble`, None where it throws."""
    text = trim(text)
    if _NAMED.fullmatch(text):
        return float(text)
    number = text[:-1] if text[-1:] in ("d", "D", "f", "F") else text
    if _DECIMAL.fullmatch(number):
        return float(number)
    if _HEXADECIMAL.fullmatch(number):
        try:
            return float.fromhex(number)
        except OverflowError:
            return -math.inf if number[0] == "-" else math.inf
    return None


def to_long(value: float) -> int:
    """The cast `(long) value`: towards zero, held at the ends of the range, and 0 for not-a-number."""
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return LONG_MAX if value > 0 else LONG_MIN
    return max(LONG_MIN, min(LONG_MAX, int(value)))


def to_text(value: float) -> str:
    """`Double.toString`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        # Here both print the shortest digits, in the same plain form.
        return repr(value)
    digits, exponent = _digits(abs(value))
    return f"{'-' if value < 0 else ''}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def _digits(value: float) -> tuple[str, int]:
    """The digits of d.ddd * 10**n, and that n, for a finite value > 0."""
    fraction, exponent = math.frexp(value)
    if exponent <= 63 and value.is_integer():
        return _digits_of_whole(int(value), exponent)

    mantissa = int(fraction * 2**53)
    zeros = (mantissa & -mantissa).bit_length() - 1
    odd = mantissa >> zeros
    # Half a unit in the last place, or a quarter where the next lower double is nearer. Below 2**-1022 a
    # double has fewer bits than 53.
    margin_twos = exponent - 1 - min(53, exponent + 1074) - (odd == 1)

    # value / 10**scale is rest / unit, on which footing the error allowed is margin / unit.
    scale = _estimated_scale(2 * fraction, exponent - 1)
    up, down = max(0, -scale), max(0, scale)
    twos = (exponent - 53 + zeros + up, down, margin_twos + up)
    rest_twos, unit_twos, margin_twos = (power - min(twos) for power in twos)
    return _generate(
        rest=odd * 5**up << rest_twos,
        unit=5**down << unit_twos,
        margin=5**up << margin_twos,
        scale=scale,
        in_long=odd.bit_length() + rest_twos + _bits_of_five(up) < 64 and 1 + unit_twos + _bits_of_five(down + 1) < 64,
    )


def _estimated_scale(significand: float, exponent: int) -> int:
    """The decimal exponent of significand * 2**exponent, or one more: the JDK's logarithm is a line."""
    return math.floor((significand - 1.5) * 0.289529654 + 0.176091259 + exponent * 0.301029995663981)


def _bits_of_five(power: int) -> int:
    return (5**power).bit_length() if power else 0


def _digits_of_whole(value: int, bits: int) -> tuple[str, int]:
    """Below 2**63 the JDK drops as many digits as the bits beyond a double's precision hold."""
    beyond = bits - 55
    dropped = len(str(1 << beyond)) - 1 if beyond > 1 else 0
    power = 10**dropped
    digits = str((value + power // 2) // power)
    return digits.rstrip("0"), len(digits) + dropped - 1


def _generate(rest: int, unit: int, margin: int, scale: int, in_long: bool) -> tuple[str, int]:
    """Digits until the rest is within the margin of zero or of the next digit; then the last is rounded."""
    digits: list[int] = []
    first = True
    low = high = False
    while not (low or high):
        digit, rest = divmod(rest, unit)
        rest, margin = 10 * rest, 10 * margin
        low, high = rest < margin, rest + margin > 10 * unit
        if in_long and rest + margin > LONG_MAX:
            # The JDK overflows, and notices it for the margin but not for the sum.
            low, high = low or margin > LONG_MAX, margin > LONG_MAX
        if first and digit == 0 and not high:
            scale -= 1
        else:
            digits.append(digit)
        if first and not -3 <= scale < 8:
            # The form with an exponent shows a second digit anyway: the JDK does not stop at the first.
            low = high = False
        first = False
    number = int("".join(map(str, digits)))
    rounding = 2 * rest - 10 * unit
    if high and (not low or rounding > 0 or (rounding == 0 and number % 2)):
        number += 1
    text = str(number).rjust(len(digits), "0")
    return text[: len(digits)], scale + len(text) - len(digits)
