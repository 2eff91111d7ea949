"""Words and how often they occur."""

import re
from collections import Counter

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def count(text):
    """Count the words of a text, ignoring case."""
    return Counter(word.casefold() for word in WORD.findall(text))


def top(text, most=10):
    """The most frequent words, ties in alphabetical order."""
    return sorted(count(text).items(), key=lambda item: (-item[1], item[0]))[:most]
