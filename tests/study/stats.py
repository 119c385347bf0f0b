"""Means with their 95 % intervals."""
import dataclasses
import math

# Student's t, 97.5 %, by degrees of freedom from 1 on.
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
     2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042]
NORMAL = 1.960


@dataclasses.dataclass(frozen=True)
class Estimate:
    mean: float
    half_width: float  # of the 95 % interval

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    def sign(self) -> int:
        """1 or −1 where the whole interval is on that side of zero, else 0."""
        return (self.low > 0) - (self.high < 0)


def estimate(values: list[float]) -> Estimate:
    """Of two values or more. Beyond 30 degrees of freedom a bound of t, so that the interval is a little too wide."""
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    t = T[count - 2] if count - 2 < len(T) else NORMAL * (1 + 1.3 / (count - 1))
    return Estimate(mean, t * math.sqrt(variance / count))
