"""What connects to other event loops and libraries: asyncio, c-ares, Twisted."""
