import asyncio

# Else pytest-asyncio makes, and never closes, a loop of its own where the first test is a synchronous one.
asyncio.set_event_loop(None)
