"""What the service answers."""

GREETING = "Hello"
LONGEST = 40


def greeting(name):
    """A greeting for somebody; for whoever it is where no name is given."""
    name = " ".join(name.split())[:LONGEST] or "world"
    return f"{GREETING}, {name}!\n"


def page(path, query):
    """(status, text) for a path and the name in its query."""
    if path == "/healthz":
        return 200, "well\n"
    if path == "/":
        return 200, greeting(query)
    return 404, "there is no such page\n"
