import json
import os
import subprocess
import sys
import unittest


def tally(text, *arguments):
    command = [sys.executable, "-m", "tally", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, input=text, capture_output=True, encoding="utf-8", env=environment, check=False)


class Command(unittest.TestCase):
    def test_it_prints_the_most_frequent_first(self):
        self.assertEqual(tally("to be or not to be", "--most", "2").stdout.split(), ["2", "be", "2", "to"])

    def test_it_speaks_json(self):
        self.assertEqual(json.loads(tally("a b a", "--json").stdout), {"a": 2, "b": 1})

    def test_a_missing_file_is_an_error(self):
        done = tally("", "no-such-file.txt")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no-such-file.txt", done.stderr)


if __name__ == "__main__":
    unittest.main()
