import unittest

from hello.pages import LONGEST, greeting, page


class Pages(unittest.TestCase):
    def test_whoever_it_is_is_greeted(self):
        self.assertEqual(greeting(""), "Hello, world!\n")

    def test_a_name_is_used(self):
        self.assertEqual(greeting("Ada"), "Hello, Ada!\n")

    def test_a_long_name_is_cut(self):
        self.assertLess(len(greeting("a" * 1000)), LONGEST + 20)

    def test_what_is_not_there_is_not_there(self):
        self.assertEqual(page("/nowhere", "")[0], 404)
