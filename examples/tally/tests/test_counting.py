import unittest

from tally import count, top


class Counting(unittest.TestCase):
    def test_case_does_not_matter(self):
        self.assertEqual(count("Tea tea TEA")["tea"], 3)

    def test_an_apostrophe_belongs_to_its_word(self):
        self.assertEqual(set(count("don't well-known o’clock")), {"don't", "well-known", "o’clock"})

    def test_digits_are_no_words(self):
        self.assertEqual(count("7 of 9"), {"of": 1})

    def test_nothing_counts_as_nothing(self):
        self.assertEqual(count(""), {})

    def test_ties_are_in_alphabetical_order(self):
        self.assertEqual(top("b a c a b", most=2), [("a", 2), ("b", 2)])

    def test_umlauts_are_letters(self):
        self.assertEqual(count("Größe grösse GRÖSSE")["grösse"], 3)


if __name__ == "__main__":
    unittest.main()
