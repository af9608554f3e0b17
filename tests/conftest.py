"""For all tests: no event loop of another test's making."""

import asyncio

# pytest-asyncio and looptime each make loops of their own. One that asyncio made beforehand, because something asked
# for "the current loop" outside of any, would be closed by nobody.
asyncio.set_event_loop(None)
