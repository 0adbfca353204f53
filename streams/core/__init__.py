"""The pure core. Open advance.py first. No Faust, no asyncio, no clock, no log, no metric."""
