"""What must happen without anybody asking: the clock's work, done by one process at a time.

The scheduler here decides when; the engine's methods decide what. Nothing here writes a row of its own.
"""
