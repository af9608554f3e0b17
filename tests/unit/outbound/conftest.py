import asyncio

# Before Python 3.12, looptime's look for a loop in a test without one makes a loop that nobody closes; saying that
# there is none stops that.
asyncio.set_event_loop(None)
