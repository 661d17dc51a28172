"""The random numbers of sampling: Philox 4x32 with ten rounds (Salmon et al.,
"Parallel random numbers: as easy as 1, 2, 3", SC 2011). A number is a function
of seed, stream, purpose and index; the stream is the image."""

from __future__ import annotations

from typing import Tuple

#: The purpose of the numbers that decide which token is sampled.
TOKEN = 0
#: The purpose of the noise of smooth sampling.
SMOOTH = 1

_WORD = 0xFFFFFFFF


def philox(counter: Tuple[int, int, int, int],
           key: Tuple[int, int]) -> Tuple[int, int, int, int]:
    """Four words of 32 bits."""
    (a, b, c, d), (low, high) = counter, key
    for _ in range(10):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = ((second >> 32) ^ b ^ low, second & _WORD,
                      (first >> 32) ^ d ^ high, first & _WORD)
        low, high = (low + 0x9E3779B9) & _WORD, (high + 0xBB67AE85) & _WORD
    return a, b, c, d


def uniform(seed: int, stream: int, purpose: int, index: int) -> float:
    """A number in (0, 1): (word + 1/2)/2^32."""
    words = philox(
        ((index >> 2) & _WORD, purpose, stream & _WORD, (stream >> 32) & _WORD),
        (seed & _WORD, (seed >> 32) & _WORD))
    return (words[index & 3] + 0.5) / 2.0**32
