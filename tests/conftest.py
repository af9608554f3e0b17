"""For all tests: no event loop of another test's making."""

import asyncio
import os
import signal

from hypothesis import settings

# pytest-asyncio and looptime each make loops of their own. One that asyncio made beforehand, because something asked
# for "the current loop" outside of any, would be closed by nobody.
asyncio.set_event_loop(None)

# Machines are noisy: how long an example takes says nothing. What decides whether a change lands tries the same ones
# every time, and therefore fewer; everywhere else new ones are tried, and what they find becomes a test.
settings.register_profile("new examples", deadline=None)
settings.register_profile("same examples", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("same examples" if os.environ.get("CI") else "new examples")

# A shell that runs a command in the background has it ignore Ctrl-C, and so do all processes that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
