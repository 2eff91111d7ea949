import threading
import unittest
from urllib.request import urlopen

from hello.server import serve


class Service(unittest.TestCase):
    def setUp(self):
        self.server = serve(0)
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def ask(self, path):
        with urlopen(self.address + path, timeout=10) as answer:
            return answer.read().decode()

    def test_it_greets(self):
        self.assertEqual(self.ask("/?name=Ada+Lovelace"), "Hello, Ada Lovelace!\n")

    def test_it_says_that_it_is_well(self):
        self.assertEqual(self.ask("/healthz"), "well\n")
